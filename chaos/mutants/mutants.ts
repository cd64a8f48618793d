/**
 * Planted bugs: each a small patch on a copy of the sources, each a mistake that somebody has really made in a system of
 * this kind. The simulation must find every one; a bug it cannot find would be a promise it cannot check.
 */
import type { Profile } from '../sim/plan.ts';

export interface Mutant {
  readonly name: string;
  /** What goes wrong, in one sentence. */
  readonly story: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Worlds about just this, where chance alone would take too long. Default: swarm. */
  readonly profile?: Profile;
}

export const mutants: readonly Mutant[] = [
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
    name: 'send-before-sync',
    story: 'Votes and acknowledgements leave before they are on disk.',
    file: 'src/raft/host/raft-node.ts',
    find: 'if (ready.messagesAfterPersist) this.#sealed.push(ready.messagesAfterPersist);',
    replace: 'if (ready.messagesAfterPersist) this.#send(ready.messagesAfterPersist.sealedMessages);',
  },
  {
    name: 'log-not-synced',
    story: 'The log says durable without a sync: a power cut takes acknowledged writes away.',
    file: 'src/raft/wal/segmented-wal.ts',
    find: '    await this.#file.dataSync();',
    replace: '',
  },
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
    name: 'read-without-a-quorum',
    story: 'A leader answers reads without asking whether it still leads.',
    file: 'src/raft/core/read-index.ts',
    find: 'const confirmed = state.tracker.reachedByQuorum((id) => reads.answered.get(id) ?? 0);',
    replace: 'const confirmed = reads.roundLast;',
  },
  {
    name: 'read-before-applied',
    story: 'A read is served before the state machine has reached its read index.',
    file: 'src/raft/host/raft-node.ts',
    find: 'for (const { context, index } of ready.readStates) this.#reads.point(context, index, this.#applier.applied.index);',
    replace: 'for (const { context, index } of ready.readStates) this.#reads.point(context, index, index);',
  },
  {
    name: 'snapshot-takes-back-commits',
    story: 'A snapshot older than the commit index is installed.',
    file: 'src/raft/core/follower.ts',
    find: 'if (snapshot.index <= log.committed) return acknowledge(state, message.from, log.committed);',
    replace: '',
  },
  {
    name: 'data-directory-not-synced',
    story: 'The data directory’s own name is not made durable (a bug this simulation found here).',
    file: 'src/env/files.ts',
    find: '  for (const count of counts) {',
    replace: '  for (const count of counts.slice(counts.length)) {',
  },
  {
    name: 'lost-log-ignored',
    story: 'What the log knows about entries that were lost is not given to Raft at all.',
    file: 'src/raft/core/loss.ts',
    find: '  if (restored.lostUpTo === undefined) return undefined;',
    replace: '  if (restored.lostUpTo !== undefined || true) return undefined;',
    profile: 'lostLog',
  },
  {
    name: 'wiped-member-believed',
    story: 'A member that lost its disk goes on under its old id, without its votes.',
    file: 'src/kv/server/member-key.ts',
    find: '  const seed = Buffer.from(random.bytes(seedBytes));',
    replace: '  const seed = Buffer.alloc(seedBytes, random.bytes(1).length);',
  },
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
    name: 'snapshot-resumes-another',
    story: 'The beginning of one snapshot is completed with the end of another.',
    file: 'src/raft/host/staged-snapshots.ts',
    find: 'return `${from}/${snapshot.index}/${snapshot.term}`;',
    replace: "return from > 0 && snapshot.index > 0 ? 'snapshot' : '';",
    profile: 'snapshots',
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
    name: 'lost-log-votes',
    story:
      'A member that lost part of its log votes as if it had not: somebody leads without what it had acknowledged.',
    file: 'src/raft/core/loss.ts',
    find: '  return last.term > loss.term || (last.term === loss.term && last.index >= loss.upTo);',
    replace: '  return last.term >= 0;',
    profile: 'lostLog',
  },
  {
    name: 'lease-without-an-end',
    story: 'A leader that reads by lease believes in it for ever once it had one.',
    file: 'src/raft/core/lease.ts',
    find: '  return hasCommittedInTerm(state) && lease.nowMs() < state.leaseUntilMs;',
    replace: '  return hasCommittedInTerm(state) && state.leaseUntilMs > 0;',
    profile: 'oldLeaders',
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
    name: 'deaf-leader-stays',
    story:
      'A leader that hears nobody does not make room: all follow its heartbeats, and nothing is ever committed again.',
    file: 'src/raft/core/leader.ts',
    find: 'if (state.config.checkQuorum && !keepsQuorum(state)) return becomeFollower(state, state.term, nobody);',
    replace: 'if (state.config.checkQuorum) keepsQuorum(state);',
    profile: 'liveness',
  },
  {
    name: 'renewal-by-an-old-leader',
    story:
      'A leader renews a lease without asking whether it still leads; the next one ends it early (found here, too).',
    file: 'src/kv/server/lease-keeper.ts',
    find: `        await this.#options.reader.point();
        if (!this.#lessor.isLeader()) return undefined;
        const renewed`,
    replace: `        if (!this.#options.kv.leases().get(id)) await this.#options.reader.point();
        if (!this.#lessor.isLeader()) return undefined;
        const renewed`,
    profile: 'oldLeaders',
  },
];
