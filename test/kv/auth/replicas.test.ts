/**
 * Replicas that hold the same log hold the same users and decide every request alike, whether they applied all of it, were
 * stopped and started on the way, or got the beginning as a snapshot: for any order of requests in anybody's name.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { InternalOp } from '../../../src/kv/api.ts';
import type { KvState } from '../../../src/kv/apply/contract.ts';
import { createKvState, openKvState } from '../../../src/kv/apply/state.ts';
import type { AuthChange, Caller } from '../../../src/kv/auth/contract.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { bytes, compare, op } from '../apply/requests.ts';
import { change } from './accounts.ts';

const name = fc.constantFrom('root', 'alice', 'bob');
const role = fc.constantFrom('root', 'r', 's');
const key = fc.constantFrom('a', 'b', 'c');
const rangeEnd = fc.constantFrom('', '', 'c', '\0');
const lease = fc.constantFrom(1n, 2n);
const anyChange: fc.Arbitrary<AuthChange> = fc.oneof(
  fc.constantFrom(change.enable(), change.enable(), change.disable()),
  name.map((who) => change.user(who)),
  name.map((who): AuthChange => ({ kind: 'userDelete', name: who })),
  name.map((who): AuthChange => ({ kind: 'userChangePassword', name: who, passwordHash: 'other' })),
  role.map((which) => change.role(which)),
  role.map((which): AuthChange => ({ kind: 'roleDelete', role: which })),
  fc.tuple(name, role).map(([who, which]) => change.give(who, which)),
  fc.tuple(name, role).map(([who, which]) => change.take(who, which)),
  fc
    .tuple(role, fc.constantFrom('read' as const, 'write' as const, 'readWrite' as const), key, rangeEnd)
    .map(([which, type, from, to]) => change.permit(which, type, from, to)),
  fc.tuple(role, key, rangeEnd).map(([which, from, to]) => change.forbid(which, from, to)),
);
const anyOp: fc.Arbitrary<InternalOp> = fc.oneof(
  { weight: 4, arbitrary: anyChange.map((wanted): InternalOp => ({ kind: 'auth', change: wanted })) },
  { weight: 2, arbitrary: fc.tuple(key, fc.boolean()).map(([at, prevKv]) => op.put(at, 'x', { prevKv })) },
  fc.tuple(key, lease).map(([at, id]) => op.put(at, 'x', { lease: id })),
  fc.tuple(key, rangeEnd).map(([from, to]) => op.del(from, to)),
  fc
    .tuple(key, key)
    .map(([at, other]) => op.txn([compare(at, 'equal', { kind: 'value', value: bytes('x') })], [op.put(other)])),
  lease.map((id) => op.grant(id)),
  lease.map((id) => op.revoke(id)),
  fc
    .tuple(name, fc.nat(12))
    .map(([user, authRevision]): InternalOp => ({ kind: 'authenticate', user, tokenPrefix: 'p', authRevision })),
);
/** Whose name it is in, and how far behind the auth revision that was looked up. */
const asked = fc.tuple(anyOp, fc.oneof(name, fc.constantFrom('', 'member')), fc.nat(1));

function applyTo(state: KvState, [wanted, who, behind]: [InternalOp, string, number]): unknown {
  const caller: Caller | undefined =
    who === ''
      ? undefined
      : who === 'member'
        ? 'member'
        : { user: who, authRevision: state.auth().revision() - behind };
  const request = caller === undefined ? { requestId: 0, op: wanted } : { requestId: 0, caller, op: wanted };
  return state.apply(state.consistentIndex() + 1, request);
}

function picture(state: KvState): unknown {
  const auth = state.auth();
  return {
    index: state.consistentIndex(),
    hash: state.hashKv(0),
    auth: [auth.isEnabled(), auth.revision(), auth.users(), auth.roles()],
    leases: [...state.leases().all()]
      .map(({ id, keys }) => [String(id), [...keys].sort()] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

test('replicas decide alike, however they came by their state', async () => {
  const outcomes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { maxLength: 40 }), fc.array(asked, { maxLength: 40 }), async (before, after) => {
      const backend = createMemoryBackend();
      const straight = createKvState({ backend });
      // Mostly with auth on, where there is something to decide.
      for (const wanted of [change.user('root'), change.give('root', 'root'), change.enable()]) {
        applyTo(straight, [{ kind: 'auth', change: wanted }, 'member', 0]);
      }
      for (const one of before) applyTo(straight, one);
      const reopened = await openKvState({ backend });
      const received = createKvState({ backend: createMemoryBackend() });
      await received.restore(straight.consistentIndex(), straight.snapshot());
      // From here each has a backend of its own.
      const apart = createKvState({ backend: createMemoryBackend() });
      await apart.restore(reopened.consistentIndex(), reopened.snapshot());
      for (const one of after) {
        const outcome = applyTo(straight, one) as { readonly ok: boolean; readonly error?: string };
        outcomes.add(outcome.error ?? 'ok');
        assert.deepEqual(applyTo(received, one), outcome);
        assert.deepEqual(applyTo(apart, one), outcome);
      }
      assert.deepEqual(picture(received), picture(straight));
      assert.deepEqual(picture(apart), picture(straight));
    }),
    { numRuns: 300, seed: 14_571 },
  );
  for (const wanted of ['ok', 'permissionDenied', 'userEmpty', 'authOldRevision', 'userNotFound']) {
    assert.ok(outcomes.has(wanted), `some request ends with ${wanted}`);
  }
});
