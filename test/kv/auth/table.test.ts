import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AuthChange } from '../../../src/kv/auth/contract.ts';
import { type AuthRow, AuthTable } from '../../../src/kv/auth/table.ts';
import { change } from './accounts.ts';

function outcomes(table: AuthTable, ...changes: readonly AuthChange[]): readonly string[] {
  return changes.map((wanted) => table.apply(wanted, () => undefined) ?? 'ok');
}

test('auth cannot be enabled before root has the role root, nor root be taken away while it is on', () => {
  const table = new AuthTable();
  assert.deepEqual(outcomes(table, change.enable(), change.user('root'), change.enable()), [
    'rootUserMissing',
    'ok',
    'rootRoleMissing',
  ]);
  // The role need not exist to be given.
  assert.deepEqual(outcomes(table, change.give('root', 'root'), change.enable(), change.enable()), ['ok', 'ok', 'ok']);
  assert.ok(table.isEnabled());
  assert.deepEqual(
    outcomes(table, { kind: 'userDelete', name: 'root' }, change.take('root', 'root'), change.role('root'), {
      kind: 'roleDelete',
      role: 'root',
    }),
    ['invalidAuthManagement', 'invalidAuthManagement', 'ok', 'invalidAuthManagement'],
  );
  assert.deepEqual(outcomes(table, change.disable(), change.disable(), { kind: 'userDelete', name: 'root' }), [
    'ok',
    'ok',
    'ok',
  ]);
});

test('the revision grows with every change that is one, and with disabling, but not with enabling', () => {
  const table = new AuthTable();
  assert.equal(table.revision(), 1);
  outcomes(table, change.user('root'), change.give('root', 'root'), change.give('root', 'root'));
  assert.equal(table.revision(), 3, 'a role that is held already is no change');
  outcomes(table, change.enable(), change.user('root'), change.role(''), change.forbid('nobody', 'x'));
  assert.equal(table.revision(), 3, 'neither is what was refused');
  outcomes(table, change.disable());
  assert.equal(table.revision(), 4);
  outcomes(table, change.disable());
  assert.equal(table.revision(), 4);
});

test('refusals are etcd’s', () => {
  const table = new AuthTable();
  outcomes(table, change.user('alice'), change.role('readers'));
  const refused: readonly (readonly [AuthChange, string])[] = [
    [change.user(''), 'userEmpty'],
    [change.user('alice'), 'userExists'],
    [change.role(''), 'roleEmpty'],
    [change.role('readers'), 'roleExists'],
    [change.give('bob', 'readers'), 'userNotFound'],
    [change.give('alice', 'writers'), 'roleNotFound'],
    [change.take('bob', 'readers'), 'userNotFound'],
    [change.take('alice', 'readers'), 'roleNotGranted'],
    [{ kind: 'userDelete', name: 'bob' }, 'userNotFound'],
    [{ kind: 'userChangePassword', name: 'bob', passwordHash: 'x' }, 'userNotFound'],
    [{ kind: 'roleDelete', role: 'writers' }, 'roleNotFound'],
    [change.permit('writers', 'read', 'k'), 'roleNotFound'],
    [change.permit('readers', 'read', ''), 'invalidAuthManagement'],
    [change.permit('readers', 'read', 'k', 'k'), 'invalidAuthManagement'],
    [change.permit('readers', 'read', 'k', 'a'), 'invalidAuthManagement'],
    [change.forbid('writers', 'k'), 'roleNotFound'],
    [change.forbid('readers', 'k'), 'permissionNotGranted'],
  ];
  for (const [wanted, error] of refused) assert.deepEqual(outcomes(table, wanted), [error], JSON.stringify(wanted));
});

test('a permission for the same keys replaces the one before; another range end is another permission', () => {
  const table = new AuthTable();
  outcomes(
    table,
    change.role('r'),
    change.permit('r', 'read', 'k', 'z'),
    change.permit('r', 'read', 'k'),
    change.permit('r', 'write', 'a', '\0'),
    change.permit('r', 'readWrite', 'k', 'z'),
  );
  assert.deepEqual(table.role('r')?.permissions, [
    { type: 'write', key: 'a', rangeEnd: '\0' },
    { type: 'readWrite', key: 'k', rangeEnd: 'z' },
    { type: 'read', key: 'k', rangeEnd: '' },
  ]);
  outcomes(table, change.forbid('r', 'k'));
  assert.equal(table.role('r')?.permissions.length, 2);
});

