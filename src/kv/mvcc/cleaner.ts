/**
 * What follows a compaction: obsolete revisions leave the key index and the backend, slice by slice.
 *
 * Only a key written between the previous compaction and this one can have become obsolete, so the cleaner walks history
 * from the one to the other and compacts each key it meets; it never walks the whole index. The compacted revision itself
 * is walked again by the next compaction, because a tombstone there is kept until then.
 */
import { assert } from '../../env/assert.ts';
import type { BackendWrite } from '../backend/contract.ts';
import type { History } from './history.ts';
import type { KeptRevision, KeyEntry } from './key-index.ts';
import type { KeyTable } from './key-table.ts';
import { encodeRevision } from './revision.ts';

/** Writes looked at in one step, if not told otherwise: a few milliseconds of work, so that an apply never waits for long. */
export const sliceWritesDefault = 2000;

export interface CleanStep {
  readonly deletes: readonly BackendWrite[];
  readonly freedBytes: number;
  readonly hasMore: boolean;
}

export class Cleaner {
  /** Compacted revision that cleaning works towards; 0 = none yet. */
  #target = 0;
  /** Next revision to walk and place in it. Invariant: everything below was cleaned for some target <= #target. */
  #main = 0;
  #sub = 0;
  #isDone = true;
  /** Row keys found obsolete at loading. */
  #leftovers: Uint8Array[] = [];

  /** Sets a new compacted revision to work towards. */
  aim(compactRevision: number): void {
    assert(compactRevision > this.#target, () => `compaction goes from ${this.#target} to ${compactRevision}`);
    // The revision of the previous target is walked from its first write again, for the tombstones kept there.
    this.#sub = 0;
    this.#target = compactRevision;
    this.#isDone = false;
  }

  /** Begins with a freshly loaded index: compacts it in memory, leaves the rows to the steps, returns the bytes freed. */
  reset(compactRevision: number, table: KeyTable): number {
    assert(compactRevision >= 0, 'a compacted revision is not negative');
    this.#target = compactRevision;
    this.#main = compactRevision;
    this.#sub = 0;
    this.#isDone = true;
    this.#leftovers = [];
    if (compactRevision === 0) return 0;
    let freedBytes = 0;
    // A copy, because compacting an entry may remove it from the table.
    for (const entry of Array.from(table.entries())) {
      for (const revision of compactEntry(entry, compactRevision, table)) {
        this.#leftovers.push(encodeRevision(revision.main, revision.sub));
        freedBytes += revision.rowBytes;
      }
    }
    return freedBytes;
  }

  /** Whether a step would find something to do. */
  get hasMore(): boolean {
    return !this.#isDone || this.#leftovers.length > 0;
  }

  step(history: History, table: KeyTable, writesMax: number): CleanStep {
    assert(writesMax > 0, 'a step looks at something');
    const deletes: BackendWrite[] = this.#leftovers
      .splice(0, writesMax)
      .map((key): BackendWrite => ({ type: 'delete', key }));
    let freedBytes = 0;
    let budget = writesMax - deletes.length;
    this.#main = Math.max(this.#main, history.first());
    while (!this.#isDone && budget > 0) {
      if (this.#main > this.#target || this.#main >= history.next()) {
        // Only for a store compacted at its empty revision, which no write has.
        this.#isDone = true;
        break;
      }
      const entries = history.at(this.#main);
      for (; this.#sub < entries.length && budget > 0; this.#sub++, budget--) {
        for (const revision of compactEntry(entries[this.#sub] as KeyEntry, this.#target, table)) {
          deletes.push({ type: 'delete', key: encodeRevision(revision.main, revision.sub) });
          freedBytes += revision.rowBytes;
        }
      }
      if (this.#sub === entries.length) this.#advance();
    }
    history.dropBefore(this.#main);
    return { deletes, freedBytes, hasMore: this.hasMore };
  }

  #advance(): void {
    assert(this.#main <= this.#target, 'cleaning stays at or below its target');
    this.#sub = 0;
    if (this.#main === this.#target) this.#isDone = true;
    else this.#main += 1;
  }
}

function compactEntry(entry: KeyEntry, atMain: number, table: KeyTable): KeptRevision[] {
  const dropped = entry.compact(atMain);
  assert(
    dropped.every((revision) => revision.main < atMain),
    'only revisions below the compacted one are dropped',
  );
  if (entry.isEmpty()) table.remove(entry);
  return dropped;
}
