/**
 * From committed entry to state: contract. Synchronous, deterministic, blind to clock, random, disk and network.
 * The implementation (KvState) owns mvcc, leases, members and alarms, and is the StateMachine behind Raft once
 * src/kv/server has wrapped it.
 */
import type {
  AlarmType,
  ApplyResult,
  InternalRequest,
  LeaseId,
  Member,
  RangeRequest,
  RangeResult,
  KvErrorCode,
  WatchRequest,
} from '../api.ts';
import type { WatchSink, Watcher } from '../mvcc/contract.ts';

export interface KvState {
  /** Applies one request at Raft index `index`. Indexes only grow; one at or below `consistentIndex` is a bug of the caller. */
  apply(index: number, request: InternalRequest): ApplyResult;
  /** An entry without a request (no-op, membership): only moves the index. */
  skip(index: number): void;
  consistentIndex(): number;
  /** Raft index that the backend holds durably. */
  durableIndex(): number;
  range(request: RangeRequest): RangeResult | KvErrorCode;
  /** Compares and reads of a transaction without writes, against the head. */
  readOnlyTxn(request: import('../api.ts').TxnRequest): ApplyResult;
  watch(request: WatchRequest, sink: WatchSink): Watcher;
  revision(): number;
  compactRevision(): number;
  leases(): LeaseTable;
  members(): ReadonlyMap<number, Member>;
  removedMembers(): ReadonlySet<number>;
  setMember(member: Member): void;
  removeMember(id: number): void;
  alarms(): readonly { readonly memberId: number; readonly alarm: AlarmType }[];
  clusterVersion(): string;
  hashKv(revision: number): ReturnType<import('../mvcc/contract.ts').MvccStore['hashKv']>;
  stats(): ReturnType<import('../mvcc/contract.ts').MvccStore['stats']>;
  /** Consistent copy as of the call. */
  snapshot(): AsyncIterable<Uint8Array>;
  restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Takes a step of the background work (cleaning compacted revisions); true when there is more. */
  cleanStep(): boolean;
}

/** The applied lease table: who exists, with what TTL, holding which keys. Expiry is decided by the leader (kv/server). */
export interface LeaseTable {
  get(id: LeaseId): AppliedLease | undefined;
  all(): Iterable<AppliedLease>;
  /** Grows with every grant, revoke and checkpoint, so that the expirer notices changes cheaply. */
  changes(): number;
}

export interface AppliedLease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** From the last checkpoint; 0 = none. */
  readonly remainingSeconds: number;
  readonly keys: ReadonlySet<string>;
}
