/**
 * What must hold across the replicas of one cluster (Raft, figure 3), fed with every state that was seen:
 *
 *   election safety       at most one leader in a term
 *   leader append-only    by checkTransition, replica by replica
 *   log matching          same index and term: same entry, and same entries before
 *   leader completeness   a new leader holds everything that was committed in earlier terms
 *   state machine safety  nobody applies another entry at an index
 *
 * What is committed is known from the replicas' commit indexes, remembered over crashes.
 */
import { assert } from '../../src/env/assert.ts';
import type { Raft } from '../../src/raft/core/raft.ts';
import type { Entry } from '../../src/raft/core/types.ts';

/** Compares entries by what they are. */
function fingerprint(entry: Entry): string {
  return `${entry.term} ${entry.kind} ${new TextDecoder('latin1').decode(entry.data)}`;
}

export class ClusterChecker {
  readonly #leaderOfTerm: Map<number, number> = new Map();
  /** Index → the committed entry. */
  readonly #committed: Map<number, { readonly term: number; readonly print: string }> = new Map();
  /** "index/term" → the entry and the term of the one before. */
  readonly #entries: Map<string, string> = new Map();
  readonly #committedSeen: Map<number, number> = new Map();
  readonly #lastSeen: Map<number, string> = new Map();
  readonly #applied: Map<number, string> = new Map();

  /** Called after every step of `core`. */
  observe(core: Raft): void {
    const { id, term, role, committed } = core.status();
    const { base, entries } = core.inspectLog();
    if (role === 'leader') this.#checkLeader(id, term, base.index, entries);
    const last = entries.at(-1);
    const seen = `${base.index} ${last?.index} ${last?.term} ${entries.length}`;
    if (this.#lastSeen.get(id) !== seen) this.#checkLogMatching(base.term, entries);
    this.#lastSeen.set(id, seen);
    const from = Math.max(this.#committedSeen.get(id) ?? 0, base.index);
    for (let index = from + 1; index <= committed; index += 1)
      this.#checkCommitted(id, entries[index - base.index - 1]);
    this.#committedSeen.set(id, Math.max(from, committed));
  }

  restarted(core: Raft): void {
    this.#committedSeen.set(core.status().id, 0);
    this.#lastSeen.delete(core.status().id);
    this.observe(core);
  }

  applied(id: number, entry: Entry): void {
    const print = fingerprint(entry);
    const known = this.#applied.get(entry.index);
    assert(
      known === undefined || known === print,
      () => `state machine safety: ${id} applies another entry ${entry.index}`,
    );
    this.#applied.set(entry.index, print);
    assert(this.#committed.has(entry.index), () => `${id} applies entry ${entry.index}, which is not committed`);
  }

  #checkLeader(id: number, term: number, baseIndex: number, entries: readonly Entry[]): void {
    const known = this.#leaderOfTerm.get(term);
    assert(known === undefined || known === id, () => `election safety: ${known} and ${id} lead in term ${term}`);
    if (known !== undefined) return;
    this.#leaderOfTerm.set(term, id);
    for (const [index, committed] of this.#committed) {
      if (index <= baseIndex || committed.term >= term) continue;
      const own = entries[index - baseIndex - 1];
      const isSame = own !== undefined && fingerprint(own) === committed.print;
      assert(isSame, () => `leader completeness: ${id} leads in term ${term} without the committed entry ${index}`);
    }
  }

  #checkLogMatching(baseTerm: number, entries: readonly Entry[]): void {
    let termBefore = baseTerm;
    for (const entry of entries) {
      const key = `${entry.index}/${entry.term}`;
      const value = `${termBefore} ${fingerprint(entry)}`;
      const known = this.#entries.get(key);
      assert(known === undefined || known === value, () => `log matching: two entries ${key}`);
      this.#entries.set(key, value);
      termBefore = entry.term;
    }
  }

  #checkCommitted(id: number, entry: Entry | undefined): void {
    assert(entry !== undefined, 'what is committed is in the log');
    const print = fingerprint(entry);
    const known = this.#committed.get(entry.index);
    assert(
      known === undefined || known.print === print,
      () => `${id} commits another entry ${entry.index} than before`,
    );
    this.#committed.set(entry.index, { term: entry.term, print });
  }
}
