/**
 * What must be true across all replicas, checked after every event from what each of them holds in memory. Independent of
 * the implementation: it sees only terms, roles, logs and commit indexes.
 *
 *   election safety        at most one leader a term, for ever
 *   log matching           two logs that agree on (index, term) agree on everything before
 *   leader completeness    a leader's log holds every entry committed in an earlier term
 *   membership safety      who has applied the same entries knows the same membership
 *   state machine safety   nobody ever commits another entry at an index somebody has committed
 */
import type { Entry, ReplicaId } from '../../src/raft/core/types.ts';
import type { Raft } from '../../src/raft/core/raft.ts';
import { Violation } from './violation.ts';

interface Committed {
  readonly term: number;
  /** The term in which its commitment was first seen. */
  readonly seenInTerm: number;
  readonly fingerprint: string;
}

type View = ReturnType<Raft['view']>;

export class RaftInvariants {
  readonly #leaders = new Map<number, ReplicaId>();
  readonly #committed = new Map<number, Committed>();
  readonly #checkedCommit = new Map<ReplicaId, number>();
  readonly #checkedLeader = new Map<ReplicaId, number>();
  /** Applied index → the membership after it. */
  readonly #memberships = new Map<number, string>();
  readonly #onCommitted: (entry: Entry) => void;
  #highestCommitted = 0;

  /** `onCommitted` is called once for every index, when its commitment is first seen. */
  constructor(onCommitted: (entry: Entry) => void = () => undefined) {
    this.#onCommitted = onCommitted;
  }

  /** A restarted replica commits again what it had committed: it is compared again. */
  forget(id: ReplicaId): void {
    this.#checkedCommit.delete(id);
    this.#checkedLeader.delete(id);
  }

  /** Call after every event that this replica took part in. */
  check(core: Raft, view: View): void {
    core.checkState();
    if (view.role === 'leader') this.#checkLeader(core, view);
    this.#checkCommits(core, view);
    this.#checkMembership(core, view);
  }

  /** A snapshot that is being restored has changed the membership already, and the applied index not yet. */
  #checkMembership(core: Raft, view: View): void {
    const { confState } = core.status();
    if (view.snapshotIndex > view.applied || confState.voters.length === 0) return;
    const sorted = (ids: readonly ReplicaId[]) => [...ids].sort((a, b) => a - b).join(' ');
    const { voters, votersOutgoing, learners, learnersNext } = confState;
    const membership = [voters, votersOutgoing, learners, learnersNext].map(sorted).join(' | ');
    const known = this.#memberships.get(view.applied);
    if (known !== undefined && known !== membership) {
      throw new Violation(
        'membership safety',
        `after entry ${view.applied} ${view.id} has the members ${membership}, and others ${known}`,
      );
    }
    this.#memberships.set(view.applied, membership);
  }

  #checkLeader(core: Raft, view: View): void {
    const known = this.#leaders.get(view.term);
    if (known !== undefined && known !== view.id) {
      throw new Violation('election safety', `term ${view.term} has two leaders, ${known} and ${view.id}`);
    }
    this.#leaders.set(view.term, view.id);
    if (this.#checkedLeader.get(view.id) === view.term) return;
    this.#checkedLeader.set(view.id, view.term);
    const { base, entries } = core.inspectLog();
    for (const [index, committed] of this.#committed) {
      if (index <= base.index || committed.seenInTerm >= view.term) continue;
      const entry = entries[index - base.index - 1];
      if (entry === undefined || fingerprintOf(entry) !== committed.fingerprint) {
        throw new Violation(
          'leader completeness',
          `${view.id} leads term ${view.term} without entry ${index} (term ${committed.term}), which was committed in term ${committed.seenInTerm}`,
        );
      }
    }
  }

  #checkCommits(core: Raft, view: View): void {
    const from = this.#checkedCommit.get(view.id) ?? 0;
    if (view.committed <= from) return;
    const { base, entries } = core.inspectLog();
    for (let index = Math.max(from, base.index) + 1; index <= view.committed; index++) {
      const entry = entries[index - base.index - 1];
      if (entry === undefined)
        throw new Violation('committed entries exist', `${view.id} committed ${view.committed} without entry ${index}`);
      const known = this.#committed.get(index);
      const fingerprint = fingerprintOf(entry);
      if (known === undefined) {
        this.#committed.set(index, { term: entry.term, seenInTerm: view.term, fingerprint });
        this.#highestCommitted = Math.max(this.#highestCommitted, index);
        this.#onCommitted(entry);
      } else if (known.fingerprint !== fingerprint) {
        throw new Violation(
          'state machine safety',
          `${view.id} committed another entry at ${index} (term ${entry.term}) than was committed before (term ${known.term})`,
        );
      }
    }
    this.#checkedCommit.set(view.id, view.committed);
  }

  /** Every two logs: where they agree on a term, they agree on all before it. Costs a pass over both logs. */
  checkLogMatching(cores: readonly Raft[]): void {
    const logs = cores.map((core) => ({ id: core.status().id, ...core.inspectLog() }));
    for (const [position, a] of logs.entries()) {
      for (const b of logs.slice(position + 1)) {
        const last = Math.min(a.base.index + a.entries.length, b.base.index + b.entries.length);
        let mustAgree = false;
        for (let index = last; index > Math.max(a.base.index, b.base.index); index--) {
          const mine = a.entries[index - a.base.index - 1] as Entry;
          const other = b.entries[index - b.base.index - 1] as Entry;
          if (mine.term === other.term) mustAgree = true;
          if (mustAgree && fingerprintOf(mine) !== fingerprintOf(other)) {
            throw new Violation(
              'log matching',
              `${a.id} and ${b.id} agree further on but differ at ${index}: terms ${mine.term} and ${other.term}`,
            );
          }
        }
      }
    }
  }

  highestCommitted(): number {
    return this.#highestCommitted;
  }
}

function fingerprintOf(entry: Entry): string {
  return `${entry.term}/${entry.kind}/${Buffer.from(entry.data).toString('latin1')}`;
}
