import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppliedLease, LeaseTable } from '../../../src/kv/lease/contract.ts';
import { checkpointEveryMs, Lessor } from '../../../src/kv/server/lessor.ts';

function tableOf(...leases: readonly AppliedLease[]): LeaseTable {
  const byId = new Map(leases.map((lease) => [lease.id, lease]));
  return { get: (id) => byId.get(id), all: () => byId.values(), changes: () => 0 };
}

const lease = (id: bigint, ttlSeconds: number, remainingSeconds = 0): AppliedLease => ({
  id,
  ttlSeconds,
  remainingSeconds,
  keys: new Set(),
});

test('a follower ends no leases; a new leader gives each its full time again', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 10)));
  lessor.granted(1n, 10, 0);
  assert.deepEqual(lessor.takeExpired(1_000_000), []);
  lessor.becomeLeader(1_000_000);
  assert.equal(lessor.remainingSeconds(1n, 1_000_000), 10);
  assert.deepEqual(lessor.takeExpired(1_009_999), []);
  assert.deepEqual(lessor.takeExpired(1_010_000), [1n]);
});

test('a new leader believes the last checkpoint', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 3600, 100)));
  lessor.becomeLeader(0);
  assert.equal(lessor.remainingSeconds(1n, 0), 100);
  assert.deepEqual(lessor.renew(1n, 50_000), { ttlSeconds: 3600, wasCheckpointed: true });
  assert.equal(lessor.remainingSeconds(1n, 50_000), 3600);
});

test('a renewal in time lasts, one that comes too late finds nothing', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 10)));
  lessor.becomeLeader(0);
  assert.deepEqual(lessor.renew(1n, 9_999), { ttlSeconds: 10, wasCheckpointed: false });
  assert.equal(lessor.renew(1n, 19_999), undefined);
  assert.equal(lessor.renew(2n, 0), undefined);
});

test('an expired lease is named once until its revocation fails', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 1), lease(2n, 1)));
  lessor.becomeLeader(0);
  assert.deepEqual(lessor.takeExpired(1_000), [1n, 2n]);
  assert.deepEqual(lessor.takeExpired(1_500), []);
  lessor.revokeFailed(2n);
  lessor.revoked(1n);
  assert.deepEqual(lessor.takeExpired(2_000), [2n]);
});

test('long leases are checkpointed every five minutes, with what remains of them', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 3600), lease(2n, 60)));
  lessor.becomeLeader(0);
  assert.deepEqual(lessor.takeCheckpoints(checkpointEveryMs - 1), []);
  assert.deepEqual(lessor.takeCheckpoints(checkpointEveryMs), [[1n, 3300]]);
  assert.deepEqual(lessor.takeCheckpoints(checkpointEveryMs + 1), []);
});

test('a renewal knows of a checkpoint that is on its way, whatever the table shows', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 3600)));
  lessor.becomeLeader(0);
  lessor.takeCheckpoints(checkpointEveryMs);
  assert.equal(lessor.renew(1n, checkpointEveryMs + 1)?.wasCheckpointed, true);
  lessor.checkpointed([[1n, 3300]], checkpointEveryMs + 2);
  assert.equal(lessor.renew(1n, checkpointEveryMs + 3)?.wasCheckpointed, false);
});

test('a renewal that the last leader acknowledged counts, also when it is applied after the election', () => {
  const lessor = new Lessor(() => tableOf(lease(1n, 3600, 100)));
  lessor.becomeLeader(0);
  lessor.checkpointed([[1n, 0]], 50_000);
  assert.deepEqual(lessor.takeExpired(100_000), []);
  assert.equal(lessor.remainingSeconds(1n, 50_000), 3600);
});
