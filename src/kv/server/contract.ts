/**
 * One member of the store as its protocol faces see it. Everything a client may ask for is here, as values; the faces
 * (src/kv/rpc) only translate. Every method that takes time rejects with KvError, and nothing is answered before it is
 * durable on a quorum, committed and applied here.
 *
 * `from` says who asks. Methods without it are for root or for everybody: the faces owe `auth.requireRoot` or
 * `auth.requireUser` before they call those that etcd guards.
 */
import type { Clock } from '../../env/clock.ts';
import type { RaftNode, RaftStatus, SoftState } from '../../raft/index.ts';
import type {
  AlarmType,
  Bytes,
  DeleteRangeRequest,
  KeyValue,
  KvErrorCode,
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
import type { AutopilotStatus } from './autopilot.ts';
import type { AuthServer, From } from './auth-contract.ts';
import type { StoreHash } from './corruption.ts';
import type { StoreTimings } from './timings.ts';
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

/** `--compaction-batch-limit` and `--compaction-sleep-interval`: in which steps, and how far apart, compacted revisions go. */
export interface Cleaning {
  readonly writesMax: number;
  readonly pauseMs: number;
}

/** A result and the store's revision that belongs to it. */
export type AtRevision<T> = T & { readonly revision: number };

export interface KvServer {
  readonly clusterId: number;
  readonly memberId: number;
  readonly clock: Clock;
  readonly limits: KvServerLimits;
  readonly electionMs: number;
  readonly auth: AuthServer;

  range(request: RangeRequest, from?: From): Promise<AtRevision<RangeResult>>;
  put(request: PutRequest, from?: From): Promise<AtRevision<{ readonly prevKv?: KeyValue }>>;
  deleteRange(
    request: DeleteRangeRequest,
    from?: From,
  ): Promise<AtRevision<{ readonly deleted: number; readonly prevKvs: readonly KeyValue[] }>>;
  txn(request: TxnRequest, from?: From): Promise<AtRevision<TxnResult>>;
  /** `isPhysical`: resolves once the space has been given back here. */
  compact(revision: number, isPhysical: boolean, from?: From): Promise<AtRevision<object>>;
  /** The caller has asked `watchRefusal` first. */
  watch(request: WatchRequest, sink: WatchSink): Watcher;
  /** Why `from` may not watch; a promise when that takes a look at the log. */
  watchRefusal(request: WatchRequest, from?: From): KvErrorCode | undefined | Promise<KvErrorCode | undefined>;

  leaseGrant(
    id: LeaseId,
    ttlSeconds: number,
    from?: From,
  ): Promise<AtRevision<{ readonly id: LeaseId; readonly ttlSeconds: number }>>;
  leaseRevoke(id: LeaseId, from?: From): Promise<AtRevision<object>>;
  /** Seconds from now, 0 when the lease is gone. */
  leaseKeepAlive(id: LeaseId, signal: AbortSignal, from?: From): Promise<number>;
  leaseTimeToLive(id: LeaseId, withKeys: boolean, signal: AbortSignal, from?: From): Promise<LeaseRemaining>;
  leases(from?: From): Promise<readonly LeaseId[]>;

  members(isLinearizable: boolean): Promise<readonly Member[]>;
  memberAdd(
    peerUrls: readonly string[],
    isLearner: boolean,
  ): Promise<{ readonly member: Member; readonly members: readonly Member[] }>;
  memberRemove(id: number): Promise<readonly Member[]>;
  memberUpdate(id: number, peerUrls: readonly string[]): Promise<readonly Member[]>;
  memberPromote(id: number, signal: AbortSignal): Promise<readonly Member[]>;
  /** Takes somebody in as a new learner, in place of the member it was; the leader does it. Resolves with its id. */
  memberJoin(request: MemberJoin): Promise<number>;
  /** Clusters that this one was made out of after they were lost. */
  succeeds(): Promise<readonly number[]>;
  /** A member has moved and has signed that it did. */
  memberMove(request: MemberMove): Promise<void>;

  alarms(): readonly Alarm[];
  setAlarm(action: 'activate' | 'deactivate', memberId: number, alarm: AlarmType): Promise<readonly Alarm[]>;
  moveLeader(to: number): Promise<void>;
  defragment(): Promise<void>;
  hashKv(
    revision: number,
  ): Promise<{ readonly hash: number; readonly compactRevision: number; readonly revision: number }>;
  /** What this member has at a revision, for another one that compares. Rejects with KvError when it cannot say. */
  peerHash(revision: number): Promise<StoreHash & { readonly headRevision: number }>;
  /** This member's state as of the call, as an etcd snapshot file. The caller closes it. */
  snapshot(): Promise<StoreSnapshot>;
  /** What every answer's header carries; cheap. */
  position(): {
    readonly revision: number;
    readonly term: number;
    readonly leader: number;
    readonly isLearner: boolean;
    /** Votes and keeps no data: requests about data are not for it. */
    readonly isWitness: boolean;
  };
  status(): KvStatus;
  /** A linearizable read of nothing: proves that a quorum answers. */
  checkQuorum(timeoutMs: number): Promise<void>;
  counters(): KvCounters;
  timings(): StoreTimings;
  /** Calls `listener` whenever role or leader change; the returned function ends that. */
  onSoftState(listener: (state: SoftState) => void): () => void;
}

export interface MemberJoin {
  readonly peerUrls: readonly string[];
  /** Public key; asking again with the same one is answered with the same member. */
  readonly key: string;
  /** Who it was before; 0 = unknown. */
  readonly replaces: number;
  /** As a witness, which votes at once; otherwise as a learner. */
  readonly isWitness?: boolean;
}

export interface MemberMove {
  readonly memberId: number;
  readonly peerUrls: readonly string[];
  /** Of `addressText`. */
  readonly signature: string;
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
  /** Those that have not been told everything yet. */
  readonly slowWatchers: number;
  /** Handed to watchers since the start. */
  readonly eventsSent: number;
  readonly bytesOnDisk: number;
  readonly bytesInUse: number;
  readonly quotaBytes: number;
  readonly alarms: readonly Alarm[];
  readonly isStopping: boolean;
  readonly hasAutopilot: boolean;
  /** Only on a leader whose autopilot is on. */
  readonly autopilot?: AutopilotStatus;
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
