/**
 * Leases as clients use them, on every member: grants and revocations go through Raft; renewals and remaining times are
 * the leader's, and a follower asks it. On the leader it also revokes what has run out and writes checkpoints.
 */
import { assert } from '../../env/assert.ts';
import { type Cancel, type Clock, sleep } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { ApplyResult, InternalOp, LeaseId } from '../api.ts';
import type { KvState } from '../apply/contract.ts';
import type { Caller } from '../auth/contract.ts';
import { toBytes } from '../backend/bytes.ts';
import { KvError } from '../errors.ts';
import type { LeaseRemaining } from './contract.ts';
import { Lessor } from './lessor.ts';
import type { Proposer } from './proposer.ts';
import type { LinearizableReader } from './reader.ts';

/** etcd's limit, about 285 years. */
const ttlSecondsMax = 9_000_000_000;
const stepEveryMs = 500;
/** While there is no leader to ask. */
const leaderRetryMs = 50;

/** Asks another member by one of its peer URLs, as a member: whose request it is has been checked here. */
export interface LeaderProxy {
  /** Seconds from now, 0 when the lease is gone. */
  keepAlive(peerUrls: readonly string[], id: LeaseId, signal: AbortSignal): Promise<number>;
  timeToLive(peerUrls: readonly string[], id: LeaseId, withKeys: boolean, signal: AbortSignal): Promise<LeaseRemaining>;
  promote(peerUrls: readonly string[], memberId: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface LeaseKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly kv: KvState;
  readonly proposer: Proposer;
  readonly reader: LinearizableReader;
  readonly proxy: LeaderProxy;
  /** Peer URLs of the leader; undefined when there is none. */
  readonly leaderUrls: () => readonly string[] | undefined;
  /** 1.5 election time-outs, as in etcd: a lease must not run out in one election. */
  readonly minTtlSeconds: number;
  readonly timeoutMs: number;
  /** Of the remaining times of leases, when not the usual. */
  readonly checkpointEveryMs?: number | undefined;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #lessor: Lessor;
  #cancelSteps: Cancel | undefined;
  #granted = 0;
  #revoked = 0;
  #expired = 0;
  /** Each gives up on the leader that it asked. */
  readonly #asking = new Set<() => void>();

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#lessor = new Lessor(() => options.kv.leases(), options.checkpointEveryMs);
  }

