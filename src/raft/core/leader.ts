/**
 * What a leader does: a tick, and a row of the table of messages. Replication, reads, proposals and transfers have files
 * of their own.
 */
import { assert } from '../../env/assert.ts';
import { nobody } from './numbers.ts';
import { propose } from './proposal.ts';
import { answerRound, broadcastHeartbeat, enqueueRead, maybeOpenRound, openRoundForLease } from './read-index.ts';
import { handleAppendResp, resumeAfterHeartbeat } from './replicate.ts';
import { becomeFollower, type RaftState } from './state.ts';
import { abortTransfer, startTransfer } from './transfer.ts';
import type { Message, ReplicaId } from './types.ts';
import { maybeHandToFullVoter } from './witness.ts';

/** Heartbeats, and once per election time-out the question whether a quorum is still there. */
export function tickLeader(state: RaftState): void {
  assert(state.role === 'leader', 'only a leader beats');
  state.electionElapsed += 1;
  state.heartbeatElapsed += 1;
  if (state.electionElapsed >= state.config.electionTicks) {
    state.electionElapsed = 0;
    if (state.config.checkQuorum && !keepsQuorum(state)) return becomeFollower(state, state.term, nobody);
    if (state.transferee !== nobody) abortTransfer(state);
  }
  if (state.heartbeatElapsed < state.config.heartbeatTicks) return;
  state.heartbeatElapsed = 0;
  // A round that the network lost does not hold up the reads behind it: they get a newer one.
  const roundBefore = state.reads.roundLast;
  maybeOpenRound(state);
  if (state.reads.roundLast === roundBefore) openRoundForLease(state);
  if (state.reads.roundLast === roundBefore) broadcastHeartbeat(state);
}

/** A leader that hears of no quorum makes room (thesis 6.2): without this, stickiness would protect it for ever. */
function keepsQuorum(state: RaftState): boolean {
  const isActive = state.tracker.isQuorumActive(state.id);
  state.tracker.forgetActivity();
  return isActive;
}

/** A leader's row of the table of messages. */
export function stepLeader(state: RaftState, message: Message): void {
  const isOwnTerm = message.term === state.term || message.type === 'preVoteResp';
  assert(state.role === 'leader' && isOwnTerm, 'a leader steps messages of its term');
  switch (message.type) {
    case 'appResp':
    case 'heartbeatResp':
      return stepResponse(state, message);
    case 'prop':
      return stepProposal(state, message);
    case 'readIndex':
      return enqueueRead(state, { from: message.from, context: message.context });
    case 'transferLeader':
      return startTransfer(state, message.transferee);
    case 'app':
    case 'heartbeat':
    case 'snap':
      assert(false, () => `${message.from} leads in term ${state.term}, but so does ${state.id}`);
      return;
    case 'timeoutNow':
    case 'readIndexResp':
    case 'voteResp':
    case 'preVoteResp':
      // Late answers to the election that was won, or to what this replica asked as a follower.
      return;
    case 'vote':
    case 'preVote':
      assert(false, 'requests for votes are answered before roles are looked at');
  }
}

/** Refusals are not sent back: the one who forwarded gives up after its own time, or proposes again in a newer term. */
function stepProposal(state: RaftState, message: Message & { type: 'prop' }): void {
  const result = propose(state, message.entries);
  const isAsAccepted = result.kind === 'dropped' || result.term === message.term;
  assert(isAsAccepted, () => `a proposal accepted in term ${message.term} became an entry of term ${state.term}`);
}

/** Answers of followers count only while they are members. */
function stepResponse(state: RaftState, message: Message & { type: 'appResp' | 'heartbeatResp' }): void {
  const from: ReplicaId = message.from;
  const progress = state.tracker.progressOf(from);
  if (progress === undefined) return;
  assert(from !== state.id, 'a leader does not answer itself');
  if (message.type === 'appResp') {
    handleAppendResp(state, progress, message);
    return maybeHandToFullVoter(state, from);
  }
  resumeAfterHeartbeat(state, from, progress);
  answerRound(state, from, message.readContext);
  maybeHandToFullVoter(state, from);
}
