import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pause } from '../../src/env/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('a pause ends when its time is up or when it is aborted, whichever is first', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  let ended = 0;
  const paused = () => pause(clock, 100, stop.signal).then(() => ended++);
  const first = paused();
  await clock.advance(99);
  assert.equal(ended, 0);
  await clock.advance(1);
  await first;
  const second = paused();
  stop.abort();
  await second;
  await paused();
  assert.equal(ended, 3);
});
