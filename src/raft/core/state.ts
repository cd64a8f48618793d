/**
 * All that one replica knows, in one value, and the changes of role. The other files of this folder are functions over
 * it, one file per concern; raft.ts only decides which of them is called.
 *
 *                 time-out             quorum of pre-votes         quorum of votes
 *     follower ─────────────▶ preCandidate ─────────▶ candidate ─────────────▶ leader
 *        ▲                        │                       │                      │
 *        └────────────────────────┴───────────────────────┴──────────────────────┘
 *                  higher term, live leader, vote lost, no quorum heard of, removed
 *
 * Without preVote, and on a leadership transfer, a follower becomes a candidate directly.
 */
import { assert } from '../../env/assert.ts';
import type { HardStateTracker } from './hard-state.ts';
import { entryBytes, type RaftLog } from './log.ts';
import { noIndex, nobody, toIndex, toTerm } from './numbers.ts';
import type { Outbox } from './outbox.ts';
import type { ReadQueue } from './read-queue.ts';
import type { Tracker } from './tracker.ts';
import type { Entry, Index, Message, PersistToken, RaftConfig, ReplicaId, Role, SoftState, Term } from './types.ts';

/** Entries that damage took from the log (loss.ts). */
export interface Loss {
  /** The last entry that this replica may have acknowledged. */
  readonly upTo: Index;
  /** No lost entry is of a later term, and nothing was acknowledged in a later one. */
  readonly term: Term;
  /** An append arrived since the last heartbeat: the leader knows where this log ends, or finds out. */
  isAppendUnderWay: boolean;
}

export interface RaftState {
  readonly config: RaftConfig;
  readonly id: ReplicaId;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly outbox: Outbox;
  readonly reads: ReadQueue;
  readonly hardStates: HardStateTracker;

  /** Never goes back. */
  term: Term;
  /** Given at most once in a term; never cleared within it. */
  vote: ReplicaId;
  role: Role;
  /** The leader of `term`, once known; never another one in the same term. */
  leader: ReplicaId;

  /** Entries that this replica may have acknowledged and does not have; undefined as a rule. */
  loss: Loss | undefined;

  /** Ticks since the leader was heard of, or since this leader last checked its quorum. */
  electionElapsed: number;
  heartbeatElapsed: number;
  /** Drawn anew on every change of role, so that rivals do not stay in step. */
  electionTimeoutTicks: number;

  /** Leader: who is to take over; 0 = nobody. Proposals are refused meanwhile. */
  transferee: ReplicaId;
  /** Leader: no membership change is taken before everything up to here is applied. */
  pendingConfIndex: Index;
  /** Leader that is no voter any more: steps down once this entry, committed without it, is applied; 0 = it is a voter. */
  handoverIndex: Index;
  /** Leader: size of the entries it has not committed. */
  uncommittedBytes: number;
  /** Leader: appends go out with the next Ready, so that proposals of one batch share messages. */
  isBroadcastWanted: boolean;
  /** Leader: a follower needs a snapshot and there is none. */
  isSnapshotWanted: boolean;

  /** Leader: reads need no round before; only with `config.lease`. */
  leaseUntilMs: number;
  /** Leader: a transfer was begun in this term. */
  isLeaseForfeited: boolean;
  /** Witness: every full voter holds the entries up to here, as was learned since the start, or they were too many bytes. */
  droppable: Index;

  /** Ticks since this replica was started, up to an election time-out. */
  ticksSinceStart: number;

