/**
 * A snapshot as a stream of bytes: every row of the backend, in key order, with a checksum at the end.
 *
 *     "keelson-kv-1\n"
 *     { key length u32, value length u32, key, value } …          lengths big-endian
 *     0xffffffff, CRC-32 of everything before it
 *
 * The reader takes chunks cut anywhere and hands out rows only of a stream that turns out whole.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { asBuffer } from '../backend/bytes.ts';

export type Row = readonly [Uint8Array, Uint8Array];

const magic = Buffer.from('keelson-kv-1\n');
const endMark = 0xffffffff;
const rowHeaderBytes = 8;
/** Chunks grow to this: one message of a gRPC stream, far below its limit. */
const chunkBytes = 256 * 1024;

/** The stream of the given rows. */
export async function* encodeSnapshot(rows: AsyncIterable<Row>): AsyncGenerator<Uint8Array> {
  let crc = 0;
  let parts: Buffer[] = [magic];
  let bytes = magic.length;
  for await (const [key, value] of rows) {
    assert(key.length > 0 && key.length < endMark, 'a row has a key');
    const header = Buffer.allocUnsafe(rowHeaderBytes);
    header.writeUInt32BE(key.length, 0);
    header.writeUInt32BE(value.length, 4);
    parts.push(header, asBuffer(key), asBuffer(value));
    bytes += rowHeaderBytes + key.length + value.length;
    if (bytes < chunkBytes) continue;
    const chunk = Buffer.concat(parts, bytes);
    crc = crc32(chunk, crc);
    parts = [];
    bytes = 0;
    yield chunk;
  }
  const last = Buffer.concat(parts, bytes);
  crc = crc32(last, crc);
  const trailer = Buffer.alloc(rowHeaderBytes);
  trailer.writeUInt32BE(endMark, 0);
  trailer.writeUInt32BE(crc, 4);
  yield Buffer.concat([last, trailer]);
}

/** The rows of a stream; throws KeelsonError SNAPSHOT_CORRUPT unless it is whole. Each row has memory of its own. */
export async function decodeSnapshot(chunks: AsyncIterable<Uint8Array>): Promise<Row[]> {
  const decoder = new SnapshotDecoder();
  for await (const chunk of chunks) decoder.push(chunk);
  return decoder.finish();
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
    const wanted = (this.#hasMagic ? rowHeaderBytes : magic.length) - this.#head.length;
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

class SnapshotDecoder {
  readonly #rows: Row[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #crc = 0;
  #hasMagic = false;
  #isEnded = false;

  push(chunk: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? asBuffer(chunk) : Buffer.concat([this.#rest, chunk]);
    let at = this.#takeMagic();
    while (this.#hasMagic) {
      const end = this.#takeRow(at);
      if (end === undefined) break;
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
  }

  finish(): Row[] {
    if (!this.#isEnded) throw corrupt(`it ends after ${this.#rows.length} rows without its end mark`);
    if (this.#rest.length > 0) throw corrupt(`${this.#rest.length} bytes follow its end`);
    return this.#rows;
  }

  #takeMagic(): number {
    if (this.#hasMagic || this.#rest.length < magic.length) return 0;
    if (!this.#rest.subarray(0, magic.length).equals(magic)) throw corrupt('it does not begin as a snapshot does');
    this.#hasMagic = true;
    this.#crc = crc32(magic);
    return magic.length;
  }

  /** Where the row at `at` ends, or undefined when it is not all there. */
  #takeRow(at: number): number | undefined {
    if (this.#isEnded || this.#rest.length < at + rowHeaderBytes) return undefined;
    const first = this.#rest.readUInt32BE(at);
    const second = this.#rest.readUInt32BE(at + 4);
    const keyStart = at + rowHeaderBytes;
    if (first === endMark) {
      if (second !== this.#crc) throw corrupt(`its checksum is ${this.#crc}, its end mark says ${second}`);
      this.#isEnded = true;
      return keyStart;
    }
    const valueStart = keyStart + first;
    const end = valueStart + second;
    if (this.#rest.length < end) return undefined;
    this.#crc = crc32(this.#rest.subarray(at, end), this.#crc);
    this.#rows.push([copyOf(this.#rest.subarray(keyStart, valueStart)), copyOf(this.#rest.subarray(valueStart, end))]);
    return end;
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
