/** Lives of leases made by hand: those of a store that keeps its word must pass, the others must be refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLeases, type LeaseCall, type LeaseCallKind, type LeaseLife } from '../../../chaos/check/leases.ts';

const limits = { clockRateMax: 1.1, nowMs: 10_000, endWithinMs: 1_000, calmSinceMs: 0 };

function call(kind: LeaseCallKind, invokedMs: number, returnedMs: number | undefined, ttlSeconds = 2): LeaseCall {
  return { kind, lease: '7', invokedMs, returnedMs, ttlSeconds };
}

function life(endedMs: number | undefined): LeaseLife {
  return { lease: '7', ttlSeconds: 2, grantedMs: 5, endedMs };
}

const granted = call('grant', 0, 10);

test('a lease that ends when its time is up, or later, is in order', () => {
  checkLeases([granted], [life(2_010)], limits);
  checkLeases([granted], [life(4_000)], limits);
  checkLeases([granted, call('keepAlive', 1_500, 1_600)], [life(3_600)], limits);
  // The leader's clock runs faster than ours.
  checkLeases([granted], [life(1_900)], limits);
});

test('a lease that ends before its time is a violation', () => {
  assert.throws(() => checkLeases([granted], [life(1_700)], limits), /a lease does not end early/);
  const renewed = [granted, call('keepAlive', 1_500, 1_600)];
  assert.throws(() => checkLeases(renewed, [life(3_000)], limits), /a lease does not end early/);
});

test('a lease may end early when somebody asks for it, or nobody was told of the renewal', () => {
  checkLeases([granted, call('revoke', 500, 510, 0)], [life(505)], limits);
  checkLeases([granted, call('revoke', 500, undefined, 0)], [life(900)], limits);
  checkLeases([granted, call('keepAlive', 1_500, undefined)], [life(2_100)], limits);
});

test('nobody is told that a lease is gone while it has time left', () => {
  const early = [granted, call('timeToLive', 1_000, 1_010, -1)];
  assert.throws(() => checkLeases(early, [life(2_100)], limits), /nobody is told early/);
  assert.throws(
    () => checkLeases([granted, call('keepAlive', 1_000, 1_010, 0)], [life(2_100)], limits),
    /nobody is told early/,
  );
  checkLeases([granted, call('timeToLive', 2_050, 2_060, -1)], [life(2_300)], limits);
});

test('a lease that has ended is not renewed', () => {
  const renewed = [granted, call('keepAlive', 3_000, 3_010)];
  assert.throws(() => checkLeases(renewed, [life(2_500)], limits), /a lease that has ended stays so/);
});

test('a lease has the time it was granted for, and never more', () => {
  assert.throws(() => checkLeases([call('grant', 0, 10, 3)], [life(4_000)], limits), /has the time it was granted/);
  assert.throws(
    () => checkLeases([granted, call('timeToLive', 100, 110, 3)], [life(4_000)], limits),
    /has the time it was granted/,
  );
});

test('a lease that nobody renews ends, once faults have', () => {
  assert.throws(() => checkLeases([granted], [life(undefined)], limits), /a lease that nobody renews ends/);
  checkLeases([granted], [life(undefined)], { ...limits, calmSinceMs: 8_000 });
  checkLeases([granted, call('keepAlive', 9_000, undefined)], [life(undefined)], limits);
});

test('a lease that was acknowledged and never was is a violation', () => {
  assert.throws(() => checkLeases([granted], [], limits), /a lease that is acknowledged exists/);
});
