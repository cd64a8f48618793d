/**
 * From committed entry to state: contract. Synchronous, deterministic, blind to clock, random, disk and network.
 * The implementation (KvState) owns mvcc, leases, members and alarms, and is the StateMachine behind Raft once
 * src/kv/server has wrapped it.
 */
import type {
  AlarmType,
  ApplyResult,
  InternalRequest,
  KvErrorCode,
  Member,
  RangeRequest,
  RangeResult,
  TxnRequest,
  WatchRequest,
} from '../api.ts';
import type { Guard } from '../auth/guard.ts';
import type { AuthTable } from '../auth/table.ts';
import type { LeaseTable } from '../lease/contract.ts';
import type { MvccStore, Watcher, WatchSink } from '../mvcc/contract.ts';

export type MemberTableChange =
  | { readonly kind: 'set'; readonly member: Member }
  | { readonly kind: 'remove'; readonly id: number };

export interface KvState {
  /** Applies one request at Raft index `index`. Indexes only grow; one at or below `consistentIndex` is a bug of the caller. */
  apply(index: number, request: InternalRequest): ApplyResult;
  /**
   * From here to `endBatch`, what is applied is only in memory: the backend gets it as one batch then, and the watchers
   * get their events together. The caller gives nobody else a turn in between.
   */
  beginBatch(): void;
  endBatch(): void;
  /** Events that many watchers want may be left for later: whoever sees this calls `publish` soon, and once for all. */
  hasUnpublished(): boolean;
  publish(): void;
  /** An entry without a request and without effect: only moves the index. Owed for every such entry. */
  skip(index: number): void;
  /**
   * A membership entry: table and index change in one batch. In two, a crash between them would apply the entry a second
   * time, to a table that has it already, and that would be refused.
   */
  changeMember(index: number, change: MemberTableChange): void;
  consistentIndex(): number;
  /** Raft index that the backend holds durably. */
  durableIndex(): number;
  range(request: RangeRequest): RangeResult | KvErrorCode;
  /** Compares and reads of a transaction without writes, against the head. */
  readOnlyTxn(request: TxnRequest): ApplyResult;
  watch(request: WatchRequest, sink: WatchSink): Watcher;
  revision(): number;
  compactRevision(): number;
  /** Whether there was a compaction ever, be it to revision 0, which is taken once. */
  wasCompacted(): boolean;
  leases(): LeaseTable;
  members(): ReadonlyMap<number, Member>;
  removedMembers(): ReadonlySet<number>;
  /** Before the first entry: whom a new member knows. */
  setMember(member: Member): void;
  alarms(): readonly { readonly memberId: number; readonly alarm: AlarmType }[];
  clusterVersion(): string;
  /** Users, roles and the switch. Changes come by entries only; the same object for the life of the state. */
  auth(): AuthTable;
  /** What permissions reads need; writes are checked by `apply`. */
  guard(): Guard;
  hashKv(revision: number): ReturnType<MvccStore['hashKv']>;
  /** The same in slices, while the state goes on. `unhealthy` while it is being replaced. */
  beginHash(revision: number): ReturnType<MvccStore['beginHash']>;
  stats(): ReturnType<MvccStore['stats']>;
  /** The same as among the stats: asked for before every write. */
  bytesOnDisk(): number;
  /**
   * Every row of the backend in key order, as of the call, in blocks (backend/row-blocks.ts) that are each valid until the next
   * one is asked for. Throws `unhealthy` while the state is being replaced.
   */
  rowBlocks(): AsyncIterable<Uint8Array>;
  /** Consistent copy as of the call; pieces are each valid until the next one is asked for. */
  snapshot(): AsyncIterable<Uint8Array>;
  /**
   * Replaces everything. Readers see the old state until all chunks were read and checked, then the new one; watchers go on
   * from where they were. No entry may be applied meanwhile. Resolves when the new state is durable.
   */
  restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * Takes a step of the background work, cleaning compacted revisions, which looks at so many writes at most; true when there
   * is more. A few milliseconds.
   */
  cleanStep(writesMax?: number): boolean;
  /** A stop or a snapshot came between a compaction and the end of the cleaning that follows it. */
  hasToClean(): boolean;
  /** Makes everything applied so far durable in the backend and `durableIndex` say so. Begun by itself every ten thousand entries. */
  sync(): Promise<void>;
  /** Bytes applied but not yet taken by the backend's disk; whoever proposes slows down when they pile up. */
  pendingBytes(): number;
  /** Has the backend give back the space of what was cleaned. */
  defragment(): Promise<void>;
}
