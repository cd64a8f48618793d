/**
 * Records: the framing shared by log segments and snapshot files. A head of 64 bytes, then the payload, then zeros to a
 * multiple of 8. All numbers are little-endian.
 *
 *   offset  0         4           8       12    16           20      24          28        32    40    48          56
 *           headCrc   payloadCrc  length  type  previousCrc  offset  groupStart  groupEnd  term  vote  firstIndex  lastIndex
 *           └──────────────────────── 32-bit unsigned ─────────────────────────────────┘  └──────── 64-bit float ───────┘
 *
 * `headCrc` covers the rest of the head, and with `payloadCrc` the payload: a damaged payload does not hide how long it is,
 * nor what was in it in outline: the term, the vote and the last index of the log after the record, and its first entry
 * (0 = none). `previousCrc` is the headCrc of the record before, so that a stale or missing record in the middle shows.
 * `offset` ties a record to its place: a copy of log bytes inside somebody's value never looks like a record.
 *
 * `groupStart` and `groupEnd` decide about damage. A group is what one write and one sync made durable. Everything before
 * groupStart was synced when the record was written: a broken record with a later valid head whose groupStart lies beyond
 * it was once durable. Up to groupEnd bytes were written: a group that lacks whole sectors of them (files are grown with
 * zeros before they are written) was torn by a crash, and nobody was told about it.
 *
 * Offsets are kept modulo 2^32 (snapshot files may be larger; segments may not).
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';

export const recordHeadBytes = 64;
/** A longer length field is damage: no Ready hands over more, and no allocation may follow a wild length. */
export const recordPayloadBytesMax = 512 * 1024 * 1024;
/** What a disk writes whole or not at all; larger on many, never smaller. */
export const sectorBytes = 512;

export const recordTypes = {
  segmentHeader: 1,
  batch: 2,
  snapshotMark: 3,
  confMark: 4,
  snapshotHeader: 16,
  snapshotChunk: 17,
  snapshotTrailer: 18,
} as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];

const recordTypeNumbers: ReadonlySet<number> = new Set(Object.values(recordTypes));

/** What the log says once the record counts. Zeros in snapshot files. */
export interface RecordFacts {
  readonly term: number;
  readonly vote: number;
  /** Of the entries in the record; 0 = none. */
  readonly firstIndex: number;
  /** Of the log. */
  readonly lastIndex: number;
}

export const noFacts: RecordFacts = { term: 0, vote: 0, firstIndex: 0, lastIndex: 0 };

export interface RecordPlace {
  readonly offset: number;
  readonly previousCrc: number;
  readonly groupStart: number;
  readonly groupEnd: number;
}

export interface FramedRecord {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly crc: number;
}

export interface RecordHead extends RecordPlace, RecordFacts {
  readonly type: RecordType;
  /** Of the head; covers the payload's. */
  readonly crc: number;
  readonly payloadCrc: number;
  readonly payloadBytes: number;
  readonly nextOffset: number;
}

export interface WalRecord extends RecordHead {
  readonly payload: Uint8Array;
}

export interface BrokenRecord {
  readonly offset: number;
  readonly reason: string;
  /** Present when only the payload is damaged. */
  readonly head?: RecordHead;
}

/** Length of a record with its head and padding. */
export function framedBytes(payloadBytes: number): number {
  return recordHeadBytes + Math.ceil(payloadBytes / 8) * 8;
}

const noPadding = new Uint8Array(0);
const paddings = Array.from({ length: 8 }, (_, bytes) => (bytes === 0 ? noPadding : new Uint8Array(bytes)));

export function frameRecord(
  type: RecordType,
  payload: Uint8Array,
  place: RecordPlace,
  facts: RecordFacts = noFacts,
): FramedRecord {
  assert(payload.length <= recordPayloadBytesMax, () => `a record of ${payload.length} bytes is over the limit`);
  assert(place.offset % 8 === 0 && place.groupStart <= place.offset, 'a record begins on 8 bytes, after its group');
  const bytes = framedBytes(payload.length);
  assert(place.groupEnd >= place.offset + bytes, 'a record ends in its group');
  const head = Buffer.allocUnsafe(recordHeadBytes);
  head.writeUInt32LE(crc32(payload), 4);
  head.writeUInt32LE(payload.length, 8);
  head.writeUInt32LE(type, 12);
  head.writeUInt32LE(place.previousCrc, 16);
  head.writeUInt32LE(place.offset % 2 ** 32, 20);
  head.writeUInt32LE(place.groupStart % 2 ** 32, 24);
  head.writeUInt32LE(place.groupEnd % 2 ** 32, 28);
  head.writeDoubleLE(facts.term, 32);
  head.writeDoubleLE(facts.vote, 40);
  head.writeDoubleLE(facts.firstIndex, 48);
  head.writeDoubleLE(facts.lastIndex, 56);
  const crc = crc32(head.subarray(4));
  head.writeUInt32LE(crc, 0);
  const padding = bytes - recordHeadBytes - payload.length;
  return { chunks: padding === 0 ? [head, payload] : [head, payload, paddings[padding] ?? noPadding], bytes, crc };
}