  counts(): { readonly granted: number; readonly revoked: number; readonly expired: number } {
    return { granted: this.#granted, revoked: this.#revoked, expired: this.#expired };
  }

  /** Role of this member's Raft replica. */
  setLeading(isLeader: boolean): void {
    if (isLeader === this.#lessor.isLeader()) return;
    if (!isLeader) {
      this.stop();
      return;
    }
    this.#lessor.becomeLeader(this.#options.clock.monotonicMs());
    this.#cancelSteps = this.#options.clock.every(stepEveryMs, () => this.#step());
  }

  /** Another member leads, or nobody: whoever was asked may be gone, and an answer may never come. */
  leaderChanged(): void {
    for (const giveUp of this.#asking) giveUp();
  }

  stop(): void {
    this.#cancelSteps?.();
    this.#cancelSteps = undefined;
    this.#lessor.becomeFollower();
  }

  /** Every applied request passes here. */
  applied(op: InternalOp, result: ApplyResult): void {
    if (!result.ok) return;
    if (op.kind === 'leaseGrant' && result.response.kind === 'leaseGrant') {
      this.#granted++;
      this.#lessor.granted(op.id, result.response.ttlSeconds, this.#options.clock.monotonicMs());
    } else if (op.kind === 'leaseRevoke') {
      this.#revoked++;
      this.#lessor.revoked(op.id);
    } else if (op.kind === 'leaseCheckpoint') {
      this.#lessor.checkpointed(op.remaining, this.#options.clock.monotonicMs());
    }
  }

  async grant(
    id: LeaseId,
    ttlSeconds: number,
    caller: Caller | undefined,
  ): Promise<ApplyResult & { readonly ok: true }> {
    if (ttlSeconds > ttlSecondsMax) throw new KvError('leaseTtlTooLarge');
    const op: InternalOp = {
      kind: 'leaseGrant',
      id: id === 0n ? this.#newId() : id,
      ttlSeconds: Math.max(ttlSeconds, this.#options.minTtlSeconds),
    };
    return this.#options.proposer.propose(op, caller);
  }

  revoke(id: LeaseId, caller: Caller | undefined): Promise<ApplyResult & { readonly ok: true }> {
    return this.#options.proposer.propose({ kind: 'leaseRevoke', id }, caller);
  }

  async keepAlive(id: LeaseId, signal: AbortSignal): Promise<number> {
    return this.#atLeader(
      async () => {
        // A quorum must still follow this leader: another one, of whom it knows nothing yet, would not know of the renewal
        // and end the lease before its time. It also makes grants known that other members have acknowledged.
        await this.#options.reader.point();
        if (!this.#lessor.isLeader()) return undefined;
        const renewed = this.#lessor.renew(id, this.#options.clock.monotonicMs());
        if (!renewed) return 0;
        // The others would go by the old remaining time if they led next: they have to forget it first.
        if (renewed.wasCheckpointed && !(await this.#forgetRemaining(id))) return undefined;
        return renewed.ttlSeconds;
      },
      (urls) => this.#options.proxy.keepAlive(urls, id, signal),
      signal,
    );
  }

  async timeToLive(id: LeaseId, withKeys: boolean, signal: AbortSignal): Promise<LeaseRemaining> {
    return this.#atLeader(
      async () => {
        await this.#options.reader.point();
        if (!this.#lessor.isLeader()) return undefined;
        const lease = this.#options.kv.leases().get(id);
        const ttlSeconds = this.#lessor.remainingSeconds(id, this.#options.clock.monotonicMs());
        if (!lease || ttlSeconds === undefined) return { ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] };
        const keys = withKeys ? [...lease.keys].map(toBytes) : [];
        return { ttlSeconds, grantedTtlSeconds: lease.ttlSeconds, keys };
      },
      (urls) => this.#options.proxy.timeToLive(urls, id, withKeys, signal),
      signal,
    );
  }

  /** False when this member does not lead any more. */
  async #forgetRemaining(id: LeaseId): Promise<boolean> {
    try {
      await this.#options.proposer.proposeAsLeader({ kind: 'leaseCheckpoint', remaining: [[id, 0]] });
      return true;
    } catch (error) {
      if (error instanceof KvError && error.kv === 'leaderChanged') return false;
      throw error;
    }
  }

  /** `here` on the leader (undefined = no longer the leader), `there` on a follower; again until the time is up. */
  async #atLeader<T>(
    here: () => Promise<T | undefined>,
    there: (urls: readonly string[]) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { clock, timeoutMs, leaderUrls } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      if (this.#lessor.isLeader()) {
        const answer = await here();
        if (answer !== undefined) return answer;
      }
      const urls = leaderUrls();
      if (urls && !this.#lessor.isLeader()) {
        try {
          return await this.#whileItLeads(there(urls));
        } catch (error) {
          // The leader may just have gone; who leads next is asked instead.
          signal.throwIfAborted();
          this.#options.log.debug('the leader did not answer about a lease', { error: errorText(error) });
        }
      }
      if (clock.monotonicMs() >= untilMs) throw new KvError('timeout');
      await sleep(clock, leaderRetryMs, signal);
    }
  }

  /** `answer`, or a rejection as soon as another one leads than was asked. */
  #whileItLeads<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new KvError('leaderChanged'));
      this.#asking.add(giveUp);
      const over = () => this.#asking.delete(giveUp);
      answer.then(resolve, reject).finally(over);
    });
  }

  #step(): void {
    assert(this.#lessor.isLeader(), 'only the leader ends leases');
    const nowMs = this.#options.clock.monotonicMs();
    for (const id of this.#lessor.takeExpired(nowMs)) {
      this.#expired++;
      this.#options.proposer.proposeAsLeader({ kind: 'leaseRevoke', id }).catch((error: unknown) => {
        // Revoked by its holder meanwhile is as good; anything else is tried again at the next step.
        if (error instanceof KvError && error.kv === 'leaseNotFound') return;
        this.#expired--;
        this.#lessor.revokeFailed(id);
      });
    }
    const remaining = this.#lessor.takeCheckpoints(nowMs);
    if (remaining.length > 0) this.#propose({ kind: 'leaseCheckpoint', remaining });
  }

  /** Proposes what nobody waits for. A lost checkpoint only makes a lease last longer after a change of leader. */
  #propose(op: InternalOp): void {
    this.#options.proposer.proposeAsLeader(op).catch((error: unknown) => {
      this.#options.log.debug('a lease checkpoint was not taken', { error: errorText(error) });
    });
  }

  #newId(): LeaseId {
    for (;;) {
      const bytes = this.#options.random.bytes(8);
      const id = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0) & 0x7fff_ffff_ffff_ffffn;
      if (id !== 0n && !this.#options.kv.leases().get(id)) return id;
    }
  }
}
