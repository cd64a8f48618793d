/**
 * The rules on terms that come before every role (Raft 5.1, thesis 4.2.3 and 9.6): does a message of another term change
 * this replica's, is it answered, or is it ignored?
 */
import { assert } from '../../env/assert.ts';
import { isLeaderAlive } from './election.ts';
import { nobody, noIndex, noTerm } from './numbers.ts';
import { becomeFollower, type RaftState, send } from './state.ts';
import type { Message } from './types.ts';

/** True when the role may look at the message: its term is now the present one (or it is a pre-vote's). */
export function admit(state: RaftState, message: Message): boolean {
  if (message.term > state.term) return admitLater(state, message);
  if (message.term < state.term) {
    answerEarlier(state, message);
    return false;
  }
  return true;
}

function admitLater(state: RaftState, message: Message): boolean {
  assert(message.term > state.term, 'the term is a later one');
  switch (message.type) {
    case 'vote':
      if (!message.isTransfer && isLeaderAlive(state)) return false;
      becomeFollower(state, message.term, nobody);
      return true;
    case 'preVote':
      // Speaks of a term nobody has entered: the answer does not change the own one.
      return message.isTransfer || !isLeaderAlive(state);
    case 'preVoteResp':
      // A grant repeats the term that was asked for. A refusal tells the voter's own.
      if (message.reject) becomeFollower(state, message.term, nobody);
      return true;
    case 'app':
    case 'heartbeat':
    case 'snap':
      becomeFollower(state, message.term, message.from);
      return true;
    default:
      becomeFollower(state, message.term, nobody);
      return true;
  }
}

/** Who is behind is told the present term, or could never catch up: it neither leads nor wins, and nobody else asks it. */
function answerEarlier(state: RaftState, message: Message): void {
  assert(message.term < state.term, 'the term is an earlier one');
  const to = message.from;
  switch (message.type) {
    case 'app':
    case 'heartbeat':
    case 'snap':
      send(state, { type: 'appResp', to, index: noIndex, reject: false, hintIndex: noIndex, hintTerm: noTerm });
      return;
    case 'vote':
      send(state, { type: 'voteResp', to, reject: true });
      return;
    case 'preVote':
      send(state, { type: 'preVoteResp', to, reject: true });
      return;
    default:
      // Answers and requests of an earlier term have lost their meaning.
      return;
  }
}
