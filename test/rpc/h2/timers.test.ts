/** Many deadlines behind one timer, against a list that is looked through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { type Timed, Timers } from '../../../src/rpc/h2/timers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class Item implements Timed {
  timerPlace = -1;
  dueMs: number;
  firedMs = -1;
  constructor(dueMs: number) {
    this.dueMs = dueMs;
  }
  due(nowMs: number): void {
    this.firedMs = nowMs;
  }
}

test('items come due in time and never before, whatever is added and removed meanwhile', async () => {
  for (const seed of [1, 2, 3]) {
    const random = seededRandom(seed);
    const clock = new FakeClock();
    const timers = new Timers(clock);
    const waiting = new Set<Item>();
    for (let step = 0; step < 60; step++) {
      for (let count = random.integer(0, 12); count > 0; count--) {
        const item = new Item(clock.nowMs + random.integer(0, 500));
        waiting.add(item);
        timers.add(item);
      }
      for (const item of waiting) {
        if (random.integer(0, 9) > 0) continue;
        waiting.delete(item);
        timers.remove(item);
        timers.remove(item);
        item.dueMs = Number.POSITIVE_INFINITY;
      }
      await clock.advance(random.integer(0, 60));
      for (const item of waiting) {
        if (item.dueMs > clock.nowMs) assert.equal(item.firedMs, -1, 'not before its time');
        else {
          assert.equal(item.firedMs, item.dueMs, 'at its time');
          waiting.delete(item);
        }
      }
    }
    timers.close();
  }
});

test('an item that is added again by what is due waits again', async () => {
  const clock = new FakeClock();
  const timers = new Timers(clock);
  const times: number[] = [];
  const item: Timed = {
    dueMs: clock.nowMs + 10,
    timerPlace: -1,
    due(nowMs) {
      times.push(nowMs - 1_000_000);
      item.dueMs = nowMs + 10;
      if (times.length < 3) timers.add(item);
    },
  };
  timers.add(item);
  await clock.advance(100);
  assert.deepEqual(times, [10, 20, 30]);
});
