/**
 * What a member does on its own: publishes its name and addresses, on the leader sets the cluster version and compacts
 * by policy, everywhere cleans up after compactions in small steps, and raises the alarm when the quota is used up.
 */
import { type Cancel, type Clock, pause, sleep } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { InternalOp } from '../api.ts';
import type { KvState } from '../apply/contract.ts';
import { KvError } from '../errors.ts';
import { sliceWritesDefault } from '../mvcc/cleaner.ts';
import { Compactor } from './compactor.ts';
import type { AutoCompaction, Cleaning } from './contract.ts';
import type { Proposer } from './proposer.ts';
import type { StoreTimings } from './timings.ts';
import { etcdClusterVersion } from './version.ts';

/** Requests are served between two steps. */
const cleaningDefault: Cleaning = { writesMax: sliceWritesDefault, pauseMs: 1 };
const publishRetryMs = 200;

export interface UpkeepOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly kv: KvState;
  readonly proposer: Proposer;
  readonly memberId: number;
  readonly name: string;
  readonly clientUrls: readonly string[];
  /** Public; absent when the others need not know it. */
  readonly memberKey?: string;
  readonly quotaBytes: number;
  readonly compaction: AutoCompaction;
  readonly cleaning?: Cleaning;
  readonly bytesOnDisk: () => number;
  readonly timings: StoreTimings;
  readonly onFatal: (error: Error) => void;
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #compactor: Compactor;
  #cancelCompactor: Cancel | undefined;
  #cleaning: Promise<void> | undefined;
  #isRaisingAlarm = false;
  #hasRaisedAlarm = false;
  readonly #stopping = new AbortController();

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#compactor = new Compactor(options.compaction);
  }

  /** Tells the cluster this member's name and client URLs; resolves once that is committed. */
  async publish(signal: AbortSignal): Promise<void> {
    const { memberId, name, clientUrls, memberKey, log, proposer, clock } = this.#options;
    const key = memberKey === undefined ? {} : { key: memberKey };
    // A member that joins cannot publish itself before it has the whole state: each reason is told once.
    let told = '';
    for (;;) {
      signal.throwIfAborted();
      try {
        await proposer.propose({ kind: 'memberAttributes', memberId, name, clientUrls, ...key }, 'member');
        log.info('published local member to cluster through raft', { 'local-member-id': hexId(memberId), name });
        return;
      } catch (error) {
        if (!(error instanceof KeelsonError)) throw error;
        const text = errorText(error);
        if (text !== told) log.warn('failed to publish local member to cluster through raft', { error: text });
        told = text;
        await sleep(clock, publishRetryMs, signal);
      }
    }
  }

  setLeading(isLeader: boolean): void {
    this.#cancelCompactor?.();
    this.#cancelCompactor = undefined;
    if (!isLeader) return;
    if (this.#options.kv.clusterVersion() !== etcdClusterVersion) {
      this.#propose({ kind: 'clusterVersion', version: etcdClusterVersion });
    }
    const everyMs = this.#compactor.everyMs();
    if (everyMs > 0) this.#cancelCompactor = this.#options.clock.every(everyMs, () => this.#autoCompact());
  }

  stop(): void {
    this.#stopping.abort();
    this.#cancelCompactor?.();
  }

  /** Resolves when everything compacted so far has been cleaned up here. */
  clean(): Promise<void> {
    this.#cleaning ??= this.#cleanAll().finally(() => {
      this.#cleaning = undefined;
    });
    return this.#cleaning;
  }

  /** Whether the NOSPACE alarm of this member was raised by it, in this life of the process. */
  hasRaisedAlarm(): boolean {
    return this.#hasRaisedAlarm;
  }

  /** Throws `noSpace`, and raises the alarm for all members, when `bytes` more do not fit the quota. */
  checkQuota(bytes: number): void {
    const { quotaBytes, memberId, log, bytesOnDisk } = this.#options;
    if (quotaBytes <= 0) return;
    const used = bytesOnDisk();
    if (used + bytes <= quotaBytes) return;
    if (!this.#isRaisingAlarm) {
      this.#isRaisingAlarm = true;
      this.#hasRaisedAlarm = true;
      log.warn('alarm raised: the database exceeds its quota', {
        alarm: 'NOSPACE',
        'used-bytes': used,
        'quota-bytes': quotaBytes,
      });
      const op: InternalOp = { kind: 'alarm', action: 'activate', memberId, alarm: 'noSpace' };
      this.#options.proposer
        .propose(op, 'member')
        .catch((error: unknown) => log.warn('the NOSPACE alarm was not stored', { error: errorText(error) }))
        .finally(() => {
          this.#isRaisingAlarm = false;
        });
    }
    throw new KvError('noSpace');
  }

  async #cleanAll(): Promise<void> {
    const { clock, kv, log, timings, cleaning = cleaningDefault } = this.#options;
    const { signal } = this.#stopping;
    const startedMs = clock.monotonicMs();
    const step = () => {
      const beganMs = clock.monotonicMs();
      const hasMore = kv.cleanStep(cleaning.writesMax);
      timings.cleanSliceMs.observe(clock.monotonicMs() - beganMs);
      return hasMore;
    };
    try {
      while (!signal.aborted && step()) await pause(clock, cleaning.pauseMs, signal);
    } catch (error) {
      // Cleaning runs beside everything else; what breaks in it must stop the member like any broken invariant.
      this.#options.onFatal(error instanceof Error ? error : new Error(errorText(error)));
      throw error;
    }
    // The rest is done after the next start.
    if (signal.aborted) return;
    const tookMs = clock.monotonicMs() - startedMs;
    timings.compactionMs.observe(tookMs);
    timings.compactedAtSeconds = clock.wallMs() / 1000;
    timings.rowsCleaned = kv.stats().rowsCleaned;
    log.info('finished scheduled compaction', {
      'compact-revision': kv.compactRevision(),
      took: `${Math.round(tookMs)}ms`,
    });
  }

  #autoCompact(): void {
    const { clock, kv, log } = this.#options;
    const revision = this.#compactor.step(clock.monotonicMs(), kv.revision());
    if (revision === undefined || revision <= kv.compactRevision()) return;
    log.info('starting auto compaction', { revision });
    this.#propose({ kind: 'compact', revision });
  }

  #propose(op: InternalOp): void {
    this.#options.proposer.propose(op, 'member').catch((error: unknown) => {
      if (error instanceof KvError && error.kv === 'compacted') return;
      this.#options.log.warn(`${op.kind} was not carried out`, { error: errorText(error) });
    });
  }
}

/** Ids as etcd prints them. */
export function hexId(id: number): string {
  return id.toString(16);
}
