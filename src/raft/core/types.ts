/**
 * What goes into the Raft core and what comes out. The core is pure and synchronous: ticks, messages and requests go
 * in, a Ready comes out, and the host carries it out.
 *
 *            tick, step, propose, readIndex, …                     Ready
 *   host ────────────────────────────────────────▶  RaftCore  ───────────────▶  host: WAL, transport, state machine
 *            persisted(token), applied(index), snapshotPersisted
 *
 * What the host owes for one Ready (any order but for these rules):
 *  1. `persist` goes to the WAL in the order of its tokens; once durable, `persisted(token)` is called.
 *  2. `messages` may leave at once: they promise nothing that is not already durable.
 *  3. `messagesAfterPersist` (vote requests, votes, append acknowledgements, answers to pre-votes) come sealed: opening them
 *     needs the Durable proof that only the WAL's sync hands out (src/raft/wal/durable.ts).
 *  4. `committed` entries are applied in order, then `applied(index)` is called. They are committed by a durable quorum
 *     and durable here as well.
 *  5. `persist.snapshot` replaces log and state machine as one step; then `persisted(token)` and
 *     `applied(snapshot.index)`. No committed entries are handed out between a snapshot and its `applied`.
 *
 * The sealing rule: a Ready's sealed messages carry the newest token whose record had `mustSync` (the one of this Ready
 * or, when nothing needs a sync, an earlier one). Term, vote, entries and snapshot all travel in such records, so
 * everything a message promises is covered. When that token is durable already, the host opens the seal at once with
 * the last proof it holds. Before the first record of a process there is no token: the first Ready with sealed
 * messages then always has a `persist` (of an unchanged hard state if need be) with `mustSync`.
 * Vote requests are sealed too: a candidate that forgot its term and log may not collect grants given to the old ones.
 *
 * Bootstrap: every first member of a new cluster starts from `snapshot` {index 0, term 0, confState: the first voters},
 * hard state zero and no entries. Whoever joins later starts with an empty confState; it takes no entries before it has
 * received a snapshot, because only a snapshot tells it the membership that the log changes.
 *
 * Names follow etcd's raft and the Raft thesis. All numbers are below 2^53 and asserted.
 */

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A Raft term. 0 = before any election. */
export type Term = Brand<number, 'Term'>;
/** Position in the log, from 1. 0 = before the first entry. */
export type Index = Brand<number, 'Index'>;
/** A member of the Raft group, 1 … 2^53-1. 0 = nobody. */
export type ReplicaId = Brand<number, 'ReplicaId'>;
/** Grows with every Ready that has something to persist. */
export type PersistToken = Brand<number, 'PersistToken'>;

/** `normal`: bytes for the state machine (empty = a new leader's no-op). `confChange`: an encoded ConfChange. */
export type EntryKind = 'normal' | 'confChange';

