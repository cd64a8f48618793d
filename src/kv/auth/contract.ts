/**
 * Who may do what: users, roles, permissions, as values. All of it is replicated state: it changes by committed entries
 * only (AuthChange), and every permission that guards a write is checked when the write is applied, with the caller that
 * its entry names.
 */

/** Bytes of keys are latin1 strings here, as in the key index: comparing strings compares bytes. */
export interface Permission {
  readonly type: PermissionType;
  readonly key: string;
  /** '' = the one key; the single byte 0 = every key from `key` on; else the half-open interval. */
  readonly rangeEnd: string;
}

export type PermissionType = 'read' | 'write' | 'readWrite';

export interface User {
  readonly name: string;
  /** bcrypt's text form; '' = no password fits. Never in a log line, never in an answer. */
  readonly passwordHash: string;
  /** Has no password to authenticate with: only the common name of a client certificate. */
  readonly hasNoPassword: boolean;
  /** Sorted. */
  readonly roles: readonly string[];
}

export interface Role {
  readonly name: string;
  /** Sorted by key; no two with the same key and range end. */
  readonly permissions: readonly Permission[];
}

/** Whether permissions are checked at all, and the number that grows with every change to users and roles. */
export interface AuthSwitch {
  readonly isEnabled: boolean;
  readonly revision: number;
}

export type AuthChange =
  | { readonly kind: 'enable' }
  | { readonly kind: 'disable' }
  | {
      readonly kind: 'userAdd';
      readonly name: string;
      readonly passwordHash: string;
      readonly hasNoPassword: boolean;
    }
  | { readonly kind: 'userDelete'; readonly name: string }
  | { readonly kind: 'userChangePassword'; readonly name: string; readonly passwordHash: string }
  | { readonly kind: 'userGrantRole'; readonly name: string; readonly role: string }
  | { readonly kind: 'userRevokeRole'; readonly name: string; readonly role: string }
  | { readonly kind: 'roleAdd'; readonly role: string }
  | { readonly kind: 'roleDelete'; readonly role: string }
  | { readonly kind: 'roleGrantPermission'; readonly role: string; readonly permission: Permission }
  | {
      readonly kind: 'roleRevokePermission';
      readonly role: string;
      readonly key: string;
      readonly rangeEnd: string;
    };

/**
 * In whose name a request is carried out.
 *
 * `member`: the store itself, as when the leader revokes a lease that has run out. A user: what a token or a certificate
 * stood for, and the auth revision it was looked at with, so that a change in between is noticed. No caller at all is
 * somebody who said no name: allowed everything while auth is off, nothing once it is on. That is the default on purpose:
 * whoever forgets to hand a caller on gets an error, not a hole.
 */
export type Caller = 'member' | { readonly user: string; readonly authRevision: number };

export const rootUser = 'root';
export const rootRole = 'root';
