/**
 * The durable log: contract. (Format and rules: see the implementation files of this folder.)
 *
 * A data directory holds `wal/` (segments of records, each with its length and CRC) and `snap/` (one file per Raft
 * snapshot: header, meta data, content in chunks with CRCs, trailer; written under a temporary name, synced, renamed,
 * directory synced).
 */
import type { Disk } from '../../env/disk.ts';
import type { ConfState, Entry, HardState, Index, Persist, RestoredState, SnapshotMeta } from '../core/types.ts';
import type { Durable } from './durable.ts';

/** Who this data belongs to; written when the directory is made, and compared at every start. */
export interface WalIdentity {
  readonly formatVersion: number;
  /** 16 hex digits each. */
  readonly clusterId: string;
  readonly memberId: string;
}

export interface WalOptions {
  readonly disk: Disk;
  readonly directory: string;
  /** A segment is cut once it is larger than this. */
  readonly segmentBytes: number;
  /**
   * What the state machine holds durably. Only looked at when log or snapshots are damaged: what the state reaches over is
   * not lost. `snapshot` is as StateMachine.snapshot, `holdsMembership` as there, both at `index`.
   */
  readonly state?: {
    readonly index: Index;
    readonly snapshot: () => AsyncIterable<Uint8Array>;
    readonly holdsMembership?: ((confState: ConfState) => boolean) | undefined;
  };
  /** This snapshot was read whole since the process began: it is not read again to see whether it is damaged. */
  readonly wholeSnapshot?: Pick<SnapshotMeta, 'index' | 'term'>;
  /** The only voter goes on without entries that are lost, instead of refusing to start. */
  readonly acceptLoss?: boolean;
  /**
   * Called when a write of the log finds the disk full: resolves once it is worth trying again, with false to give up. Meanwhile
   * appends wait. Absent: the append fails with `NO_SPACE`.
   */
  readonly giveSpace?: () => Promise<boolean>;
}

export interface OpenedWal {
  readonly wal: Wal;
  readonly identity: WalIdentity;
  /**
   * Everything but `applied`, which the state machine knows. A log that begins at 1 has the snapshot index 0 with the
   * membership that `createWal` was given.
   */
  readonly restored: Omit<RestoredState, 'applied'>;
  /** Membership after each membership entry that was applied since the snapshot, ascending. */
  readonly confMarks: readonly { readonly index: Index; readonly confState: ConfState }[];
  /** Bytes of a torn tail that were cut, for the log. */
  readonly cutBytes: number;
  /** Damaged snapshot files that were set aside (renamed to `*.broken`), each with what is wrong. */
  readonly setAside: readonly { readonly path: string; readonly reason: string }[];
  /** Damage that was found in the log, which was then written anew; a line each. */
  readonly damage: readonly string[];
  /**
   * Entries that this start found lost: they may have been acknowledged, and the log ends before them. `upTo` may be too high
   * when even the heads of the last records are gone. Until a leader has sent them again, every start has
   * `restored.lostUpTo`; this is only there at the first one.
   */
  readonly lost?: { readonly from: Index; readonly upTo: Index; readonly reason: string };
  /** No snapshot is left, nor a state to go on from: the state machine must be empty, and waits for a leader's snapshot. */
  readonly hasNoState: boolean;
}

/** What a new log begins with. */
export interface WalBeginning {
  /** Membership before the first entry: of a new cluster. Absent (nobody) for a member that joins one. */
  readonly confState?: ConfState;
}

/** `local`: of this member's own state machine; counts once durable. `received`: counts once an append names it. */
export type SnapshotOrigin = 'local' | 'received';

export interface WalStats {
  readonly syncs: number;
  readonly bytes: number;
  readonly segments: number;
}

export interface Wal {
  /**
   * Appends what a Ready wants persisted. Synchronous hand-over: records keep the order of the calls. Resolves once
   * durable; appends that arrive while a sync runs share the next one. Rejects with a KeelsonError `WAL_SYNC_FAILED`
   * (the member must stop) or `NO_SPACE`.
   */
  append(persist: Persist): Promise<Durable>;
  /**
   * Remembers the membership after a committed membership entry was applied, because a veto is decided on a state that
   * is gone after a restart. Durable when it resolves; nothing after the entry may be applied before.
   */
  appendConfMark(mark: { readonly index: Index; readonly confState: ConfState }): Promise<void>;
  /** Starts a snapshot file. Content chunks are written in order; `finish` makes it durable under its final name. */
  createSnapshot(meta: SnapshotMeta, origin: SnapshotOrigin): Promise<SnapshotWriter>;
  /** A durable snapshot's content, verified while read. `SNAPSHOT_MISSING` when there is none by that name. */
  openSnapshot(meta: Pick<SnapshotMeta, 'index' | 'term'>): Promise<SnapshotReader>;
  /** Newest snapshot that is durable and whole; index 0 when none. */
  latestSnapshot(): SnapshotMeta;
  /** Removes segments and older snapshots that nothing needs any more once `upTo` is covered by a durable snapshot. */
  release(upTo: Index): Promise<void>;
  /** Monotonic counters and the number of segments now. */
  stats(): WalStats;
  close(): Promise<void>;
}

export interface SnapshotWriter {
  write(chunk: Uint8Array): Promise<void>;
  /** Durable under its final name when it resolves. */
  finish(): Promise<SnapshotMeta>;
  abort(): Promise<void>;
}

export interface SnapshotReader {
  readonly meta: SnapshotMeta;
  /**
   * Yields the chunks as written; throws KeelsonError `SNAPSHOT_CORRUPT` on a bad checksum. With `isMemoryReused` each is valid
   * until the next one is asked for.
   */
  chunks(isMemoryReused?: boolean): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export type { Entry, HardState };
