/**
 * When leases end: the leader's half of the lease table. The applied table (kv/lease) says which leases exist; this
 * one says until when, on the leader's monotonic clock, and only there.
 *
 * A new leader does not know when the old one last heard from a holder, so it gives every lease its full time again (or
 * what the last checkpoint says remains). A lease therefore never ends early; it may end late by one leader change.
 */
import { assert } from '../../env/assert.ts';
import type { LeaseId } from '../api.ts';
import type { LeaseTable } from '../lease/contract.ts';

/** Revocations per step; every one is a Raft entry. At two steps a second this is etcd's limit of 1,000 a second. */
const revokesPerStepMax = 500;
/** Checkpoints that one entry carries, as in etcd. */
const checkpointsPerStepMax = 1_000;
/** Leases shorter than this are not worth remembering over a change of leader. */
export const checkpointEveryMs = 300_000;

interface Timing {
  expiresAtMs: number;
  checkpointAtMs: number;
  /** Proposed and not applied: the table does not show them yet, and will. */
  checkpointsUnderWay: number;
}

export class Lessor {
  readonly #table: () => LeaseTable;
  readonly #checkpointEveryMs: number;
  readonly #timings = new Map<LeaseId, Timing>();
  readonly #revoking = new Set<LeaseId>();
  #isLeader = false;

  constructor(table: () => LeaseTable, everyMs: number = checkpointEveryMs) {
    assert(everyMs > 0, 'checkpoints have time between them');
    this.#table = table;
    this.#checkpointEveryMs = everyMs;
  }

  isLeader(): boolean {
    return this.#isLeader;
  }

  becomeLeader(nowMs: number): void {
    this.#isLeader = true;
    this.#timings.clear();
    this.#revoking.clear();
    for (const lease of this.#table().all()) {
      this.#start(lease.id, lease.remainingSeconds || lease.ttlSeconds, nowMs);
    }
  }

  becomeFollower(): void {
    this.#isLeader = false;
    this.#timings.clear();
    this.#revoking.clear();
  }

  granted(id: LeaseId, ttlSeconds: number, nowMs: number): void {
    if (this.#isLeader) this.#start(id, ttlSeconds, nowMs);
  }

  revoked(id: LeaseId): void {
    this.#timings.delete(id);
    this.#revoking.delete(id);
  }

  /**
   * A checkpoint was applied. One without a remaining time is a renewal that the leader before acknowledged, perhaps not
   * applied yet when this one began to lead.
   */
  checkpointed(remaining: readonly (readonly [LeaseId, number])[], nowMs: number): void {
    if (!this.#isLeader) return;
    for (const [id, seconds] of remaining) {
      const lease = this.#table().get(id);
      const timing = this.#timings.get(id);
      if (lease === undefined || timing === undefined) continue;
      if (seconds > 0) timing.checkpointsUnderWay = Math.max(0, timing.checkpointsUnderWay - 1);
      else timing.expiresAtMs = Math.max(timing.expiresAtMs, nowMs + lease.ttlSeconds * 1000);
    }
  }

  /** A new full term for the lease; undefined when it does not exist or has run out. */
  renew(id: LeaseId, nowMs: number): { readonly ttlSeconds: number; readonly wasCheckpointed: boolean } | undefined {
    assert(this.#isLeader, 'only the leader renews leases');
    const lease = this.#table().get(id);
    const timing = this.#timings.get(id);
    if (!lease || !timing || timing.expiresAtMs <= nowMs) return undefined;
    timing.expiresAtMs = nowMs + lease.ttlSeconds * 1000;
    timing.checkpointAtMs = nowMs + this.#checkpointEveryMs;
    const wasCheckpointed = lease.remainingSeconds > 0 || timing.checkpointsUnderWay > 0;
    return { ttlSeconds: lease.ttlSeconds, wasCheckpointed };
  }

  /** Whole seconds left; undefined when the lease does not exist or has run out. */
  remainingSeconds(id: LeaseId, nowMs: number): number | undefined {
    assert(this.#isLeader, 'only the leader knows what remains of a lease');
    const timing = this.#timings.get(id);
    if (!timing || timing.expiresAtMs <= nowMs) return undefined;
    return Math.ceil((timing.expiresAtMs - nowMs) / 1000);
  }

  /** Leases to revoke now. Each is named once until `revokeFailed` gives it back. */
  takeExpired(nowMs: number): readonly LeaseId[] {
    const expired: LeaseId[] = [];
    for (const [id, timing] of this.#timings) {
      if (expired.length === revokesPerStepMax) break;
      if (timing.expiresAtMs > nowMs || this.#revoking.has(id)) continue;
      this.#revoking.add(id);
      expired.push(id);
    }
    return expired;
  }

  revokeFailed(id: LeaseId): void {
    this.#revoking.delete(id);
  }

  /** What remains of the leases whose last checkpoint is too old, for the other members to remember. */
  takeCheckpoints(nowMs: number): readonly (readonly [LeaseId, number])[] {
    const due: (readonly [LeaseId, number])[] = [];
    for (const [id, timing] of this.#timings) {
      if (due.length === checkpointsPerStepMax) break;
      if (timing.checkpointAtMs > nowMs || timing.expiresAtMs <= nowMs) continue;
      timing.checkpointAtMs = nowMs + this.#checkpointEveryMs;
      timing.checkpointsUnderWay += 1;
      due.push([id, Math.ceil((timing.expiresAtMs - nowMs) / 1000)]);
    }
    return due;
  }

  #start(id: LeaseId, seconds: number, nowMs: number): void {
    assert(seconds > 0, () => `lease ${id} lasts ${seconds} s`);
    const expiresAtMs = nowMs + seconds * 1000;
    const checkpointAtMs = nowMs + this.#checkpointEveryMs;
    this.#timings.set(id, { expiresAtMs, checkpointAtMs, checkpointsUnderWay: 0 });
  }
}
