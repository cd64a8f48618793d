/** Tokens of the kind `simple`, as one member remembers them. Not replicated: each member counts the time since last use. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import type { LoggedTokens, TokenUser } from './tokens.ts';

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** As etcd's: 52^16, more than any guesser can try in five minutes. */
const prefixLength = 16;
/** Some 15 MB. Beyond it the token that was not used for the longest time goes; its user authenticates again. */
const tokensMax = 100_000;

interface Remembered {
  readonly user: string;
  readonly expiresAtMs: number;
}

export interface SimpleTokensOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly ttlMs: number;
  readonly tokensMax?: number;
}

export class SimpleTokens implements LoggedTokens {
  readonly kind = 'logged';
  readonly #options: SimpleTokensOptions;
  readonly #tokensMax: number;
  /** Invariant: in the order in which they expire, as each use puts a token at the end. */
  readonly #tokens = new Map<string, Remembered>();

  constructor(options: SimpleTokensOptions) {
    assert(options.ttlMs > 0, 'a token lasts for some time');
    this.#options = options;
    this.#tokensMax = options.tokensMax ?? tokensMax;
  }

  newPrefix(): string {
    let prefix = '';
    while (prefix.length < prefixLength) {
      for (const byte of this.#options.random.bytes(prefixLength)) {
        // Four times the alphabet fits into a byte; the rest would make some letters likelier.
        if (byte < letters.length * 4 && prefix.length < prefixLength) prefix += letters[byte % letters.length];
      }
    }
    return prefix;
  }

  made(token: string, user: string): void {
    assert(!this.#tokens.has(token), 'a token is made once: it ends in the index of its entry');
    assert(this.indexOf(token) !== undefined, 'a token says at which index it was made');
    this.#forgetExpired();
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size < this.#tokensMax) break;
      this.#tokens.delete(oldest);
    }
    this.#remember(token, user);
  }

  find(token: string, authRevision: number): TokenUser | undefined {
    this.#forgetExpired();
    const found = this.#tokens.get(token);
    if (found === undefined) return undefined;
    this.#tokens.delete(token);
    this.#remember(token, found.user);
    return { user: found.user, authRevision };
  }

  indexOf(token: string): number | undefined {
    const digits = /^[^.]*\.(\d{1,16})$/.exec(token)?.[1];
    const index = digits === undefined ? undefined : Number(digits);
    return index !== undefined && Number.isSafeInteger(index) ? index : undefined;
  }

  forgetUser(user: string): void {
    for (const [token, remembered] of this.#tokens) if (remembered.user === user) this.#tokens.delete(token);
  }

  forgetAll(): void {
    this.#tokens.clear();
  }

  size(): number {
    return this.#tokens.size;
  }

  #remember(token: string, user: string): void {
    this.#tokens.set(token, { user, expiresAtMs: this.#options.clock.monotonicMs() + this.#options.ttlMs });
    assert(this.#tokens.size <= this.#tokensMax, 'no more tokens than the limit');
  }

  #forgetExpired(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [token, { expiresAtMs }] of this.#tokens) {
      if (expiresAtMs > nowMs) return;
      this.#tokens.delete(token);
    }
  }
}
