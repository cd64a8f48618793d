/**
 * One written version as bytes: the value of a revision row.
 *
 *     byte 0      1 = put, 2 = tombstone
 *     1..8        createRevision   (0 in a tombstone)
 *     9..16       version          (0 in a tombstone)
 *     17..24      lease, int64     (0 in a tombstone)
 *     25..28      length of the key
 *     29..        key, then value
 *
 * All numbers are big-endian. A row is never changed: the KeyValue made from it holds views of it.
 */
import { assert } from '../../env/assert.ts';
import type { KeyValue, LeaseId } from '../api.ts';
import { asBuffer } from '../backend/bytes.ts';

const putKind = 1;
const tombstoneKind = 2;
const headerBytes = 29;
const wordValues = 2 ** 32;

export interface PutRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: LeaseId;
}

/** Length of the row of a put. */
export function putRowBytes(key: Uint8Array, value: Uint8Array): number {
  return headerBytes + key.length + value.length;
}

/** Writes the row of a put into `target` at `at`. */
export function writePut(target: Buffer, at: number, put: PutRow): void {
  assert(put.createRevision > 0 && put.version > 0, 'a put has a create revision and a version');
  assert(at + putRowBytes(put.key, put.value) <= target.length, 'a row fits where it is written');
  target[at] = putKind;
  writeNumber(target, put.createRevision, at + 1);
  writeNumber(target, put.version, at + 9);
  if (put.lease === 0n) target.fill(0, at + 17, at + 25);
  else target.writeBigInt64BE(put.lease, at + 17);
  target.writeUInt32BE(put.key.length, at + 25);
  target.set(put.key, at + headerBytes);
  target.set(put.value, at + headerBytes + put.key.length);
}

/** The row of a put. */
export function encodePut(put: PutRow): Uint8Array {
  const row = Buffer.allocUnsafeSlow(putRowBytes(put.key, put.value));
  writePut(row, 0, put);
  return row;
}

/** The row of a delete. */
export function encodeTombstone(key: Uint8Array): Uint8Array {
  assert(key.length > 0, 'a tombstone has a key');
  const row = Buffer.alloc(headerBytes + key.length);
  row[0] = tombstoneKind;
  row.writeUInt32BE(key.length, 25);
  row.set(key, headerBytes);
  return row;
}

/** Whether the row is a delete. */
export function isTombstone(row: Uint8Array): boolean {
  assert(row[0] === putKind || row[0] === tombstoneKind, () => `a revision row begins with byte ${row[0]}`);
  return row[0] === tombstoneKind;
}

/** The same of the row of `length` bytes at `at`; its lengths fit. */
export function isTombstoneAt(bytes: Buffer, at: number, length: number): boolean {
  const kind = bytes[at];
  assert(kind === putKind || kind === tombstoneKind, () => `a revision row begins with byte ${kind}`);
  assert(length >= headerBytes, () => `a revision row has ${length} bytes, fewer than its header`);
  const keyEnd = headerBytes + bytes.readUInt32BE(at + 25);
  assert(keyEnd <= length, () => `a revision row of ${length} bytes claims a key up to byte ${keyEnd}`);
  return kind === tombstoneKind;
}

/** The version in a row, written at `modRevision`. A tombstone gives key and modRevision only. */
export function decodeRow(row: Uint8Array, modRevision: number): KeyValue {
  return decodeRowAt(asBuffer(row), 0, row.length, modRevision);
}

/** The version in the row of `length` bytes at `at`. */
export function decodeRowAt(bytes: Buffer, at: number, length: number, modRevision: number): KeyValue {
  assert(length >= headerBytes, () => `a revision row has ${length} bytes, fewer than its header`);
  assert(modRevision > 0, () => `a row cannot be at revision ${modRevision}`);
  const keyEnd = headerBytes + bytes.readUInt32BE(at + 25);
  assert(keyEnd <= length, () => `a revision row of ${length} bytes claims a key up to byte ${keyEnd}`);
  return {
    key: bytes.subarray(at + headerBytes, at + keyEnd),
    value: bytes.subarray(at + keyEnd, at + length),
    createRevision: readNumber(bytes, at + 1),
    modRevision,
    version: readNumber(bytes, at + 9),
    lease: leaseAt(bytes, at),
  };
}

/** The lease in the row at `at`. */
export function leaseAt(bytes: Buffer, at: number): LeaseId {
  if (bytes.readUInt32BE(at + 17) === 0 && bytes.readUInt32BE(at + 21) === 0) return 0n;
  return bytes.readBigInt64BE(at + 17);
}

/** The key in the row at `at`, as text. */
export function keyTextAt(bytes: Buffer, at: number): string {
  const from = at + headerBytes;
  return bytes.toString('latin1', from, from + bytes.readUInt32BE(at + 25));
}

/** Create revision in the row of a put at `at`. */
export function createdAt(bytes: Buffer, at: number): number {
  return readNumber(bytes, at + 1);
}

/** Version in the row of a put at `at`. */
export function versionAt(bytes: Buffer, at: number): number {
  return readNumber(bytes, at + 9);
}

function writeNumber(row: Buffer, value: number, at: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${value} must be a natural number`);
  row.writeUInt32BE(Math.floor(value / wordValues), at);
  row.writeUInt32BE(value % wordValues, at + 4);
}

function readNumber(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32BE(at) * wordValues + bytes.readUInt32BE(at + 4);
  assert(Number.isSafeInteger(value), () => `${value} in a revision row is above 2^53`);
  return value;
}
