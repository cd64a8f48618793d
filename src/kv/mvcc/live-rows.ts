/**
 * The rows of all live keys, in memory: where the row of each key lies, and what is in it.
 *
 * A key's entry says itself where its row is (`slab`, `slabAt`); this keeps that true, counts, and moves rows out of slabs
 * that are mostly dead. Rows are written once: whoever was given a view of one keeps it.
 *
 * The caller owes: `release` before the entry's newest revision changes, `reserve` or `place` after it.
 */
import { assert, present } from '../../env/assert.ts';
import type { KeyValue, LeaseId } from '../api.ts';
import type { RowPlace } from './change.ts';
import { KeyEntry } from './key-index.ts';
import { revisionKeyBytes } from './revision.ts';
import { RowArena, type Slab } from './row-arena.ts';
import { decodeRowAt, leaseAt } from './row.ts';

export class LiveRows {
  readonly #arena = new RowArena();
  #count = 0;

  /** Live keys. */
  count(): number {
    return this.#count;
  }

  memory(): { readonly liveBytes: number; readonly slabs: number } {
    return { liveBytes: this.#arena.liveBytes(), slabs: this.#arena.slabs() };
  }

  /** Room for the row of `length` bytes of the entry's newest revision, to be written at once. */
  reserve(entry: KeyEntry, length: number): Slab {
    assert(entry.slab === undefined, 'a key has one live row');
    this.#count += 1;
    return this.#arena.reserve(entry, length);
  }

  /** Memory that holds rows already, some of which `place` names. Nobody else writes it any more. */
  adopt(bytes: Buffer): Slab {
    return this.#arena.adopt(bytes);
  }

  /** The entry's row lies in adopted memory. */
  place(entry: KeyEntry, row: { readonly slab: Slab; readonly at: number; readonly length: number }): void {
    assert(entry.slab === undefined, 'a key has one live row');
    this.#count += 1;
    this.#arena.place(entry, row);
  }

  /** The entry's row dies; the slab is worth a look (`tidy`) when nothing else changes any more. */
  release(entry: KeyEntry): Slab {
    const slab = present(entry.slab, 'the row of a live key');
    this.#arena.release(slab, lengthOf(entry));
    entry.slab = undefined;
    this.#count -= 1;
    assert(this.#count >= 0, 'no more keys die than live');
    return slab;
  }

  /** The live version of an entry that has one. */
  version(entry: KeyEntry): KeyValue {
    const slab = present(entry.slab, 'the row of a live key');
    return decodeRowAt(slab.bytes, entry.slabAt, lengthOf(entry), entry.lastModified());
  }

  lease(entry: KeyEntry): LeaseId {
    return leaseAt(present(entry.slab, 'the row of a live key').bytes, entry.slabAt);
  }

  /** The live row, when it is the one written at `main`. */
  rowWrittenAt(entry: KeyEntry, main: number): Uint8Array | undefined {
    if (entry.slab === undefined || entry.lastModified() !== main) return undefined;
    return entry.slab.bytes.subarray(entry.slabAt, entry.slabAt + lengthOf(entry));
  }

  placeOf(entry: KeyEntry): RowPlace | undefined {
    if (entry.slab === undefined) return undefined;
    assert(entry.isLive(), 'only a live key has a row in memory');
    return { slab: entry.slab, at: entry.slabAt, length: lengthOf(entry), main: entry.lastModified() };
  }

  /** Moves the rows that still live in a slab that is mostly dead, so that its memory can go. */
  tidy(slab: Slab): void {
    if (!this.#arena.isSparse(slab)) return;
    for (const owner of slab.owners) {
      if (owner.slab !== slab) continue;
      assert(owner instanceof KeyEntry, 'rows in memory belong to keys');
      const from = owner.slabAt;
      const length = lengthOf(owner);
      this.#arena.release(slab, length);
      const target = this.#arena.reserve(owner, length);
      slab.bytes.copy(target.bytes, owner.slabAt, from, from + length);
    }
    assert(slab.live === 0, () => `${slab.live} bytes live on in a slab that was emptied`);
  }

  /** What was filled while its rows died is sparse from the beginning; tidying one may fill another. */
  tidyFilled(): void {
    for (let filled = this.#arena.takeFilled(); filled !== undefined; filled = this.#arena.takeFilled()) {
      this.tidy(filled);
    }
  }
}

/** Bytes of the entry's newest row. */
function lengthOf(entry: KeyEntry): number {
  const length = entry.rowBytes() - revisionKeyBytes;
  assert(length > 0, 'a row has bytes');
  return length;
}
