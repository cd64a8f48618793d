/** Planted bugs: What reaches the others, when it counts as committed, and that it happens once. */
import type { Mutant } from './mutant.ts';

export const replication: readonly Mutant[] = [
  {
    name: 'append-without-checking-before',
    story: 'A follower takes entries although the entry before them does not match.',
    file: 'src/raft/core/log.ts',
    find: 'if (!this.matches(request.prevIndex, request.prevTerm)) return undefined;',
    replace: 'if (request.prevIndex > this.lastIndex) return undefined;',
  },
  {
    name: 'truncate-without-conflict',
    story: 'An old append cuts off newer entries that were acknowledged since.',
    file: 'src/raft/core/log.ts',
    find: 'const firstNew = request.entries.findIndex((entry) => !this.matches(entry.index, entry.term));',
    replace: 'const firstNew = request.entries.findIndex((entry) => entry.index > this.committed);',
    profile: 'elections',
  },
  {
    name: 'figure-eight',
    story:
      'An entry of an earlier term is committed because a quorum holds it; a leader without it can still be elected.',
    file: 'src/raft/core/replicate.ts',
    find: '  if (state.log.termAt(quorumIndex) !== state.term) return false;',
    replace: '',
    profile: 'elections',
  },
  {
    name: 'propose-again-too-early',
    story: 'A request is proposed again in the term that accepted it, when its first proposal may still be committed.',
    file: 'src/kv/server/waiters.ts',
    find: 'if (waiter.term === undefined || waiter.term >= term) continue;',
    replace: 'if (waiter.term === undefined || waiter.term > term) continue;',
  },
  {
    name: 'propose-again-after-a-snapshot',
    story: 'A snapshot that holds a request takes the place of its entry, and the request is proposed again.',
    file: 'src/kv/server/state-machine.ts',
    find: `    requests.unsureUpTo(meta.term);
    changes.unsureUpTo(meta.term);
    await timedRestore(this.#options.timed, () => this.#kv.restore(meta.index, chunks));`,
    replace: `    await timedRestore(this.#options.timed, () => this.#kv.restore(meta.index, chunks));
    requests.lostBefore(meta.term);`,
  },
  {
    name: 'commit-what-one-holds',
    story: 'The leader commits what only it holds.',
    file: 'src/raft/core/replicate.ts',
    find: '  const quorumIndex = state.tracker.matchedByQuorum();',
    replace: '  const quorumIndex = state.tracker.matchedByQuorum() > 0 ? state.log.unstable.durable : toIndex(0);',
  },
  {
    name: 'leader-counts-before-its-disk',
    story: 'The leader counts itself before its own entries are on disk (etcd 14370).',
    file: 'src/raft/core/state.ts',
    find: '  if (own !== undefined) own.next = toIndex(state.log.lastIndex + 1);',
    replace: `  if (own !== undefined) {
    own.next = toIndex(state.log.lastIndex + 1);
    own.match = state.log.lastIndex;
  }`,
    etcdIssue: 14370,
  },
  {
    name: 'applied-before-the-disk',
    story: 'Entries are applied before they are durable here.',
    file: 'src/raft/core/log.ts',
    find: `    const through = minIndex(this.committed, this.unstable.durable);
    const entries`,
    replace: `    const through = this.committed;
    const entries`,
  },
  {
    name: 'flow-stays-shut',
    story: 'A follower whose window was lost is never sent anything again.',
    file: 'src/raft/core/replicate.ts',
    find: `  progress.paused = false;
  if (progress.match`,
    replace: '  if (progress.match',
    profile: 'liveness',
  },
  {
    name: 'earlier-term-appends',
    story: 'An append of an earlier term is taken.',
    file: 'src/raft/core/term-rules.ts',
    find: `  if (message.term < state.term) {
    answerEarlier(state, message);
    return false;
  }`,
    replace: `  if (message.term < state.term && message.type !== 'app') {
    answerEarlier(state, message);
    return false;
  }`,
  },
  {
    name: 'proposal-in-another-term',
    story: 'A proposal that was passed on is taken in a later term than the one it was accepted in.',
    file: 'src/raft/core/leader.ts',
    find: `  const result = propose(state, message.entries);
  const isAsAccepted = result.kind === 'dropped' || result.term === message.term;`,
    replace: `  const result = propose(state, [...message.entries, ...message.entries]);
  const isAsAccepted = result.kind === 'dropped' || result.term === message.term;`,
  },
];
