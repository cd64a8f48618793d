/**
 * An InternalRequest as the bytes of a Raft entry, and back.
 *
 * msgpack of arrays by position instead of maps by name: the log and the network carry every byte of this for every
 * write. The first element is the format's version. Positions and enumerations only ever grow at the end, because a log
 * outlives the program that wrote it. Lease ids are bigint on both sides; byte fields are copies but for a put's, so that a
 * kept key does not keep a whole batch of entries in memory.
 */
import { Packr } from 'msgpackr';
import { assert, unreachable } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type {
  AlarmType,
  Compare,
  CompareResult,
  DeleteRangeRequest,
  InternalOp,
  InternalRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  SortOrder,
  SortTarget,
  TxnRequest,
} from '../api.ts';
import { asBuffer } from '../backend/bytes.ts';
import { packAuthChange, packCaller, unpackAuthChange, unpackCaller } from './auth-codec.ts';
import { Fields } from './codec-fields.ts';

/**
 * What nearly all entries are has a format of its own, which msgpack's arrays never begin with: byte for byte by hand, so
 * that a put is written once and read as views of what was written.
 *
 *     byte 0      3
 *     1           flags: previous 1, ignore value 2, ignore lease 4, lease 8, caller 16
 *     2..9        request id, big-endian
 *     10..        lease (8 bytes), caller (length u16, msgpack), each if its flag says so
 *     then        length of the key u32, key, value
 */
const putFormatVersion = 3;
const putFlags = { prevKv: 1, ignoreValue: 2, ignoreLease: 4, lease: 8, caller: 16 } as const;
const putHeaderBytes = 10;

/** An entry of nobody in particular; one with a caller says so by the second format, in a field before the kind. */
const formatVersion = 1;
const callerFormatVersion = 2;
const packr = new Packr({ useRecords: false, copyBuffers: true, int64AsType: 'bigint' as never });

const opKinds = [
  'put',
  'deleteRange',
  'txn',
  'compact',
  'leaseGrant',
  'leaseRevoke',
  'leaseCheckpoint',
  'memberAttributes',
  'clusterVersion',
  'alarm',
  'auth',
  'authenticate',
] as const;
const txnOpKinds = ['range', 'put', 'deleteRange', 'txn'] as const;
const sortOrders: readonly SortOrder[] = ['none', 'ascend', 'descend'];
const sortTargets: readonly SortTarget[] = ['key', 'version', 'create', 'mod', 'value'];
const compareResults: readonly CompareResult[] = ['equal', 'greater', 'less', 'notEqual'];
const compareTargets = ['version', 'create', 'mod', 'value', 'lease'] as const;
const alarms: readonly AlarmType[] = ['none', 'noSpace', 'corrupt'];

/** The request's bytes after `room` bytes that the caller fills. */
export function encodeInternalRequest(request: InternalRequest, room = 0): Uint8Array {
  assert(Number.isSafeInteger(request.requestId) && request.requestId >= 0, 'a request id is a natural number');
  assert(room >= 0, 'room is not negative');
  if (request.op.kind === 'put') return encodePut(request, request.op.request, room);
  const packed = packRequest(request);
  if (room === 0) return packed;
  const bytes = Buffer.allocUnsafe(room + packed.length);
  bytes.set(packed, room);
  return bytes;
}

function encodePut(request: InternalRequest, put: PutRequest, room: number): Uint8Array {
  const { requestId, caller } = request;
  const packedCaller = caller === undefined ? undefined : packr.pack(packCaller(caller));
  const extraBytes = (put.lease === 0n ? 0 : 8) + (packedCaller === undefined ? 0 : 2 + packedCaller.length);
  const { key, value } = put;
  const bytes = Buffer.allocUnsafe(room + putHeaderBytes + extraBytes + 4 + key.length + value.length);
  bytes[room] = putFormatVersion;
  bytes[room + 1] =
    (put.prevKv ? putFlags.prevKv : 0) |
    (put.ignoreValue ? putFlags.ignoreValue : 0) |
    (put.ignoreLease ? putFlags.ignoreLease : 0) |
    (put.lease === 0n ? 0 : putFlags.lease) |
    (packedCaller === undefined ? 0 : putFlags.caller);
  bytes.writeUInt32BE(Math.floor(requestId / 2 ** 32), room + 2);
  bytes.writeUInt32BE(requestId % 2 ** 32, room + 6);
  let at = room + putHeaderBytes;
  if (put.lease !== 0n) at = bytes.writeBigInt64BE(put.lease, at);
  if (packedCaller !== undefined) {
    at = bytes.writeUInt16BE(packedCaller.length, at);
    bytes.set(packedCaller, at);
    at += packedCaller.length;
  }
  at = bytes.writeUInt32BE(key.length, at);
  bytes.set(key, at);
  bytes.set(value, at + key.length);
  return bytes;
}

