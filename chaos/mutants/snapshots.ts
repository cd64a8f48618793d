/** Planted bugs: The state as a whole, sent and taken. */
import type { Mutant } from './mutant.ts';

export const snapshots: readonly Mutant[] = [
  {
    name: 'snapshot-takes-back-commits',
    story: 'A snapshot older than the commit index is installed.',
    file: 'src/raft/core/follower.ts',
    find: 'if (snapshot.index <= log.committed) return acknowledge(state, message.from, log.committed);',
    replace: '',
  },
  {
    name: 'snapshot-resumes-another',
    story: 'The beginning of one snapshot is completed with the end of another.',
    file: 'src/raft/host/staged-snapshots.ts',
    find: 'return `${from}/${snapshot.index}/${snapshot.term}`;',
    replace: "return from > 0 && snapshot.index > 0 ? 'snapshot' : '';",
    profile: 'snapshots',
  },
  {
    name: 'snapshot-without-its-term',
    story: 'A snapshot is taken for a match by its index alone.',
    file: 'src/raft/core/follower.ts',
    find: '  if (log.matches(snapshot.index, snapshot.term)) {',
    replace: '  if (snapshot.index <= log.lastIndex) {',
    profile: 'snapshots',
  },
  {
    name: 'membership-not-in-snapshot',
    story: 'A received snapshot leaves the membership as it was.',
    file: 'src/raft/core/follower.ts',
    find: `  state.tracker.changeTo(confState, log.lastIndex);
`,
    replace: `  if (!state.tracker.hasVoters()) state.tracker.changeTo(confState, log.lastIndex);
`,
    profile: 'membership',
  },
  {
    name: 'state-kept-under-snapshot',
    story: 'A received snapshot is written over the state without taking away what is no longer in it.',
    file: 'src/kv/apply/restore-rows.ts',
    find: '  const cleared = backend.clear();',
    replace: '  const cleared = Promise.resolve();',
  },
];