export interface Entry {
  readonly term: Term;
  readonly index: Index;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** Written as one record, always before any reply that depends on it. `commit` is never beyond what is durable here. */
export interface HardState {
  readonly term: Term;
  /** The candidate voted for in `term`; 0 = none. */
  readonly vote: ReplicaId;
  /** Highest index known committed. Only a hint after a restart: it may lag. */
  readonly commit: Index;
}

/** Membership. `votersOutgoing` is empty outside joint consensus. */
export interface ConfState {
  readonly voters: readonly ReplicaId[];
  readonly votersOutgoing: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly ReplicaId[];
  readonly autoLeave: boolean;
  /** Those of the voters, in either half, that keep no state (witness.ts). Absent when there are none. */
  readonly witnesses?: readonly ReplicaId[];
}

export interface SnapshotMeta {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
}

export type ConfChangeStep =
  | { readonly kind: 'addVoter'; readonly replica: ReplicaId }
  /** A voter without state. It stays one until it is removed. */
  | { readonly kind: 'addWitness'; readonly replica: ReplicaId }
  | { readonly kind: 'addLearner'; readonly replica: ReplicaId }
  | { readonly kind: 'remove'; readonly replica: ReplicaId };

/** No steps = leave the joint configuration. `context` is opaque to Raft (the store keeps member data in it). */
export interface ConfChange {
  readonly steps: readonly ConfChangeStep[];
  readonly context: Uint8Array;
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface SoftState {
  readonly role: Role;
  /** 0 = unknown. */
  readonly leader: ReplicaId;
}

interface Addressed {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: Term;
}

/** Everything that travels between replicas. `snap` carries only the meta data; the transport streams the content. */
export type Message =
  | (Addressed & {
      readonly type: 'app';
      /** Index and term of the entry before `entries`. */
      readonly prevIndex: Index;
      readonly prevTerm: Term;
      readonly entries: readonly Entry[];
      readonly commit: Index;
      /** To a witness: every full voter holds the entries up to here, so it need not keep them. Absent: not known. */
      readonly held?: Index;
    })
  | (Addressed & {
      readonly type: 'appResp';
      /**
       * Accepted: the last index now equal to the leader's. Rejected: the `prevIndex` that did not match. Index 0, which
       * always matches, is rejected by two: who knows no membership yet (hintTerm 0) needs a snapshot; who lost entries it
       * had acknowledged (hintTerm above 0, the log's end in the hint) wants the leader to forget what it believed.
       */
      readonly index: Index;
      readonly reject: boolean;
      /** Rejected: the highest index at which the logs may agree, and the follower's term there. */
      readonly hintIndex: Index;
      readonly hintTerm: Term;
    })
  | (Addressed & {
      readonly type: 'heartbeat';
      readonly commit: Index;
      readonly readContext: number;
      /** As in `app`. */
      readonly held?: Index;
    })
  | (Addressed & { readonly type: 'heartbeatResp'; readonly readContext: number })
  | (Addressed & {
      readonly type: 'vote' | 'preVote';
      readonly lastIndex: Index;
      readonly lastTerm: Term;
      /** A leadership transfer: the voter's stickiness to a live leader does not apply. */
      readonly isTransfer: boolean;
    })
  | (Addressed & {
      readonly type: 'voteResp' | 'preVoteResp';
      readonly reject: boolean;
      /**
       * Refused: an entry the voter knows to be committed. A candidate that holds it commits up to it, which may be what
       * it lacks to learn that the membership has changed. Only a help: absent, it must be learned in another way.
       */
      readonly committed?: { readonly index: Index; readonly term: Term };
    })
  /** To a witness the content is only who the members are, as of the leader's `applied`. */
  | (Addressed & { readonly type: 'snap'; readonly snapshot: SnapshotMeta })
  | (Addressed & { readonly type: 'timeoutNow' })
  | (Addressed & { readonly type: 'prop'; readonly entries: readonly ProposedEntry[] })
  | (Addressed & { readonly type: 'readIndex'; readonly context: number })
  | (Addressed & { readonly type: 'readIndexResp'; readonly context: number; readonly index: Index })
  | (Addressed & { readonly type: 'transferLeader'; readonly transferee: ReplicaId });

export type MessageType = Message['type'];

export interface ProposedEntry {
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** A read may be served once the state machine has applied `index`. `context` is what readIndex() was given. */
export interface ReadState {
  readonly context: number;
  readonly index: Index;
}

/**
 * Messages that must not leave before `token` is durable. Only `openSealed` in src/raft/wal/durable.ts takes them out,
 * against a Durable proof whose token is at least as high.
 */
export interface Sealed {
  readonly token: PersistToken;
  /** @internal read through openSealed */
  readonly sealedMessages: readonly Message[];
}

export interface Persist {
  readonly token: PersistToken;
  /** Absent when unchanged. */
  readonly hardState?: HardState;
  /** May begin at or before the last index that was persisted: everything from there on is replaced. */
  readonly entries: readonly Entry[];
  /** A snapshot that was received and accepted; its content is already in a file. Replaces the whole log. */
  readonly snapshot?: SnapshotMeta;
  /** False when only `commit` changed: such a record need not be synced by itself, and no seal waits for it. */
  readonly mustSync: boolean;
}

export interface Ready {
  readonly softState?: SoftState;
  readonly persist?: Persist;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist?: Sealed;
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Reads that cannot be answered (leadership lost, no leader): the caller's promise is rejected and may be retried. */
  readonly droppedReads: readonly number[];
  /**
   * A follower needs a snapshot and none has been taken yet: the host takes one now, without waiting for its usual
   * interval, and calls `compactLog`. Repeated until then.
   */
  readonly snapshotWanted?: boolean;
}

export interface RaftConfig {
  readonly id: ReplicaId;
  /** Ticks without a leader before an election; the real time-out is drawn from [electionTicks, 2·electionTicks). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Unacknowledged append messages per follower. */
  readonly inflightMessagesMax: number;
  /** Bytes of entries in one append message (one entry always fits). */
  readonly messageBytesMax: number;
  /** Bytes of uncommitted entries a leader takes before it refuses proposals. */
  readonly uncommittedBytesMax: number;
  /** Of entries that a witness keeps for full voters that lack them; default witnessLogBytesDefault. */
  readonly witnessLogBytesMax?: number;
  /** Reads by lease (lease.ts); needs preVote and checkQuorum, on every member alike. Absent: off. */
  readonly lease?: {
    /** Below the shortest election time-out by what the members' clocks may differ. */
    readonly durationMs: number;
    /** A monotonic clock that goes on while the process stands still. */
    readonly nowMs: () => number;
  };
  /** An integer in [0, bound): the only randomness the core sees. */
  readonly random: (bound: number) => number;
}

/** What the WAL gave back at start. */
export interface RestoredState {
  readonly hardState: HardState;
  /**
   * The snapshot the log begins after. Index 0 for a log that begins at 1: then confState holds the voters the cluster
   * was bootstrapped with (the same at every restart), or nobody for a member that joins.
   */
  readonly snapshot: SnapshotMeta;
  /** Contiguous from snapshot.index + 1. */
  readonly entries: readonly Entry[];
  /** What the state machine already holds; at least snapshot.index. Membership entries up to it are replayed from the log. */
  readonly applied: Index;
  /**
   * Membership as of `applied`, when the state machine keeps it (last argument of `membershipChanged`). A host whose
   * state machine vetoes changes must give it: the log alone does not say which changes were vetoed.
   */
  readonly appliedConfState?: ConfState;
  /**
   * This member's log lost entries up to here that it may have acknowledged, as far as it knows: the log found at this
   * start ends before. Until the log reaches this index again, by what a leader sends, the replica does not campaign and
   * votes only as the lost log would have (loss.ts). Given at every start until then; ignored once the log reaches it.
   * `hardState` must be the newest that was ever durable: without it the member must join as a new one.
   */
  readonly lostUpTo?: Index;
  /** Highest term that may occur in the lost entries. Default: the one of `hardState`, which grows while others hold elections. */
  readonly lostTerm?: Term;
}

export type ProposeResult =
  /** Appended to this leader's log, or forwarded to the leader when `index` is absent. */
  | { readonly kind: 'accepted'; readonly index?: Index; readonly term: Term }
  /** `noLeader`: retry later. `transferring`: leadership is moving. `tooMuchUncommitted`: back off.
   *  `confChangePending`: one membership change at a time. `notReady`: no own-term commit yet.
   *  `invalidChange`: the membership change contradicts the current one (would leave no voter, leaves what is not joint).
   *  `removed`: this replica is no member. */
  | {
      readonly kind: 'dropped';
      readonly reason:
        | 'noLeader'
        | 'transferring'
        | 'tooMuchUncommitted'
        | 'confChangePending'
        | 'notReady'
        | 'invalidChange'
        | 'removed';
    };

export interface PeerProgress {
  readonly match: Index;
  readonly next: Index;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly isLearner: boolean;
  /** A voter without state; absent otherwise. */
  readonly isWitness?: boolean;
  /** Heard of since the last check of the quorum or in the election time-out before it. */
  readonly recentActive: boolean;
}

export interface RaftStatus {
  readonly id: ReplicaId;
  readonly term: Term;
  readonly vote: ReplicaId;
  readonly role: Role;
  readonly leader: ReplicaId;
  readonly committed: Index;
  readonly applied: Index;
  readonly firstIndex: Index;
  readonly lastIndex: Index;
  readonly confState: ConfState;
  readonly transferee: ReplicaId;
  /** This replica's log lost entries up to here and does not have them again yet; absent when nothing is missing. */
  readonly lostUpTo?: Index;
  /** Only on a leader. */
  readonly progress: ReadonlyMap<ReplicaId, PeerProgress>;
}

/** What a message from outside is held against before it is stepped: cheap to take, unlike a whole status. */
export interface Standing {
  readonly term: Term;
  readonly role: Role;
  /** 0 = unknown. */
  readonly leader: ReplicaId;
  readonly committed: Index;
  readonly lastIndex: Index;
  /** Damage took entries from the log that it does not have again yet. */
  readonly hasLost: boolean;
  /** A leader's newest round of reads. */
  readonly readRoundLast: number;
}

/** The core as the host and the simulator see it; implemented by `Raft` in raft.ts. */
export interface RaftCore {
  tick(): void;
  step(message: Message): void;
  campaign(): void;
  propose(data: Uint8Array): ProposeResult;
  proposeConfChange(change: ConfChange): ProposeResult;
  /**
   * Asks for a linearizable read point; answered in a later Ready by readStates or droppedReads (at the latest after
   * an election time-out on a follower). `context` is positive and never used again by this replica's process.
   */
  readIndex(context: number): void;
  transferLeader(to: ReplicaId): void;
  /** The transport could not reach `peer`: stop pipelining to it. */
  reportUnreachable(peer: ReplicaId): void;
  /** The process of `peer` has ended, or its connection was broken: whom it led need not wait to miss its heartbeats. */
  reportEnded(peer: ReplicaId): void;
  /** A snapshot stream to `peer` ended. Owed for every `snap` message: until then nothing else is sent to the peer. */
  reportSnapshot(peer: ReplicaId, outcome: 'delivered' | 'failed'): void;
  hasReady(): boolean;
  /** Takes what there is to do. Never blocks on an earlier Ready: several may be in flight, tokens order them. */
  takeReady(): Ready;
  /** Everything up to and including `token` is durable. */
  persisted(token: PersistToken): void;
  applied(index: Index): void;
  /**
   * Called by the host when a committed confChange entry is applied; returns the membership from now on.
   * The store may veto (its own validation failed): then `change` is undefined and the entry counts as a no-op.
   * Owed once for every confChange entry in `committed`, before `applied` of its index.
   */
  applyConfChange(change: ConfChange | undefined): ConfState;
  /** Drops entries up to `index` from memory; a snapshot at or after it must exist. */
  compactLog(snapshot: SnapshotMeta, upTo: Index): void;
  /**
   * Drops entries up to `upTo` from memory that the state machine's own disk holds. A follower that needs one of them is
   * sent a snapshot; when the newest is older than that, a new one is asked for by `snapshotWanted`. Keeps the newest
   * `keepEntries` and no more than `keepBytes` of them.
   */
  trimLog(upTo: Index, keep: { readonly entries: number; readonly bytes: number }): void;
  status(): RaftStatus;
  /** The current term, for callers to whom a whole status would cost too much. */
  term(): Term;
  /**
   * Where a snapshot of this replica may stand, so that the log before it can go: at what is applied; a witness keeps
   * what others lack, and its state is the same from there to what is applied. Undefined: nothing can go.
   */
  compactionPoint(): { readonly index: Index; readonly term: Term } | undefined;
  standing(): Standing;
  /** Throws InvariantViolation when the state contradicts itself. Cheap enough for every test step. */
  checkState(): void;
}
