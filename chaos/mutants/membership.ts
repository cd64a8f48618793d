/** Planted bugs: Who belongs, and who counts. */
import type { Mutant } from './mutant.ts';

export const membership: readonly Mutant[] = [
  {
    name: 'two-changes-at-once',
    story: 'A membership change is taken while the one before is not applied: quorums need not overlap.',
    file: 'src/raft/core/proposal.ts',
    find: "  if (state.pendingConfIndex > state.log.applied) return 'confChangePending';",
    replace: '',
    profile: 'membership',
  },
  {
    name: 'witness-acknowledges-without-log',
    story:
      'A witness, which has no state, writes no entries down either: what it acknowledged is gone when it starts again.',
    file: 'src/raft/core/ready.ts',
    find: '  return { token, entries, mustSync,',
    replace: '  return { token, entries: state.tracker.isWitness(state.id) ? [] : entries, mustSync,',
    profile: 'witness',
  },
  {
    name: 'learner-votes-count',
    story: 'A learner counts as a voter.',
    file: 'src/raft/core/tracker.ts',
    find: '    this.#voters = { incoming: new Set(conf.voters), outgoing: new Set(conf.votersOutgoing) };',
    replace:
      '    this.#voters = { incoming: new Set([...conf.voters, ...conf.learners]), outgoing: new Set(conf.votersOutgoing) };',
    profile: 'membership',
  },
];
