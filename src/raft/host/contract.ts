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
  EntryKind,
  Index,
  Message,
  ProposeResult,
  RaftConfig,
  RaftCore,
  RaftStatus,
  ReplicaId,
  SnapshotMeta,
  SoftState,
  Term,
} from '../core/types.ts';

/** What is replicated. `apply` is synchronous and deterministic: same entries, same state, on every member. */
export interface StateMachine {
  /** Highest index whose effect the state holds. 0 for a state machine that keeps nothing over a restart. */
  appliedIndex(): Index;
  /** Normal entries in order, the empty ones of new leaders included. Afterwards appliedIndex() is the last one's index. */
  apply(entries: readonly Entry[]): void;
  /**
   * Called in order with `apply` for confChange entries; afterwards appliedIndex() is the entry's index. Returns false
   * to veto the change (it becomes a no-op). A change without steps leaves a joint configuration and must be taken.
   */
  applyConfChange(entry: Entry, change: ConfChange): boolean;
  /**
   * Asked at a start when the process ended after the last applied entry, a change, and before its outcome was noted: whether
   * the state, which holds this entry and nothing after, took it. Absent: it is taken when it fits the membership.
   */
  wasChangeTaken?(change: ConfChange): boolean;
  /**
   * Asked at a start when damage took entries from the log that the state holds: whether `confState` is the membership that
   * came of them. Absent: it is taken for it.
   */
  holdsMembership?(confState: ConfState): boolean;
  /**
   * Whether an entry that another member proposes could be applied; `data` is the context of a confChange. Absent: any
   * could. What cannot is not taken into the log, where it would stop every member.
   */
  understands?(kind: EntryKind, data: Uint8Array): boolean;
  /** Told a received snapshot's content as it comes; either call throws a KeelsonError when it is not whole. Absent: it is believed. */
  snapshotCheck?(): { push(chunk: Uint8Array): void; finish(): void };
  /** Called after the core took a change over, after a snapshot was restored, and once at start. */
  membershipChanged(confState: ConfState): void;
  /**
   * A consistent copy of the state at `appliedIndex()` as of the call (not as of the first pull, which an async generator
   * alone would give); chunks are pulled later, while applying goes on. A chunk may have any size, and `restore` gets
   * the same bytes cut elsewhere.
   */
  snapshot(): AsyncIterable<Uint8Array>;
  /**
   * Who the members are at `appliedIndex()` as of the call, as content of a snapshot for a witness (core/witness.ts), which
   * keeps nothing else. Absent: there are no witnesses.
   */
  membershipSnapshot?(): AsyncIterable<Uint8Array>;
  /**
   * Replaces the whole state by a snapshot's content; afterwards appliedIndex() is `meta.index`. When it is cut off by a
   * crash, appliedIndex() must say so at the next start (an index below `meta.index`): the host then restores again.
   */
  restore(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Highest index that the state machine's own disk holds durably; the log is only trimmed up to it (see DESIGN: a synced batch). */
  durableIndex(): Index;
}

/** Carries messages between members; loses, delays and reorders as networks do. */
export interface PeerTransport {
  start(handlers: TransportHandlers): void;
  /** Fire and forget. Never blocks; drops when a peer's queue is full and reports it unreachable. */
  send(messages: readonly Message[]): void;
  /** Writes at once what was sent in this turn, rather than at its end. Absent where sending does not wait for the end. */
  flush?(): void;
  /**
   * Streams a snapshot: the `snap` message, then the content, without what the peer says it has already. Resolves when
   * the peer has it all, rejects otherwise. Each chunk is valid until the next one is asked for.
   */
  sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Where members are. Called whenever membership or addresses change. `urls` are peer URLs. */
  setPeers(peers: ReadonlyMap<ReplicaId, readonly string[]>): void;
  /**
   * Who may speak: the key each member is known by, and who was removed. Messages from anybody with another key, and from
   * who was removed, are refused, and the sender is told why.
   */
  setIdentities?(known: PeerIdentities): void;
  /**
   * Monotonic time since which messages to `peer` can leave; undefined when they cannot. Absent on a network that has no
   * connections.
   */
  connectedSinceMs?(peer: ReplicaId): number | undefined;
  close(): Promise<void>;
}

export interface PeerIdentities {
  /** Members whose key is not known yet are absent: they are believed. */
  readonly keys: ReadonlyMap<ReplicaId, string>;
  readonly removed: ReadonlySet<ReplicaId>;
}

/** `otherKey`: this member's id belongs to another data directory. `removed`: it belongs to nobody any more. */
export type RefusedAs = 'otherKey' | 'removed';

export interface TransportHandlers {
  message(message: Message): void;
  unreachable(peer: ReplicaId): void;
  /** The peer’s connection to this member is closed, as when its process has ended. */
  ended?(peer: ReplicaId): void;
  /** A peer does not take this member for who it says it is. It never will again: ids and keys are used once. */
  refused?(peer: ReplicaId, as: RefusedAs): void;
  /** Bytes of this snapshot's content that an earlier stream from this sender left here: the next one begins after them. */
  snapshotStaged?(message: Message & { type: 'snap' }): number;
  /**
   * A snapshot arrives, from the place on that `snapshotStaged` named. The handler stores the chunks, then steps the
   * message; rejects to make the sender try again.
   */
  snapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

/**
 * How a member comes to life; both are in start-raft-node.ts and resolve once the state machine holds the newest snapshot,
 * the transport is started and the loop runs:
 *
 *   bootstrapRaftNode(options, { clusterId, confState })   a member of a new cluster: `confState` has all its voters, the
 *                                                          same on every one of them
 *   bootstrapRaftNode(options, { clusterId })              a member that joins: it knows nobody until the leader, which
 *                                                          has added it, sends a snapshot
 *   startRaftNode(options, { clusterId? })                 from an existing data directory
 *
 * `raftDataExists(disk, directory)` chooses between them, `readRaftIdentity(disk, directory)` tells who the data belongs to.
 */
export interface RaftNodeOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  readonly raft: Omit<RaftConfig, 'random' | 'lease'>;
  /**
   * Linearizable reads of a leader without a round trip, by lease: for machines whose clocks differ by less than a fifth
   * in speed. The same on every member. Default: off.
   */
  readonly leaseReads?: boolean;
  readonly directory: string;
  readonly tickMs: number;
  /** A Raft snapshot is taken every so many applied entries. */
  readonly snapshotEntries: number;
  /** … if they were at least so many bytes of log; usually none. */
  readonly snapshotLogBytes?: number;
  /** Entries kept behind a snapshot for slow followers. */
  readonly catchUpEntries: number;
  readonly segmentBytes: number;
  /** The only voter of a cluster goes on without entries that damage took (WalOptions.acceptLoss). */
  readonly acceptLoss?: boolean;
  /** The snapshot that the state machine was read from, whole (WalOptions.wholeSnapshot). */
  readonly wholeSnapshot?: Pick<SnapshotMeta, 'index' | 'term'>;
  /** Called when the log finds the disk full (WalOptions.giveSpace). */
  readonly giveSpace?: () => Promise<boolean>;
  readonly transport: PeerTransport;
  readonly stateMachine: StateMachine;
  /** Shows the core to whoever checks it from outside: the simulator after every event. */
  readonly onCore?: (core: RaftCore) => void;
  /** The others refuse this member (TransportHandlers.refused). */
  readonly onRefused?: (as: RefusedAs) => void;
  readonly onSoftState: (state: SoftState) => void;
  /** Disk failure or broken invariant: the process must stop with this error. */
  readonly onFatal: (error: Error) => void;
}

/** A running member. Made by `startRaftNode` (an existing data directory) or `bootstrapRaftNode` (a new one). */
export interface RaftNode {
  /** Synchronous; `data` must not be changed afterwards. The outcome is seen when the state machine applies the entry. */
  propose(data: Uint8Array): ProposeResult;
  proposeConfChange(change: ConfChange): ProposeResult;
  /** Resolves with the index once the state machine has applied it. Rejects with KeelsonError `NO_LEADER`, `LEADER_CHANGED`, `STOPPED` or the signal's reason. */
  readIndex(signal?: AbortSignal): Promise<Index>;
  transferLeader(to: ReplicaId): void;
  campaign(): void;
  status(): RaftStatus;
  /** The current term: cheap, unlike `status`. */
  term(): Term;
  /** Membership in force. */
  confState(): ConfState;
  /** Counters for metrics, monotonic. */
  counters(): Readonly<Record<RaftCounter, number>>;
  /** Closes the transport and the log. Open reads reject with `STOPPED`. */
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
  | 'messagesReceived'
  | 'messagesRefused';