/** Key and value are views: whoever keeps them copies them. */
function decodePut(data: Uint8Array): InternalRequest {
  const bytes = asBuffer(data);
  const flags = bytes[1] as number;
  const requestId = bytes.readUInt32BE(2) * 2 ** 32 + bytes.readUInt32BE(6);
  let at = putHeaderBytes;
  let lease = 0n;
  if ((flags & putFlags.lease) !== 0) {
    lease = bytes.readBigInt64BE(at);
    at += 8;
  }
  let caller: InternalRequest['caller'];
  if ((flags & putFlags.caller) !== 0) {
    const callerEnd = at + 2 + bytes.readUInt16BE(at);
    if (callerEnd > bytes.length) throw new RangeError(`a caller up to byte ${callerEnd}`);
    caller = unpackCaller(new Fields(packr.unpack(bytes.subarray(at + 2, callerEnd))));
    at = callerEnd;
  }
  const keyEnd = at + 4 + bytes.readUInt32BE(at);
  if (keyEnd > bytes.length) throw new RangeError(`a key up to byte ${keyEnd}`);
  const request: PutRequest = {
    key: bytes.subarray(at + 4, keyEnd),
    value: bytes.subarray(keyEnd),
    lease,
    prevKv: (flags & putFlags.prevKv) !== 0,
    ignoreValue: (flags & putFlags.ignoreValue) !== 0,
    ignoreLease: (flags & putFlags.ignoreLease) !== 0,
  };
  const op = { kind: 'put', request } as const;
  return caller === undefined ? { requestId, op } : { requestId, caller, op };
}

function packRequest(request: InternalRequest): Uint8Array {
  const { op, caller } = request;
  const kind = opKinds.indexOf(op.kind);
  if (caller === undefined) return packr.pack([formatVersion, request.requestId, kind, ...packOp(op)]);
  return packr.pack([callerFormatVersion, request.requestId, packCaller(caller), kind, ...packOp(op)]);
}

