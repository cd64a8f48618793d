import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../src/env/clock.ts';
import { InvariantViolation } from '../../../src/env/assert.ts';
import { decodeEntry, decodeMemberChange, encodeEntry, encodeMemberChange } from '../../../src/kv/server/entry.ts';
import { Waiters } from '../../../src/kv/server/waiters.ts';

/** A clock whose timers run only when told to. */
function handClock(): Clock & { run(): void } {
  let timers: (() => void)[] = [];
  let nowMs = 0;
  return {
    monotonicMs: () => nowMs,
    wallMs: () => 0,
    after(_delayMs, callback) {
      timers.push(callback);
      return () => {
        timers = timers.filter((timer) => timer !== callback);
      };
    },
    every: () => () => undefined,
    run() {
      nowMs += 1_000;
      for (const timer of timers) timer();
    },
  };
}

test('a waiter hears of its own entry and of nobody else’s', async () => {
  const waiters = new Waiters<string>(handClock());
  const first = waiters.add(1, 100);
  const second = waiters.add(2, 100);
  waiters.accepted(1, 4);
  waiters.accepted(2, 4);
  waiters.complete(2, 4, 'two');
  waiters.complete(3, 4, 'unknown to anybody');
  waiters.complete(1, 4, 'one');
  assert.deepEqual(await Promise.all([first, second]), ['one', 'two']);
  assert.equal(waiters.size, 0);
});

test('an entry of a newer term tells who waits since an older one, and nobody else', async () => {
  const waiters = new Waiters<string>(handClock());
  const lost: number[] = [];
  const old = waiters.add(1, 100, () => lost.push(1));
  const current = waiters.add(2, 100, () => lost.push(2));
  const notYetProposed = waiters.add(3, 100, () => lost.push(3));
  const once = waiters.add(4, 100);
  waiters.accepted(1, 4);
  waiters.accepted(2, 5);
  waiters.accepted(4, 4);
  assert.equal(waiters.isAnyBefore(5), true);
  waiters.lostBefore(5);
  assert.deepEqual(lost, [1]);
  assert.equal(waiters.isAnyBefore(5), false);
  await assert.rejects(once, { kv: 'leaderChanged' });
  for (const requestId of [1, 3]) waiters.accepted(requestId, 6);
  waiters.complete(2, 5, 'two');
  waiters.complete(1, 6, 'one');
  waiters.complete(3, 6, 'three');
  assert.deepEqual(await Promise.all([old, current, notYetProposed]), ['one', 'two', 'three']);
});

test('a snapshot makes unsure what was accepted up to its term', async () => {
  const waiters = new Waiters<string>(handClock());
  const lost: number[] = [];
  const before = waiters.add(1, 100, () => lost.push(1));
  const after = waiters.add(2, 100, () => lost.push(2));
  const notYetProposed = waiters.add(3, 100, () => lost.push(3));
  waiters.accepted(1, 4);
  waiters.accepted(2, 5);
  waiters.unsureUpTo(4);
  await assert.rejects(before, { kv: 'timeout' });
  assert.deepEqual([lost, waiters.has(2), waiters.has(3)], [[], true, true]);
  waiters.failAll('stopped');
  await assert.rejects(after, { kv: 'stopped' });
  await assert.rejects(notYetProposed, { kv: 'stopped' });
});

test('what is under way is not accepted again, and is no entry of another term', () => {
  const waiters = new Waiters<string>(handClock());
  void waiters.add(1, 100);
  waiters.accepted(1, 4);
  assert.throws(() => waiters.accepted(1, 5), InvariantViolation);
  assert.throws(() => waiters.complete(1, 5, 'one'), InvariantViolation);
});

test('time that runs out and a stop settle waiters, too', async () => {
  const clock = handClock();
  const waiters = new Waiters<string>(clock);
  const late = waiters.add(1, 100);
  clock.run();
  await assert.rejects(late, { kv: 'timeout' });
  const stopped = waiters.add(2, 100);
  waiters.failAll('stopped');
  await assert.rejects(stopped, { kv: 'stopped' });
});

test('entries and membership changes come back as they went in', () => {
  const request = { requestId: 7, op: { kind: 'leaseGrant', id: -5n, ttlSeconds: 60 } } as const;
  assert.deepEqual(decodeEntry(encodeEntry({ proposer: 2 ** 53 - 1, request })), { proposer: 2 ** 53 - 1, request });
  const change = { proposer: 1, requestId: 2 ** 52, action: { kind: 'remove', id: 2 ** 53 - 1 } } as const;
  assert.deepEqual(decodeMemberChange(encodeMemberChange(change)), change);
});
