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
 * All numbers are big-endian. A row has memory of its own and is never changed: the KeyValue made from it holds views of
 * it, so a live key costs its row once, however large the request was that it came in.
 */
import { assert } from '../../env/assert.ts';
import type { KeyValue, LeaseId } from '../api.ts';

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

/** The row of a put. */
export function encodePut(put: PutRow): Uint8Array {
  assert(put.createRevision > 0 && put.version > 0, 'a put has a create revision and a version');
  const row = Buffer.allocUnsafeSlow(headerBytes + put.key.length + put.value.length);
  row[0] = putKind;
  writeNumber(row, put.createRevision, 1);
  writeNumber(row, put.version, 9);
  row.writeBigInt64BE(put.lease, 17);
  row.writeUInt32BE(put.key.length, 25);
  row.set(put.key, headerBytes);
  row.set(put.value, headerBytes + put.key.length);
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

/** The version in a row, written at `modRevision`. A tombstone gives key and modRevision only. */
export function decodeRow(row: Uint8Array, modRevision: number): KeyValue {
  assert(row.length >= headerBytes, () => `a revision row has ${row.length} bytes, fewer than its header`);
  assert(modRevision > 0, () => `a row cannot be at revision ${modRevision}`);
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const keyEnd = headerBytes + view.getUint32(25);
  assert(keyEnd <= row.length, () => `a revision row of ${row.length} bytes claims a key up to byte ${keyEnd}`);
  return {
    key: row.subarray(headerBytes, keyEnd),
    value: row.subarray(keyEnd),
    createRevision: readNumber(view, 1),
    modRevision,
    version: readNumber(view, 9),
    lease: view.getBigInt64(17),
  };
}

/** The row that a KeyValue from `decodeRow` is a view of. */
export function rowOf(kv: KeyValue): Uint8Array {
  const { buffer, byteOffset } = kv.key;
  assert(buffer === kv.value.buffer && byteOffset >= headerBytes, 'a version is a view of its row');
  assert(kv.value.byteOffset === byteOffset + kv.key.length, 'in a row the value follows the key');
  return new Uint8Array(buffer, byteOffset - headerBytes, headerBytes + kv.key.length + kv.value.length);
}

function writeNumber(row: Buffer, value: number, at: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${value} must be a natural number`);
  row.writeUInt32BE(Math.floor(value / wordValues), at);
  row.writeUInt32BE(value % wordValues, at + 4);
}

function readNumber(view: DataView, at: number): number {
  const value = view.getUint32(at) * wordValues + view.getUint32(at + 4);
  assert(Number.isSafeInteger(value), () => `${value} in a revision row is above 2^53`);
  return value;
}
