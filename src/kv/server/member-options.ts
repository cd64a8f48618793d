/** What a member is made of and for: all that it sees of the world, and what its owner gets of it. */
import type { Env } from '../../env/env.ts';
import type { PeerTransport, RaftNode, RaftNodeOptions } from '../../raft/index.ts';
import type { Backend } from '../backend/contract.ts';
import type { BeginningOptions } from './beginning.ts';
import type { AutoCompaction, Cleaning, KvServerLimits } from './contract.ts';
import type { LeaderProxy } from './lease-keeper.ts';
import type { StoreServer } from './server.ts';
import type { AuthOptions, KvServerOptions } from './server-options.ts';
import type { TellMove } from './whereabouts.ts';

export interface MemberIdentity {
  readonly clusterId: number;
  readonly memberId: number;
  /** Public key of the data directory, told to every peer. */
  readonly key: string;
}

/**
 * `removed`: from the cluster. `otherKey`: its id belongs to another data directory, so this one was wiped. `succeeded`: its
 * cluster was given up for lost and goes on as another one.
 */
export type GoneBecause = 'removed' | 'otherKey' | 'succeeded';

export interface MemberOptions extends BeginningOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  /** Of Raft's log and snapshots, when it lies apart from the data. */
  readonly logDirectory?: string;
  readonly clientUrls: readonly string[];
  /** Absent: a member that has moved waits until somebody else says so. */
  readonly tellMove?: TellMove;
  readonly limits: KvServerLimits;
  readonly compaction: AutoCompaction;
  /** Absent: some milliseconds of work at a time. */
  readonly cleaning?: Cleaning;
  readonly isStrictReconfiguration: boolean;
  /** How long a member must have been connected to count as healthy when the membership changes; usually 5 s. */
  readonly healthyAfterMs?: number;
  /** How often the leader writes down what remains of leases, when not the usual five minutes. */
  readonly leaseCheckpointEveryMs?: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly preVote: boolean;
  readonly snapshotEntries: number;
  /** Entries between two syncs of the backend, when not the usual ones: the simulation syncs, and so trims its log, often. */
  readonly syncEntries?: number;
  readonly catchUpEntries: number;
  readonly openBackend: (path: string) => Promise<Backend>;
  readonly makeTransport: (identity: MemberIdentity) => Promise<PeerTransport>;
  readonly proxy: LeaderProxy;
  readonly auth: AuthOptions;
  /** Called when the server exists and before Raft runs: the time to listen for clients. */
  readonly onServer: (server: StoreServer) => Promise<void>;
  /** Instead of the usual ones; the simulation makes them tiny, so that rare orders of messages become common. */
  readonly raftLimits?: Pick<RaftNodeOptions['raft'], 'inflightMessagesMax' | 'messageBytesMax'>;
  readonly onCore?: RaftNodeOptions['onCore'];
  /** Reads of the leader by lease; the same on every member. Default: off. */
  readonly leaseReads?: boolean;
  /** Starts although the log is damaged: entries that cannot be read again are given up. */
  readonly acceptLoss?: boolean;
  /** Starts as the only member of a new cluster, with the data that is here. */
  readonly forceNewCluster?: boolean;
  /** An entry that takes longer to apply is logged; absent: none is. */
  readonly slowApplyMs?: number;
  /** Absent: off. */
  readonly autopilot?: { readonly deadServerAfterMs: number; readonly stableAfterMs?: number };
  /** When the data is compared with the other members', and how they are asked. Absent: never. */
  readonly corruption?: NonNullable<KvServerOptions['corruption']>;
  /** The others do not know this member any more; called once. `abandonIdentity` makes room for a new one. */
  readonly onRemoved: (because: GoneBecause) => void;
  readonly onFatal: (error: Error) => void;
}

export interface RunningMember {
  readonly server: StoreServer;
  readonly raft: RaftNode;
  readonly isNew: boolean;
  /** Hands leadership on, then stops everything. */
  stop(): Promise<void>;
}
