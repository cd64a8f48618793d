/**
 * Records: the framing shared by log segments and snapshot files.
 *
 *   offset  0        4         8       12            16        20           24
 *           crc32    length    type    previousCrc   offset    groupStart   payload … zeros to a multiple of 8
 *
 * `crc32` covers everything after itself without the padding. `previousCrc` chains a record to the one before it, so
 * that a stale or missing record in the middle shows. `offset` ties it to its place: a copy of log bytes inside somebody's
 * value never looks like a record. `groupStart` is the promise that decides about damage: everything before that offset
 * was synced when this record was written. So a broken record with a later valid one whose groupStart lies beyond it was
 * once durable and is damaged, while a broken record without such a witness is a torn write that nobody was told about.
 *
 * All numbers are little-endian 32-bit. Offsets are kept modulo 2^32 (snapshot files may be larger; segments may not).
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';

export const recordHeaderBytes = 24;
/** A longer length field is damage: no Ready hands over more, and no allocation may follow a wild length. */
export const recordPayloadBytesMax = 512 * 1024 * 1024;

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

export interface RecordPlace {
  readonly offset: number;
  readonly previousCrc: number;
  readonly groupStart: number;
}

export interface FramedRecord {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly crc: number;
}

export interface WalRecord {
  readonly type: RecordType;
  readonly payload: Uint8Array;
  readonly offset: number;
  readonly crc: number;
  readonly previousCrc: number;
  readonly groupStart: number;
  readonly nextOffset: number;
}

export interface BrokenRecord {
  readonly offset: number;
  readonly reason: string;
}

/** Length of a record with its header and padding. */
export function framedBytes(payloadBytes: number): number {
  return recordHeaderBytes + Math.ceil(payloadBytes / 8) * 8;
}

export function frameRecord(type: RecordType, payload: Uint8Array, place: RecordPlace): FramedRecord {
  assert(payload.length <= recordPayloadBytesMax, () => `a record of ${payload.length} bytes is over the limit`);
  assert(place.offset % 8 === 0 && place.groupStart <= place.offset, 'a record begins on 8 bytes, after its group');
  const header = Buffer.alloc(recordHeaderBytes);
  header.writeUInt32LE(payload.length, 4);
  header.writeUInt32LE(type, 8);
  header.writeUInt32LE(place.previousCrc, 12);
  header.writeUInt32LE(place.offset % 2 ** 32, 16);
  header.writeUInt32LE(place.groupStart % 2 ** 32, 20);
  const crc = crc32(payload, crc32(header.subarray(4)));
  header.writeUInt32LE(crc, 0);
  const bytes = framedBytes(payload.length);
  const padding = bytes - recordHeaderBytes - payload.length;
  const chunks = padding === 0 ? [header, payload] : [header, payload, new Uint8Array(padding)];
  return { chunks, bytes, crc };
}

/** The record at `offset` of `bytes`, which is a file's content from `base` on. */
export function readRecord(bytes: Buffer, offset: number, base = 0): WalRecord | BrokenRecord {
  assert(offset >= base && offset % 8 === 0, 'records begin on 8 bytes');
  const start = offset - base;
  const broken = (reason: string): BrokenRecord => ({ offset, reason });
  if (bytes.length - start < recordHeaderBytes) return broken(`${bytes.length - start} bytes are no whole header`);
  const length = bytes.readUInt32LE(start + 4);
  if (length > recordPayloadBytesMax) return broken(`length ${length} is over the limit`);
  if (bytes.length - start < framedBytes(length)) return broken(`length ${length} reaches beyond the end of the file`);
  const type = bytes.readUInt32LE(start + 8);
  if (!recordTypeNumbers.has(type)) return broken(`unknown type ${type}`);
  if (bytes.readUInt32LE(start + 16) !== offset % 2 ** 32) return broken('the record belongs to another offset');
  const end = start + recordHeaderBytes + length;
  const crc = bytes.readUInt32LE(start);
  if (crc32(bytes.subarray(start + 4, end)) !== crc) return broken('the checksum does not match');
  return {
    type: type as RecordType,
    payload: bytes.subarray(start + recordHeaderBytes, end),
    offset,
    crc,
    previousCrc: bytes.readUInt32LE(start + 12),
    groupStart: bytes.readUInt32LE(start + 20),
    nextOffset: offset + framedBytes(length),
  };
}

export function isBroken(record: WalRecord | BrokenRecord): record is BrokenRecord {
  return 'reason' in record;
}

/**
 * A valid record after the broken one at `brokenOffset` that proves the broken one was once durable; undefined when
 * there is none, which makes the rest of the file a torn tail.
 */
export function findWitness(bytes: Buffer, brokenOffset: number): WalRecord | undefined {
  let offset = brokenOffset + 8;
  while (offset + recordHeaderBytes <= bytes.length) {
    const record = readRecord(bytes, offset);
    if (isBroken(record)) {
      offset += 8;
      continue;
    }
    assert(record.nextOffset > offset, 'records have a length');
    if (record.groupStart > brokenOffset) return record;
    offset = record.nextOffset;
  }
  return undefined;
}
