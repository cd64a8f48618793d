/**
 * What etcd keeps in its buckets, read and written: mvccpb.KeyValue, leasepb.Lease, revisions as keys, and the few values
 * of `meta`. Field numbers are the protos' of etcd 3.4 to 3.6, which agree.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { type AlarmType, type KeyValue, type LeaseId, noBytes } from '../api.ts';
import { FieldReader, FieldWriter } from './protobuf.ts';

const wordValues = 2 ** 32;
const underscore = 0x5f;
const tombstoneMark = 0x74;
export const revisionBytes = 17;

export interface EtcdRevision {
  readonly main: number;
  readonly sub: number;
  readonly isTombstone: boolean;
}

export interface EtcdLease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly remainingSeconds: number;
}

/** `what` is for the message. */
export function corruptSnapshot(found: string): KeelsonError {
  return new KeelsonError('SNAPSHOT_CORRUPT', `read the etcd snapshot: ${found}: it is damaged: take it again`);
}

/** The key of a row in `key`: main, '_', sub, and 't' behind a tombstone's. */
export function encodeEtcdRevision(main: number, sub: number, isTombstone: boolean): Uint8Array {
  assert(Number.isSafeInteger(main) && main > 0 && Number.isSafeInteger(sub) && sub >= 0, `${main}.${sub}`);
  const key = Buffer.allocUnsafe(isTombstone ? revisionBytes + 1 : revisionBytes);
  key.writeUInt32BE(Math.floor(main / wordValues), 0);
  key.writeUInt32BE(main % wordValues, 4);
  key[8] = underscore;
  key.writeUInt32BE(Math.floor(sub / wordValues), 9);
  key.writeUInt32BE(sub % wordValues, 13);
  if (isTombstone) key[revisionBytes] = tombstoneMark;
  return key;
}

export function decodeEtcdRevision(key: Uint8Array): EtcdRevision {
  const isTombstone = key.length === revisionBytes + 1 && key[revisionBytes] === tombstoneMark;
  if ((key.length !== revisionBytes && !isTombstone) || key[8] !== underscore) {
    throw corruptSnapshot(`${Buffer.from(key).toString('hex')} is no revision`);
  }
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const main = view.getUint32(0) * wordValues + view.getUint32(4);
  const sub = view.getUint32(9) * wordValues + view.getUint32(13);
  if (!Number.isSafeInteger(main) || !Number.isSafeInteger(sub)) throw corruptSnapshot(`revision ${main}.${sub}`);
  return { main, sub, isTombstone };
}

/** Key, value and all else are views of `bytes`. A tombstone has its key only. */
export function decodeKeyValue(bytes: Uint8Array): KeyValue {
  const reader = new FieldReader(bytes, 'a key');
  let key: Uint8Array = bytes.subarray(0, 0);
  let value = key;
  let [createRevision, modRevision, version, lease] = [0, 0, 0, 0n];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        key = reader.bytes();
        break;
      case 2:
        createRevision = reader.natural();
        break;
      case 3:
        modRevision = reader.natural();
        break;
      case 4:
        version = reader.natural();
        break;
      case 5:
        value = reader.bytes();
        break;
      case 6:
        lease = reader.int64();
        break;
      default:
        break;
    }
  }
  return { key, value, createRevision, modRevision, version, lease };
}

/** Messages in memory of their own. */
export function encodeKeyValue(kv: KeyValue): Uint8Array {
  return Uint8Array.from(new KeyValueWriter().encode(kv));
}

/** Writes one message after another into the same memory: there is one for every revision of a snapshot. */
export class KeyValueWriter {
  #bytes = Buffer.alloc(0);

  /** Valid until the next one. */
  encode(kv: KeyValue): Uint8Array {
    return writeKeyValue(kv, (length) => {
      // Twice as long as is wanted, so that it grows seldom.
      if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(2 * length);
      return this.#bytes.subarray(0, length);
    });
  }
}

function writeKeyValue(kv: KeyValue, room: (length: number) => Buffer): Uint8Array {
  const { key, value, createRevision, modRevision, version } = kv;
  const lease = kv.lease === 0n ? noBytes : new FieldWriter().int64(6, kv.lease).done();
  const numbers = varintBytes(createRevision) + varintBytes(modRevision) + varintBytes(version) + 3;
  const valueHead = value.length === 0 ? 0 : 1 + varintBytes(value.length);
  const bytes = room(1 + varintBytes(key.length) + key.length + numbers + valueHead + value.length + lease.length);
  assert(
    createRevision > 0 && modRevision > 0 && version > 0 && key.length > 0,
    'a live version has numbers and a key',
  );
  let at = writeVarint(bytes, key.length, bytes.writeUInt8(0x0a, 0));
  bytes.set(key, at);
  at += key.length;
  at = writeVarint(bytes, createRevision, bytes.writeUInt8(0x10, at));
  at = writeVarint(bytes, modRevision, bytes.writeUInt8(0x18, at));
  at = writeVarint(bytes, version, bytes.writeUInt8(0x20, at));
  if (valueHead > 0) {
    at = writeVarint(bytes, value.length, bytes.writeUInt8(0x2a, at));
    bytes.set(value, at);
    at += value.length;
  }
  bytes.set(lease, at);
  assert(at + lease.length === bytes.length, 'the message is as long as it was reckoned');
  return bytes;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** Returns where it ends. */
function writeVarint(bytes: Buffer, value: number, from: number): number {
  let at = from;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128;
  bytes[at++] = rest;
  return at;
}

/** What etcd has for a deleted key. */
export function encodeDeletedKey(key: Uint8Array): Uint8Array {
  return new FieldWriter().bytes(1, key).done();
}

export function decodeLease(bytes: Uint8Array): EtcdLease {
  const reader = new FieldReader(bytes, 'a lease');
  let [id, ttlSeconds, remainingSeconds] = [0n, 0, 0];
  while (reader.next()) {
    if (reader.field === 1) id = reader.int64();
    else if (reader.field === 2) ttlSeconds = reader.natural();
    else if (reader.field === 3) remainingSeconds = reader.natural();
  }
  if (id === 0n) throw corruptSnapshot('a lease has no id');
  return { id, ttlSeconds, remainingSeconds };
}

export function encodeLease(lease: EtcdLease): Uint8Array {
  return new FieldWriter().int64(1, lease.id).natural(2, lease.ttlSeconds).natural(3, lease.remainingSeconds).done();
}

/** The key of a row in `lease`. */
export function leaseKey(id: LeaseId): Uint8Array {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id, 0);
  return key;
}

const alarmNumbers: Readonly<Record<AlarmType, number>> = { none: 0, noSpace: 1, corrupt: 2 };

/** The key of a row in `alarm`; its value is empty. */
export function encodeAlarm(alarm: { readonly memberId: number; readonly alarm: AlarmType }): Uint8Array {
  return new FieldWriter().natural(1, alarm.memberId).natural(2, alarmNumbers[alarm.alarm]).done();
}

export function encodeUint64(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${value} is a natural number`);
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value), 0);
  return bytes;
}
