/**
 * The applied lease table: which leases exist, with what time to live, holding which keys. Deterministic: it changes only
 * by applied requests and knows no clock; that a lease has run out is decided by the leader, which then proposes a revoke.
 *
 * A key hangs on one lease at most; `attach` and `detach` follow the key's put and delete. Each change returns the backend
 * row that records it; the keys of a lease are not recorded, they are found again from the live keys at loading.
 */
import { assert } from '../../env/assert.ts';
import type { KvErrorCode, LeaseId } from '../api.ts';
import type { AppliedLease, LeaseTable } from './contract.ts';

/** etcd's limit on a time to live: about 285 years. */
export const leaseTtlSecondsMax = 9_000_000_000;

interface Entry extends AppliedLease {
  remainingSeconds: number;
  readonly keys: Set<string>;
}

export class Leases implements LeaseTable {
  readonly #leases = new Map<LeaseId, Entry>();
  #changes = 0;

  get(id: LeaseId): AppliedLease | undefined {
    return this.#leases.get(id);
  }

  all(): Iterable<AppliedLease> {
    return this.#leases.values();
  }

  changes(): number {
    return this.#changes;
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  /** Why a grant would be refused. */
  checkGrant(id: LeaseId, ttlSeconds: number): KvErrorCode | undefined {
    if (id === 0n) return 'leaseNotFound';
    if (ttlSeconds > leaseTtlSecondsMax) return 'leaseTtlTooLarge';
    return this.#leases.has(id) ? 'leaseExists' : undefined;
  }

  grant(id: LeaseId, ttlSeconds: number, remainingSeconds = 0): void {
    assert(!this.#leases.has(id), () => `lease ${id} is granted once`);
    assert(id !== 0n && ttlSeconds <= leaseTtlSecondsMax, 'a grant was checked');
    this.#leases.set(id, { id, ttlSeconds, remainingSeconds, keys: new Set() });
    this.#changes += 1;
  }

  /** The keys to delete with the lease, in key order, so that every member deletes them under the same sub revisions. */
  keysOf(id: LeaseId): string[] {
    const lease = this.#leases.get(id);
    assert(lease !== undefined, () => `lease ${id} exists`);
    return [...lease.keys].sort();
  }

  /** Removes a lease whose keys are gone. */
  remove(id: LeaseId): void {
    const lease = this.#leases.get(id);
    assert(lease !== undefined, () => `lease ${id} exists`);
    assert(lease.keys.size === 0, () => `lease ${id} is removed after its ${lease.keys.size} keys`);
    this.#leases.delete(id);
    this.#changes += 1;
  }

  /** Takes down the remaining time of a lease; false when the lease is gone. */
  checkpoint(id: LeaseId, remainingSeconds: number): boolean {
    assert(remainingSeconds >= 0, () => `lease ${id} cannot have ${remainingSeconds} seconds left`);
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    lease.remainingSeconds = remainingSeconds;
    this.#changes += 1;
    return true;
  }

  attach(id: LeaseId, key: string): void {
    const lease = this.#leases.get(id);
    assert(lease !== undefined, () => `a key is attached to lease ${id}, which exists`);
    lease.keys.add(key);
  }

  detach(id: LeaseId, key: string): void {
    const wasAttached = this.#leases.get(id)?.keys.delete(key);
    assert(wasAttached === true, () => `a key that names lease ${id} is attached to it`);
  }

  /** Forgets everything, before a restore. */
  clear(): void {
    this.#leases.clear();
    this.#changes += 1;
  }
}
