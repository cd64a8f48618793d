/**
 * Users, roles and the switch, as committed entries make them. Deterministic: the same changes in the same order give the
 * same table, and the same refusals, on every member.
 *
 * Refusals are etcd's, and so is what they do not refuse: a role may be deleted while users have it (they lose it), a
 * role `root` need not exist to be granted, and enabling what is enabled is no error. `changed` is told what to write.
 */
import { assert, unreachable } from '../../env/assert.ts';
import type { KvErrorCode } from '../api.ts';
import {
  type AuthChange,
  type AuthSwitch,
  type Caller,
  type Permission,
  type Role,
  rootRole,
  rootUser,
  type User,
} from './contract.ts';
import { type Interval, IntervalSet, intervalOf } from './intervals.ts';

/** What must be written for a change to last. */
export type AuthRow =
  | { readonly kind: 'switch'; readonly value: AuthSwitch }
  | { readonly kind: 'user'; readonly value: User }
  | { readonly kind: 'role'; readonly value: Role }
  | { readonly kind: 'userGone' | 'roleGone'; readonly name: string };

export interface AuthContent {
  readonly switch: AuthSwitch;
  readonly users: readonly User[];
  readonly roles: readonly Role[];
}

/** What nobody has changed yet. etcd counts from one as well: revision 0 means a caller without a name. */
export const initialSwitch: AuthSwitch = { isEnabled: false, revision: 1 };

/** The role `root` reads and writes everything, whatever it was granted. */
const everything: Permission = { type: 'readWrite', key: '', rangeEnd: '\0' };

interface Permitted {
  readonly read: IntervalSet;
  readonly write: IntervalSet;
}

export class AuthTable {
  #switch: AuthSwitch = initialSwitch;
  #adoptions = 0;
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  /** Per user, made when first asked for; emptied by every change. As many as there are users. */
  readonly #permitted = new Map<string, Permitted>();

  isEnabled(): boolean {
    return this.#switch.isEnabled;
  }

  /** Grows with every change to users, roles and with disabling; never falls. */
  revision(): number {
    return this.#switch.revision;
  }

  /** How often everything was replaced at once. */
  adoptions(): number {
    return this.#adoptions;
  }

  user(name: string): User | undefined {
    return this.#users.get(name);
  }

