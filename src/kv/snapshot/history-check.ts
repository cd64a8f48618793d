/**
 * Checks revisions in the order in which they were written, as they come out of a snapshot or a backend: every revision
 * above the compacted one is there, every key's life is told without a contradiction. What passes can be loaded by the
 * store, whose own assertions would stop the process over the same.
 *
 * Knows every live key: as much memory as the store's index of them takes.
 */
import { assert } from '../../env/assert.ts';
import type { LeaseId } from '../api.ts';

export interface CheckedRevision {
  readonly main: number;
  readonly sub: number;
  readonly isTombstone: boolean;
  /** Latin1. */
  readonly key: string;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: LeaseId;
}

interface Life {
  readonly createRevision: number;
  version: number;
  lastMain: number;
  lastSub: number;
  lease: LeaseId;
}

/** Head of an empty store: its first write makes revision 2. */
const emptyRevision = 1;

export class HistoryCheck {
  readonly #compactRevision: number;
  /** The keys alive so far. */
  readonly #lives = new Map<string, Life>();
  /** Keys that the current main revision wrote. */
  readonly #written = new Set<string>();
  #main = 0;
  #sub = 0;
  #rows = 0;

  constructor(compactRevision: number) {
    assert(compactRevision >= 0, () => `compacted at ${compactRevision}`);
    this.#compactRevision = compactRevision;
  }

  /** What is wrong with the next revision; undefined when nothing is. */
  add(revision: CheckedRevision): string | undefined {
    const name = `revision ${revision.main}.${revision.sub}`;
    const order = this.#order(revision, name);
    if (order !== undefined) return order;
    this.#rows += 1;
    if (this.#written.has(revision.key)) return `${name} writes a key that its revision has written already`;
    this.#written.add(revision.key);
    return this.#life(revision, name);
  }

  /** Head revision of what was checked: at least the compacted one. */
  revision(): number {
    return Math.max(this.#main, this.#compactRevision, emptyRevision);
  }

  rows(): number {
    return this.#rows;
  }

  keys(): number {
    return this.#lives.size;
  }

  /** Live keys whose lease is none of `known`, each with where it was last written. */
  *keysWithoutLease(known: ReadonlySet<LeaseId>): Generator<{ readonly main: number; readonly sub: number }> {
    for (const life of this.#lives.values()) {
      if (life.lease !== 0n && !known.has(life.lease)) yield { main: life.lastMain, sub: life.lastSub };
    }
  }

  #order({ main, sub }: CheckedRevision, name: string): string | undefined {
    const before = `${this.#main}.${this.#sub}`;
    if (main < this.#main || (main === this.#main && sub <= this.#sub && this.#rows > 0)) {
      return `${name} comes after ${before}`;
    }
    if (main !== this.#main) {
      // Below the compacted revision only what is still read is kept; above it, all.
      const nextMax = Math.max(this.#main, this.#compactRevision, emptyRevision) + 1;
      if (main > nextMax) return `${name} comes after ${before}: revision ${nextMax} is missing`;
      if (main <= emptyRevision) return `${name} is at or before the revision of an empty store`;
      this.#written.clear();
      this.#main = main;
    }
    this.#sub = sub;
    return undefined;
  }

  #life(revision: CheckedRevision, name: string): string | undefined {
    const { main, sub, key, createRevision, version, lease } = revision;
    const life = this.#lives.get(key);
    if (revision.isTombstone) {
      if (life === undefined && main > this.#compactRevision) return `${name} deletes a key that is not there`;
      this.#lives.delete(key);
      return undefined;
    }
    if (createRevision < 1 || createRevision > main || version < 1) {
      return `${name} is version ${version} of a key created at ${createRevision}`;
    }
    if (life === undefined) {
      if (main > this.#compactRevision && createRevision !== main) {
        return `${name} changes a key created at ${createRevision}, of which nothing is there`;
      }
      this.#lives.set(key, { createRevision, version, lastMain: main, lastSub: sub, lease });
      return undefined;
    }
    if (life.createRevision !== createRevision || version <= life.version) {
      return `${name} is version ${version} of a key created at ${createRevision}, after version ${life.version} of one created at ${life.createRevision}`;
    }
    life.version = version;
    life.lastMain = main;
    life.lastSub = sub;
    life.lease = lease;
    return undefined;
  }
}
