/**
 * Changes to users and roles, and callers, as fields of a log entry and back: by position, growing only at the end, like
 * everything in codec.ts. Keys are latin1 strings in memory and bytes here.
 */
import { assert, unreachable } from '../../env/assert.ts';
import type { AuthChange, Caller, PermissionType } from '../auth/contract.ts';
import { toBytes, toText } from '../backend/bytes.ts';
import type { Fields } from './codec-fields.ts';

const changeKinds = [
  'enable',
  'disable',
  'userAdd',
  'userDelete',
  'userChangePassword',
  'userGrantRole',
  'userRevokeRole',
  'roleAdd',
  'roleDelete',
  'roleGrantPermission',
  'roleRevokePermission',
] as const;
const permissionTypes: readonly PermissionType[] = ['read', 'write', 'readWrite'];
const byMember = 0;
const byUser = 1;

/** One field. */
export function packCaller(caller: Caller): unknown {
  if (caller === 'member') return [byMember];
  // What every member has to read must not depend on what a certificate or a token happened to hold.
  assert(typeof caller.user === 'string', 'a user is a name');
  assert(Number.isSafeInteger(caller.authRevision), () => `an auth revision is ${caller.authRevision}`);
  return [byUser, caller.user, caller.authRevision];
}

export function unpackCaller(fields: Fields): Caller {
  return fields.number() === byMember ? 'member' : { user: fields.text(), authRevision: fields.number() };
}

export function packAuthChange(change: AuthChange): unknown[] {
  const kind = changeKinds.indexOf(change.kind);
  switch (change.kind) {
    case 'enable':
    case 'disable':
      return [kind];
    case 'userAdd':
      return [kind, change.name, change.passwordHash, change.hasNoPassword];
    case 'userDelete':
      return [kind, change.name];
    case 'userChangePassword':
      return [kind, change.name, change.passwordHash];
    case 'userGrantRole':
    case 'userRevokeRole':
      return [kind, change.name, change.role];
    case 'roleAdd':
    case 'roleDelete':
      return [kind, change.role];
    case 'roleGrantPermission': {
      const { type, key, rangeEnd } = change.permission;
      return [kind, change.role, permissionTypes.indexOf(type), toBytes(key), toBytes(rangeEnd)];
    }
    case 'roleRevokePermission':
      return [kind, change.role, toBytes(change.key), toBytes(change.rangeEnd)];
    default:
      return unreachable(change);
  }
}

export function unpackAuthChange(fields: Fields): AuthChange {
  const kind = fields.pick(changeKinds);
  switch (kind) {
    case 'enable':
    case 'disable':
      return { kind };
    case 'userAdd':
      return { kind, name: fields.text(), passwordHash: fields.text(), hasNoPassword: fields.flag() };
    case 'userDelete':
      return { kind, name: fields.text() };
    case 'userChangePassword':
      return { kind, name: fields.text(), passwordHash: fields.text() };
    case 'userGrantRole':
    case 'userRevokeRole':
      return { kind, name: fields.text(), role: fields.text() };
    case 'roleAdd':
    case 'roleDelete':
      return { kind, role: fields.text() };
    case 'roleGrantPermission': {
      const role = fields.text();
      const type = fields.pick(permissionTypes);
      return { kind, role, permission: { type, key: toText(fields.bytes()), rangeEnd: toText(fields.bytes()) } };
    }
    case 'roleRevokePermission':
      return { kind, role: fields.text(), key: toText(fields.bytes()), rangeEnd: toText(fields.bytes()) };
    default:
      return unreachable(kind);
  }
}
