/**
 * A snapshot as a stream of bytes: every row of the backend, in key order, with a checksum at the end.
 *
 *     "keelson-kv-1\n"
 *     { key length u32, value length u32, key, value } …          lengths big-endian
 *     0xffffffff, CRC-32 of everything before it
 *
 * Readers take chunks cut anywhere. `decodeSnapshot` hands out rows only of a stream that turns out whole; `readRows`
 * shows them as they come, and tells at the end whether they counted.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { asBuffer } from '../backend/bytes.ts';
import { packRows, rowHeadBytes } from '../backend/row-blocks.ts';

export type Row = readonly [Uint8Array, Uint8Array];

const magic = Buffer.from('keelson-kv-1\n');
const endMark = 0xffffffff;

/** The stream of the given rows, in pieces that are each valid until the next one is asked for. */
export function encodeSnapshot(rows: AsyncIterable<Row>): AsyncGenerator<Uint8Array> {
  return encodeBlocks(packRows(rows));
}

/** The same of rows in blocks, which the stream consists of. */
export async function* encodeBlocks(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let crc = crc32(magic);
  yield magic;
  for await (const block of blocks) {
    assert(block.length > rowHeadBytes, 'a block holds a row');
    crc = crc32(block, crc);
    yield block;
  }
  const trailer = Buffer.alloc(rowHeadBytes);
  trailer.writeUInt32BE(endMark, 0);
  trailer.writeUInt32BE(crc, 4);
  yield trailer;
}

/** The rows of a stream; throws KeelsonError SNAPSHOT_CORRUPT unless it is whole. Each row has memory of its own. */
export async function decodeSnapshot(chunks: AsyncIterable<Uint8Array>): Promise<Row[]> {
  const rows: Row[] = [];
  await readRows(chunks, (bytes, { keyAt, valueAt, end }) => {
    rows.push([copyOf(bytes.subarray(keyAt, valueAt)), copyOf(bytes.subarray(valueAt, end))]);
  });
  return rows;
}

/** Whether a stream is whole, without keeping it: told the chunks as they come, it throws SNAPSHOT_CORRUPT when it is not. */
export class SnapshotCheck {
  /** What is known of the magic, a row's head or the end mark; never more than the longest of them. */
  #head: Buffer = Buffer.alloc(0);
  #hasMagic = false;
  /** Bytes of the present row that are still to come. */
  #rowBytesLeft = 0;
  #crc = 0;
  #isEnded = false;

  push(chunk: Uint8Array): void {
    let rest = asBuffer(chunk);
    while (rest.length > 0) {
      if (this.#isEnded) throw corrupt('something follows its end');
      rest = this.#rowBytesLeft > 0 ? this.#takeContent(rest) : this.#takeHead(rest);
    }
  }

  finish(): void {
    if (!this.#isEnded) throw corrupt('it ends without its end mark');
    assert(this.#rowBytesLeft === 0 && this.#head.length === 0, 'after the end mark nothing is open');
  }

  #takeContent(bytes: Buffer): Buffer {
    const content = bytes.subarray(0, this.#rowBytesLeft);
    this.#crc = crc32(content, this.#crc);
    this.#rowBytesLeft -= content.length;
    return bytes.subarray(content.length);
  }

  #takeHead(bytes: Buffer): Buffer {
    const wanted = (this.#hasMagic ? rowHeadBytes : magic.length) - this.#head.length;
    assert(wanted > 0, 'a head that is whole was taken');
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, wanted)]);
    if (bytes.length < wanted) return bytes.subarray(bytes.length);
    this.#onHead(this.#head);
    this.#head = Buffer.alloc(0);
    return bytes.subarray(wanted);
  }

  #onHead(head: Buffer): void {
    if (!this.#hasMagic) {
      if (!head.equals(magic)) throw corrupt('it does not begin as a snapshot does');
      this.#hasMagic = true;
      this.#crc = crc32(head);
      return;
    }
    const [first, second] = [head.readUInt32BE(0), head.readUInt32BE(4)];
    if (first === endMark) {
      if (second !== this.#crc) throw corrupt(`its checksum is ${this.#crc}, its end mark says ${second}`);
      this.#isEnded = true;
      return;
    }
    this.#crc = crc32(head, this.#crc);
    this.#rowBytesLeft = first + second;
  }
}

/** Key from `keyAt` to `valueAt`, value from there to `end`. */
export interface RowPlaceSeen {
  readonly keyAt: number;
  readonly valueAt: number;
  readonly end: number;
}

