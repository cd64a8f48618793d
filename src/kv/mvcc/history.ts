/**
 * Which keys each revision wrote, for every revision that a watch may still start at or that compaction has still to
 * clean: the road by which a watcher catches up and by which cleaning finds what became obsolete, without reading the
 * whole index or the disk.
 *
 * Its size follows the number of writes since the last compaction, as the key index's does; compaction is its limit.
 */
import { assert } from '../../env/assert.ts';
import type { KeyEntry } from './key-index.ts';

/** Dropped places at the front are given back when there are this many and they are half of the array. */
const slackMax = 1024;

export class History {
  /** Place p holds revision #first + p - #dropped; most revisions write one key, which is then held without an array. */
  #writes: (KeyEntry | readonly KeyEntry[] | undefined)[] = [];
  #dropped = 0;
  #first: number;

  /** An empty history whose first revision will be `first`. */
  constructor(first: number) {
    assert(Number.isSafeInteger(first) && first > 0, () => `history cannot begin at ${first}`);
    this.#first = first;
  }

  /** The oldest revision that is held, or would be. */
  first(): number {
    return this.#first;
  }

  /** The revision that `append` takes next. */
  next(): number {
    return this.#first + this.#writes.length - this.#dropped;
  }

  append(main: number, entries: readonly KeyEntry[]): void {
    assert(main === this.next(), () => `revision ${main} appended where ${this.next()} was expected`);
    assert(entries.length > 0, 'a revision writes at least one key');
    this.#writes.push(entries.length === 1 ? entries[0] : entries);
  }

  /** For the compacted revision itself, when none of what it wrote is kept: etcd keeps no tombstone there. */
  appendForgotten(main: number): void {
    assert(main === this.next() && main === this.#first, () => `only the first revision is forgotten, not ${main}`);
    this.#writes.push([]);
  }

  /** The keys that `main` wrote, in order of their sub revisions. */
  at(main: number): readonly KeyEntry[] {
    assert(
      main >= this.#first && main < this.next(),
      () => `no revision ${main} in ${this.#first}..${this.next() - 1}`,
    );
    const held = this.#writes[this.#dropped + main - this.#first];
    assert(held !== undefined, () => `the writes of revision ${main} must be held`);
    return Array.isArray(held) ? (held as readonly KeyEntry[]) : [held as KeyEntry];
  }

  /** Forgets revisions below `main`. */
  dropBefore(main: number): void {
    const end = Math.min(main, this.next());
    for (; this.#first < end; this.#first++) this.#writes[this.#dropped++] = undefined;
    if (this.#dropped < slackMax || this.#dropped * 2 < this.#writes.length) return;
    this.#writes = this.#writes.slice(this.#dropped);
    this.#dropped = 0;
  }
}
