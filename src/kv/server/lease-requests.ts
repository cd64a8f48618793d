/** Requests about leases on their way through one member: who asks, may they, then LeaseKeeper. */
import { assert } from '../../env/assert.ts';
import type { KvErrorCode, LeaseId } from '../api.ts';
import type { KvState } from '../apply/index.ts';
import type { From } from './auth-contract.ts';
import type { AuthKeeper } from './auth-keeper.ts';
import type { LeaseRemaining } from './contract.ts';
import { writeOverheadBytes } from './key-requests.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { LinearizableReader } from './reader.ts';
import type { StoreTimings } from './timings.ts';
import type { Upkeep } from './upkeep.ts';

export interface LeaseRequestsOptions {
  readonly kv: KvState;
  readonly leases: LeaseKeeper;
  readonly reader: LinearizableReader;
  readonly upkeep: Upkeep;
  readonly auth: AuthKeeper;
  readonly timings: StoreTimings;
  /** Aborts when the member stops. */
  readonly stopped: AbortSignal;
  /** Throws KvError for the given error, and for a member that may not answer. */
  readonly check: (error: KvErrorCode | undefined) => void;
}

export class LeaseRequests {
  readonly #options: LeaseRequestsOptions;

  constructor(options: LeaseRequestsOptions) {
    this.#options = options;
  }

  async grant(id: LeaseId, ttlSeconds: number, from: From) {
    const { upkeep, leases, auth, timings, check } = this.#options;
    check(undefined);
    upkeep.checkQuota(writeOverheadBytes);
    const { revision, response } = await leases.grant(id, ttlSeconds, await auth.caller(from));
    assert(response.kind === 'leaseGrant', 'a grant is answered as a grant');
    timings.leaseTtlSeconds.observe(response.ttlSeconds);
    return { id: response.id, ttlSeconds: response.ttlSeconds, revision };
  }

  async revoke(id: LeaseId, from: From) {
    const { leases, auth, check } = this.#options;
    check(undefined);
    const { revision } = await leases.revoke(id, await auth.caller(from));
    return { revision };
  }

  /** Seconds from now, 0 when the lease is gone. */
  async keepAlive(id: LeaseId, signal: AbortSignal, from: From): Promise<number> {
    const { leases, auth, timings, stopped } = this.#options;
    if (auth.isEnabled()) await auth.checkLease(from, 'write', id);
    const ttlSeconds = await leases.keepAlive(id, AbortSignal.any([signal, stopped]));
    if (ttlSeconds > 0) timings.leasesRenewed += 1;
    return ttlSeconds;
  }

  async timeToLive(id: LeaseId, withKeys: boolean, signal: AbortSignal, from: From): Promise<LeaseRemaining> {
    const { leases, auth, stopped } = this.#options;
    await auth.requireUser(from);
    if (withKeys) await auth.checkLease(from, 'read', id);
    const remaining = await leases.timeToLive(id, withKeys, AbortSignal.any([signal, stopped]));
    // The leader may know of more keys than this member did.
    if (withKeys) await auth.checkKeys(from, remaining.keys);
    return remaining;
  }

  async all(from: From): Promise<readonly LeaseId[]> {
    const { kv, reader, auth } = this.#options;
    await reader.point();
    await auth.checkLeases(from);
    return [...kv.leases().all()].map((lease) => lease.id);
  }
}
