import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyQueue, ReconcileLoop } from '../../../src/control/client/index.ts';
import { silentLog } from '../../../src/env/log.ts';
import { FakeClock, seededRandom, settle } from './fakes.ts';

test('a key added many times is handed out once, and again when it was added while being worked on', async () => {
  const queue = new KeyQueue(new FakeClock(), seededRandom(1));
  for (const key of ['a', 'a', 'b', 'a']) queue.add(key);
  assert.equal(queue.length(), 2);
  assert.equal(await queue.next(), 'a');
  queue.add('a');
  assert.equal(await queue.next(), 'b');
  assert.equal(queue.length(), 0);
  queue.done('a');
  assert.equal(await queue.next(), 'a');
});

test('failures of a key back off twice as long each time, until it is forgotten', async () => {
  const clock = new FakeClock();
  const queue = new KeyQueue(clock, seededRandom(1), { baseMs: 100, maxMs: 1000 });
  const delays: number[] = [];
  for (let failure = 0; failure < 6; failure++) {
    if (failure === 5) queue.forget('a');
    queue.addRateLimited('a');
    const startedMs = clock.nowMs;
    while (queue.length() === 0) await clock.advance(10);
    delays.push(clock.nowMs - startedMs);
    assert.equal(await queue.next(), 'a');
    queue.done('a');
  }
  const floor = delays.map((delay) => Math.floor(delay / 100) * 100);
  assert.deepEqual(floor, [100, 200, 400, 800, 1000, 100]);
});

test('of several delays the earliest counts, and closing ends the waiting workers', async () => {
  const clock = new FakeClock();
  const queue = new KeyQueue(clock, seededRandom(1));
  queue.addAfter('a', 500);
  queue.addAfter('a', 100);
  queue.addAfter('a', 900);
  await clock.advance(100);
  assert.equal(await queue.next(), 'a');
  queue.done('a');
  await clock.advance(2000);
  assert.equal(queue.length(), 0);
  const waiting = queue.next();
  queue.close();
  assert.equal(await waiting, undefined);
});

test('a reconcile loop starts with every key, retries what failed, and keeps nothing while it stands by', async () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  let failures = 2;
  const loop = new ReconcileLoop({
    name: 'test',
    clock,
    random: seededRandom(1),
    log: silentLog,
    workers: 2,
    keys: () => ['a', 'b'],
    reconcile: async (key) => {
      seen.push(key);
      if (key === 'b' && failures-- > 0) throw new Error('not yet');
    },
  });
  loop.enqueue('ignored while standing by');
  const stop = new AbortController();
  const done = loop.run(stop.signal);
  await clock.advance(100);
  assert.deepEqual(seen.sort(), ['a', 'b', 'b', 'b']);
  loop.enqueue('c');
  await settle();
  assert.ok(seen.includes('c'));
  stop.abort();
  await done;
});
