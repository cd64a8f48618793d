/** The applied lease table: who exists, with what time to live, holding which keys. Expiry is decided by the leader (kv/server). */
import type { LeaseId } from '../api.ts';

export interface LeaseTable {
  get(id: LeaseId): AppliedLease | undefined;
  all(): Iterable<AppliedLease>;
  /** Grows with every grant, revoke and checkpoint, so that the expirer notices changes cheaply. */
  changes(): number;
}

export interface AppliedLease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** From the last checkpoint; 0 = none. */
  readonly remainingSeconds: number;
  /** As latin1 strings: one code unit per byte. */
  readonly keys: ReadonlySet<string>;
}
