/** One ascending scan over what LevelDB holds and what still waits for it. */
import { toBytes, toText } from './bytes.ts';
import { unchecked } from './row-check.ts';

/** A row that the disk does not have yet; undefined = deleted. */
export interface PendingRow {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** A disk that holds nothing. */
export async function* noPages(): AsyncGenerator<[Buffer, Buffer][]> {}

/** Rows from disk and rows still in memory as one ascending sequence; the one in memory is the newer. */
export async function* merged(
  pages: AsyncGenerator<[Buffer, Buffer][]>,
  pending: readonly PendingRow[],
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  let next = 0;
  for await (const page of pages) {
    for (const row of page) {
      const key = toText(row[0]);
      for (let held = pending[next]; held !== undefined && held.key < key; held = pending[++next]) {
        if (held.value !== undefined) yield [toBytes(held.key), held.value];
      }
      const held = pending[next];
      if (held === undefined || held.key !== key) {
        yield row;
        continue;
      }
      next += 1;
      if (held.value !== undefined) yield [row[0], held.value];
    }
  }
  for (let held = pending[next]; held !== undefined; held = pending[++next]) {
    if (held.value !== undefined) yield [toBytes(held.key), held.value];
  }
}

/** Rows read at a time. */
const pageRows = 1000;

/** What an iterator of the database gives, page by page, each value without the checksum that it was held against. */
export async function* checkedPages(iterator: {
  nextv(rows: number): Promise<[Buffer, Buffer][]>;
}): AsyncGenerator<[Buffer, Buffer][]> {
  for (;;) {
    const page = await iterator.nextv(pageRows);
    if (page.length === 0) return;
    for (const row of page) row[1] = unchecked(row[0], row[1]);
    yield page;
  }
}
