/**
 * The multi-version store: contract. One machine, one process, synchronous; knows nothing of Raft.
 *
 * Revisions are {main, sub}: main grows by one per writing transaction, sub counts the writes in it. The value of every
 * live key at the head is in memory; older versions are read from the backend. A revision below the compacted one answers
 * `compacted` (the compacted revision itself can still be read, as in etcd); one above the head answers `futureRevision`.
 */
import type {
  CompareResult,
  KeyValue,
  KvErrorCode,
  KvEvent,
  LeaseId,
  RangeRequest,
  RangeResult,
  WatchRequest,
} from '../api.ts';
import type { StoreHash } from './hash.ts';

export type { StoreHash } from './hash.ts';

export interface ReadView {
  /** Head revision (main); 1 for an empty store. */
  revision(): number;
  compactRevision(): number;
  range(request: RangeRequest): RangeResult | KvErrorCode;
}

/** What a put replaced; its values are made when they are asked for. */
export interface Replaced {
  previous(): KeyValue | undefined;
  /** 0n when there was none. */
  previousLease(): LeaseId;
}

/** One writing transaction: all its writes share a main revision, taken only if there is at least one. */
export interface WriteTxn extends ReadView {
  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): Replaced;
  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): readonly KeyValue[];
  /** Hands the batch to the backend and publishes to the watchers; returns the store's revision. */
  end(): number;
}

export interface MvccStore extends ReadView {
  begin(): WriteTxn;
  /**
   * Marks everything that no reader at `revision` or later sees compacted; `cleanStep` follows. `compacted` when it is at or
   * below the compacted revision already, `futureRevision` when it is above the head.
   */
  compact(revision: number): KvErrorCode | undefined;
  /** Whether there was a compaction ever, be it to revision 0, which is taken once. */
  wasCompacted(): boolean;
  /** Forgets a bounded slice of what was compacted, in memory and in the backend; true when there is more. */
  cleanStep(writesMax?: number): boolean;
  hasToClean(): boolean;
  /**
   * Events from `startRevision` on, or from the next revision when it is 0. What history has is handed to the sink before
   * `watch` returns, batch by batch, until the sink pauses or history ends; so may be `compacted`, when the start lies below
   * the compacted revision. A start in the future waits. A sink that never pauses gets all of history in one go: the sink's
   * own limit is what bounds it.
   */
  watch(request: WatchRequest, sink: WatchSink): Watcher;
  /** CRC-32 over (key, revision, value) of everything kept at `revision`; equal on all members. 0 = the head. */
  hashKv(revision: number): StoreHash | KvErrorCode;
  /** The same in slices of a few milliseconds, for a store that goes on meanwhile. */
  beginHash(revision: number): HashTask | KvErrorCode;
  /** Live keys and approximate bytes in use, for quota, status and metrics. */
  stats(): {
    readonly keys: number;
    readonly bytesInUse: number;
    readonly bytesOnDisk: number;
    readonly watchers: number;
    /** Those that have not been handed everything up to the head. */
    readonly slowWatchers: number;
    /** Handed to watchers since the start. */
    readonly eventsSent: number;
    /** Rows that cleaning has taken away since the start. */
    readonly rowsCleaned: number;
  };
}

/** A hash being taken; until `end`, nothing that was compacted is cleaned up. */
export interface HashTask {
  /** Undefined: go on. `unhealthy`: the content was replaced meanwhile. */
  step(): StoreHash | KvErrorCode | undefined;
  /** Owed, also after a step that failed. */
  end(): void;
}

/**
 * Where a watcher's events go. Called synchronously, from inside `watch`, `resume` and the end of a transaction; must not
 * write to the store and must not throw. Returning false pauses the watcher until `resume`: nothing is queued for it
 * meanwhile, it is caught up from history afterwards, and it ends with `compacted` if history was compacted under it.
 */
export interface WatchSink {
  /** Whole revisions only, in order, each exactly once. `revision` is the store's at the time. */
  events(events: readonly KvEvent[], revision: number): boolean;
  /** The start revision is compacted: the watcher is over. */
  compacted(compactRevision: number): void;
}

export interface Watcher {
  resume(): void;
  cancel(): void;
  /** True when everything up to the head has been handed to the sink; then a progress answer may be given. */
  isSynced(): boolean;
}

export type { CompareResult };
