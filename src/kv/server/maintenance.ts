/** What an operator asks of one member: alarms, its space, its hash, a snapshot of its state. */
import type { Clock } from '../../env/clock.ts';
import type { RaftNode } from '../../raft/index.ts';
import type { AlarmType, KvErrorCode } from '../api.ts';
import type { KvState } from '../apply/index.ts';
import type { SnapshotExporter, StoreSnapshot } from '../snapshot/exporter.ts';
import type { Alarm } from './contract.ts';
import { hashInSlices } from './hash-in-slices.ts';
import type { Proposer } from './proposer.ts';
import type { LinearizableReader } from './reader.ts';
import type { StoreTimings } from './timings.ts';
import type { Upkeep } from './upkeep.ts';

/** What etcd says of a store that has never been compacted. */
const neverCompacted = -1;

export interface MaintenanceOptions {
  readonly clock: Clock;
  readonly kv: KvState;
  readonly proposer: Proposer;
  readonly reader: LinearizableReader;
  readonly upkeep: Upkeep;
  readonly exporter: SnapshotExporter;
  readonly timings: StoreTimings;
  readonly stopped: AbortSignal;
  /** Throws KvError while Raft does not run. */
  readonly raft: () => RaftNode;
  /** Throws KvError for the given error, and for a member that may not answer. */
  readonly check: (error: KvErrorCode | undefined) => void;
}

export class Maintenance {
  readonly #options: MaintenanceOptions;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Resolves with what was changed, as etcd answers. */
  async setAlarm(action: 'activate' | 'deactivate', memberId: number, alarm: AlarmType): Promise<readonly Alarm[]> {
    const { kv, proposer } = this.#options;
    const isIt = (item: Alarm) => item.memberId === memberId && item.alarm === alarm;
    const had = kv.alarms().filter(isIt);
    await proposer.propose({ kind: 'alarm', action, memberId, alarm }, 'member');
    if (action === 'activate') return kv.alarms().some(isIt) ? [{ memberId, alarm }] : [];
    return had;
  }

  async defragment(): Promise<void> {
    const { kv, upkeep, timings } = this.#options;
    const seconds = this.#stopwatch();
    timings.defragmentsUnderWay += 1;
    try {
      await upkeep.clean();
      await kv.defragment();
    } finally {
      timings.defragmentsUnderWay -= 1;
    }
    timings.defragmentSeconds.observe(seconds());
  }

  async snapshot(): Promise<StoreSnapshot> {
    const { kv, exporter, timings, check } = this.#options;
    check(undefined);
    const { term, confState } = this.#options.raft().status();
    const seconds = this.#stopwatch();
    const { voters, learners } = confState;
    const snapshot = await exporter.take(kv, { term, voters, learners });
    timings.exportSeconds.observe(seconds());
    return snapshot;
  }

  async hashKv(revision: number) {
    const { reader, timings } = this.#options;
    await reader.point();
    const seconds = this.#stopwatch();
    try {
      const result = await hashInSlices(this.#options, revision);
      return this.#options.kv.wasCompacted() ? result : { ...result, compactRevision: neverCompacted };
    } finally {
      timings.hashSeconds.observe(seconds());
    }
  }

  #stopwatch(): () => number {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    return () => (clock.monotonicMs() - startedMs) / 1000;
  }
}
