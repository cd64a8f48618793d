/**
 * One member of the store as its protocol faces see it. Everything a client may ask for is here, as values; the faces
 * (src/kv/rpc) only translate. Every method that takes time rejects with KvError, and nothing is answered before it is
 * durable on a quorum, committed and applied here.
 */
import type { Clock } from '../../env/clock.ts';
import type { RaftNode, RaftStatus, SoftState } from '../../raft/index.ts';
import type {
  AlarmType,
  Bytes,
  DeleteRangeRequest,
  KeyValue,
  LeaseId,
  Member,
  PutRequest,
  RangeRequest,
  RangeResult,
  TxnRequest,
  TxnResult,
  WatchRequest,
} from '../api.ts';
import type { Watcher, WatchSink } from '../mvcc/contract.ts';
import type { StoreSnapshot } from '../snapshot/exporter.ts';

export interface KvServerLimits {
  /** Encoded bytes of one writing request. */
  readonly requestBytesMax: number;
  readonly txnOpsMax: number;
  readonly learnersMax: number;
  /** Bytes on disk above which writes raise the NOSPACE alarm; 0 = no quota. */
  readonly quotaBytes: number;
}

/** `--auto-compaction-mode` and `--auto-compaction-retention`; `retention` 0 = off. */
export type AutoCompaction =
  | { readonly mode: 'periodic'; readonly retentionMs: number }
  | { readonly mode: 'revision'; readonly retentionRevisions: number };

/** A result and the store's revision that belongs to it. */
export type AtRevision<T> = T & { readonly revision: number };

export interface KvServer {
  readonly clusterId: number;
  readonly memberId: number;
  readonly clock: Clock;
  readonly limits: KvServerLimits;
  readonly electionMs: number;

  range(request: RangeRequest): Promise<AtRevision<RangeResult>>;
  put(request: PutRequest): Promise<AtRevision<{ readonly prevKv?: KeyValue }>>;
  deleteRange(
    request: DeleteRangeRequest,
  ): Promise<AtRevision<{ readonly deleted: number; readonly prevKvs: readonly KeyValue[] }>>;
  txn(request: TxnRequest): Promise<AtRevision<TxnResult>>;
  /** `isPhysical`: resolves once the space has been given back here. */
  compact(revision: number, isPhysical: boolean): Promise<AtRevision<object>>;
  watch(request: WatchRequest, sink: WatchSink): Watcher;

  leaseGrant(
    id: LeaseId,
    ttlSeconds: number,
  ): Promise<AtRevision<{ readonly id: LeaseId; readonly ttlSeconds: number }>>;
  leaseRevoke(id: LeaseId): Promise<AtRevision<object>>;
  /** Seconds from now, 0 when the lease is gone. */
  leaseKeepAlive(id: LeaseId, signal: AbortSignal): Promise<number>;
  leaseTimeToLive(id: LeaseId, withKeys: boolean, signal: AbortSignal): Promise<LeaseRemaining>;
  leases(): Promise<readonly LeaseId[]>;

  members(isLinearizable: boolean): Promise<readonly Member[]>;
  memberAdd(
    peerUrls: readonly string[],
    isLearner: boolean,
  ): Promise<{ readonly member: Member; readonly members: readonly Member[] }>;
  memberRemove(id: number): Promise<readonly Member[]>;
  memberUpdate(id: number, peerUrls: readonly string[]): Promise<readonly Member[]>;
  memberPromote(id: number, signal: AbortSignal): Promise<readonly Member[]>;

  alarms(): readonly Alarm[];
  setAlarm(action: 'activate' | 'deactivate', memberId: number, alarm: AlarmType): Promise<readonly Alarm[]>;
  moveLeader(to: number): Promise<void>;
  defragment(): Promise<void>;
  hashKv(
    revision: number,
  ): Promise<{ readonly hash: number; readonly compactRevision: number; readonly revision: number }>;
  /** This member's state as of the call, as an etcd snapshot file. The caller closes it. */
  snapshot(): Promise<StoreSnapshot>;
  /** What every answer's header carries; cheap. */
  position(): {
    readonly revision: number;
    readonly term: number;
    readonly leader: number;
    readonly isLearner: boolean;
  };
  status(): KvStatus;
  /** A linearizable read of nothing: proves that a quorum answers. */
  checkQuorum(timeoutMs: number): Promise<void>;
  counters(): KvCounters;
  /** Calls `listener` whenever role or leader change; the returned function ends that. */
  onSoftState(listener: (state: SoftState) => void): () => void;
}

export interface Alarm {
  readonly memberId: number;
  readonly alarm: AlarmType;
}

export interface LeaseRemaining {
  /** -1 when the lease does not exist. */
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  readonly keys: readonly Bytes[];
}

export interface KvStatus {
  readonly version: string;
  readonly clusterVersion: string;
  readonly raft: RaftStatus;
  /** Raft term as answers carry it. */
  readonly term: number;
  /** 0 = none. */
  readonly leader: number;
  readonly isLearner: boolean;
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  readonly watchers: number;
  readonly bytesOnDisk: number;
  readonly bytesInUse: number;
  readonly quotaBytes: number;
  readonly alarms: readonly Alarm[];
  readonly isStopping: boolean;
}

export interface KvCounters {
  readonly raft: ReturnType<RaftNode['counters']>;
  readonly proposalsFailed: number;
  readonly proposalsPending: number;
  readonly leasesGranted: number;
  readonly leasesRevoked: number;
  readonly leasesExpired: number;
  readonly puts: number;
  readonly deletes: number;
  readonly ranges: number;
  readonly txns: number;
}
