/**
 * What has happened as far as the safety properties need to remember it: who led each term, and what was committed. It is
 * part of a cluster's state, so "for ever" means for ever in the search as well. Histories are kept once each.
 *
 *   election safety        at most one leader a term, for ever
 *   leader completeness    a leader's log holds every entry committed in an earlier term
 *   state machine safety   nobody ever commits another entry at an index somebody has committed
 *   log matching           two logs that agree on (index, term) agree on everything before
 *   committed on disks     what is committed is on the disks of a majority, whatever has crashed
 */
import { assert, present } from '../../src/env/assert.ts';
import type { Entry } from '../../src/raft/core/types.ts';
import { Violation } from '../check/violation.ts';
import type { Local } from './local-states.ts';
import { entryText, nameOf, type Naming } from './words.ts';

interface Decided {
  readonly entry: Entry;
  /** The term in which its commitment was first seen. */
  readonly seenInTerm: number;
}

export interface History {
  readonly id: number;
  /** A number for its text under each naming. */
  readonly keys: Int32Array;
  /** Who led, by term; 0 = nobody. */
  readonly leaders: readonly number[];
  /** From index 1. */
  readonly decided: readonly Decided[];
}

/** Local states are fewer than this, so that two numbers make one key. */
const localsMax = 2 ** 26;

export class Histories {
  readonly #namings: readonly Naming[];
  readonly #known = new Map<string, History>();
  readonly #numbers = new Map<string, number>();
  readonly #after = new Map<number, History>();
  readonly #matching = new Set<number>();

  constructor(namings: readonly Naming[]) {
    this.#namings = namings;
  }

  get size(): number {
    return this.#known.size;
  }

  initial(): History {
    return this.#intern([0], []);
  }

  /** The history after a member came to look like `local`. Throws Violation. */
  after(history: History, local: Local): History {
    assert(local.id < localsMax, 'local states are counted');
    const key = history.id * localsMax + local.id;
    const known = this.#after.get(key);
    if (known !== undefined) return known;
    const next = this.#intern(leadersAfter(history, local), decidedAfter(history, local));
    this.#after.set(key, next);
    return next;
  }

  #intern(leaders: readonly number[], decided: readonly Decided[]): History {
    const textUnder = (naming: Naming) =>
      `${leaders.map((id) => nameOf(naming, id)).join(' ')}|${decided
        .map(({ entry, seenInTerm }) => `${entryText(entry, naming)}@${seenInTerm}`)
        .join(' ')}`;
    const texts = this.#namings.map(textUnder);
    const text = present(texts[0], 'text');
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const keys = Int32Array.from(texts, (one) => {
      const number = this.#numbers.get(one) ?? this.#numbers.size + 1;
      this.#numbers.set(one, number);
      return number;
    });
    const history = { id: this.#known.size, keys, leaders, decided };
    this.#known.set(text, history);
    return history;
  }

  /** What must hold between members, after `changed` has changed. Throws Violation. */
  checkAcross(history: History, locals: readonly Local[], changed: Local): void {
    for (const other of locals) if (other !== changed) this.#checkMatching(changed, other);
    for (const [position, { entry }] of history.decided.entries()) {
      const holders = locals.filter(({ disk }) => isSame(disk.entries[position], entry)).length;
      if (holders * 2 > locals.length) continue;
      throw new Violation(
        'what is committed is on the disks of a majority',
        `entry ${position + 1} (term ${entry.term}) is on ${holders} of ${locals.length} disks`,
      );
    }
  }

  #checkMatching(one: Local, other: Local): void {
    const key = one.id * localsMax + other.id;
    if (this.#matching.has(key)) return;
    let mustAgree = false;
    for (let at = Math.min(one.entries.length, other.entries.length) - 1; at >= 0; at--) {
      const mine = present(one.entries[at], 'entry');
      const theirs = present(other.entries[at], 'entry');
      if (mine.term === theirs.term) mustAgree = true;
      if (!mustAgree || isSame(mine, theirs)) continue;
      throw new Violation(
        'log matching',
        `members ${one.member} and ${other.member} agree further on and differ at entry ${at + 1}: terms ${mine.term} and ${theirs.term}`,
      );
    }
    this.#matching.add(key);
  }
}

function leadersAfter({ leaders, decided }: History, { member, view, entries }: Local): readonly number[] {
  if (view.role !== 'leader') return leaders;
  const known = leaders[view.term] ?? 0;
  if (known === member) return leaders;
  if (known !== 0) throw new Violation('election safety', `term ${view.term} has two leaders, ${known} and ${member}`);
  for (const [position, { entry, seenInTerm }] of decided.entries()) {
    if (seenInTerm >= view.term || isSame(entries[position], entry)) continue;
    throw new Violation(
      'leader completeness',
      `member ${member} leads term ${view.term} without entry ${position + 1} (term ${entry.term}), which was committed in term ${seenInTerm}`,
    );
  }
  const next = [...leaders];
  while (next.length <= view.term) next.push(0);
  next[view.term] = member;
  return next;
}

function decidedAfter({ decided }: History, { member, view, entries }: Local): readonly Decided[] {
  const next = [...decided];
  for (let position = 0; position < view.committed; position++) {
    const entry = present(entries[position], 'committed entry');
    const known = decided[position];
    if (known === undefined) next.push({ entry, seenInTerm: view.term });
    else if (!isSame(known.entry, entry)) {
      throw new Violation(
        'state machine safety',
        `member ${member} has committed entry ${position + 1} of term ${entry.term}, where an entry of term ${known.entry.term} was committed`,
      );
    }
  }
  return next.length === decided.length ? decided : next;
}

function isSame(one: Entry | undefined, other: Entry): boolean {
  if (one === undefined || one.term !== other.term || one.data.byteLength !== other.data.byteLength) return false;
  return one.data[0] === other.data[0];
}
