/**
 * The answers of KV and Watch as protobuf, by hand; what is default is left out, as in proto3. Events that go to many
 * watchers are encoded once, see event-batch.ts.
 */
import type { Int64Like } from '../../proto/int64.ts';
import {
  bytesFieldSize,
  int64FieldSize,
  lengthFieldSize,
  writeBytesField,
  writeFlag,
  writeHead,
  writeInt64Field,
} from '../../proto/wire-format.ts';
import type {
  Out,
  WireDeleteRangeResponse,
  WireEvent,
  WireHeader,
  WireKeyValue,
  WirePutResponse,
  WireRangeResponse,
  WireResponseOp,
  WireTxnResponse,
  WireWatchResponse,
} from './wire.ts';

type Message<T> = Out<T> | null | undefined;

/**
 * Answers are cut from slabs: a buffer of its own for every few of them, as Node's pool of 8 KB gives, keeps the garbage
 * collector busier than all the rest of a watch. An answer that waits for a slow client holds its slab, so slabs are small.
 */
const slabBytes = 64 * 1024;
let slab = Buffer.alloc(0);
let slabUsed = 0;

function room(size: number): Buffer {
  if (size > slabBytes / 4) return Buffer.allocUnsafeSlow(size);
  if (slabUsed + size > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    slabUsed = 0;
  }
  slabUsed += size;
  return slab.subarray(slabUsed - size, slabUsed);
}

export function encodePutResponse(answer: Out<WirePutResponse>): Buffer {
  const target = room(putSize(answer));
  writePut(target, 0, answer);
  return target;
}

export function encodeRangeResponse(answer: Out<WireRangeResponse>): Buffer {
  const target = room(rangeSize(answer));
  writeRange(target, 0, answer);
  return target;
}

export function encodeDeleteRangeResponse(answer: Out<WireDeleteRangeResponse>): Buffer {
  const target = room(deleteRangeSize(answer));
  writeDeleteRange(target, 0, answer);
  return target;
}

export function encodeTxnResponse(answer: Out<WireTxnResponse>): Buffer {
  const target = room(txnSize(answer));
  writeTxn(target, 0, answer);
  return target;
}

export function encodeWatchResponse(answer: Out<WireWatchResponse>): Buffer {
  const reason = answer.cancelReason ? Buffer.from(answer.cancelReason) : undefined;
  let size =
    headerFieldSize(answer.header) +
    int64FieldSize(answer.watchId) +
    (answer.created ? 2 : 0) +
    (answer.canceled ? 2 : 0) +
    int64FieldSize(answer.compactRevision) +
    bytesFieldSize(reason) +
    (answer.fragment ? 2 : 0);
  for (const event of answer.events ?? []) size += lengthFieldSize(eventSize(event));
  const target = room(size);
  let at = writeHeaderField(target, 0, answer.header);
  at = writeInt64Field(target, at, 2, answer.watchId);
  at = writeFlag(target, at, 3, answer.created);
  at = writeFlag(target, at, 4, answer.canceled);
  at = writeInt64Field(target, at, 5, answer.compactRevision);
  at = writeBytesField(target, at, 6, reason);
  at = writeFlag(target, at, 7, answer.fragment);
  for (const event of answer.events ?? []) {
    at = writeHead(target, at, 11, eventSize(event));
    at = writeInt64Field(target, at, 1, event.type);
    at = writeKeyValueField(target, at, 2, event.kv);
    at = writeKeyValueField(target, at, 3, event.prevKv);
  }
  return target;
}

function eventSize(event: Out<WireEvent>): number {
  return int64FieldSize(event.type) + keyValueFieldSize(event.kv) + keyValueFieldSize(event.prevKv);
}

function headerSize(header: Out<WireHeader>): number {
  return (
    int64FieldSize(header.clusterId) +
    int64FieldSize(header.memberId) +
    int64FieldSize(header.revision) +
    int64FieldSize(header.raftTerm)
  );
}

function headerFieldSize(header: Message<WireHeader>): number {
  return header ? lengthFieldSize(headerSize(header)) : 0;
}

function writeHeaderField(target: Buffer, from: number, header: Message<WireHeader>): number {
  if (!header) return from;
  let at = writeHead(target, from, 1, headerSize(header));
  at = writeInt64Field(target, at, 1, header.clusterId);
  at = writeInt64Field(target, at, 2, header.memberId);
  at = writeInt64Field(target, at, 3, header.revision);
  return writeInt64Field(target, at, 4, header.raftTerm);
}

function keyValueSize(kv: Out<WireKeyValue>): number {
  return (
    bytesFieldSize(kv.key) +
    int64FieldSize(kv.createRevision) +
    int64FieldSize(kv.modRevision) +
    int64FieldSize(kv.version) +
    bytesFieldSize(kv.value) +
    int64FieldSize(kv.lease)
  );
}

