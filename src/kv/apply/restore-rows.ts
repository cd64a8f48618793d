/** A received snapshot becomes the state: its rows are looked at while they come, and take the backend over when all are there. */
import { assert } from '../../env/assert.ts';
import type { Backend, BackendWrite } from '../backend/contract.ts';
import { type LoadedState, StateLoader } from './load.ts';
import { appliedKey, appliedRow, isRevisionRow } from './meta-rows.ts';
import { readRows, type Row } from './snapshot-stream.ts';

/** Rows of a restored snapshot in one batch. */
const batchRows = 1000;

/** Reads the whole stream; the rows are views of its chunks. Rejects with SNAPSHOT_CORRUPT when it is not whole. */
export async function readSnapshot(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly rows: readonly Row[]; readonly loader: StateLoader }> {
  const loader = new StateLoader();
  const rows: Row[] = [];
  await readRows(chunks, (bytes, place, piece) => {
    const key = bytes.subarray(place.keyAt, place.valueAt);
    const value = bytes.subarray(place.valueAt, place.end);
    rows.push([key, value]);
    if (isRevisionRow(key)) loader.addRevision(bytes, place, piece);
    else loader.add(key, value);
  });
  return { rows, loader };
}

/**
 * Without the applied row the backend counts as empty, so that row goes first and comes last: a crash in between leaves
 * remains that the next start clears away. All of it is visible to reads at once; resolves when it is on disk.
 */
export function replaceBackend(
  backend: Backend,
  rows: readonly Row[],
  { stored }: LoadedState,
  index: number,
): Promise<unknown> {
  const { applied } = stored;
  assert(
    applied !== undefined && applied.index <= index,
    () => `the snapshot of index ${index} holds ${applied?.index}`,
  );
  backend.write([{ type: 'delete', key: appliedKey }]);
  const cleared = backend.clear();
  let batch: BackendWrite[] = [];
  for (const [key, value] of rows) {
    if (key.length === 1 && key[0] === appliedKey[0]) continue;
    batch.push({ type: 'put', key, value });
    if (batch.length < batchRows) continue;
    backend.write(batch);
    batch = [];
  }
  backend.write([...batch, appliedRow({ index, revision: applied.revision })]);
  return Promise.all([cleared, backend.sync()]);
}
