/** etcdserverpb.Auth. */
import type { Permission, PermissionType } from '../auth/contract.ts';
import { toBytes, toText } from '../backend/bytes.ts';
import { KvError } from '../errors.ts';
import type { PasswordlessChange } from '../server/auth-contract.ts';
import { type Face, headerOf, unary } from './call.ts';
import type { RpcMethod } from '../../rpc/service.ts';
import { authService } from './services.ts';
import type { Out, WirePermission } from './wire.ts';

/** Position = number on the wire. */
const permissionTypes: readonly PermissionType[] = ['read', 'write', 'readWrite'];

interface Named {
  readonly name: string;
}

interface NamedWithRole extends Named {
  readonly role: string;
}

interface OfRole {
  readonly role: string;
}

interface WirePassword extends Named {
  readonly password: string;
  readonly hashedPassword: string;
}

export function authFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  const { auth } = server;
  const header = () => ({ header: headerOf(server) });
  /** A method that changes something and answers with nothing but a header. */
  const changing: Changing = <Request extends object>(
    method: string,
    changeOf: (request: Request) => PasswordlessChange,
  ) =>
    unary(face, authService[method], async (request: Request, call) => {
      await auth.change(changeOf(request), call);
      return header();
    });
  return [
    changing('AuthEnable', () => ({ kind: 'enable' })),
    changing('AuthDisable', () => ({ kind: 'disable' })),
    unary(face, authService['AuthStatus'], async (_request: object, call) => {
      const { isEnabled, authRevision } = await auth.status(call);
      return { ...header(), enabled: isEnabled, authRevision };
    }),
    unary(face, authService['Authenticate'], async ({ name, password }: Pick<WirePassword, 'name' | 'password'>) => {
      const token = await auth.authenticate(name, password);
      return { ...header(), token };
    }),
    ...userMethods(face, changing),
    ...roleMethods(face, changing),
  ];
}

type Changing = <Request extends object>(
  method: string,
  changeOf: (request: Request) => PasswordlessChange,
) => RpcMethod;

function userMethods(face: Face, changing: Changing): readonly RpcMethod[] {
  const { server } = face;
  const { auth } = server;
  return [
    unary(
      face,
      authService['UserAdd'],
      async (request: WirePassword & { readonly options: { readonly noPassword: boolean } | null }, call) => {
        const { name, password, hashedPassword, options } = request;
        const hasNoPassword = options?.noPassword ?? false;
        await auth.userAdd({ name, password, hashedPassword, hasNoPassword }, call);
        return { header: headerOf(server) };
      },
    ),
    unary(face, authService['UserChangePassword'], async (request: WirePassword, call) => {
      const { name, password, hashedPassword } = request;
      await auth.userChangePassword({ name, password, hashedPassword }, call);
      return { header: headerOf(server) };
    }),
    unary(face, authService['UserGet'], async ({ name }: Named, call) => {
      const roles = await auth.rolesOfUser(name, call);
      return { header: headerOf(server), roles };
    }),
    unary(face, authService['UserList'], async (_request: object, call) => {
      const users = await auth.users(call);
      return { header: headerOf(server), users };
    }),
    changing('UserDelete', ({ name }: Named) => ({ kind: 'userDelete', name })),
    changing('UserGrantRole', ({ user, role }: { readonly user: string; readonly role: string }) => ({
      kind: 'userGrantRole',
      name: user,
      role,
    })),
    changing('UserRevokeRole', ({ name, role }: NamedWithRole) => ({ kind: 'userRevokeRole', name, role })),
  ];
}

function roleMethods(face: Face, changing: Changing): readonly RpcMethod[] {
  const { server } = face;
  const { auth } = server;
  return [
    unary(face, authService['RoleGet'], async ({ role }: OfRole, call) => {
      const permissions = await auth.permissionsOfRole(role, call);
      return { header: headerOf(server), perm: permissions.map(toWirePermission) };
    }),
    unary(face, authService['RoleList'], async (_request: object, call) => {
      const roles = await auth.roles(call);
      return { header: headerOf(server), roles };
    }),
    changing('RoleAdd', ({ name }: Named) => ({ kind: 'roleAdd', role: name })),
    changing('RoleDelete', ({ role }: OfRole) => ({ kind: 'roleDelete', role })),
    changing('RoleGrantPermission', (request: Named & { readonly perm: Out<WirePermission> | null }) => ({
      kind: 'roleGrantPermission',
      role: request.name,
      permission: fromWirePermission(request.perm),
    })),
    changing(
      'RoleRevokePermission',
      ({ role, key, rangeEnd }: OfRole & { readonly key: Uint8Array; readonly rangeEnd: Uint8Array }) => ({
        kind: 'roleRevokePermission',
        role,
        key: toText(key),
        rangeEnd: toText(rangeEnd),
      }),
    ),
  ];
}

function toWirePermission({ type, key, rangeEnd }: Permission): Out<WirePermission> {
  return { permType: permissionTypes.indexOf(type), key: toBytes(key), rangeEnd: toBytes(rangeEnd) };
}

function fromWirePermission(permission: Out<WirePermission> | null): Permission {
  if (permission === null) throw new KvError('permissionNotGiven');
  const type = permissionTypes[permission.permType ?? 0];
  // etcd would keep it, and it would permit nothing.
  if (type === undefined) throw new KvError('invalidAuthManagement');
  return {
    type,
    key: toText(permission.key ?? new Uint8Array(0)),
    rangeEnd: toText(permission.rangeEnd ?? new Uint8Array(0)),
  };
}
