import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseTtlSecondsMax, Leases } from '../../../src/kv/lease/table.ts';

test('a grant is refused for no id, too long a time and a lease that exists', () => {
  const leases = new Leases();
  assert.equal(leases.checkGrant(0n, 5), 'leaseNotFound');
  assert.equal(leases.checkGrant(1n, leaseTtlSecondsMax + 1), 'leaseTtlTooLarge');
  assert.equal(leases.checkGrant(1n, leaseTtlSecondsMax), undefined);
  leases.grant(1n, 5);
  assert.equal(leases.checkGrant(1n, 5), 'leaseExists');
});

test('keys come in the order of their bytes, whatever the order they were attached in', () => {
  const leases = new Leases();
  leases.grant(1n, 5);
  for (const key of ['b', '\xff', 'a', 'ab', 'B']) leases.attach(1n, key);
  assert.deepEqual(leases.keysOf(1n), ['B', 'a', 'ab', 'b', '\xff']);
  leases.detach(1n, 'a');
  assert.deepEqual([...(leases.get(1n)?.keys ?? [])].includes('a'), false);
});

test('ids are told apart beyond what a double can', () => {
  const leases = new Leases();
  leases.grant(2n ** 53n, 5);
  leases.grant(2n ** 53n + 1n, 6);
  assert.equal(leases.get(2n ** 53n + 1n)?.ttlSeconds, 6);
});

test('changes counts grants, removals and checkpoints, not the keys', () => {
  const leases = new Leases();
  const counted: number[] = [];
  const note = () => counted.push(leases.changes());
  leases.grant(1n, 5);
  note();
  leases.attach(1n, 'a');
  note();
  assert.ok(leases.checkpoint(1n, 3));
  note();
  assert.ok(!leases.checkpoint(2n, 3));
  note();
  leases.detach(1n, 'a');
  leases.remove(1n);
  note();
  assert.deepEqual(counted, [1, 1, 2, 2, 3]);
});

test('a lease is never removed before its keys, nor a key detached that is not attached', () => {
  const leases = new Leases();
  leases.grant(1n, 5);
  leases.attach(1n, 'a');
  assert.throws(() => leases.remove(1n), /after its 1 keys/);
  assert.throws(() => leases.detach(1n, 'b'), /is attached to it/);
  assert.throws(() => leases.attach(2n, 'b'), /which exists/);
});