function keyValueFieldSize(kv: Message<WireKeyValue>): number {
  return kv ? lengthFieldSize(keyValueSize(kv)) : 0;
}

function writeKeyValueField(target: Buffer, from: number, field: number, kv: Message<WireKeyValue>): number {
  if (!kv) return from;
  let at = writeHead(target, from, field, keyValueSize(kv));
  at = writeBytesField(target, at, 1, kv.key);
  at = writeInt64Field(target, at, 2, kv.createRevision);
  at = writeInt64Field(target, at, 3, kv.modRevision);
  at = writeInt64Field(target, at, 4, kv.version);
  at = writeBytesField(target, at, 5, kv.value);
  return writeInt64Field(target, at, 6, kv.lease);
}

function keyValuesSize(kvs: readonly Out<WireKeyValue>[] | undefined): number {
  let size = 0;
  if (kvs !== undefined) for (const kv of kvs) size += lengthFieldSize(keyValueSize(kv));
  return size;
}

function writeKeyValues(
  target: Buffer,
  from: number,
  field: number,
  kvs: readonly Out<WireKeyValue>[] | undefined,
): number {
  let at = from;
  if (kvs !== undefined) for (const kv of kvs) at = writeKeyValueField(target, at, field, kv);
  return at;
}

function putSize(answer: Out<WirePutResponse>): number {
  return headerFieldSize(answer.header) + keyValueFieldSize(answer.prevKv);
}

function writePut(target: Buffer, from: number, answer: Out<WirePutResponse>): number {
  const at = writeHeaderField(target, from, answer.header);
  return writeKeyValueField(target, at, 2, answer.prevKv);
}

function rangeSize(answer: Out<WireRangeResponse>): number {
  return (
    headerFieldSize(answer.header) +
    keyValuesSize(answer.kvs) +
    (answer.more ? 2 : 0) +
    int64FieldSize(answer.count as Int64Like | undefined)
  );
}

function writeRange(target: Buffer, from: number, answer: Out<WireRangeResponse>): number {
  let at = writeHeaderField(target, from, answer.header);
  at = writeKeyValues(target, at, 2, answer.kvs);
  at = writeFlag(target, at, 3, answer.more);
  return writeInt64Field(target, at, 4, answer.count);
}

function deleteRangeSize(answer: Out<WireDeleteRangeResponse>): number {
  return headerFieldSize(answer.header) + int64FieldSize(answer.deleted) + keyValuesSize(answer.prevKvs);
}

function writeDeleteRange(target: Buffer, from: number, answer: Out<WireDeleteRangeResponse>): number {
  let at = writeHeaderField(target, from, answer.header);
  at = writeInt64Field(target, at, 2, answer.deleted);
  return writeKeyValues(target, at, 3, answer.prevKvs);
}

function txnSize(answer: Out<WireTxnResponse>): number {
  let size = headerFieldSize(answer.header) + (answer.succeeded ? 2 : 0);
  for (const op of answer.responses ?? []) size += lengthFieldSize(opSize(op));
  return size;
}

function writeTxn(target: Buffer, from: number, answer: Out<WireTxnResponse>): number {
  let at = writeHeaderField(target, from, answer.header);
  at = writeFlag(target, at, 2, answer.succeeded);
  for (const op of answer.responses ?? []) {
    at = writeHead(target, at, 3, opSize(op));
    at = writeOp(target, at, op);
  }
  return at;
}

function opSize(op: Out<WireResponseOp>): number {
  if (op.responseRange) return lengthFieldSize(rangeSize(op.responseRange));
  if (op.responsePut) return lengthFieldSize(putSize(op.responsePut));
  if (op.responseDeleteRange) return lengthFieldSize(deleteRangeSize(op.responseDeleteRange));
  return op.responseTxn ? lengthFieldSize(txnSize(op.responseTxn)) : 0;
}

function writeOp(target: Buffer, from: number, op: Out<WireResponseOp>): number {
  if (op.responseRange) {
    return writeRange(target, writeHead(target, from, 1, rangeSize(op.responseRange)), op.responseRange);
  }
  if (op.responsePut) return writePut(target, writeHead(target, from, 2, putSize(op.responsePut)), op.responsePut);
  if (op.responseDeleteRange) {
    const at = writeHead(target, from, 3, deleteRangeSize(op.responseDeleteRange));
    return writeDeleteRange(target, at, op.responseDeleteRange);
  }
  return op.responseTxn ? writeTxn(target, writeHead(target, from, 4, txnSize(op.responseTxn)), op.responseTxn) : from;
}
