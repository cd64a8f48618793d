/**
 * Building a state from rows: those of a backend, or of a snapshot. Rows come in key order, which puts the applied row and the
 * compacted revision before the revisions.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { asBuffer } from '../backend/bytes.ts';
import type { Backend } from '../backend/contract.ts';
import { type LoadedContent, Loader } from '../mvcc/loader.ts';
import { encodeRevision, mainAt, revisionRowsFrom } from '../mvcc/revision.ts';
import type { Slab } from '../mvcc/row-arena.ts';
import {
  allRowsFrom,
  allRowsTo,
  type Applied,
  appliedKey,
  isRevisionRow,
  parseApplied,
  RowReader,
  type StoredState,
} from './meta-rows.ts';
import { type RowPlaceSeen, readRows } from './snapshot-stream.ts';

/** What the rows say. */
export interface LoadedState {
  readonly stored: StoredState;
  readonly content: LoadedContent;
}

export class StateLoader {
  readonly #reader = new RowReader();
  #loader: Loader | undefined;
  /** The piece of a snapshot that rows are coming from, and the memory it has become. */
  #piece: Buffer | undefined;
  #slab: Slab | undefined;

  /** A row of its own. */
  add(key: Uint8Array, value: Uint8Array): void {
    if (!isRevisionRow(key)) return this.#reader.add(key, value);
    const valueBytes = asBuffer(value);
    const row = { bytes: asBuffer(key), keyAt: 0, valueBytes, valueAt: 0, end: value.length, slab: undefined };
    this.#revisions().add(row);
  }

  /** A revision in a piece of a snapshot, where it stays. `piece` absent: it was cut, and is copied. */
  addRevision(bytes: Buffer, { keyAt, valueAt, end }: RowPlaceSeen, piece: Buffer | undefined): void {
    const revisions = this.#revisions();
    if (piece !== this.#piece) {
      this.#piece = piece;
      this.#slab = piece && revisions.adopt(piece);
    }
    revisions.add({ bytes, keyAt, valueBytes: bytes, valueAt, end, slab: this.#slab });
  }

  /** As far as the rows have said. */
  stored(): StoredState {
    return this.#reader.state();
  }

  finish(): LoadedState {
    const content = this.#revisions().finish();
    return { stored: this.#reader.state(), content };
  }

  #revisions(): Loader {
    if (this.#loader === undefined) {
      const { applied, compactRevision } = this.#reader.state();
      assert(applied !== undefined, 'the applied row comes before the revisions');
      this.#loader = new Loader({ revision: applied.revision, compactRevision });
    }
    return this.#loader;
  }
}

/** What a backend holds, read row by row. */
export async function loadBackend(backend: Pick<Backend, 'scan'>): Promise<LoadedState> {
  const loader = new StateLoader();
  for await (const [key, value] of backend.scan(allRowsFrom, allRowsTo)) loader.add(key, value);
  return loader.finish();
}

/** A snapshot of the same history, from before what the backend holds; its pieces are nobody else's. */
export interface StoredSnapshot {
  readonly index: number;
  chunks(): AsyncIterable<Uint8Array>;
}

/** Rows of the snapshot that are compared with the backend's: one in so many, and the last. */
const comparedEvery = 4096;

/**
 * What a backend holds, with the revisions up to the snapshot's read from the snapshot: it comes in large pieces, in which rows
 * can stay. Rejects with `SNAPSHOT_CORRUPT`, `SNAPSHOT_COMPACTED` or `SNAPSHOT_DIFFERS` when it cannot be taken.
 */
export async function loadWithSnapshot(
  backend: Pick<Backend, 'scan' | 'get'>,
  snapshot: StoredSnapshot,
): Promise<LoadedState> {
  const loader = new StateLoader();
  for await (const [key, value] of backend.scan(allRowsFrom, revisionRowsFrom)) loader.add(key, value);
  const { applied, compactRevision } = loader.stored();
  assert(applied !== undefined && snapshot.index <= applied.index, 'the snapshot is not ahead of the backend');
  let covered: Applied | undefined;
  let rows = 0;
  let last: (() => readonly [Buffer, Buffer]) | undefined;
  await readRows(snapshot.chunks(), (bytes, place, piece) => {
    const { keyAt, valueAt, end } = place;
    const row = () => [bytes.subarray(keyAt, valueAt), bytes.subarray(valueAt, end)] as const;
    if (bytes[keyAt] === revisionRowsFrom[0]) {
      loader.addRevision(bytes, place, piece);
      last = row;
      if (rows++ % comparedEvery === 0) checkSame(backend, row(), compactRevision);
      return;
    }
    const [key, value] = row();
    if (!key.equals(appliedKey)) return;
    covered = parseApplied(value);
    // Keys that were deleted after the snapshot and have been cleaned up since live on in it, and nothing tells.
    if (covered.revision < compactRevision) {
      const gap = `it ends at revision ${covered.revision}, before the compacted ${compactRevision}`;
      throw new KeelsonError('SNAPSHOT_COMPACTED', `read the state from its newest snapshot: ${gap}`);
    }
  });
  if (last) checkSame(backend, last(), compactRevision);
  if (covered === undefined || covered.revision > applied.revision) throw differs(`its head is ${covered?.revision}`);
  for await (const [key, value] of backend.scan(encodeRevision(covered.revision + 1, 0), allRowsTo)) {
    loader.add(key, value);
  }
  return loader.finish();
}

/** Compaction may have taken the row out of the backend; a different one is of another history. */
function checkSame(
  backend: Pick<Backend, 'get'>,
  [key, value]: readonly [Buffer, Buffer],
  compactRevision: number,
): void {
  const held = backend.get(key);
  if (held === undefined ? mainAt(key, 0) <= compactRevision : value.equals(held)) return;
  throw differs(`row ${key.toString('hex')} is not the backend’s`);
}

function differs(reason: string): KeelsonError {
  return new KeelsonError('SNAPSHOT_DIFFERS', `read the state from its newest snapshot: ${reason}`);
}
