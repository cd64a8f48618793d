/**
 * Tokens: what a user gets for a password and shows instead of it from then on. Contract of the two kinds.
 *
 * `simple`: a random word that every member remembers, because it was made by a committed entry; it lasts for a while
 * after its last use on that member. `jwt`: a signed statement, which no member remembers; it names the auth revision at
 * which it was made and is worth nothing after the next change to users or roles.
 */
import type { Caller } from './contract.ts';

/** Who a token stands for. */
export type TokenUser = Exclude<Caller, 'member'>;

export interface LoggedTokens {
  readonly kind: 'logged';
  /** The part of a new token that goes through the log. */
  newPrefix(): string;
  /** A committed entry has made `token`. */
  made(token: string, user: string): void;
  /** `authRevision` is the one that holds now. */
  find(token: string, authRevision: number): TokenUser | undefined;
  /** The log index at which a token came to be; undefined for what is no token. */
  indexOf(token: string): number | undefined;
  forgetUser(user: string): void;
  forgetAll(): void;
}

export interface SignedTokens {
  readonly kind: 'signed';
  /** Throws KvError `tokenVerifyOnly` without a private key. */
  sign(user: TokenUser): string;
  find(token: string): TokenUser | undefined;
}

export type Tokens = LoggedTokens | SignedTokens;
