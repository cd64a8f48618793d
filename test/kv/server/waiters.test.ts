import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../src/env/clock.ts';
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
  waiters.complete(2, 'two');
  waiters.complete(3, 'unknown to anybody');
  waiters.complete(1, 'one');
  assert.deepEqual(await Promise.all([first, second]), ['one', 'two']);
  assert.equal(waiters.size, 0);
});

test('an entry of a newer term settles what an older leader had accepted', async () => {
  const waiters = new Waiters<string>(handClock());
  const old = waiters.add(1, 100);
  const current = waiters.add(2, 100);
  const notYetProposed = waiters.add(3, 100);
  waiters.accepted(1, 4);
  waiters.accepted(2, 5);
  waiters.failOlderThan(5, 'leaderChanged');
  await assert.rejects(old, { kv: 'leaderChanged' });
  waiters.complete(2, 'two');
  waiters.complete(3, 'three');
  assert.deepEqual(await Promise.all([current, notYetProposed]), ['two', 'three']);
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