/** Throws KeelsonError ENTRY_UNREADABLE for bytes that this version cannot understand. */
export function decodeInternalRequest(bytes: Uint8Array): InternalRequest {
  if (bytes[0] === putFormatVersion) {
    try {
      return decodePut(bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new KeelsonError(
        'ENTRY_UNREADABLE',
        `cannot read a log entry: a put of ${bytes.length} bytes is cut off (${error.message}); it is damaged, so compare with the other members`,
        { cause: error },
      );
    }
  }
  const fields = new Fields(packr.unpack(bytes));
  const version = fields.number();
  if (version !== formatVersion && version !== callerFormatVersion) {
    throw new KeelsonError(
      'ENTRY_UNREADABLE',
      `cannot read a log entry: its format is ${version}, this program knows up to ${callerFormatVersion}; use the program that wrote it, or a newer one`,
    );
  }
  const requestId = fields.number();
  if (version === formatVersion) return { requestId, op: unpackOp(fields.pick(opKinds), fields) };
  const caller = unpackCaller(fields.inner());
  return { requestId, caller, op: unpackOp(fields.pick(opKinds), fields) };
}

function packOp(op: InternalOp): unknown[] {
  switch (op.kind) {
    case 'put':
      return packPut(op.request);
    case 'deleteRange':
      return packDeleteRange(op.request);
    case 'txn':
      return packTxn(op.request);
    case 'compact':
      return [op.revision];
    case 'leaseGrant':
      return [op.id, op.ttlSeconds];
    case 'leaseRevoke':
      return [op.id];
    case 'leaseCheckpoint':
      return [op.remaining];
    case 'memberAttributes':
      return [op.memberId, op.name, op.clientUrls, ...(op.key === undefined ? [] : [op.key])];
    case 'clusterVersion':
      return [op.version];
    case 'alarm':
      return [op.action === 'activate', op.memberId, alarms.indexOf(op.alarm)];
    case 'auth':
      return [packAuthChange(op.change)];
    case 'authenticate':
      return [op.user, op.tokenPrefix, op.authRevision];
    default:
      return unreachable(op);
  }
}

function unpackOp(kind: (typeof opKinds)[number], fields: Fields): InternalOp {
  switch (kind) {
    case 'put':
      return { kind, request: unpackPut(fields) };
    case 'deleteRange':
      return { kind, request: unpackDeleteRange(fields) };
    case 'txn':
      return { kind, request: unpackTxn(fields) };
    case 'compact':
      return { kind, revision: fields.number() };
    case 'leaseGrant':
      return { kind, id: fields.lease(), ttlSeconds: fields.number() };
    case 'leaseRevoke':
      return { kind, id: fields.lease() };
    case 'leaseCheckpoint':
      return { kind, remaining: fields.list((item) => [item.lease(), item.number()] as const) };
    case 'memberAttributes': {
      const attributes = { memberId: fields.number(), name: fields.text(), clientUrls: fields.texts() };
      // Told by newer programs only.
      return fields.hasMore() ? { kind, ...attributes, key: fields.text() } : { kind, ...attributes };
    }
    case 'clusterVersion':
      return { kind, version: fields.text() };
    case 'alarm': {
      const action = fields.flag() ? 'activate' : 'deactivate';
      return { kind, action, memberId: fields.number(), alarm: fields.pick(alarms) };
    }
    case 'auth':
      return { kind, change: unpackAuthChange(fields.inner()) };
    case 'authenticate':
      return { kind, user: fields.text(), tokenPrefix: fields.text(), authRevision: fields.number() };
    default:
      return unreachable(kind);
  }
}

function packPut(put: PutRequest): unknown[] {
  return [asBuffer(put.key), asBuffer(put.value), put.lease, put.prevKv, put.ignoreValue, put.ignoreLease];
}

function unpackPut(fields: Fields): PutRequest {
  return {
    key: fields.bytes(),
    value: fields.bytes(),
    lease: fields.lease(),
    prevKv: fields.flag(),
    ignoreValue: fields.flag(),
    ignoreLease: fields.flag(),
  };
}

function packDeleteRange(request: DeleteRangeRequest): unknown[] {
  return [asBuffer(request.key), asBuffer(request.rangeEnd), request.prevKv];
}

function unpackDeleteRange(fields: Fields): DeleteRangeRequest {
  return { key: fields.bytes(), rangeEnd: fields.bytes(), prevKv: fields.flag() };
}

function packRange(request: RangeRequest): unknown[] {
  return [
    asBuffer(request.key),
    asBuffer(request.rangeEnd),
    request.limit,
    request.revision,
    sortOrders.indexOf(request.sortOrder),
    sortTargets.indexOf(request.sortTarget),
    request.serializable,
    request.keysOnly,
    request.countOnly,
    request.minModRevision,
    request.maxModRevision,
    request.minCreateRevision,
    request.maxCreateRevision,
  ];
}

function unpackRange(fields: Fields): RangeRequest {
  return {
    key: fields.bytes(),
    rangeEnd: fields.bytes(),
    limit: fields.number(),
    revision: fields.number(),
    sortOrder: fields.pick(sortOrders),
    sortTarget: fields.pick(sortTargets),
    serializable: fields.flag(),
    keysOnly: fields.flag(),
    countOnly: fields.flag(),
    minModRevision: fields.number(),
    maxModRevision: fields.number(),
    minCreateRevision: fields.number(),
    maxCreateRevision: fields.number(),
  };
}

function packTxn(txn: TxnRequest): unknown[] {
  return [txn.compare.map(packCompare), txn.success.map(packTxnOp), txn.failure.map(packTxnOp)];
}

function unpackTxn(fields: Fields): TxnRequest {
  return {
    compare: fields.list(unpackCompare),
    success: fields.list(unpackTxnOp),
    failure: fields.list(unpackTxnOp),
  };
}

function packCompare(compare: Compare): unknown[] {
  const { target } = compare;
  return [
    asBuffer(compare.key),
    asBuffer(compare.rangeEnd),
    compareResults.indexOf(compare.result),
    compareTargets.indexOf(target.kind),
    target.kind === 'value' ? asBuffer(target.value) : target.value,
  ];
}

function unpackCompare(fields: Fields): Compare {
  const key = fields.bytes();
  const rangeEnd = fields.bytes();
  const result = fields.pick(compareResults);
  const kind = fields.pick(compareTargets);
  if (kind === 'value') return { key, rangeEnd, result, target: { kind, value: fields.bytes() } };
  if (kind === 'lease') return { key, rangeEnd, result, target: { kind, value: fields.lease() } };
  return { key, rangeEnd, result, target: { kind, value: fields.number() } };
}

function packTxnOp(op: RequestOp): unknown[] {
  const kind = txnOpKinds.indexOf(op.kind);
  switch (op.kind) {
    case 'range':
      return [kind, ...packRange(op.request)];
    case 'put':
      return [kind, ...packPut(op.request)];
    case 'deleteRange':
      return [kind, ...packDeleteRange(op.request)];
    case 'txn':
      return [kind, ...packTxn(op.request)];
    default:
      return unreachable(op);
  }
}

function unpackTxnOp(fields: Fields): RequestOp {
  const kind = fields.pick(txnOpKinds);
  switch (kind) {
    case 'range':
      return { kind, request: unpackRange(fields) };
    case 'put':
      return { kind, request: unpackPut(fields) };
    case 'deleteRange':
      return { kind, request: unpackDeleteRange(fields) };
    case 'txn':
      return { kind, request: unpackTxn(fields) };
    default:
      return unreachable(kind);
  }
}
