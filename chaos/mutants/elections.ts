/** Planted bugs: Who leads: votes, terms and time-outs. */
import type { Mutant } from './mutant.ts';

export const elections: readonly Mutant[] = [
  {
    name: 'quorum-one-short',
    story: 'Half of the voters counts as a majority: both halves of a partition elect a leader.',
    file: 'src/raft/core/quorum.ts',
    find: 'return Math.floor(voterCount / 2) + 1;',
    replace: 'return Math.max(1, Math.floor(voterCount / 2));',
  },
  {
    name: 'vote-for-a-shorter-log',
    story: 'A vote is given without comparing logs: a leader without the committed entries is elected.',
    file: 'src/raft/core/log.ts',
    find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    replace: 'return lastIndex >= 0 && lastTerm >= 0;',
  },
  {
    name: 'vote-by-length-only',
    story: 'Logs are compared by length, not by the last term first.',
    file: 'src/raft/core/log.ts',
    find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    replace: 'return lastIndex >= this.lastIndex;',
    profile: 'elections',
  },
  {
    name: 'vote-twice',
    story: 'A second candidate of the same term gets a vote as well.',
    file: 'src/raft/core/election.ts',
    find: 'const isFree = state.vote === message.from || (state.vote === nobody && state.leader === nobody);',
    replace: 'const isFree = true;',
  },
  {
    name: 'deaf-leader-stays',
    story:
      'A leader that hears nobody does not make room: all follow its heartbeats, and nothing is ever committed again.',
    file: 'src/raft/core/leader.ts',
    find: 'if (state.config.checkQuorum && !keepsQuorum(state)) return becomeFollower(state, state.term, nobody);',
    replace: 'if (state.config.checkQuorum) keepsQuorum(state);',
    profile: 'liveness',
  },
  {
    name: 'vote-forgotten-in-the-term',
    story: 'Whoever steps down forgets in the same term whom it voted for (found in CCF in 2026).',
    file: 'src/raft/core/state.ts',
    find: `  if (term !== state.term) {
    state.term = term;
    state.vote = nobody;
  }`,
    replace: `  state.term = term;
  state.vote = nobody;`,
  },
  {
    name: 'votes-counted-twice',
    story: 'A repeated answer counts as a second vote.',
    file: 'src/raft/core/quorum.ts',
    find: '    if (vote === true) granted += 1;',
    replace: '    if (vote === true) granted += 1 + (granted > 0 ? 1 : 0);',
  },
  {
    name: 'votes-of-strangers',
    story: 'A pre-vote counts as a vote.',
    file: 'src/raft/core/election.ts',
    find: "  if (message.type !== (state.role === 'preCandidate' ? 'preVoteResp' : 'voteResp')) return;",
    replace: '',
  },
  {
    name: 'own-vote-before-the-disk',
    story: 'A candidate counts its own vote before it is on disk.',
    file: 'src/raft/core/election.ts',
    find: "  if (kind === 'preElection') countVote(state, state.id, true);",
    replace: '  countVote(state, state.id, true);',
  },
  {
    name: 'pre-vote-raises-the-term',
    story: 'A pre-vote takes its term with it: whoever comes back from a partition deposes the leader.',
    file: 'src/raft/core/term-rules.ts',
    find: '      return message.isTransfer || !isLeaderAlive(state);',
    replace: `      becomeFollower(state, message.term, nobody);
      return true;`,
    profile: 'liveness',
  },
  {
    name: 'leader-without-log-may-lead',
    story: 'Who has lost part of its log campaigns.',
    file: 'src/raft/core/election.ts',
    find: '  return state.loss === undefined && state.tracker.isVoter',
    replace: '  return state.tracker.isVoter',
    profile: 'lostLog',
  },
];
