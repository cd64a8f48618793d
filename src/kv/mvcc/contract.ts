/**
 * The multi-version store: contract. One machine, one process, synchronous; knows nothing of Raft.
 *
 * Revisions are {main, sub}: main grows by one per writing transaction, sub counts the writes in it. The value of every
 * live key at the head is in memory; older versions are read from the backend. A revision at or below the compacted one
 * answers `compacted`; one above the head answers `futureRevision`.
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

export interface ReadView {
  /** Head revision (main); 1 for an empty store. */
  revision(): number;
  compactRevision(): number;
  range(request: RangeRequest): RangeResult | KvErrorCode;
}

/** One writing transaction: all its writes share a main revision, taken only if there is at least one. */
export interface WriteTxn extends ReadView {
  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): { readonly previous: KeyValue | undefined };
  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): readonly KeyValue[];
  /** Publishes to the watchers and hands the batch to the backend; returns the store's revision. */
  end(): number;
}

export interface MvccStore extends ReadView {
  begin(): WriteTxn;
  /** Marks everything at or below `revision` compacted; the backend is cleaned in slices later. */
  compact(revision: number): KvErrorCode | undefined;
  watch(request: WatchRequest, sink: WatchSink): Watcher;
  /** CRC-32C-like hash over (key, revision, value) of everything kept at `revision`; equal on all members. 0 = the head. */
  hashKv(
    revision: number,
  ): { readonly hash: number; readonly compactRevision: number; readonly revision: number } | KvErrorCode;
  /** Live keys and approximate bytes in use, for quota, status and metrics. */
  stats(): {
    readonly keys: number;
    readonly bytesInUse: number;
    readonly bytesOnDisk: number;
    readonly watchers: number;
  };
}

/** Where a watcher's events go. Called synchronously; returning false pauses the watcher until `resume`. */
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
