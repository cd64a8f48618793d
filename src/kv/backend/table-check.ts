/**
 * LevelDB's table files, checked block by block against the checksums that are in them. LevelDB itself checks none of them
 * as it is used here: it reads past what it cannot make sense of, and rows are missing in silence.
 *
 *   block, type (1 byte), masked CRC-32C of both (4 bytes) · … · index block · footer of 48 bytes: where both indexes are
 *
 * The index lists the data blocks, another one the filter; they may be compressed (Snappy), which is undone for these alone.
 */
import { assert } from '../../env/assert.ts';

const footerBytes = 48;
const trailerBytes = 5;
const magic = Buffer.from('57fb808b247547db', 'hex');
const snappyType = 1;
const maskDelta = 0xa282ead8;
/** An index of LevelDB's files of 2 MiB takes some kilobytes; a wild length must not be allocated. */
const indexBytesMax = 64 * 1024 * 1024;

interface Handle {
  readonly offset: number;
  readonly bytes: number;
}

/** Undefined when the table is whole, else what is wrong with it. */
export function tableDamage(table: Buffer): string | undefined {
  if (table.length < footerBytes) return `${table.length} bytes are no table`;
  const footer = table.subarray(table.length - footerBytes);
  if (!footer.subarray(footerBytes - magic.length).equals(magic)) return 'the footer is not one of a table';
  try {
    const cursor = { bytes: footer, at: 0 };
    const metaindex = readHandle(cursor);
    const index = readHandle(cursor);
    const listed = [metaindex, index].flatMap((handle) => handlesIn(checkedBlock(table, handle)));
    for (const handle of listed) checkedBlock(table, handle);
    // What no block covers nobody has checked.
    const covered = [metaindex, index, ...listed].reduce((sum, { bytes }) => sum + bytes + trailerBytes, footerBytes);
    return covered === table.length ? undefined : `the blocks cover ${covered} of ${table.length} bytes`;
  } catch (error) {
    if (error instanceof DamagedTable) return error.message;
    throw error;
  }
}

class DamagedTable extends Error {}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/** A little-endian number in groups of seven bits. */
function readVarint(cursor: Cursor): number {
  let value = 0;
  for (let factor = 1; factor < 2 ** 50; factor *= 128) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined) break;
    value += (byte & 127) * factor;
    if (byte < 128) return value;
  }
  throw new DamagedTable('a number ends nowhere');
}

function readHandle(cursor: Cursor): Handle {
  return { offset: readVarint(cursor), bytes: readVarint(cursor) };
}

/** The block's content as stored, without its trailer. */
function checkedBlock(table: Buffer, { offset, bytes }: Handle): { readonly content: Buffer; readonly type: number } {
  const end = offset + bytes;
  if (end + trailerBytes > table.length) throw new DamagedTable(`a block of ${bytes} bytes at ${offset} lies outside`);
  const rotated = table.readUInt32LE(end + 1) - maskDelta;
  const stored = ((rotated >>> 17) | (rotated << 15)) >>> 0;
  if (crc32c(table, offset, end + 1) !== stored) {
    throw new DamagedTable(`the checksum of the block at ${offset} does not match`);
  }
  return { content: table.subarray(offset, end), type: table[end] ?? 0 };
}

/** The handles in an index block or in the one that names the filter: entries of shared length, own length, value length, own key bytes, value. */
function handlesIn({ content, type }: { readonly content: Buffer; readonly type: number }): readonly Handle[] {
  const block = type === snappyType ? unSnappy(content) : content;
  if (block.length < 4) throw new DamagedTable('an index of no entries');
  const restarts = block.readUInt32LE(block.length - 4);
  const end = block.length - 4 - 4 * restarts;
  const handles: Handle[] = [];
  const cursor = { bytes: block, at: 0 };
  while (cursor.at < end) {
    readVarint(cursor);
    const ownBytes = readVarint(cursor);
    const valueBytes = readVarint(cursor);
    cursor.at += ownBytes;
    const valueEnd = cursor.at + valueBytes;
    handles.push(readHandle(cursor));
    if (cursor.at !== valueEnd) throw new DamagedTable('an index entry holds no place of a block');
  }
  return handles;
}

/** Snappy: the length, then literals and copies of what came before. */
function unSnappy(compressed: Buffer): Buffer {
  const cursor = { bytes: compressed, at: 0 };
  const length = readVarint(cursor);
  if (length > indexBytesMax) throw new DamagedTable(`an index of ${length} bytes`);
  const out = Buffer.alloc(length);
  let filled = 0;
  while (cursor.at < compressed.length) {
    const tag = compressed[cursor.at++] ?? 0;
    const kind = tag & 3;
    if (kind === 0) {
      let bytes = tag >> 2;
      if (bytes >= 60) {
        const extra = bytes - 59;
        bytes = compressed.readUIntLE(cursor.at, extra);
        cursor.at += extra;
      }
      bytes += 1;
      filled += compressed.copy(out, filled, cursor.at, cursor.at + bytes);
      cursor.at += bytes;
      continue;
    }
    const extra = kind === 1 ? 1 : kind === 2 ? 2 : 4;
    const low = compressed.readUIntLE(cursor.at, extra);
    cursor.at += extra;
    const bytes = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const back = kind === 1 ? ((tag >> 5) << 8) | low : low;
    if (back === 0 || back > filled) throw new DamagedTable('an index that cannot be decompressed');
    // One by one: a copy may reach into what it is writing.
    for (let count = 0; count < bytes && filled < length; count++, filled++) out[filled] = out[filled - back] ?? 0;
  }
  if (filled !== length) throw new DamagedTable('an index that is not as long as it says');
  return out;
}

/** CRC-32C (Castagnoli), four bytes at a time. */
const tables = crcTables();

function crcTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    first[byte] = value;
  }
  const next = (before: Int32Array) => before.map((value) => (value >>> 8) ^ (first[value & 255] ?? 0));
  const second = next(first);
  const third = next(second);
  return [first, second, third, next(third)];
}

function crc32c(bytes: Buffer, from: number, to: number): number {
  assert(from <= to && to <= bytes.length, 'a checksum is of bytes that are there');
  const [first, second, third, fourth] = tables;
  let crc = -1;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    crc ^= bytes.readInt32LE(at);
    crc =
      (fourth[crc & 255] as number) ^
      (third[(crc >>> 8) & 255] as number) ^
      (second[(crc >>> 16) & 255] as number) ^
      (first[crc >>> 24] as number);
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (first[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}
