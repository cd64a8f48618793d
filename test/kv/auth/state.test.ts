/** Permissions where they count: at the entry that is applied, in the state that is replicated. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { RequestOp } from '../../../src/kv/api.ts';
import { createKvState, openKvState } from '../../../src/kv/apply/state.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { bytes, compare, listed, op, rangeRequest } from '../apply/requests.ts';
import { Accounts, change, office } from './accounts.ts';

test('nobody, strangers and those without permission are told apart; root and the store itself may do everything', () => {
  const accounts = office();
  assert.equal(accounts.as('', op.put('b', '1')), 'userEmpty');
  assert.equal(accounts.as('stranger', op.put('b', '1')), 'permissionDenied');
  assert.equal(accounts.as('reader', op.put('b', '1')), 'permissionDenied');
  assert.equal(accounts.as('writer', op.put('b', '1')), 'ok');
  assert.equal(accounts.as('root', op.put('zzz', '1')), 'ok');
  assert.ok(accounts.applyAs('member', op.put('zzz', '2')).ok);
  assert.equal(accounts.as('', op.grant(1n)), 'userEmpty');
  assert.equal(accounts.as('reader', op.grant(1n)), 'ok');
  assert.equal(accounts.as('both', op.compact(2)), 'permissionDenied');
  assert.equal(accounts.as('root', op.compact(2)), 'ok');
});

test('a request of before the last change to users is refused, for the client to ask again', () => {
  const accounts = office();
  const caller = accounts.caller('both');
  assert.equal(accounts.change('root', change.user('newcomer')), 'ok');
  const result = accounts.applyAs(caller, op.put('b', '1'));
  assert.equal(result.ok ? 'ok' : result.error, 'authOldRevision');
  assert.equal(accounts.as('both', op.put('b', '1')), 'ok');
});

test('a write proposed while auth was off is refused when it is on by the time it is applied', () => {
  const accounts = office();
  assert.equal(accounts.change('root', change.disable()), 'ok');
  assert.equal(accounts.as('', op.put('b', 'before')), 'ok');
  assert.equal(accounts.change('', change.enable()), 'ok');
  assert.equal(accounts.as('', op.put('b', 'after')), 'userEmpty');
});

test('users and roles are changed by root alone, also in somebody’s own name', () => {
  const accounts = office();
  for (const who of ['', 'reader', 'stranger']) {
    const wanted = who === '' ? 'userEmpty' : who === 'reader' ? 'permissionDenied' : 'userNotFound';
    assert.equal(accounts.change(who, change.disable()), wanted);
    assert.equal(accounts.change(who, change.give('reader', 'root')), wanted);
    assert.equal(accounts.change(who, change.permit('reader', 'write', 'a')), wanted);
    assert.equal(accounts.change(who, { kind: 'userDelete', name: 'root' }), wanted);
    assert.equal(accounts.change(who, { kind: 'userChangePassword', name: 'reader', passwordHash: 'x' }), wanted);
  }
  assert.equal(accounts.state.auth().user('reader')?.passwordHash, 'hash');
});

test('issue 21682: what an answer shows needs permission to read, and nesting hides nothing', () => {
  const accounts = office();
  assert.equal(accounts.as('root', op.put('b', 'secret')), 'ok');
  assert.equal(accounts.as('root', op.put('c', 'secret')), 'ok');
  const nested = (inner: RequestOp) => op.txn([], [{ kind: 'txn', request: op.txn([], [inner]).request }]);
  const inFailure = (inner: RequestOp) => op.txn([], [], [{ kind: 'txn', request: op.txn([], [], [inner]).request }]);
  const forbidden: readonly RequestOp[] = [
    op.put('c', 'x', { prevKv: true }),
    op.del('c', '', true),
    op.range('c'),
    op.del('b', '\0'),
    op.put('d', 'x'),
    op.txn([compare('c', 'equal', { kind: 'value', value: bytes('secret') })], []),
    op.txn([compare('b', 'greater', { kind: 'mod', value: 0 }, 'd')], []),
  ];
  for (const inner of forbidden) {
    const what = inspect(inner, { depth: 6 });
    if (inner.kind !== 'range') assert.equal(accounts.as('writer', inner), 'permissionDenied', what);
    assert.equal(accounts.as('writer', op.txn([], [inner])), 'permissionDenied', what);
    assert.equal(accounts.as('writer', nested(inner)), 'permissionDenied', `nested ${what}`);
    assert.equal(accounts.as('writer', inFailure(inner)), 'permissionDenied', `in a branch not taken ${what}`);
  }
  assert.equal(accounts.as('writer', nested(op.put('c', 'x'))), 'ok');
  assert.equal(accounts.as('both', nested(op.put('c', 'x', { prevKv: true }))), 'ok');
});

test('who may not write all keys of a lease neither revokes it nor puts more keys under it', () => {
  const accounts = office();
  assert.equal(accounts.as('root', op.grant(7n)), 'ok');
  assert.equal(accounts.as('writer', op.put('b', '1', { lease: 7n })), 'ok', 'an empty lease is anybody’s');
  assert.equal(accounts.as('root', op.put('zzz', '1', { lease: 7n })), 'ok');
  assert.equal(accounts.as('writer', op.put('b', '2', { lease: 7n })), 'permissionDenied');
  assert.equal(accounts.as('writer', op.txn([], [op.put('b', '2', { lease: 7n })])), 'permissionDenied');
  assert.equal(accounts.as('writer', op.revoke(7n)), 'permissionDenied');
  assert.equal(accounts.as('', op.revoke(7n)), 'userEmpty');
  // The leader ends a lease that has run out, whosever keys it holds.
  assert.ok(accounts.applyAs('member', op.revoke(7n)).ok);
  assert.equal(listed(accounts.state, rangeRequest('\0', '\0')), '#0');
});

test('a list of leases, and the keys of one, are for those who may read all of them', () => {
  const accounts = office();
  const guard = accounts.state.guard();
  assert.equal(accounts.as('root', op.grant(7n)), 'ok');
  assert.equal(accounts.as('root', op.put('a', '1', { lease: 7n })), 'ok');
  assert.equal(guard.leasesRefusal(accounts.caller('reader')), undefined);
  assert.equal(guard.leaseRefusal(accounts.caller('reader'), 'read', 7n), undefined);
  assert.equal(guard.leaseRefusal(accounts.caller('reader'), 'write', 7n), 'permissionDenied');
  assert.equal(accounts.as('root', op.put('zzz', '1', { lease: 7n })), 'ok');
  assert.equal(guard.leasesRefusal(accounts.caller('reader')), 'permissionDenied');
  assert.equal(guard.leaseRefusal(accounts.caller('reader'), 'read', 7n), 'permissionDenied');
  assert.equal(guard.leasesRefusal(undefined), 'userEmpty');
  assert.equal(guard.leasesRefusal(accounts.caller('root')), undefined);
});

test('an open-ended watch or range needs an open-ended permission', () => {
  const { state } = office();
  const caller = { user: 'reader', authRevision: state.auth().revision() };
  const refusal = (key: string, rangeEnd: string) =>
    state.guard().watchRefusal(caller, { key: bytes(key), rangeEnd: bytes(rangeEnd) });
  assert.equal(refusal('a', 'c'), undefined);
  assert.equal(refusal('b', ''), undefined);
  assert.equal(refusal('b', '\0'), 'permissionDenied');
  assert.equal(refusal('\0', '\0'), 'permissionDenied');
});

test('a token is made only while what its password was checked against still holds', () => {
  const accounts = office();
  const { state } = accounts;
  const ask = (user: string, authRevision: number) =>
    accounts.applyAs('member', { kind: 'authenticate', user, tokenPrefix: 'prefix', authRevision });
  const made = ask('both', state.auth().revision());
  assert.ok(made.ok && made.response.kind === 'authenticate');
  assert.equal(made.response.token, `prefix.${state.consistentIndex()}`);
  const before = state.auth().revision();
  accounts.change('root', { kind: 'userChangePassword', name: 'both', passwordHash: 'another' });
  const late = ask('both', before);
  assert.equal(late.ok ? 'ok' : late.error, 'authOldRevision');
  const stranger = ask('stranger', state.auth().revision());
  assert.equal(stranger.ok ? 'ok' : stranger.error, 'authFailed');
  accounts.change('root', change.disable());
  const off = ask('both', state.auth().revision());
  assert.equal(off.ok ? 'ok' : off.error, 'authNotEnabled');
});

test('issue 14571: a member that got its state as a snapshot, or reopened it, decides as all others do', async () => {
  const backend = createMemoryBackend();
  const accounts = new Accounts(createKvState({ backend }));
  accounts.change(
    '',
    change.user('root'),
    change.give('root', 'root'),
    change.user('ünï'),
    change.role('r/ö'),
    change.give('ünï', 'r/ö'),
    change.permit('r/ö', 'readWrite', '\u00ff\0', '\u00ff\u0001'),
    change.enable(),
  );
  const reopened = new Accounts(await openKvState({ backend }));
  const received = new Accounts();
  await received.state.restore(accounts.state.consistentIndex(), accounts.state.snapshot());
  const everybody = [accounts, reopened, received];
  const everywhere = (what: (one: Accounts) => unknown) => {
    const [first, ...others] = everybody.map(what);
    for (const other of others) assert.deepEqual(other, first);
    return first;
  };
  assert.equal(
    everywhere(({ state }) => state.auth().isEnabled()),
    true,
  );
  assert.equal(
    everywhere(({ state }) => state.auth().revision()),
    7,
  );
  everywhere(({ state }) => [state.auth().users(), state.auth().roles()]);
  assert.equal(
    everywhere((one) => one.as('ünï', op.put('\u00ff\0x', '1'))),
    'ok',
  );
  assert.equal(
    everywhere((one) => one.as('ünï', op.put('\u00ff', '1'))),
    'permissionDenied',
  );
  assert.equal(
    everywhere((one) => one.as('', op.put('x', '1'))),
    'userEmpty',
  );
  assert.equal(
    everywhere((one) => one.change('root', { kind: 'roleDelete', role: 'r/ö' })),
    'ok',
  );
  assert.equal(
    everywhere((one) => one.as('ünï', op.put('\u00ff\0x', '1'))),
    'permissionDenied',
  );
  everywhere(({ state }) => [state.auth().revision(), state.auth().users(), state.hashKv(0)]);
});

test('a snapshot puts auth back to what it was when it was taken', async () => {
  const before = office();
  const index = before.state.consistentIndex();
  const chunks: Uint8Array[] = [];
  for await (const chunk of before.state.snapshot()) chunks.push(chunk);
  const lagging = new Accounts();
  lagging.change('', change.user('somebody else'));
  await lagging.state.restore(
    index,
    (async function* () {
      yield* chunks;
    })(),
  );
  assert.equal(lagging.state.auth().user('somebody else'), undefined);
  assert.equal(lagging.as('', op.put('b', '1')), 'userEmpty');
  assert.equal(lagging.as('both', op.put('b', '1')), 'ok');
});