  /** By name, as bytes sort. */
  users(): readonly User[] {
    return [...this.#users.values()].sort((a, b) => byBytes(a.name, b.name));
  }

  role(name: string): Role | undefined {
    return this.#roles.get(name);
  }

  roles(): readonly Role[] {
    return [...this.#roles.values()].sort((a, b) => byBytes(a.name, b.name));
  }

  /** What a role gives, as it is shown. */
  permissionsOf(role: Role): readonly Permission[] {
    return role.name === rootRole ? [everything] : role.permissions;
  }

  hasRole(user: string, role: string): boolean {
    return this.#users.get(user)?.roles.includes(role) ?? false;
  }

  /** Replaces everything by what a backend or a snapshot says. */
  adopt(content: AuthContent): void {
    assert(content.switch.revision >= initialSwitch.revision, 'auth revisions begin at one');
    this.#adoptions++;
    this.#switch = content.switch;
    this.#users.clear();
    this.#roles.clear();
    this.#permitted.clear();
    for (const user of content.users) this.#users.set(user.name, user);
    for (const role of content.roles) this.#roles.set(role.name, role);
    assert(this.#users.size === content.users.length, 'no two users have one name');
    assert(this.#roles.size === content.roles.length, 'no two roles have one name');
  }

  /** Why `caller` may not do what only the role `root` may; undefined when it may. */
  adminRefusal(caller: Caller | undefined): KvErrorCode | undefined {
    if (!this.#switch.isEnabled || caller === 'member') return undefined;
    if (caller === undefined || caller.user === '') return 'userEmpty';
    const user = this.#users.get(caller.user);
    if (user === undefined) return 'userNotFound';
    return user.roles.includes(rootRole) ? undefined : 'permissionDenied';
  }

  /** Why `caller` may not read or write these keys (bytes as latin1); undefined when it may. */
  keysRefusal(
    caller: Caller | undefined,
    access: 'read' | 'write',
    key: string,
    rangeEnd: string,
  ): KvErrorCode | undefined {
    if (!this.#switch.isEnabled || caller === 'member') return undefined;
    if (caller === undefined || caller.authRevision === 0) return 'userEmpty';
    if (caller.authRevision < this.#switch.revision) return 'authOldRevision';
    const user = this.#users.get(caller.user);
    if (user === undefined) return 'permissionDenied';
    if (user.roles.includes(rootRole)) return undefined;
    return this.#permittedTo(user)[access].covers(intervalOf(key, rangeEnd)) ? undefined : 'permissionDenied';
  }

  /** Carries out one change, or says why not. `changed` is called for every row that must be written. */
  apply(change: AuthChange, changed: (row: AuthRow) => void): KvErrorCode | undefined {
    const before = this.#switch.revision;
    const error = this.#change(change, changed);
    assert(error === undefined || this.#switch.revision === before, 'a refused change changes nothing');
    assert(this.#switch.revision - before <= 1, 'one change is one revision at most');
    return error;
  }

  #change(change: AuthChange, changed: (row: AuthRow) => void): KvErrorCode | undefined {
    switch (change.kind) {
      case 'enable':
        return this.#enable(changed);
      case 'disable':
        if (!this.#switch.isEnabled) return undefined;
        return this.#grow([], changed, false);
      case 'userAdd':
        return this.#userAdd(change, changed);
      case 'userDelete': {
        if (this.#switch.isEnabled && change.name === rootUser) return 'invalidAuthManagement';
        if (!this.#users.delete(change.name)) return 'userNotFound';
        return this.#grow([{ kind: 'userGone', name: change.name }], changed);
      }
      case 'userChangePassword': {
        const user = this.#users.get(change.name);
        if (user === undefined) return 'userNotFound';
        const passwordHash = user.hasNoPassword ? '' : change.passwordHash;
        return this.#grow([{ kind: 'user', value: { ...user, passwordHash } }], changed);
      }
      case 'userGrantRole': {
        const user = this.#users.get(change.name);
        if (user === undefined) return 'userNotFound';
        if (change.role !== rootRole && !this.#roles.has(change.role)) return 'roleNotFound';
        if (user.roles.includes(change.role)) return undefined;
        const roles = [...user.roles, change.role].sort(byBytes);
        return this.#grow([{ kind: 'user', value: { ...user, roles } }], changed);
      }
      case 'userRevokeRole': {
        if (this.#switch.isEnabled && change.name === rootUser && change.role === rootRole) {
          return 'invalidAuthManagement';
        }
        const user = this.#users.get(change.name);
        if (user === undefined) return 'userNotFound';
        if (!user.roles.includes(change.role)) return 'roleNotGranted';
        return this.#grow([withoutRole(user, change.role)], changed);
      }
      case 'roleAdd':
        if (change.role === '') return 'roleEmpty';
        if (this.#roles.has(change.role)) return 'roleExists';
        return this.#grow([{ kind: 'role', value: { name: change.role, permissions: [] } }], changed);
      case 'roleDelete': {
        if (this.#switch.isEnabled && change.role === rootRole) return 'invalidAuthManagement';
        if (!this.#roles.delete(change.role)) return 'roleNotFound';
        const losers = [...this.#users.values()].filter((user) => user.roles.includes(change.role));
        const rows = losers.map((user) => withoutRole(user, change.role));
        return this.#grow([{ kind: 'roleGone', name: change.role }, ...rows], changed);
      }
      case 'roleGrantPermission':
        return this.#grantPermission(change.role, change.permission, changed);
      case 'roleRevokePermission': {
        const role = this.#roles.get(change.role);
        if (role === undefined) return 'roleNotFound';
        const permissions = role.permissions.filter((held) => !isOfKeys(held, change.key, change.rangeEnd));
        if (permissions.length === role.permissions.length) return 'permissionNotGranted';
        return this.#grow([{ kind: 'role', value: { ...role, permissions } }], changed);
      }
      default:
        return unreachable(change);
    }
  }

  #enable(changed: (row: AuthRow) => void): KvErrorCode | undefined {
    if (this.#switch.isEnabled) return undefined;
    const root = this.#users.get(rootUser);
    if (root === undefined) return 'rootUserMissing';
    if (!root.roles.includes(rootRole)) return 'rootRoleMissing';
    this.#switch = { ...this.#switch, isEnabled: true };
    changed({ kind: 'switch', value: this.#switch });
    return undefined;
  }

  #userAdd(change: Extract<AuthChange, { kind: 'userAdd' }>, changed: (row: AuthRow) => void): KvErrorCode | undefined {
    const { name, hasNoPassword } = change;
    if (name === '') return 'userEmpty';
    if (this.#users.has(name)) return 'userExists';
    const passwordHash = hasNoPassword ? '' : change.passwordHash;
    return this.#grow([{ kind: 'user', value: { name, passwordHash, hasNoPassword, roles: [] } }], changed);
  }

  #grantPermission(name: string, permission: Permission, changed: (row: AuthRow) => void): KvErrorCode | undefined {
    const { key, rangeEnd } = permission;
    if (key === '' || (rangeEnd !== '' && rangeEnd !== '\0' && rangeEnd <= key)) return 'invalidAuthManagement';
    const role = this.#roles.get(name);
    if (role === undefined) return 'roleNotFound';
    const isHeld = role.permissions.some((held) => isOfKeys(held, key, rangeEnd));
    // Those of one key stay in the order in which they came, as in etcd's lists.
    const permissions = isHeld
      ? role.permissions.map((held) => (isOfKeys(held, key, rangeEnd) ? permission : held))
      : [...role.permissions, permission].sort((a, b) => byBytes(a.key, b.key));
    return this.#grow([{ kind: 'role', value: { ...role, permissions } }], changed);
  }

  /** Takes the rows in, and counts the change. */
  #grow(
    rows: readonly AuthRow[],
    changed: (row: AuthRow) => void,
    isEnabled: boolean = this.#switch.isEnabled,
  ): undefined {
    for (const row of rows) {
      if (row.kind === 'user') this.#users.set(row.value.name, row.value);
      if (row.kind === 'role') this.#roles.set(row.value.name, row.value);
      changed(row);
    }
    this.#permitted.clear();
    this.#switch = { isEnabled, revision: this.#switch.revision + 1 };
    changed({ kind: 'switch', value: this.#switch });
    return undefined;
  }

  #permittedTo(user: User): Permitted {
    const known = this.#permitted.get(user.name);
    if (known !== undefined) return known;
    const read: Interval[] = [];
    const write: Interval[] = [];
    for (const name of user.roles) {
      for (const { type, key, rangeEnd } of this.#roles.get(name)?.permissions ?? []) {
        if (type !== 'write') read.push(intervalOf(key, rangeEnd));
        if (type !== 'read') write.push(intervalOf(key, rangeEnd));
      }
    }
    const made = { read: new IntervalSet(read), write: new IntervalSet(write) };
    this.#permitted.set(user.name, made);
    assert(this.#permitted.size <= this.#users.size, 'permissions are kept for users that exist');
    return made;
  }
}

function withoutRole(user: User, role: string): AuthRow {
  return { kind: 'user', value: { ...user, roles: user.roles.filter((name) => name !== role) } };
}

function isOfKeys(permission: Permission, key: string, rangeEnd: string): boolean {
  return permission.key === key && permission.rangeEnd === rangeEnd;
}

/** As their UTF-8 bytes would: code points above the surrogates are above everything else. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
