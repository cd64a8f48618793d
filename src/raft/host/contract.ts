/**
 * The host's contract: the loop that turns Ready into disk writes, messages and applied entries. It owns one RaftCore,
 * one Wal, one PeerTransport and one StateMachine, and runs unchanged in the simulator (all it sees of the world comes
 * through these and through Env).
 */
import type { Env } from '../../env/env.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  Index,
  Message,
  ProposeResult,
  RaftConfig,
  RaftStatus,
  ReplicaId,
  SnapshotMeta,
  SoftState,
} from '../core/types.ts';

/** What is replicated. `apply` is synchronous and deterministic: same entries, same state, on every member. */
export interface StateMachine {
  /** Highest index whose effect the state holds. */
  appliedIndex(): Index;
  apply(entries: readonly Entry[]): void;
  /** Called in order with `apply` for confChange entries. Returns false to veto the change (it becomes a no-op). */
  applyConfChange(entry: Entry, change: ConfChange): boolean;
  /** Called after the core took the change over. */
  membershipChanged(confState: ConfState): void;
  /** A consistent copy of the state at `appliedIndex()` as of the call; chunks are pulled later, while applying goes on. */
  snapshot(): AsyncIterable<Uint8Array>;
  /** Replaces the whole state by a snapshot's content. */
  restore(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Highest index that the state machine's own disk holds durably; the log is only trimmed up to it (see DESIGN: a synced batch). */
  durableIndex(): Index;
}

/** Carries messages between members; loses, delays and reorders as networks do. */
export interface PeerTransport {
  start(handlers: TransportHandlers): void;
  /** Fire and forget. Never blocks; drops when a peer's queue is full and reports it unreachable. */
  send(messages: readonly Message[]): void;
  /** Streams a snapshot: the `snap` message, then the content. Resolves when the peer has it all, rejects otherwise. */
  sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Where members are. Called whenever membership or addresses change. `urls` are peer URLs. */
  setPeers(peers: ReadonlyMap<ReplicaId, readonly string[]>): void;
  close(): Promise<void>;
}

export interface TransportHandlers {
  message(message: Message): void;
  unreachable(peer: ReplicaId): void;
  /** A snapshot arrives. The handler stores the chunks, then steps the message; rejects to make the sender try again. */
  snapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

export interface RaftNodeOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  readonly raft: Omit<RaftConfig, 'random'>;
  readonly directory: string;
  readonly tickMs: number;
  /** A Raft snapshot is taken every so many applied entries. */
  readonly snapshotEntries: number;
  /** Entries kept behind a snapshot for slow followers. */
  readonly catchUpEntries: number;
  readonly segmentBytes: number;
  readonly transport: PeerTransport;
  readonly stateMachine: StateMachine;
  readonly onSoftState: (state: SoftState) => void;
  /** Disk failure or broken invariant: the process must stop with this error. */
  readonly onFatal: (error: Error) => void;
}

/** A running member. Made by `startRaftNode` (an existing data directory) or `bootstrapRaftNode` (a new one). */
export interface RaftNode {
  /** Synchronous; the outcome is seen when the state machine applies the entry. */
  propose(data: Uint8Array): ProposeResult;
  proposeConfChange(change: ConfChange): ProposeResult;
  /** Resolves with the index once the state machine has applied it. Rejects with KeelsonError `NO_LEADER`, `LEADER_CHANGED`, `STOPPED` or the signal's reason. */
  readIndex(signal?: AbortSignal): Promise<Index>;
  transferLeader(to: ReplicaId): void;
  campaign(): void;
  status(): RaftStatus;
  /** Counters for metrics, monotonic. */
  counters(): Readonly<Record<RaftCounter, number>>;
  stop(): Promise<void>;
}

export type RaftCounter =
  | 'proposalsAccepted'
  | 'proposalsDropped'
  | 'proposalsApplied'
  | 'leaderChanges'
  | 'walSyncs'
  | 'walBytes'
  | 'snapshotsTaken'
  | 'snapshotsSent'
  | 'snapshotsReceived'
  | 'readIndexes'
  | 'messagesSent'
  | 'messagesReceived';