/**
 * Shows all rows of a stream, which is checked only at its end. So what `onRow` throws at a row is kept until then: in a stream
 * that is not whole it says nothing, and this rejects with SNAPSHOT_CORRUPT. Only a KeelsonError ends the reading at once.
 */
export async function readRows(chunks: AsyncIterable<Uint8Array>, onRow: RowSeen): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  const splitter = new SnapshotSplitter((...row) => {
    if (failure) return;
    try {
      onRow(...row);
    } catch (error) {
      failure = { error };
    }
  });
  for await (const chunk of chunks) {
    splitter.push(chunk);
    if (failure?.error instanceof KeelsonError) throw failure.error;
  }
  splitter.finish();
  if (failure) throw failure.error;
}

/** Shown where in `bytes` a row lies. `chunk`: the pushed one that these are of; undefined: they are a row that was cut. */
export type RowSeen = (bytes: Buffer, place: RowPlaceSeen, chunk: Buffer | undefined) => void;

/**
 * Finds the rows of a stream without copying them: one that lies in a single chunk is shown there. What was shown counts only
 * when `finish` does not throw SNAPSHOT_CORRUPT.
 */
class SnapshotSplitter {
  readonly #onRow: RowSeen;
  /** The beginning of a row, or of the magic, that ended with the chunk. Invariant: shorter than that row. */
  #rest: Buffer = Buffer.alloc(0);
  #crc = 0;
  #rows = 0;
  #hasMagic = false;
  #isEnded = false;

  constructor(onRow: RowSeen) {
    this.#onRow = onRow;
  }

  push(chunk: Uint8Array): void {
    let bytes = asBuffer(chunk);
    while (this.#rest.length > 0 && bytes.length > 0) bytes = this.#completeRest(bytes);
    if (bytes.length === 0) return;
    const end = this.#take(bytes, bytes);
    // A copy: the beginning of one row must not keep the whole chunk.
    this.#rest = Buffer.from(bytes.subarray(end));
  }

  finish(): void {
    if (!this.#isEnded) throw corrupt(`it ends after ${this.#rows} rows without its end mark`);
    if (this.#rest.length > 0) throw corrupt(`${this.#rest.length} bytes follow its end`);
  }

  /** Takes as many bytes as the row at the end of the last chunk lacks; returns the others. */
  #completeRest(bytes: Buffer): Buffer {
    const lacking = Math.max(1, this.#restWanted() - this.#rest.length);
    const joined = Buffer.concat([this.#rest, bytes.subarray(0, lacking)]);
    this.#rest = joined.subarray(this.#take(joined, undefined));
    return bytes.subarray(lacking);
  }

  /** Length of what began at the end of the last chunk, as far as it is known. */
  #restWanted(): number {
    if (!this.#hasMagic) return magic.length;
    if (this.#rest.length < rowHeadBytes) return rowHeadBytes;
    const first = this.#rest.readUInt32BE(0);
    return first === endMark ? rowHeadBytes : rowHeadBytes + first + this.#rest.readUInt32BE(4);
  }

  /** Takes all that is whole; returns where that ends. */
  #take(bytes: Buffer, chunk: Buffer | undefined): number {
    let at = this.#takeMagic(bytes);
    const from = at;
    while (this.#hasMagic && !this.#isEnded && at + rowHeadBytes <= bytes.length) {
      const first = bytes.readUInt32BE(at);
      const second = bytes.readUInt32BE(at + 4);
      if (first === endMark) {
        this.#crc = crc32(bytes.subarray(from, at), this.#crc);
        if (second !== this.#crc) throw corrupt(`its checksum is ${this.#crc}, its end mark says ${second}`);
        this.#isEnded = true;
        return at + rowHeadBytes;
      }
      const keyAt = at + rowHeadBytes;
      const valueAt = keyAt + first;
      const end = valueAt + second;
      if (end > bytes.length) break;
      if (first === 0) throw corrupt(`row ${this.#rows} has no key`);
      this.#onRow(bytes, { keyAt, valueAt, end }, chunk);
      this.#rows += 1;
      at = end;
    }
    if (at > from) this.#crc = crc32(bytes.subarray(from, at), this.#crc);
    return at;
  }

  #takeMagic(bytes: Buffer): number {
    if (this.#hasMagic || bytes.length < magic.length) return 0;
    if (!bytes.subarray(0, magic.length).equals(magic)) throw corrupt('it does not begin as a snapshot does');
    this.#hasMagic = true;
    this.#crc = crc32(magic);
    return magic.length;
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function corrupt(found: string): KeelsonError {
  return new KeelsonError(
    'SNAPSHOT_CORRUPT',
    `cannot restore the store from a snapshot: ${found}; take or fetch the snapshot again from a healthy member`,
  );
}
