/**
 * The hash over everything kept at a revision, in slices: with a million versions it takes seconds, in which a member must
 * go on answering.
 *
 * What is hashed is fixed at the beginning: revision and compacted revision. Writes that come meanwhile are newer and not
 * looked at. The caller owes: nothing leaves the index between two steps (the store does not clean meanwhile).
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';
import type { KeptRevision, KeyEntry } from './key-index.ts';
import type { KeyTable } from './key-table.ts';
import { encodeRevision } from './revision.ts';

/** Not 0, which messages leave out and readers take for no hash at all. */
const hashOfNothing = crc32('key');

/** Work of one slice, in live rows, which lie in memory: a few milliseconds. */
const sliceCostMax = 4000;
/** What a row that is read from the backend costs beside one in memory. */
const backendRowCost = 16;
/** Bytes of rows that cost as much as a row by itself. */
const bytesPerCost = 1024;

export interface StoreHash {
  readonly hash: number;
  readonly compactRevision: number;
  readonly revision: number;
}

export interface HashSource {
  readonly table: KeyTable;
  /** The row in memory, when it is the one written at `main`. */
  rowInMemory(entry: KeyEntry, main: number): Uint8Array | undefined;
  rowInBackend(revision: KeptRevision): Uint8Array;
}

export class HashRun {
  readonly #source: HashSource;
  readonly #at: { readonly revision: number; readonly compactRevision: number };
  #hash = hashOfNothing;
  /** The last key that was hashed. */
  #after: string | undefined;

  constructor(source: HashSource, at: { readonly revision: number; readonly compactRevision: number }) {
    assert(at.compactRevision <= at.revision, 'what is hashed was not compacted');
    this.#source = source;
    this.#at = at;
  }

  /** One more slice; the hash once there is nothing left. */
  step(): StoreHash | undefined {
    let cost = 0;
    for (const entry of this.#source.table.entriesAfter(this.#after)) {
      if (cost >= sliceCostMax) return undefined;
      cost += 1 + this.#add(entry);
      this.#after = entry.key;
    }
    return { hash: this.#hash, ...this.#at };
  }

  /** Adds what is kept of one key; returns what that cost. */
  #add(entry: KeyEntry): number {
    let cost = 0;
    for (const kept of entry.kept(this.#at.compactRevision, this.#at.revision)) {
      const inMemory = this.#source.rowInMemory(entry, kept.main);
      const row = inMemory ?? this.#source.rowInBackend(kept);
      this.#hash = crc32(row, crc32(encodeRevision(kept.main, kept.sub), this.#hash));
      cost += (inMemory === undefined ? backendRowCost : 0) + Math.floor(row.length / bytesPerCost);
    }
    return cost;
  }
}
