/**
 * What must be true of one replica at any time (checkState), and between two moments of it (checkTransition). Called
 * after every step of every test and simulation, as LogCabin does. What must be true across replicas (election
 * safety, log matching, …) needs all of them and is checked where all of them are known.
 */
import { assert } from '../../env/assert.ts';
import { checkLoss } from './loss.ts';
import { nobody } from './numbers.ts';
import type { RaftState } from './state.ts';
import type { Index, ReplicaId, Role, Term } from './types.ts';

/** One moment of one replica. */
export interface CoreView {
  readonly id: ReplicaId;
  readonly term: Term;
  readonly vote: ReplicaId;
  readonly role: Role;
  readonly leader: ReplicaId;
  readonly baseIndex: Index;
  readonly snapshotIndex: Index;
  readonly applied: Index;
  readonly handed: Index;
  readonly committed: Index;
  readonly durable: Index;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  readonly truncations: number;
  readonly readRoundLast: number;
  readonly match: ReadonlyMap<ReplicaId, Index>;
  /** How often this leader forgot what it knew of a follower that lost its log. */
  readonly forgotten: number;
}

/** A view for a later checkTransition. */
export function viewOf(state: RaftState): CoreView {
  const { id, term, vote, role, leader, log, tracker } = state;
  const match: Map<ReplicaId, Index> = new Map();
  let forgotten = 0;
  if (role === 'leader') {
    for (const to of tracker.members()) {
      match.set(to, tracker.progressOf(to)?.match ?? log.base.index);
      forgotten += tracker.progressOf(to)?.forgotten ?? 0;
    }
  }
  return {
    id,
    term,
    vote,
    role,
    leader,
    match,
    forgotten,
    baseIndex: log.base.index,
    snapshotIndex: log.snapshot.index,
    applied: log.applied,
    handed: log.handed,
    committed: log.committed,
    durable: log.unstable.durable,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    truncations: log.truncations,
    readRoundLast: state.reads.roundLast,
  };
}

/** Throws InvariantViolation when the state contradicts itself. */
export function checkState(state: RaftState): void {
  checkLog(state);
  checkRole(state);
  checkLoss(state);
  state.tracker.checkState();
  assert(state.electionTimeoutTicks >= state.config.electionTicks, 'an election time-out is at least electionTicks');
  // A witness waits once more, also one that has just been removed.
  const isFull = state.tracker.isVoter(state.id) && !state.tracker.isWitness(state.id);
  const timeoutMax = (isFull ? 2 : 3) * state.config.electionTicks;
  assert(state.electionTimeoutTicks < timeoutMax, () => `an election time-out is below ${timeoutMax}`);
  assert(state.tokenSyncLast <= state.tokenLast, 'synced tokens are tokens');
  assert(state.hardStates.durable.term <= state.term, 'the disk is not ahead of the memory');
}

function checkLog({ log, term }: RaftState): void {
  const { unstable } = log;
  assert(log.lastTerm <= term, () => `the last entry is of term ${log.lastTerm}, after the present term ${term}`);
  assert(log.applied <= log.handed, 'only what was handed out is applied');
  assert(log.handed <= log.committed, 'only what is committed is handed out');
  assert(log.committed <= log.lastIndex, 'what is committed is in the log');
  assert(unstable.durable <= unstable.submitted, 'what is durable was submitted');
  assert(unstable.submitted <= log.lastIndex, 'what was submitted is in the log');
  assert(log.base.index <= log.committed, 'what was compacted was committed');
  if (log.restoring !== 0) {
    assert(log.base.index === log.restoring, 'nothing is compacted during a restore');
    return;
  }
  assert(log.incoming === undefined, 'an incoming snapshot is being restored');
  assert(log.handed <= unstable.durable, 'only what is durable here is handed out');
  assert(log.snapshot.index <= log.applied, 'a snapshot holds what was applied');
  assert(log.base.index <= log.applied, 'what was compacted or trimmed was applied');
}

