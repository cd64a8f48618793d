/**
 * Elections (Raft 5.2, 5.4.1; thesis 4.2.3 and 9.6): who may campaign, who gets a vote, who has won.
 *
 * A pre-vote asks for the next term without entering it, and is granted like a vote would be, but binds nobody. Only who
 * wins it raises the term, so a replica that comes back from a partition does not depose a working leader.
 */
import { assert } from '../../env/assert.ts';
import { wouldLostLogAgree } from './loss.ts';
import { hasUnappliedConfChange } from './membership.ts';
import { nobody, toTerm } from './numbers.ts';
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  drawPatience,
  type RaftState,
  send,
} from './state.ts';
import type { Message, ReplicaId } from './types.ts';
import { stopBeingPatient } from './witness.ts';

type VoteRequest = Message & { type: 'vote' | 'preVote' };
type VoteResponse = Message & { type: 'voteResp' | 'preVoteResp' };

/** Only a voter that knows the present membership and has its whole log may campaign. */
export function isPromotable(state: RaftState): boolean {
  return state.loss === undefined && state.tracker.isVoter(state.id) && !hasUnappliedConfChange(state);
}

/** One tick of anybody but the leader. */
export function tickElection(state: RaftState): void {
  assert(state.role !== 'leader', 'a leader does not wait for a leader');
  state.electionElapsed += 1;
  // Who may not campaign goes on counting: it must not take a leader for alive that it has not heard of for long.
  if (state.electionElapsed < state.electionTimeoutTicks || !isPromotable(state)) return;
  state.electionElapsed = 0;
  state.electionTimeoutTicks = drawPatience(state);
  campaign(state, state.config.preVote ? 'preElection' : 'election');
}

/**
 * The process that led has ended, as its connection tells: nobody need wait for its heartbeats to stay away. What was drawn
 * beyond the shortest time-out is still waited for, so that two seldom campaign at once. Should the leader be alive, only
 * its connection having broken, its next heartbeat puts it right; but a lease rests on others holding still, so with leases
 * nothing is gained.
 */
export function leaderHasEnded(state: RaftState, peer: ReplicaId): void {
  if (state.role !== 'follower' || state.leader !== peer) return;
  const { electionTicks, lease } = state.config;
  assert(state.electionTimeoutTicks >= electionTicks, 'an election time-out is at least electionTicks');
  if (lease === undefined) state.electionElapsed = Math.max(state.electionElapsed, electionTicks);
}

/** Starts an election. A transfer skips the pre-vote: the leader itself asked for it. */
export function campaign(state: RaftState, kind: 'preElection' | 'election' | 'transfer'): void {
  if (state.role === 'leader' || !isPromotable(state)) return;
  if (kind === 'preElection') becomePreCandidate(state);
  else becomeCandidate(state);
  for (const to of state.tracker.voters()) {
    if (to !== state.id) askForVote(state, to, kind);
  }
  // A pre-vote promises nothing, so the own one counts at once; the own vote counts when it is durable (persisted).
  if (kind === 'preElection') countVote(state, state.id, true);
}

function askForVote(state: RaftState, to: ReplicaId, kind: 'preElection' | 'election' | 'transfer'): void {
  assert(state.role === 'preCandidate' || state.role === 'candidate', 'only candidates ask for votes');
  const { lastIndex, lastTerm } = state.log;
  const request = { to, lastIndex, lastTerm, isTransfer: kind === 'transfer' };
  if (kind === 'preElection') send(state, { ...request, type: 'preVote', term: toTerm(state.term + 1) });
  else send(state, { ...request, type: 'vote' });
}

/** True when this replica has heard of a working leader within the shortest election time-out (thesis 4.2.3). */
export function isLeaderAlive(state: RaftState): boolean {
  const { checkQuorum, electionTicks, lease } = state.config;
  // Whom it heard of before it was started, it does not know; a leader may rest a lease on it.
  if (lease !== undefined && state.ticksSinceStart < electionTicks && hasMet(state)) return true;
  return checkQuorum && state.leader !== nobody && state.electionElapsed < electionTicks;
}

/** True unless this is the first election of a new cluster: then nobody can have a lease. */
function hasMet(state: RaftState): boolean {
  return state.hardStates.durable.term > 0;
}

/** Answers a request for a vote or a pre-vote. A learner answers too: it may be a voter in a membership it has not seen. */
export function handleVoteRequest(state: RaftState, message: VoteRequest): void {
  assert(message.type === 'preVote' || message.term === state.term, 'a vote is given in the present term');
  const isFree = state.vote === message.from || (state.vote === nobody && state.leader === nobody);
  const isForLaterTerm = message.type === 'preVote' && message.term > state.term;
  const { lastIndex, lastTerm } = message;
  const isUpToDate =
    state.log.isUpToDate(lastIndex, lastTerm) && wouldLostLogAgree(state.loss, { index: lastIndex, term: lastTerm });
  if (!isUpToDate) stopBeingPatient(state);
  const granted = (isFree || isForLaterTerm) && isUpToDate;
  const type = message.type === 'vote' ? 'voteResp' : 'preVoteResp';
  // A grant speaks of the term that was asked for; a refusal of the own one, so that who is behind catches up.
  const help = granted ? {} : committedHelp(state);
  send(state, { type, to: message.from, term: granted ? message.term : state.term, reject: !granted, ...help });
  if (!granted || message.type === 'preVote') return;
  state.electionElapsed = 0;
  state.vote = message.from;
}

/**
 * A refusal tells what is committed. Otherwise a cluster could wedge after a membership change: the only replica that
 * may still lead does not know that the change is committed, and those who know do not vote any more.
 */
function committedHelp({ log }: RaftState): Pick<VoteResponse, 'committed'> {
  const term = log.termAt(log.committed);
  return term === undefined || log.committed === 0 ? {} : { committed: { index: log.committed, term } };
}

/** What one replica committed, every replica that holds the same entry may commit: by log matching it is the same log. */
function learnCommitted({ log }: RaftState, committed: VoteResponse['committed']): void {
  if (committed !== undefined && log.matches(committed.index, committed.term)) log.commitTo(committed.index);
}

/** An answer to the election under way; any other answer is of an earlier one. */
export function handleVoteResponse(state: RaftState, message: VoteResponse): void {
  learnCommitted(state, message.committed);
  if (message.type !== (state.role === 'preCandidate' ? 'preVoteResp' : 'voteResp')) return;
  const termOfGrant = state.role === 'preCandidate' ? state.term + 1 : state.term;
  if (!message.reject && message.term !== termOfGrant) return;
  countVote(state, message.from, !message.reject);
}

/** The own vote reached the disk. */
export function countOwnDurableVote(state: RaftState): void {
  if (state.role !== 'candidate' || !state.hardStates.isVoteDurable(state.term, state.id)) return;
  countVote(state, state.id, true);
}

function countVote(state: RaftState, from: ReplicaId, granted: boolean): void {
  assert(state.role === 'preCandidate' || state.role === 'candidate', 'only candidates count votes');
  state.tracker.recordVote(from, granted);
  const result = state.tracker.voteResult();
  if (result === 'pending') return;
  if (result === 'lost') return becomeFollower(state, state.term, nobody);
  if (state.role === 'preCandidate') return campaign(state, 'election');
  becomeLeader(state);
}
