/** Short ways to write down who asks and what changes, for the tests of auth. */
import type { ApplyResult, InternalOp } from '../../../src/kv/api.ts';
import { createKvState } from '../../../src/kv/apply/state.ts';
import type { KvState } from '../../../src/kv/apply/contract.ts';
import type { AuthChange, Caller, PermissionType } from '../../../src/kv/auth/contract.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';

export const change = {
  enable: (): AuthChange => ({ kind: 'enable' }),
  disable: (): AuthChange => ({ kind: 'disable' }),
  user: (name: string, passwordHash = 'hash'): AuthChange => ({
    kind: 'userAdd',
    name,
    passwordHash,
    hasNoPassword: false,
  }),
  role: (role: string): AuthChange => ({ kind: 'roleAdd', role }),
  give: (name: string, role: string): AuthChange => ({ kind: 'userGrantRole', name, role }),
  take: (name: string, role: string): AuthChange => ({ kind: 'userRevokeRole', name, role }),
  permit: (role: string, type: PermissionType, key: string, rangeEnd = ''): AuthChange => ({
    kind: 'roleGrantPermission',
    role,
    permission: { type, key, rangeEnd },
  }),
  forbid: (role: string, key: string, rangeEnd = ''): AuthChange => ({
    kind: 'roleRevokePermission',
    role,
    key,
    rangeEnd,
  }),
};

/** A state that applies requests in somebody's name, at the auth revision that holds. */
export class Accounts {
  readonly state: KvState;

  constructor(state: KvState = createKvState({ backend: createMemoryBackend() })) {
    this.state = state;
  }

  /** '' = nobody. */
  caller(name: string): Caller | undefined {
    return name === '' ? undefined : { user: name, authRevision: this.state.auth().revision() };
  }

  applyAs(caller: Caller | undefined, op: InternalOp): ApplyResult {
    const index = this.state.consistentIndex() + 1;
    return this.state.apply(index, caller === undefined ? { requestId: 0, op } : { requestId: 0, caller, op });
  }

  /** `ok`, or the error. */
  as(name: string, op: InternalOp): string {
    const result = this.applyAs(this.caller(name), op);
    return result.ok ? 'ok' : result.error;
  }

  change(by: string, ...changes: readonly AuthChange[]): string {
    let outcome = 'ok';
    for (const wanted of changes) {
      outcome = this.as(by, { kind: 'auth', change: wanted });
      if (outcome !== 'ok') return outcome;
    }
    return outcome;
  }
}

/** root; `reader` reads [a, c), `writer` writes [b, d), `both` does both on [a, m). Auth is on. */
export function office(): Accounts {
  const accounts = new Accounts();
  const outcome = accounts.change(
    '',
    change.user('root'),
    change.give('root', 'root'),
    ...['reader', 'writer', 'both'].flatMap((name) => [change.user(name), change.role(name), change.give(name, name)]),
    change.permit('reader', 'read', 'a', 'c'),
    change.permit('writer', 'write', 'b', 'd'),
    change.permit('both', 'readWrite', 'a', 'm'),
    change.enable(),
  );
  if (outcome !== 'ok') throw new Error(`the office opens, not ${outcome}`);
  return accounts;
}
