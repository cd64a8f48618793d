import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import type { Compare, InternalOp, InternalRequest, RangeRequest, RequestOp } from '../../../src/kv/api.ts';
import type { AuthChange, Caller } from '../../../src/kv/auth/contract.ts';
import { decodeInternalRequest, encodeInternalRequest } from '../../../src/kv/apply/codec.ts';
import { op } from './requests.ts';

/** Objects as literals make them, so that they compare equal to decoded ones. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const some = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
const number = fc.oneof(fc.nat(), fc.maxSafeNat());
const leaseId = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const flag = fc.boolean();
const put = record({ key: some, value: some, lease: leaseId, prevKv: flag, ignoreValue: flag, ignoreLease: flag });
const deleteRange = record({ key: some, rangeEnd: some, prevKv: flag });
const range: fc.Arbitrary<RangeRequest> = record({
  key: some,
  rangeEnd: some,
  limit: number,
  revision: number,
  sortOrder: fc.constantFrom('none', 'ascend', 'descend'),
  sortTarget: fc.constantFrom('key', 'version', 'create', 'mod', 'value'),
  serializable: flag,
  keysOnly: flag,
  countOnly: flag,
  minModRevision: number,
  maxModRevision: number,
  minCreateRevision: number,
  maxCreateRevision: number,
});
const target: fc.Arbitrary<Compare['target']> = fc.oneof(
  record({ kind: fc.constantFrom('version' as const, 'create' as const, 'mod' as const), value: number }),
  record({ kind: fc.constant('value' as const), value: some }),
  record({ kind: fc.constant('lease' as const), value: leaseId }),
);
const comparison: fc.Arbitrary<Compare> = record({
  key: some,
  rangeEnd: some,
  result: fc.constantFrom('equal', 'greater', 'less', 'notEqual'),
  target,
});
const { txn } = fc.letrec<{ txn: Extract<RequestOp, { kind: 'txn' }>['request']; step: RequestOp }>((tie) => ({
  txn: record({
    compare: fc.array(comparison, { maxLength: 3 }),
    success: fc.array(tie('step'), { maxLength: 3 }),
    failure: fc.array(tie('step'), { maxLength: 2 }),
  }),
  step: fc.oneof(
    { depthSize: 'small' },
    record({ kind: fc.constant('put' as const), request: put }),
    record({ kind: fc.constant('range' as const), request: range }),
    record({ kind: fc.constant('deleteRange' as const), request: deleteRange }),
    record({ kind: fc.constant('txn' as const), request: tie('txn') }),
  ),
}));
const keys = fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const name = fc.string();
const authChange: fc.Arbitrary<AuthChange> = fc.oneof(
  record({ kind: fc.constantFrom('enable' as const, 'disable' as const) }),
  record({ kind: fc.constant('userAdd' as const), name, passwordHash: name, hasNoPassword: flag }),
  record({ kind: fc.constant('userDelete' as const), name }),
  record({ kind: fc.constant('userChangePassword' as const), name, passwordHash: name }),
  record({ kind: fc.constantFrom('userGrantRole' as const, 'userRevokeRole' as const), name, role: name }),
  record({ kind: fc.constantFrom('roleAdd' as const, 'roleDelete' as const), role: name }),
  record({
    kind: fc.constant('roleGrantPermission' as const),
    role: name,
    permission: record({ type: fc.constantFrom('read', 'write', 'readWrite'), key: keys, rangeEnd: keys }),
  }),
  record({ kind: fc.constant('roleRevokePermission' as const), role: name, key: keys, rangeEnd: keys }),
);
const anyOp: fc.Arbitrary<InternalOp> = fc.oneof(
  record({ kind: fc.constant('put' as const), request: put }),
  record({ kind: fc.constant('deleteRange' as const), request: deleteRange }),
  record({ kind: fc.constant('txn' as const), request: txn }),
  record({ kind: fc.constant('compact' as const), revision: number }),
  record({ kind: fc.constant('leaseGrant' as const), id: leaseId, ttlSeconds: number }),
  record({ kind: fc.constant('leaseRevoke' as const), id: leaseId }),
  record({
    kind: fc.constant('leaseCheckpoint' as const),
    remaining: fc.array(fc.tuple(leaseId, number), { maxLength: 4 }),
  }),
  record({
    kind: fc.constant('memberAttributes' as const),
    memberId: number,
    name: fc.string(),
    clientUrls: fc.array(fc.webUrl(), { maxLength: 3 }),
  }),
  record({ kind: fc.constant('clusterVersion' as const), version: fc.string() }),
  record({
    kind: fc.constant('alarm' as const),
    action: fc.constantFrom('activate' as const, 'deactivate' as const),
    memberId: number,
    alarm: fc.constantFrom('none' as const, 'noSpace' as const, 'corrupt' as const),
  }),
  record({
    kind: fc.constant('authenticate' as const),
    user: fc.string(),
    tokenPrefix: fc.string(),
    authRevision: number,
  }),
  record({ kind: fc.constant('auth' as const), change: authChange }),
);
const caller: fc.Arbitrary<Caller> = fc.oneof(
  fc.constant('member' as const),
  record({ user: fc.string(), authRevision: number }),
);

test('every request comes back from its bytes as it went in', () => {
  const request: fc.Arbitrary<InternalRequest> = fc.oneof(
    record({ requestId: fc.maxSafeNat(), op: anyOp }),
    record({ requestId: fc.maxSafeNat(), caller, op: anyOp }),
  );
  fc.assert(
    fc.property(request, (sent) => {
      assert.deepEqual(decodeInternalRequest(encodeInternalRequest(sent)), sent);
    }),
    { numRuns: 500 },
  );
});

test('plain byte arrays may be sent, and a put costs few bytes beyond its own', () => {
  const sent = op.put('key', 'value');
  const plain: InternalOp = {
    kind: 'put',
    request: { ...sent.request, key: Uint8Array.from(sent.request.key), value: Uint8Array.from(sent.request.value) },
  };
  const bytes = encodeInternalRequest({ requestId: 7, op: plain });
  assert.deepEqual(decodeInternalRequest(bytes), { requestId: 7, op: sent });
  assert.ok(bytes.length < 'keyvalue'.length + 24, `${bytes.length} bytes`);
});

test('decoded bytes are copies, so that they do not hold the entry they came in', () => {
  const bytes = encodeInternalRequest({ requestId: 1, op: op.del('key', 'kez') });
  const decoded = decodeInternalRequest(bytes);
  bytes.fill(0);
  assert.deepEqual(decoded, { requestId: 1, op: op.del('key', 'kez') });
});

test('a put that an older version wrote is read', () => {
  const packr = new Packr({ useRecords: false });
  const { key, value } = op.put('key', 'value').request;
  const old = packr.pack([1, 7, 0, key, value, 0n, true, false, false]);
  assert.deepEqual(decodeInternalRequest(old), { requestId: 7, op: op.put('key', 'value', { prevKv: true }) });
});

test('a put that is cut off anywhere before its value is refused', () => {
  const bytes = encodeInternalRequest({
    requestId: 1,
    caller: { user: 'u', authRevision: 3 },
    op: op.put('key', '', { lease: 5n }),
  });
  for (let length = 1; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length);
    assert.throws(() => decodeInternalRequest(cut), { code: 'ENTRY_UNREADABLE' }, `${length} bytes`);
  }
});

test('bytes of another format or shape are refused with what to do', () => {
  const packr = new Packr({ useRecords: false });
  for (const value of [
    [3, 0, 0],
    [2, 0, 0],
    [2, 0, [1, 'user'], 0],
    [1, 0, 99],
    [1, 0, 0, 'no bytes'],
    { a: 1 },
    [1, 'x'],
  ]) {
    assert.throws(() => decodeInternalRequest(packr.pack(value)), { code: 'ENTRY_UNREADABLE' }, JSON.stringify(value));
  }
});
