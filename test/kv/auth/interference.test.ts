/**
 * What permissions mean, without saying how they are checked: of two stores that differ only in values a user may not read,
 * the user cannot tell which one answers; and keys a user may not write stay as they are. For whatever transaction there is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import type { Compare, RequestOp } from '../../../src/kv/api.ts';
import type { AuthChange } from '../../../src/kv/auth/contract.ts';
import { bytes, compare, op, rangeRequest, text } from '../apply/requests.ts';
import { Accounts, change } from './accounts.ts';

const keys = ['a', 'b', 'c', 'd', 'e'] as const;
const key = fc.constantFrom(...keys);
/** A key, a half-open interval that may be empty, or everything from a key on. */
const rangeEnd = fc.constantFrom('', '', '', ...keys, 'f', '\0');
const flag = fc.boolean();
const permission: fc.Arbitrary<AuthChange> = fc
  .tuple(fc.constantFrom('read' as const, 'write' as const, 'readWrite' as const), key, rangeEnd)
  .map(([type, from, to]) => change.permit('r', type, from, to));

const comparison: fc.Arbitrary<Compare> = fc
  .tuple(key, rangeEnd, fc.constantFrom('equal' as const, 'less' as const), fc.constantFrom('one', 'two'))
  .map(([from, to, result, value]) => compare(from, result, { kind: 'value', value: bytes(value) }, to));
const { txn } = fc.letrec<{ txn: Extract<RequestOp, { kind: 'txn' }>; step: RequestOp }>((tie) => ({
  txn: fc
    .tuple(
      fc.array(comparison, { maxLength: 1 }),
      fc.array(tie('step'), { maxLength: 2 }),
      fc.array(tie('step'), { maxLength: 2 }),
    )
    .map(([compares, success, failure]) => op.txn(compares, success, failure)),
  step: fc.oneof(
    { depthSize: 'small' },
    fc.tuple(key, rangeEnd).map(([from, to]) => op.range(from, to)),
    fc.tuple(key, flag).map(([from, prevKv]) => op.put(from, 'new', { prevKv })),
    fc.tuple(key, rangeEnd, flag).map(([from, to, prevKv]) => op.del(from, to, prevKv)),
    tie('txn'),
  ),
}));

/** All keys are there; those that the user cannot read have `hidden` as value. */
function storeWith(permissions: readonly AuthChange[], hidden: string): Accounts {
  const accounts = new Accounts();
  accounts.change('', change.user('root'), change.give('root', 'root'), change.user('u'), change.role('r'));
  accounts.change('', change.give('u', 'r'));
  for (const wanted of permissions) accounts.change('', wanted);
  assert.equal(accounts.change('', change.enable()), 'ok');
  for (const name of keys) {
    assert.equal(accounts.as('root', op.put(name, mayRead(permissions, name) ? 'one' : hidden)), 'ok');
  }
  return accounts;
}

function holds(wanted: AuthChange, name: string, access: 'read' | 'write'): boolean {
  assert.equal(wanted.kind, 'roleGrantPermission');
  const { type, key: from, rangeEnd: to } = wanted.permission;
  if (type !== 'readWrite' && type !== access) return false;
  if (to === '') return name === from;
  return name >= from && (to === '\0' || name < to);
}

/** Of two permissions for the same keys the later one counts. */
function inForce(permissions: readonly AuthChange[]): readonly AuthChange[] {
  const last = new Map<string, AuthChange>();
  for (const wanted of permissions) {
    assert.equal(wanted.kind, 'roleGrantPermission');
    const { key: from, rangeEnd: to } = wanted.permission;
    if (to === '' || to === '\0' || to > from) last.set(JSON.stringify([from, to]), wanted);
  }
  return [...last.values()];
}

function mayRead(permissions: readonly AuthChange[], name: string): boolean {
  return inForce(permissions).some((wanted) => holds(wanted, name, 'read'));
}

function content({ state }: Accounts): ReadonlyMap<string, string> {
  const all = state.range(rangeRequest('\0', '\0'));
  assert.ok(typeof all !== 'string');
  return new Map(all.kvs.map((kv) => [text(kv.key), `${text(kv.value)} ${kv.modRevision}`]));
}

test('no transaction tells or changes what its sender may not read or write', () => {
  let permitted = 0;
  fc.assert(
    fc.property(fc.array(permission, { minLength: 1, maxLength: 4 }), txn, (permissions, wanted) => {
      const one = storeWith(permissions, 'one');
      const two = storeWith(permissions, 'two');
      const before = content(one);
      const [first, second] = [one, two].map((store) => store.applyAs(store.caller('u'), wanted));
      assert.deepEqual(first, second, `the answer depends on what u may not read: ${inspect(wanted, { depth: 9 })}`);
      const after = content(one);
      for (const name of keys) {
        if (inForce(permissions).some((held) => holds(held, name, 'write'))) continue;
        assert.equal(after.get(name), before.get(name), `${name} was changed`);
      }
      if (first?.ok) permitted++;
      else assert.deepEqual(after, before, 'a refused transaction changes nothing');
    }),
    { numRuns: 3_000, seed: 21_682 },
  );
  assert.ok(permitted > 300, `only ${permitted} transactions were permitted`);
});