  /** Indexes of confChange entries handed out whose applyConfChange is still owed, in order. */
  confChangesOwed: Index[];
  softStateTaken: SoftState;
  tokenLast: PersistToken;
  /** Newest token whose record must be synced: what sealed messages wait for. */
  tokenSyncLast: PersistToken;
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
export type Outgoing = DistributiveOmit<Message, 'from' | 'term'> & { readonly term?: Term };

/** Sends under the present term, unless the message names another one (pre-votes speak of the next term). */
export function send(state: RaftState, message: Outgoing): void {
  state.outbox.send({ ...message, from: state.id, term: message.term ?? state.term } as Message);
}

/** Into `term` (or again into the present one) as a follower of `leader`, which may be unknown. */
export function becomeFollower(state: RaftState, term: Term, leader: ReplicaId): void {
  assert(term >= state.term, 'terms never go back');
  reset(state, term);
  state.role = 'follower';
  state.leader = leader;
}

/** Asks whether an election could be won, without disturbing anybody: neither term nor vote change. */
export function becomePreCandidate(state: RaftState): void {
  assert(state.role !== 'leader', 'a leader does not campaign');
  reset(state, state.term);
  state.role = 'preCandidate';
}

/** Into the next term with a vote for itself. */
export function becomeCandidate(state: RaftState): void {
  assert(state.role !== 'leader', 'a leader does not campaign');
  reset(state, toTerm(state.term + 1));
  state.role = 'candidate';
  state.vote = state.id;
}

/** Won. The no-op of the new term makes earlier entries committable (Raft 5.4.2) and reads possible (8). */
export function becomeLeader(state: RaftState): void {
  assert(state.role === 'candidate', 'a leader was elected');
  assert(state.vote === state.id, 'a leader voted for itself');
  reset(state, state.term);
  state.role = 'leader';
  state.leader = state.id;
  // The log may hold a membership change that is not applied yet: none is taken until all of it is.
  state.pendingConfIndex = state.log.lastIndex;
  for (const entry of uncommittedEntries(state)) state.uncommittedBytes += entryBytes(entry);
  const own = state.tracker.progressOf(state.id);
  assert(own !== undefined, 'a leader is a member');
  own.match = state.log.unstable.durable;
  appendOwn(state, [{ kind: 'normal', data: new Uint8Array(0) }]);
}

/** A leader's append to its own log. It counts for the quorum once it is durable here (`persisted`), not before. */
export function appendOwn(state: RaftState, proposed: readonly Pick<Entry, 'kind' | 'data'>[]): void {
  assert(state.role === 'leader', 'only a leader appends its own entries');
  assert(
    !state.tracker.isWitness(state.id) || proposed.every(({ data }) => data.byteLength === 0),
    'a witness proposes nothing but the empty entry of its term',
  );
  const first = state.log.lastIndex + 1;
  const entries = proposed.map(({ kind, data }, at) => ({ term: state.term, index: toIndex(first + at), kind, data }));
  state.log.append(entries);
  for (const entry of entries) state.uncommittedBytes += entryBytes(entry);
  const own = state.tracker.progressOf(state.id);
  if (own !== undefined) own.next = toIndex(state.log.lastIndex + 1);
  state.isBroadcastWanted = true;
}

/** True once an entry of the present term is committed: only then does a leader know what is committed. */
export function hasCommittedInTerm(state: RaftState): boolean {
  return state.log.termAt(state.log.committed) === state.term;
}

function uncommittedEntries(state: RaftState): readonly Entry[] {
  return state.log.slice(toIndex(state.log.committed + 1), state.log.lastIndex);
}

function reset(state: RaftState, term: Term): void {
  if (term !== state.term) {
    state.term = term;
    state.vote = nobody;
  }
  state.leader = nobody;
  state.electionElapsed = 0;
  state.heartbeatElapsed = 0;
  state.electionTimeoutTicks = drawPatience(state);
  state.transferee = nobody;
  state.pendingConfIndex = noIndex;
  state.handoverIndex = noIndex;
  state.uncommittedBytes = 0;
  state.isBroadcastWanted = false;
  state.isSnapshotWanted = false;
  state.leaseUntilMs = Number.NEGATIVE_INFINITY;
  state.isLeaseForfeited = false;
  state.tracker.resetVotes();
  state.tracker.resetProgress(state.log.lastIndex);
  state.reads.dropAll(state.outbox, state.id);
}

/** A witness lets every full voter's time-out go by first. */
export function drawPatience({ config, tracker, id }: Pick<RaftState, 'config' | 'tracker' | 'id'>): number {
  return drawElectionTimeout(config) + (tracker.isWitness(id) ? config.electionTicks : 0);
}

/** From [electionTicks, 2·electionTicks), so that split votes end (Raft 5.2). */
export function drawElectionTimeout(config: RaftConfig): number {
  const extra = config.random(config.electionTicks);
  assert(Number.isInteger(extra) && extra >= 0 && extra < config.electionTicks, 'random(bound) is in [0, bound)');
  return config.electionTicks + extra;
}