/** The head at `offset` of `bytes`, which is a file's content from `base` on. */
export function readHead(bytes: Buffer, offset: number, base = 0): RecordHead | BrokenRecord {
  assert(offset >= base && offset % 8 === 0, 'records begin on 8 bytes');
  const start = offset - base;
  const broken = (reason: string): BrokenRecord => ({ offset, reason });
  if (bytes.length - start < recordHeadBytes) return broken(`${bytes.length - start} bytes are no whole head`);
  const type = bytes.readUInt32LE(start + 12);
  if (!recordTypeNumbers.has(type)) return broken(`unknown type ${type}`);
  const payloadBytes = bytes.readUInt32LE(start + 8);
  if (payloadBytes > recordPayloadBytesMax) return broken(`length ${payloadBytes} is over the limit`);
  if (bytes.readUInt32LE(start + 20) !== offset % 2 ** 32) return broken('the record belongs to another offset');
  const crc = bytes.readUInt32LE(start);
  if (crc32(bytes.subarray(start + 4, start + recordHeadBytes)) !== crc) return broken('the checksum does not match');
  return {
    type: type as RecordType,
    crc,
    payloadCrc: bytes.readUInt32LE(start + 4),
    payloadBytes,
    previousCrc: bytes.readUInt32LE(start + 16),
    offset,
    groupStart: bytes.readUInt32LE(start + 24),
    groupEnd: bytes.readUInt32LE(start + 28),
    term: bytes.readDoubleLE(start + 32),
    vote: bytes.readDoubleLE(start + 40),
    firstIndex: bytes.readDoubleLE(start + 48),
    lastIndex: bytes.readDoubleLE(start + 56),
    nextOffset: offset + framedBytes(payloadBytes),
  };
}

/** The record at `offset` of `bytes`, which is a file's content from `base` on. */
export function readRecord(bytes: Buffer, offset: number, base = 0): WalRecord | BrokenRecord {
  const head = readHead(bytes, offset, base);
  if ('reason' in head) return head;
  const start = offset - base + recordHeadBytes;
  const end = start + head.payloadBytes;
  if (end > bytes.length) {
    return { offset, reason: `length ${head.payloadBytes} reaches beyond the end of the file`, head };
  }
  const payload = bytes.subarray(start, end);
  if (crc32(payload) !== head.payloadCrc) return { offset, reason: 'the checksum does not match', head };
  return { ...head, payload };
}

export function isBroken(record: RecordHead | BrokenRecord): record is BrokenRecord {
  return 'reason' in record;
}

/** The first readable head at or after `offset`. */
export function findHead(bytes: Buffer, offset: number): RecordHead | undefined {
  assert(offset % 8 === 0, 'records begin on 8 bytes');
  for (let at = offset; at + recordHeadBytes <= bytes.length; at += 8) {
    const head = readHead(bytes, at);
    if (!isBroken(head)) return head;
  }
  return undefined;
}

/** Where the last byte that is not zero ends; what follows was never written. */
export function endOfData(bytes: Buffer): number {
  let end = bytes.length;
  // Whole words first: the unwritten end of a segment may be a megabyte.
  while (end >= 4096 && bytes.subarray(end - 4096, end).equals(zeroPage)) end -= 4096;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

const zeroPage = Buffer.alloc(4096);

/** Whether some sector of `bytes` between the two offsets was never written. */
export function lacksSector(bytes: Buffer, from: number, to: number): boolean {
  assert(from <= to, 'a range goes up');
  if (to > bytes.length) return true;
  for (let at = from; at < to; at = (Math.floor(at / sectorBytes) + 1) * sectorBytes) {
    const end = Math.min(to, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (bytes.subarray(at, end).equals(zeroPage.subarray(0, end - at))) return true;
  }
  return false;
}
