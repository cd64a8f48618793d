/** Randomness as the program sees it. The real one is the operating system's; the simulator's comes from its seed. */
export interface Random {
  /** A float in [0, 1). */
  next(): number;
  /** An integer in [min, max], both included. */
  integer(min: number, max: number): number;
  /** `length` random bytes; from a cryptographic source in the real world. */
  bytes(length: number): Uint8Array;
  /** A random (version 4) UUID. */
  uuid(): string;
}
