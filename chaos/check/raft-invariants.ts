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

/** What one log held when it was looked at last. */
interface Scanned {
  readonly last: number;
  readonly truncations: number;
  readonly terms: Map<number, number>;
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
  /** Entries not known to be committed, by index and term; in different logs there may be different ones. */
  readonly #pending = new Map<number, Map<number, Entry>>();
  readonly #scanned = new Map<ReplicaId, Scanned>();
  #highestCommitted = 0;

  /** `onCommitted` is called once for every index, when its commitment is first seen. */
  constructor(onCommitted: (entry: Entry) => void = () => undefined) {
    this.#onCommitted = onCommitted;
  }

  /** A restarted replica commits again what it had committed: it is compared again. */
  forget(id: ReplicaId): void {
    this.#checkedCommit.delete(id);
    this.#checkedLeader.delete(id);
    this.#scanned.delete(id);
  }

  /** Call after every event that this replica took part in. */
  check(core: Raft, view: View): void {
    core.checkState();
    if (view.role === 'leader') this.#checkLeader(core, view);
    this.#scan(core, view);
    this.#checkCommits(core, view);
    this.#checkMembership(core, view);
  }

  /** A snapshot that is being restored has changed the membership already, and the applied index not yet. */
  #checkMembership(core: Raft, view: View): void {
    const { confState } = core.status();
    if (view.snapshotIndex > view.applied || confState.voters.length === 0) return;
    const sorted = (ids: readonly ReplicaId[]) => [...ids].sort((a, b) => a - b).join(' ');
    const { voters, votersOutgoing, learners, learnersNext, witnesses = [] } = confState;
    const membership = [voters, votersOutgoing, learners, learnersNext, witnesses].map(sorted).join(' | ');
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

  /** Takes down what is new in a log: it may be committed and compacted away within one event. */
  #scan(core: Raft, view: View): void {
    const { id, lastIndex, truncations } = view;
    const scanned = this.#scanned.get(id);
    if (scanned?.last === lastIndex && scanned.truncations === truncations) return;
    const terms = scanned?.terms ?? new Map<number, number>();
    this.#scanned.set(id, { last: lastIndex, truncations, terms });
    const { base, entries } = core.inspectLog();
    const known = scanned?.truncations === truncations ? scanned.last : 0;
    for (const entry of entries.slice(Math.max(0, known - base.index))) {
      terms.set(entry.index, entry.term);
      if (entry.index <= this.#highestCommitted) continue;
      const here = this.#pending.get(entry.index) ?? new Map<number, Entry>();
      this.#pending.set(entry.index, here.set(entry.term, entry));
    }
  }

  /** Entries that were first seen committed when they had left the log already: what the log held there before. */
  #fillUpTo(base: { readonly index: number; readonly term: number }, view: View): void {
    const terms = this.#scanned.get(view.id)?.terms;
    for (let index = this.#highestCommitted + 1; index <= base.index; index++) {
      const term = index === base.index ? base.term : terms?.get(index);
      const entry = term === undefined ? undefined : this.#pending.get(index)?.get(term);
      // It came, was committed and went within one event: nobody has seen it.
      if (entry !== undefined) this.#commit(entry, view.term);
    }
  }

  #commit(entry: Entry, seenInTerm: number): void {
    this.#committed.set(entry.index, { term: entry.term, seenInTerm, fingerprint: fingerprintOf(entry) });
    this.#highestCommitted = Math.max(this.#highestCommitted, entry.index);
    this.#pending.delete(entry.index);
    this.#onCommitted(entry);
  }

  #checkCommits(core: Raft, view: View): void {
    const from = this.#checkedCommit.get(view.id) ?? 0;
    if (view.committed <= from) return;
    const { base, entries } = core.inspectLog();
    if (base.index > this.#highestCommitted) this.#fillUpTo(base, view);
    for (let index = Math.max(from, base.index) + 1; index <= view.committed; index++) {
      const entry = entries[index - base.index - 1];
      if (entry === undefined)
        throw new Violation('committed entries exist', `${view.id} committed ${view.committed} without entry ${index}`);
      const known = this.#committed.get(index);
      const fingerprint = fingerprintOf(entry);
      if (known === undefined) {
        this.#commit(entry, view.term);
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