function checkRole(state: RaftState): void {
  const { role, leader, id, tracker, log, reads } = state;
  assert((role === 'leader') === (leader === id), () => `${id} is ${role} and follows ${leader}`);
  if (role === 'candidate') assert(state.vote === id, 'a candidate votes for itself');
  if (role === 'candidate' || role === 'preCandidate') assert(leader === nobody, 'a candidate knows no leader');
  if (role !== 'leader') {
    assert(reads.rounds.length + reads.waiting.length === 0, 'only a leader confirms reads');
    assert(state.transferee === nobody && state.handoverIndex === 0, 'only a leader gives leadership away');
    assert(state.uncommittedBytes === 0 && !state.isBroadcastWanted, 'only a leader replicates');
    return;
  }
  assert(tracker.isVoter(id) === (state.handoverIndex === 0), 'a leader without a vote hands over');
  assert(state.vote === id, 'a leader voted for itself');
  assert(state.hardStates.isVoteDurable(state.term, id), 'a leader was elected with a vote of its own that is on disk');
  assert(reads.forwarded.size === 0, 'a leader forwards no reads');
  const own = tracker.progressOf(id)?.match ?? log.unstable.durable;
  assert(own === log.unstable.durable, 'a leader counts for itself what is on its disk');
  for (const to of tracker.members()) tracker.progressOf(to)?.checkState(log.lastIndex);
  checkCommitted(state);
}

/** What a leader committed in its own term is held by a quorum. */
function checkCommitted({ tracker, log, term }: RaftState): void {
  assert(log.termAt(log.lastIndex) === term, 'a leader has an entry of its own term');
  const quorumIndex = tracker.matchedByQuorum();
  const isOwn = log.termAt(quorumIndex) === term;
  assert(!isOwn || quorumIndex <= log.committed, 'an entry of the own term that a quorum holds is committed');
}

/** Throws InvariantViolation when `after` cannot follow `before` in the life of one process. */
export function checkTransition(before: CoreView, after: CoreView): void {
  assert(after.id === before.id, 'a replica keeps its id');
  assert(after.term >= before.term, () => `term went back from ${before.term} to ${after.term}`);
  for (const pointer of ['baseIndex', 'snapshotIndex', 'applied', 'handed', 'committed', 'readRoundLast'] as const) {
    assert(
      after[pointer] >= before[pointer],
      () => `${pointer} went back from ${before[pointer]} to ${after[pointer]}`,
    );
  }
  assert(after.lastIndex >= before.committed, 'committed entries stay');
  if (after.term === before.term) checkSameTerm(before, after);
  if (after.term > before.term) assert(after.role !== 'leader' || after.vote === after.id, 'a leader voted for itself');
}

function checkSameTerm(before: CoreView, after: CoreView): void {
  assert(
    before.vote === nobody || after.vote === before.vote,
    () => `a second vote: ${before.vote}, then ${after.vote}`,
  );
  const isOneLeader = before.leader === nobody || after.leader === nobody || after.leader === before.leader;
  assert(isOneLeader, () => `two leaders in term ${after.term}: ${before.leader} and ${after.leader}`);
  if (before.role !== 'leader') {
    const isElected = after.role !== 'leader' || before.role === 'candidate' || before.role === 'preCandidate';
    assert(isElected || before.role === 'follower', 'a leader was a candidate');
    return;
  }
  assert(after.role === 'leader' || after.role === 'follower', 'a leader of a term can only step down in it');
  assert(after.truncations === before.truncations || after.role !== 'leader', 'a leader never cuts its log');
  assert(after.role !== 'leader' || after.lastIndex >= before.lastIndex, 'a leader only appends');
  if (after.role !== 'leader') return;
  if (after.forgotten !== before.forgotten) return;
  for (const [id, match] of before.match) {
    const now = after.match.get(id);
    assert(now === undefined || now >= match || match === 0, () => `match of ${id} went back from ${match} to ${now}`);
  }
}
