/** Users, roles and the switch as etcd keeps them: authpb.User and authpb.Role, and two values in bucket `auth`. */
import { toBytes, toText } from '../backend/bytes.ts';
import type { AuthSwitch, Permission, PermissionType, Role, User } from '../auth/contract.ts';
import { type AuthContent, initialSwitch } from '../auth/table.ts';
import { corruptSnapshot, encodeUint64 } from './etcd-messages.ts';
import { FieldReader, FieldWriter } from './protobuf.ts';

/** Position = number on the wire. */
const permissionTypes: readonly PermissionType[] = ['read', 'write', 'readWrite'];

const enabledKey = 'authEnabled';
const revisionKey = 'authRevision';

/** The switch out of bucket `auth`. */
export function decodeAuthSwitch(bucket: ReadonlyMap<string, Uint8Array>): AuthSwitch {
  const revision = bucket.get(revisionKey);
  if (revision !== undefined && revision.length !== 8) throw corruptSnapshot('the auth revision has not 8 bytes');
  const value = revision === undefined ? 0n : Buffer.from(revision).readBigUInt64BE(0);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corruptSnapshot(`the auth revision is ${value}`);
  return {
    isEnabled: bucket.get(enabledKey)?.[0] === 1,
    revision: Math.max(Number(value), initialSwitch.revision),
  };
}

export function encodeAuthSwitch(auth: AuthSwitch): readonly (readonly [string, Uint8Array])[] {
  return [
    [enabledKey, Uint8Array.of(auth.isEnabled ? 1 : 0)],
    [revisionKey, encodeUint64(auth.revision)],
  ];
}

export function decodeUser(bytes: Uint8Array): User {
  const reader = new FieldReader(bytes, 'a user');
  const roles: string[] = [];
  let [name, passwordHash, hasNoPassword] = ['', '', false];
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) passwordHash = reader.text();
    else if (reader.field === 3) roles.push(reader.text());
    else if (reader.field === 4) hasNoPassword = decodeHasNoPassword(reader.bytes());
  }
  if (name === '') throw corruptSnapshot('a user has no name');
  return { name, passwordHash, hasNoPassword, roles: [...new Set(roles)].sort() };
}

export function encodeUser(user: User): Uint8Array {
  const writer = new FieldWriter().text(1, user.name).text(2, user.passwordHash);
  for (const role of user.roles) writer.text(3, role);
  return writer.bytes(4, new FieldWriter().natural(1, user.hasNoPassword ? 1 : 0).done()).done();
}

export function decodeRole(bytes: Uint8Array): Role {
  const reader = new FieldReader(bytes, 'a role');
  const permissions: Permission[] = [];
  let name = '';
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) permissions.push(decodePermission(reader.bytes()));
  }
  if (name === '') throw corruptSnapshot('a role has no name');
  return { name, permissions: permissions.sort(byKeys) };
}

export function encodeRole(role: Role): Uint8Array {
  const writer = new FieldWriter().text(1, role.name);
  for (const { type, key, rangeEnd } of role.permissions) {
    const permission = new FieldWriter()
      .natural(1, permissionTypes.indexOf(type))
      .bytes(2, toBytes(key))
      .bytes(3, toBytes(rangeEnd));
    writer.bytes(2, permission.done());
  }
  return writer.done();
}

/** No two of one name, as the store's own table wants it. */
export function checkAuth(content: AuthContent): void {
  for (const kind of ['users', 'roles'] as const) {
    const names = content[kind].map(({ name }) => name);
    if (new Set(names).size !== names.length) throw corruptSnapshot(`two ${kind} have one name`);
  }
}

function decodeHasNoPassword(options: Uint8Array): boolean {
  const reader = new FieldReader(options, 'a user’s options');
  let hasNoPassword = false;
  while (reader.next()) if (reader.field === 1) hasNoPassword = reader.natural() === 1;
  return hasNoPassword;
}

function decodePermission(bytes: Uint8Array): Permission {
  const reader = new FieldReader(bytes, 'a permission');
  let [type, key, rangeEnd] = [0, '', ''];
  while (reader.next()) {
    if (reader.field === 1) type = reader.natural();
    else if (reader.field === 2) key = toText(reader.bytes());
    else if (reader.field === 3) rangeEnd = toText(reader.bytes());
  }
  const name = permissionTypes[type];
  if (name === undefined) throw corruptSnapshot(`a permission is of type ${type}`);
  return { type: name, key, rangeEnd };
}

function byKeys(a: Permission, b: Permission): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.rangeEnd < b.rangeEnd ? -1 : 1;
}
