/** Planted bugs: What is answered without writing, and how long a lease lasts. */
import type { Mutant } from './mutant.ts';

export const reads: readonly Mutant[] = [
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
    name: 'lease-without-an-end',
    story: 'A leader that reads by lease believes in it for ever once it had one.',
    file: 'src/raft/core/lease.ts',
    find: '  return hasCommittedInTerm(state) && lease.nowMs() < state.leaseUntilMs;',
    replace: '  return hasCommittedInTerm(state) && state.leaseUntilMs > 0;',
    profile: 'oldLeaders',
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
  {
    name: 'read-before-own-commit',
    story: 'A new leader answers reads before it has committed in its own term.',
    file: 'src/raft/core/read-index.ts',
    find: '  if (state.reads.waiting.length === 0 || !hasCommittedInTerm(state)) return;',
    replace: '  if (state.reads.waiting.length === 0) return;',
    profile: 'oldLeaders',
  },
  {
    name: 'read-joins-a-running-round',
    story: 'A read is answered by a round of heartbeats that began before it was asked (etcd 20418 is of this kind).',
    file: 'src/raft/core/read-index.ts',
    find: `  state.reads.waiting.push(request);
`,
    replace: `  const [running] = state.reads.rounds;
  if (running) return void running.requests.push(request);
  state.reads.waiting.push(request);
`,
    profile: 'oldLeaders',
    etcdIssue: 20418,
  },
  {
    name: 'lease-short-after-a-change',
    story: 'A new leader gives leases half of their time.',
    file: 'src/kv/server/lessor.ts',
    find: '      this.#start(lease.id, lease.remainingSeconds || lease.ttlSeconds, nowMs);',
    replace: '      this.#start(lease.id, Math.ceil((lease.remainingSeconds || lease.ttlSeconds) / 3), nowMs);',
    profile: 'oldLeaders',
  },
  {
    name: 'keys-outlive-their-lease',
    story: 'A lease ends and leaves its keys.',
    file: 'src/kv/lease/table.ts',
    find: '    return [...lease.keys].sort();',
    replace: '    return [...lease.keys].sort().slice(1);',
  },
];
