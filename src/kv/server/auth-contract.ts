/** Users, roles and permissions as the protocol faces see them. Every method that takes time rejects with KvError. */
import type { AuthChange, Permission } from '../auth/contract.ts';

/**
 * What a request brings along to say who it is from: its metadata, and the common name of the client certificate that was
 * verified. Looked at only while auth is on. A call of src/rpc/service.ts is one.
 */
export interface Credentials {
  /** Values of one metadata field; `name` in lower case. */
  metadata(name: string): readonly string[];
  readonly clientCommonName: string | undefined;
}

/**
 * Whom a request is from. `member`: the store itself, which may do everything. Absent: nobody who says a name, which is
 * refused while auth is on; so whoever forgets to hand it on gets an error.
 */
export type From = Credentials | 'member' | undefined;

export interface NewUser {
  readonly name: string;
  readonly password: string;
  /** base64 of a bcrypt hash, used when the password is empty; '' = none. */
  readonly hashedPassword: string;
  readonly hasNoPassword: boolean;
}

export interface AuthServer {
  /** Grows with every change to users and roles. */
  revision(): number;
  /** Rejects unless auth is off or `from` is a user with the role `root`. */
  requireRoot(from: From): Promise<void>;
  /** Rejects unless auth is off or `from` says who it is. */
  requireUser(from: From): Promise<void>;
  status(from: From): Promise<{ readonly isEnabled: boolean; readonly authRevision: number }>;
  /** A token for a password. */
  authenticate(name: string, password: string): Promise<string>;
  userAdd(user: NewUser, from: From): Promise<void>;
  userChangePassword(user: Omit<NewUser, 'hasNoPassword'>, from: From): Promise<void>;
  /** Every change but those that bring a password. */
  change(change: PasswordlessChange, from: From): Promise<void>;
  rolesOfUser(name: string, from: From): Promise<readonly string[]>;
  users(from: From): Promise<readonly string[]>;
  permissionsOfRole(role: string, from: From): Promise<readonly Permission[]>;
  roles(from: From): Promise<readonly string[]>;
}

export type PasswordlessChange = Exclude<AuthChange, { readonly kind: 'userAdd' | 'userChangePassword' }>;
