/**
 * Leadership transfer (Raft thesis 3.10): the leader takes no more proposals, brings the chosen voter up to date and
 * tells it to campaign at once. If that did not happen within an election time-out, the leader goes on as before.
 */
import { assert } from '../../env/assert.ts';
import { forfeitLease } from './lease.ts';
import { nobody } from './numbers.ts';
import type { Progress } from './progress.ts';
import { type RaftState, send } from './state.ts';
import type { ReplicaId } from './types.ts';

/** A wish to move leadership to `to`, at the leader or at a follower that passes it on. */
export function requestTransfer(state: RaftState, to: ReplicaId): void {
  assert(to > 0, 'leadership goes to somebody');
  if (state.role === 'leader') return startTransfer(state, to);
  if (state.leader !== nobody) send(state, { type: 'transferLeader', to: state.leader, transferee: to });
}

/** Leader: begins, unless that makes no sense. A second wish for another voter replaces the first. */
export function startTransfer(state: RaftState, to: ReplicaId): void {
  assert(state.role === 'leader', 'only a leader can give leadership away');
  const progress = state.tracker.progressOf(to);
  if (to === state.id || to === state.transferee || progress === undefined) return;
  // A witness would only hand leadership on.
  if (!state.tracker.conf.voters.includes(to) || state.tracker.isWitness(to)) return;
  state.transferee = to;
  state.electionElapsed = 0;
  forfeitLease(state);
  if (progress.match === state.log.lastIndex) return maybeFinishTransfer(state, to, progress);
  progress.paused = false;
  state.isBroadcastWanted = true;
}

/** Leader: the transferee has everything, so it may campaign now. */
export function maybeFinishTransfer(state: RaftState, from: ReplicaId, progress: Progress): void {
  if (state.transferee === nobody || from !== state.transferee) return;
  assert(state.role === 'leader', 'only a leader transfers');
  if (progress.match === state.log.lastIndex) send(state, { type: 'timeoutNow', to: from });
}

/** Leader: an election time-out went by, or the transferee is no voter any more. Proposals are taken again. */
export function abortTransfer(state: RaftState): void {
  assert(state.role === 'leader', 'only a leader transfers');
  state.transferee = nobody;
}
