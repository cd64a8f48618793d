import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Compare, InternalOp, RequestOp } from '../../../src/kv/api.ts';
import { createKvState } from '../../../src/kv/apply/state.ts';
import { hasPut, isReadOnlyTxn } from '../../../src/kv/apply/txn.ts';
import { validateOp } from '../../../src/kv/apply/validate.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { Applier, bytes, compare, describeKv, listed, op, rangeRequest } from './requests.ts';

function fresh(): Applier {
  return new Applier(createKvState({ backend: createMemoryBackend() }));
}

test('comparisons look at the one they name, a missing key counts as zero and has no value', () => {
  const store = fresh();
  store.ok(op.grant(9n));
  store.ok(op.put('a', '1'));
  store.ok(op.put('a', '2', { lease: 9n }));
  store.ok(op.put('b', '2'));
  const table: readonly (readonly [Compare, boolean])[] = [
    [compare('a', 'equal', { kind: 'version', value: 2 }), true],
    [compare('a', 'notEqual', { kind: 'version', value: 2 }), false],
    [compare('a', 'greater', { kind: 'version', value: 1 }), true],
    [compare('a', 'less', { kind: 'version', value: 2 }), false],
    [compare('a', 'equal', { kind: 'create', value: 2 }), true],
    [compare('a', 'equal', { kind: 'mod', value: 3 }), true],
    [compare('a', 'equal', { kind: 'value', value: bytes('2') }), true],
    [compare('a', 'greater', { kind: 'value', value: bytes('10') }), true],
    [compare('a', 'equal', { kind: 'lease', value: 9n }), true],
    [compare('b', 'equal', { kind: 'lease', value: 0n }), true],
    [compare('x', 'equal', { kind: 'version', value: 0 }), true],
    [compare('x', 'equal', { kind: 'create', value: 0 }), true],
    [compare('x', 'equal', { kind: 'mod', value: 0 }), true],
    [compare('x', 'less', { kind: 'mod', value: 1 }), true],
    [compare('x', 'equal', { kind: 'lease', value: 0n }), true],
    [compare('x', 'equal', { kind: 'value', value: bytes('') }), false],
    [compare('x', 'notEqual', { kind: 'value', value: bytes('v') }), false],
    // Over a range it must hold for every key.
    [compare('a', 'equal', { kind: 'value', value: bytes('2') }, 'c'), true],
    [compare('a', 'equal', { kind: 'version', value: 2 }, 'c'), false],
    [compare('x', 'equal', { kind: 'version', value: 0 }, 'z'), true],
    [compare('a', 'greater', { kind: 'mod', value: 2 }, '\0'), true],
  ];
  for (const [wanted, holds] of table) {
    const result = store.state.readOnlyTxn({ compare: [wanted], success: [], failure: [] });
    assert.ok(result.ok && result.response.kind === 'txn');
    assert.equal(
      result.response.response.succeeded,
      holds,
      JSON.stringify(wanted.target, (_, value) => String(value)),
    );
  }
});

test('a transaction that fails has changed nothing', () => {
  const failing: readonly (readonly [string, RequestOp])[] = [
    ['leaseNotFound', op.put('z', '', { lease: 404n })],
    ['keyNotFound', op.put('missing', '', { ignoreValue: true })],
    ['keyNotFound', op.put('missing', '', { ignoreLease: true })],
    ['futureRevision', op.range('a', '', { revision: 99 })],
    ['futureRevision', op.range('a', '', { revision: 5 })],
    ['compacted', op.range('a', '', { revision: 2 })],
    ['leaseNotFound', op.txn([], [op.txn([], [op.put('z', '', { lease: 404n })])])],
  ];
  for (const [error, last] of failing) {
    const store = fresh();
    for (const value of ['1', '2', '3']) store.ok(op.put('a', value));
    store.ok(op.compact(3));
    const before = store.state.hashKv(0);
    assert.equal(store.error(op.txn([], [op.put('b', 'x'), op.del('a'), last])), error);
    assert.deepEqual(store.state.hashKv(0), before);
    assert.equal(store.state.revision(), 4);
  }
});

test('a put may keep the value or the lease of the key as it is', () => {
  const store = fresh();
  store.ok(op.grant(1n));
  store.ok(op.grant(2n));
  store.ok(op.put('a', 'value', { lease: 1n }));
  store.ok(op.put('a', '', { ignoreValue: true, lease: 2n }));
  assert.equal(listed(store.state, rangeRequest('a')), 'a=value c2 m3 v2 l2 #1');
  store.ok(op.put('a', 'other', { ignoreLease: true }));
  assert.equal(listed(store.state, rangeRequest('a')), 'a=other c2 m4 v3 l2 #1');
  assert.deepEqual([...(store.state.leases().get(1n)?.keys ?? [])], []);
  assert.deepEqual([...(store.state.leases().get(2n)?.keys ?? [])], ['a']);
  store.ok(op.put('a', 'free'));
  assert.deepEqual([...(store.state.leases().get(2n)?.keys ?? [])], []);
  assert.equal(store.error(op.put('b', '', { ignoreValue: true })), 'keyNotFound');
  assert.equal(store.error(op.put('b', '', { lease: 3n })), 'leaseNotFound');
});