test('a deleted role is lost by all who had it, and a user without a password keeps none', () => {
  const table = new AuthTable();
  outcomes(
    table,
    change.role('r'),
    change.role('s'),
    { kind: 'userAdd', name: 'card', passwordHash: 'ignored', hasNoPassword: true },
    change.user('alice'),
    ...['card', 'alice'].map((name) => change.give(name, 'r')),
    change.give('alice', 's'),
    { kind: 'userChangePassword', name: 'card', passwordHash: 'ignored' },
    { kind: 'roleDelete', role: 'r' },
  );
  assert.deepEqual(table.users(), [
    { name: 'alice', passwordHash: 'hash', hasNoPassword: false, roles: ['s'] },
    { name: 'card', passwordHash: '', hasNoPassword: true, roles: [] },
  ]);
});

const name = fc.constantFrom('root', 'alice', 'bob', '');
const role = fc.constantFrom('root', 'r', 's', '');
const key = fc.constantFrom('', 'a', 'b', 'c', '\0');
const anyChange: fc.Arbitrary<AuthChange> = fc.oneof(
  fc.constantFrom(change.enable(), change.disable()),
  name.map((who) => change.user(who)),
  name.map((who): AuthChange => ({ kind: 'userDelete', name: who })),
  role.map((which) => change.role(which)),
  role.map((which): AuthChange => ({ kind: 'roleDelete', role: which })),
  fc.tuple(name, role).map(([who, which]) => change.give(who, which)),
  fc.tuple(name, role).map(([who, which]) => change.take(who, which)),
  fc
    .tuple(role, fc.constantFrom('read' as const, 'write' as const, 'readWrite' as const), key, key)
    .map(([which, type, from, to]) => change.permit(which, type, from, to)),
  fc.tuple(role, key, key).map(([which, from, to]) => change.forbid(which, from, to)),
);

/** What the rows say, as a backend would keep them. */
class Rows {
  readonly #rows = new Map<string, AuthRow>();
  add(row: AuthRow): void {
    if (row.kind === 'userGone') this.#rows.delete(`user ${row.name}`);
    else if (row.kind === 'roleGone') this.#rows.delete(`role ${row.name}`);
    else if (row.kind === 'switch') this.#rows.set('switch', row);
    else if (row.kind === 'user' || row.kind === 'role') this.#rows.set(`${row.kind} ${row.value.name}`, row);
  }
  reopened(): AuthTable {
    const rows = [...this.#rows.values()];
    const table = new AuthTable();
    const last = rows.find((row) => row.kind === 'switch');
    table.adopt({
      switch: last?.value ?? { isEnabled: false, revision: 1 },
      users: rows.flatMap((row) => (row.kind === 'user' ? [row.value] : [])),
      roles: rows.flatMap((row) => (row.kind === 'role' ? [row.value] : [])),
    });
    return table;
  }
}

function picture(table: AuthTable): unknown {
  return [table.isEnabled(), table.revision(), table.users(), table.roles()];
}

test('whatever changes come, the rows hold the table, and permissions are what the roles say', () => {
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 40 }), name, key, key, (changes, who, from, to) => {
      const table = new AuthTable();
      const again = new AuthTable();
      const rows = new Rows();
      for (const wanted of changes) {
        const outcome = table.apply(wanted, (row) => rows.add(row));
        assert.equal(
          again.apply(wanted, () => undefined),
          outcome,
        );
        // Asked in between, so that what is remembered of permissions would go stale.
        table.keysRefusal({ user: who, authRevision: table.revision() }, 'read', from, to);
      }
      assert.deepEqual(picture(again), picture(table));
      assert.deepEqual(picture(rows.reopened()), picture(table));
      if (table.isEnabled()) assert.ok(table.user('root')?.roles.includes('root'), 'root cannot be locked out');
      const caller = { user: who, authRevision: table.revision() };
      for (const access of ['read', 'write'] as const) {
        const fresh = rows.reopened().keysRefusal(caller, access, from, to);
        assert.equal(table.keysRefusal(caller, access, from, to), fresh);
        if (!table.isEnabled() || table.hasRole(who, 'root')) assert.equal(fresh, undefined);
      }
    }),
    { numRuns: 2_000 },
  );
});
