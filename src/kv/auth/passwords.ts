/**
 * Passwords as bcrypt hashes: contract. Making or checking one costs tens of milliseconds on purpose, which belongs beside
 * the member's loop and not into it; how many may wait is bounded, and more are refused with KvError `tooManyRequests`.
 */
export interface Passwords {
  /** How costly hashes are made. */
  readonly cost: number;
  /** Throws KvError `passwordTooLong` beyond 72 bytes, of which bcrypt would see only the first. */
  hash(password: string): Promise<string>;
  matches(password: string, hash: string): Promise<boolean>;
  close(): void;
}

export const passwordBytesMax = 72;
export const bcryptCostDefault = 10;
export const bcryptCostMin = 4;
export const bcryptCostMax = 31;

/** A hash that no password has, as costly to compare with as others. */
export function nobodysHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}

/** bcrypt's text form, as Go and everybody else writes it. */
export function isBcryptHash(text: string): boolean {
  return /^\$2[abxy]?\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/.test(text);
}