test('previous values come when asked for', () => {
  const store = fresh();
  store.ok(op.put('a', '1'));
  const put = store.ok(op.put('a', '2', { prevKv: true })).response;
  assert.ok(put.kind === 'put' && put.response.prevKv !== undefined);
  assert.equal(describeKv(put.response.prevKv), 'a=1 c2 m2 v1');
  const first = store.ok(op.put('b', '1', { prevKv: true })).response;
  assert.deepEqual(first, { kind: 'put', response: {} });
  const deleted = store.ok(op.del('a', 'c', true)).response;
  assert.ok(deleted.kind === 'deleteRange');
  assert.equal(deleted.response.deleted, 2);
  assert.deepEqual(deleted.response.prevKvs.map(describeKv), ['a=2 c2 m3 v2', 'b=1 c4 m4 v1']);
});

test('what is wrong in itself is refused before it is proposed', () => {
  const put = (key: string) => op.put(key);
  const table: readonly (readonly [string, InternalOp | RequestOp])[] = [
    ['ok', op.put('a')],
    ['emptyKey', op.put('')],
    ['emptyKey', op.del('', 'a')],
    ['emptyKey', op.range('')],
    ['valueProvided', op.put('a', 'v', { ignoreValue: true })],
    ['leaseProvided', op.put('a', '', { ignoreLease: true, lease: 1n })],
    ['emptyKey', op.txn([compare('', 'equal', { kind: 'mod', value: 0 })], [])],
    ['emptyKey', op.txn([], [op.txn([], [], [op.range('')])])],
    ['tooManyOps', op.txn([], [put('a'), put('b'), put('c'), put('d')])],
    ['tooManyOps', op.txn([], [put('a'), op.txn([], [put('b'), put('c')])])],
    ['ok', op.txn([], [op.txn([], [put('b'), put('c')])])],
    ['duplicateKey', op.txn([], [put('a'), put('a')])],
    ['duplicateKey', op.txn([], [], [put('a'), put('a')])],
    ['ok', op.txn([], [put('a')], [put('a')])],
    ['duplicateKey', op.txn([], [put('b'), op.del('a', 'c')])],
    ['duplicateKey', op.txn([], [op.del('a', '\0'), put('b')])],
    ['ok', op.txn([], [put('c'), op.del('a', 'c')])],
    ['ok', op.txn([], [op.del('a', 'c'), op.del('b')])],
    ['duplicateKey', op.txn([], [put('a'), op.txn([], [], [put('a')])])],
    ['ok', op.txn([], [put('b'), op.txn([], [put('a')], [put('a')])])],
    ['duplicateKey', op.txn([], [op.txn([], [put('a')]), op.txn([], [op.del('a')])])],
  ];
  for (const [wanted, operation] of table) {
    assert.equal(
      validateOp(operation, 3) ?? 'ok',
      wanted,
      JSON.stringify(operation, (_, value) => String(value)),
    );
  }
});

test('apply refuses what was proposed without being looked at, the same way on every member', () => {
  const store = fresh();
  assert.equal(store.error(op.txn([], [op.put('a'), op.put('a')])), 'duplicateKey');
  assert.equal(store.error(op.put('')), 'emptyKey');
  const many = Array.from({ length: 500 }, (_, index) => op.put(`k${index}`));
  assert.equal(store.error(op.txn([], many)), 'ok');
  assert.equal(store.state.consistentIndex(), 3);
});

test('alarms refuse what would make it worse', () => {
  const store = fresh();
  store.ok(op.put('a', '1'));
  const alarm = (action: 'activate' | 'deactivate', kind: 'noSpace' | 'corrupt'): InternalOp => {
    return { kind: 'alarm', action, memberId: 1, alarm: kind };
  };
  store.ok(alarm('activate', 'noSpace'));
  store.ok(alarm('activate', 'noSpace'));
  assert.equal(store.state.alarms().length, 1);
  assert.equal(store.error(op.put('b')), 'noSpace');
  assert.equal(store.error(op.grant(1n)), 'noSpace');
  assert.equal(store.error(op.txn([], [], [op.txn([], [op.put('b')])])), 'noSpace');
  assert.equal(store.error(op.txn([], [op.range('a'), op.del('x')])), 'ok');
  assert.equal(store.error(op.del('a')), 'ok');
  assert.equal(store.error(op.compact(3)), 'ok');
  store.ok(alarm('activate', 'corrupt'));
  for (const refused of [op.put('b'), op.del('b'), op.txn([], []), op.compact(3), op.grant(1n), op.revoke(1n)]) {
    assert.equal(store.error(refused), 'corrupt');
  }
  store.ok(alarm('deactivate', 'corrupt'));
  store.ok(alarm('deactivate', 'noSpace'));
  assert.equal(store.error(op.put('b')), 'ok');
});

test('a transaction is known as read-only, and as putting, through every branch', () => {
  const request = (success: RequestOp[], failure: RequestOp[] = []) => ({ compare: [], success, failure });
  assert.ok(isReadOnlyTxn(request([op.range('a'), op.txn([], [op.range('b')])])));
  assert.ok(!isReadOnlyTxn(request([], [op.txn([], [], [op.del('b')])])));
  assert.ok(hasPut(request([], [op.txn([], [], [op.put('b')])])));
  assert.ok(!hasPut(request([op.del('a')])));
});
