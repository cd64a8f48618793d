/**
 * What a follower does with what the leader of its term sends: append, heartbeat, snapshot. Whoever calls here has made
 * sure that the message is of the present term.
 */
import { assert } from '../../env/assert.ts';
import { campaign } from './election.ts';
import { endLossAt } from './loss.ts';
import { maxIndex, minIndex, nobody, noIndex, noTerm, toTerm } from './numbers.ts';
import { handleReadIndexResp } from './read-index.ts';
import { type RaftState, send } from './state.ts';
import type { Index, Message, ReplicaId } from './types.ts';
import { learnHeld } from './witness.ts';

/** A follower's row of the table of messages. */
export function stepFollower(state: RaftState, message: Message): void {
  assert(state.role === 'follower' && message.term >= state.term, 'a follower steps messages of its term');
  switch (message.type) {
    case 'app':
      heardFromLeader(state, message.from);
      return handleAppend(state, message);
    case 'heartbeat':
      heardFromLeader(state, message.from);
      return handleHeartbeat(state, message);
    case 'snap':
      heardFromLeader(state, message.from);
      return handleSnapshot(state, message);
    case 'timeoutNow':
      return campaign(state, 'transfer');
    case 'readIndexResp':
      return handleReadIndexResp(state, message);
    case 'prop':
    case 'readIndex':
    case 'transferLeader':
      // Meant for the leader of this term, which this replica is not or no longer is. Whoever asked gives up in time.
      return;
    case 'appResp':
    case 'heartbeatResp':
    case 'voteResp':
    case 'preVoteResp':
      // Answers to what this replica was before it followed.
      return;
    case 'vote':
    case 'preVote':
      assert(false, 'requests for votes are answered before roles are looked at');
  }
}

/** One leader per term (Raft 5.2): a second one would be a broken election. */
function heardFromLeader(state: RaftState, leader: ReplicaId): void {
  assert(
    state.leader === nobody || state.leader === leader,
    () => `two leaders in term ${state.term}: ${state.leader} and ${leader}`,
  );
  state.leader = leader;
  state.electionElapsed = 0;
}

function handleAppend(state: RaftState, message: Message & { type: 'app' }): void {
  const { log } = state;
  // Without a membership the log cannot be understood: only a snapshot can begin it.
  if (!state.tracker.hasVoters()) return refuse(state, message, noIndex, noTerm);
  // An old message: everything committed is equal to the leader's already.
  if (message.prevIndex < log.committed) return acknowledge(state, message.from, log.committed);
  const lastNew = log.maybeAppend(message);
  if (lastNew === undefined) {
    if (state.loss !== undefined) return confessLoss(state, message.from);
    const hint = log.agreementHint(message.prevIndex, message.prevTerm);
    return refuse(state, message, hint.index, hint.term);
  }
  // What follows `lastNew` in this log may differ from the leader's, so the commit index ends there.
  log.commitTo(minIndex(message.commit, lastNew));
  learnHeld(state, message.held);
  endLossAt(state, lastNew);
  acknowledge(state, message.from, lastNew);
}

function handleHeartbeat(state: RaftState, message: Message & { type: 'heartbeat' }): void {
  if (state.loss === undefined) {
    // The leader never names more than this replica acknowledged, so the entry is there and is the leader's.
    state.log.commitTo(message.commit);
  } else if (!state.loss.isAppendUnderWay) confessLoss(state, message.from);
  if (state.loss !== undefined) state.loss.isAppendUnderWay = false;
  learnHeld(state, message.held);
  send(state, { type: 'heartbeatResp', to: message.from, readContext: message.readContext });
}

function handleSnapshot(state: RaftState, message: Message & { type: 'snap' }): void {
  const { log } = state;
  const { snapshot } = message;
  const { confState } = snapshot;
  assert(
    confState.witnesses?.includes(state.id) || !confState.witnesses?.includes(message.from),
    () => `${message.from} is a witness, so its snapshot has no state: only another witness may take it`,
  );
  // Installing what is behind the commit index would take committed entries back.
  if (snapshot.index <= log.committed) return acknowledge(state, message.from, log.committed);
  if (log.matches(snapshot.index, snapshot.term)) {
    log.commitTo(snapshot.index);
    endLossAt(state, snapshot.index);
    return acknowledge(state, message.from, log.committed);
  }
  log.restore(snapshot);
  state.tracker.changeTo(confState, log.lastIndex);
  endLossAt(state, snapshot.index);
  acknowledge(state, message.from, log.lastIndex);
}

function acknowledge(state: RaftState, to: ReplicaId, index: Index): void {
  assert(index <= state.log.lastIndex, 'only what is in the log is acknowledged');
  send(state, { type: 'appResp', to, index, reject: false, hintIndex: noIndex, hintTerm: noTerm });
}

/**
 * The leader may believe that this log is longer than it is now, and an ordinary refusal below what it believes means
 * nothing to it. While appends come no heartbeat is answered so, or the leader would begin anew all the time.
 */
function confessLoss(state: RaftState, to: ReplicaId): void {
  assert(state.loss !== undefined, 'only who lost something says so');
  const hintIndex = state.log.lastIndex;
  // Not 0, by which a newcomer is known; before the first entry the term does not matter.
  const hintTerm = state.log.lastTerm === noTerm ? toTerm(1) : state.log.lastTerm;
  send(state, { type: 'appResp', to, index: noIndex, reject: true, hintIndex, hintTerm });
}

function refuse(state: RaftState, message: Message & { type: 'app' }, hintIndex: Index, hintTerm: typeof noTerm): void {
  assert(maxIndex(hintIndex, message.prevIndex) === message.prevIndex, 'a hint is not after what was refused');
  const { from: to, prevIndex: index } = message;
  send(state, { type: 'appResp', to, index, reject: true, hintIndex, hintTerm });
}
