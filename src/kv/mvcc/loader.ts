/**
 * Builds index, live rows and history from the revision rows of a backend or a snapshot, in ascending order.
 *
 * A start with a million keys spends most of its time here, so nothing is made for a row but what stays: keys are looked
 * up in a map while they come and put into the tree together at the end, and rows that come in a piece of a snapshot stay
 * where they are (`adopt`). What is half built is nobody's: a load that fails is simply dropped.
 */
import { assert } from '../../env/assert.ts';
import { History } from './history.ts';
import { KeyEntry } from './key-index.ts';
import { KeyTable } from './key-table.ts';
import { LiveRows } from './live-rows.ts';
import { isRevisionKeyAt, mainAt, revisionKeyBytes, subAt } from './revision.ts';
import type { Slab } from './row-arena.ts';
import { createdAt, isTombstoneAt, keyTextAt, versionAt } from './row.ts';

/** Revision of an empty store; the first write makes it 2. */
export const emptyRevision = 1;

/** Where a row's key and value lie. `slab`: adopted memory that holds both; absent: the value is copied. */
export interface LoadedRow {
  readonly bytes: Buffer;
  readonly valueBytes: Buffer;
  readonly keyAt: number;
  readonly valueAt: number;
  readonly end: number;
  readonly slab: Slab | undefined;
}

export interface LoadedContent {
  readonly table: KeyTable;
  readonly rows: LiveRows;
  readonly history: History;
  readonly revision: number;
  readonly compactRevision: number;
  readonly bytesInUse: number;
}

export class Loader {
  readonly #revision: number;
  readonly #compactRevision: number;
  readonly #entries = new Map<string, KeyEntry>();
  readonly #rows = new LiveRows();
  readonly #history: History;
  #adopted: Slab[] = [];
  /** Revision whose rows are coming, and what it wrote so far. */
  #main = 0;
  #written: KeyEntry[] = [];
  #bytesInUse = 0;

  constructor({ revision, compactRevision }: { readonly revision: number; readonly compactRevision: number }) {
    assert(compactRevision <= revision, 'compaction is never ahead of the head');
    this.#revision = revision;
    this.#compactRevision = compactRevision;
    this.#history = new History(Math.max(compactRevision, emptyRevision + 1));
  }

  /** Memory whose rows are added where they are. */
  adopt(bytes: Buffer): Slab {
    const slab = this.#rows.adopt(bytes);
    this.#adopted.push(slab);
    return slab;
  }

  /** One row. Rows come in the order of their keys. */
  add(row: LoadedRow): void {
    const { bytes, keyAt } = row;
    assert(isRevisionKeyAt(bytes, keyAt), 'only revisions are loaded');
    const main = mainAt(bytes, keyAt);
    const sub = subAt(bytes, keyAt);
    if (main !== this.#main) {
      assert(main > this.#main && main <= this.#revision, () => {
        return `the backend holds revision ${main} after ${this.#main} with the head at ${this.#revision}`;
      });
      this.#appendWritten();
      this.#main = main;
    }
    this.#written.push(this.#restore(main, sub, row));
  }

  finish(): LoadedContent {
    this.#appendWritten();
    const history = this.#history;
    if (history.next() <= this.#revision) this.#appendCompacted();
    assert(history.next() === this.#revision + 1, () => {
      return `history ends at ${history.next() - 1}, the head is ${this.#revision}`;
    });
    const table = KeyTable.of(this.#entries);
    // Written over or deleted since: rows that have died in a piece of a snapshot take its memory as long as one lives.
    for (const slab of this.#adopted) this.#rows.tidy(slab);
    this.#adopted = [];
    this.#rows.tidyFilled();
    return {
      table,
      rows: this.#rows,
      history,
      revision: this.#revision,
      compactRevision: this.#compactRevision,
      bytesInUse: this.#bytesInUse,
    };
  }

  #restore(main: number, sub: number, { valueBytes: bytes, valueAt: at, end, slab }: LoadedRow): KeyEntry {
    const length = end - at;
    // Checks the row's form.
    const isTombstone = isTombstoneAt(bytes, at, length);
    const key = keyTextAt(bytes, at);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = new KeyEntry(key);
      this.#entries.set(key, entry);
    } else if (entry.slab !== undefined) this.#rows.release(entry);
    const rowBytes = revisionKeyBytes + length;
    this.#bytesInUse += rowBytes;
    if (isTombstone) {
      entry.restoreTombstone(main, sub, rowBytes);
      return entry;
    }
    entry.restorePut({ main, sub, rowBytes, created: createdAt(bytes, at), version: versionAt(bytes, at) });
    if (slab !== undefined) this.#rows.place(entry, { slab, at, length });
    else bytes.copy(this.#rows.reserve(entry, length).bytes, entry.slabAt, at, end);
    return entry;
  }

  #appendWritten(): void {
    if (this.#written.length === 0) return;
    if (this.#main >= this.#history.first()) {
      if (this.#main > this.#history.next()) this.#appendCompacted();
      this.#history.append(this.#main, this.#written);
    }
    this.#written = [];
  }

  /** Data that came from etcd may hold nothing of the compacted revision, nor of those that a restore jumped over. */
  #appendCompacted(): void {
    if (this.#history.next() !== this.#compactRevision || this.#compactRevision <= emptyRevision) return;
    this.#history.appendForgotten(this.#compactRevision);
  }
}
