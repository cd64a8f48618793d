/**
 * Witnesses: voters that keep term, vote and log, and no state. With two full voters a witness on a tiny machine makes a
 * cluster of three, of which any one may be lost.
 *
 *   it votes and acknowledges as every voter does, so what it promises rests on its log
 *   it waits longer before it campaigns: a full voter that can win goes first. Only when it has refused a candidate for a
 *     log that is too short does it wait no longer than others: perhaps nobody else holds what was committed
 *   as a leader it commits the empty entry of its term, takes no proposals, sends the others what they lack and hands
 *     leadership to the first full voter that has everything
 *   it drops entries once every full voter holds them (the leader tells it: `held`), or when they are too many bytes
 *   it is sent index, term and membership instead of a snapshot, and sends nobody but other witnesses any
 *
 * No membership has more witnesses than full voters: whatever is committed, somebody who keeps state holds it.
 * A witness never becomes anything else, and nobody becomes one: it is added as one, and removed.
 */
import { assert } from '../../env/assert.ts';
import type { LogPoint } from './log.ts';
import { maxIndex, minIndex, nobody, noIndex, toIndex } from './numbers.ts';
import type { Progress } from './progress.ts';
import { drawElectionTimeout, hasCommittedInTerm, type RaftState, send } from './state.ts';
import { startTransfer } from './transfer.ts';
import type { Index, ReplicaId, SnapshotMeta } from './types.ts';

/**
 * Of entries that some full voter lacks. They are in memory, and the machine is a small one. A full voter that was away for
 * more than these is brought up by the other full voters, with a snapshot.
 */
export const witnessLogBytesDefault = 64 * 1024 * 1024;

/** Whether this replica is a witness, as far as it knows the membership. */
export function isWitness({ tracker, id }: RaftState): boolean {
  return tracker.isWitness(id);
}

/** Leader: every full voter holds the committed entries up to here. 0 while it has not heard of all of them. */
export function heldByFullVoters({ tracker, log }: RaftState): Index {
  let held = log.committed;
  for (const id of tracker.voters()) {
    if (!tracker.isWitness(id)) held = minIndex(held, tracker.progressOf(id)?.match ?? noIndex);
  }
  assert(held <= log.committed, 'what is not committed may still be replaced');
  return held;
}

/** What the leader adds to a message to a witness. */
export function heldFor(state: RaftState, to: ReplicaId): { readonly held?: Index } {
  if (!state.tracker.isWitness(to)) return {};
  const held = heldByFullVoters(state);
  return held > 0 ? { held } : {};
}

/** Nobody needs entries up to `held` from this replica; undefined = nothing is known. */
export function learnHeld(state: RaftState, held: Index | undefined): void {
  if (held === undefined) return;
  state.droppable = maxIndex(state.droppable, held);
}

/**
 * The entry up to which this replica may put its log aside: what it has applied; for a witness only what it need not keep
 * for others, and not before a membership change that its newest membership already holds. Undefined: nothing yet.
 */
export function compactionPoint(state: RaftState): LogPoint | undefined {
  const { log } = state;
  const index = isWitness(state) ? droppableByWitness(state) : log.applied;
  const term = log.termAt(index);
  assert(index <= log.applied, 'what is put aside is applied');
  if (index === 0 || term === undefined || log.restoring !== 0) return undefined;
  if (!isWitness(state)) return { index, term };
  const later = log.slice(toIndex(index + 1), log.handed);
  return later.some((entry) => entry.kind === 'confChange') ? undefined : { index, term };
}

/** Witness: no entry after this one may be dropped. */
export function droppableByWitness(state: RaftState): Index {
  assert(isWitness(state), 'only a witness keeps entries for others');
  const { log, config } = state;
  if (state.role === 'leader') learnHeld(state, heldByFullVoters(state));
  // What may go once may go ever after, also when the end of the log was cut off meanwhile.
  learnHeld(state, log.indexBefore(config.witnessLogBytesMax ?? witnessLogBytesDefault));
  return minIndex(log.applied, state.droppable);
}

/**
 * Leader: a witness that lacks compacted entries is told where the log stands and who belongs to it. There is no content: the
 * host adds the addresses of the members as of `applied`.
 */
export function sendStanding(state: RaftState, to: ReplicaId, progress: Progress): void {
  const { log, tracker } = state;
  assert(tracker.isWitness(to), 'whoever keeps state needs more');
  const term = log.termAt(log.applied);
  if (log.applied === 0 || term === undefined || state.confChangesOwed.length > 0) return;
  const snapshot: SnapshotMeta = { index: log.applied, term, confState: tracker.conf };
  send(state, { type: 'snap', to, snapshot });
  progress.becomeSnapshot(snapshot.index);
}

/** Witness that leads: somebody with state who has everything takes over at once. */
export function maybeHandToFullVoter(state: RaftState, from: ReplicaId): void {
  if (state.role !== 'leader' || !isWitness(state) || state.transferee !== nobody) return;
  const { tracker, log } = state;
  if (tracker.isWitness(from) || !tracker.conf.voters.includes(from)) return;
  if (tracker.progressOf(from)?.match !== log.lastIndex || !hasCommittedInTerm(state)) return;
  startTransfer(state, from);
  assert(state.transferee === from, 'a full voter that has everything can take over');
}

/** A candidate was refused because its log is shorter than this one: nobody else may have what is in it. */
export function stopBeingPatient(state: RaftState): void {
  if (!isWitness(state) || state.role === 'leader') return;
  state.electionTimeoutTicks = drawElectionTimeout(state.config);
}
