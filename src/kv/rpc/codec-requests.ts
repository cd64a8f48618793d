/**
 * The requests of KV out of protobuf, as protobufjs would give them (wire.ts), by hand. Fields that are not known are
 * skipped, of a field that comes twice the last counts.
 */
import { noBytes } from '../api.ts';
import { bytesType, ProtoReader, varintType } from '../../proto/wire-format.ts';
import type {
  WireCompare,
  WireDeleteRangeRequest,
  WirePutRequest,
  WireRangeRequest,
  WireRequestOp,
  WireTxnRequest,
} from './wire.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const number = (field: number) => (field << 3) | varintType;
const bytes = (field: number) => (field << 3) | bytesType;

export function decodePutRequest(message: Uint8Array): WirePutRequest {
  return readPut(new ProtoReader(message));
}

export function decodeRangeRequest(message: Uint8Array): WireRangeRequest {
  return readRange(new ProtoReader(message));
}

export function decodeDeleteRangeRequest(message: Uint8Array): WireDeleteRangeRequest {
  return readDeleteRange(new ProtoReader(message));
}

export function decodeTxnRequest(message: Uint8Array): WireTxnRequest {
  return readTxn(new ProtoReader(message));
}

function readPut(reader: ProtoReader): WirePutRequest {
  const put: Writable<WirePutRequest> = {
    key: noBytes,
    value: noBytes,
    lease: 0,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === bytes(1)) put.key = reader.view();
    else if (tag === bytes(2)) put.value = reader.view();
    else if (tag === number(3)) put.lease = reader.int64();
    else if (tag === number(4)) put.prevKv = reader.bool();
    else if (tag === number(5)) put.ignoreValue = reader.bool();
    else if (tag === number(6)) put.ignoreLease = reader.bool();
    else reader.skip(tag);
  }
  return put;
}

function readRange(reader: ProtoReader): WireRangeRequest {
  const range: Writable<WireRangeRequest> = {
    key: noBytes,
    rangeEnd: noBytes,
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === bytes(1)) range.key = reader.view();
    else if (tag === bytes(2)) range.rangeEnd = reader.view();
    else if (tag === number(3)) range.limit = reader.int64();
    else if (tag === number(4)) range.revision = reader.int64();
    else if (tag === number(5)) range.sortOrder = reader.uint32() | 0;
    else if (tag === number(6)) range.sortTarget = reader.uint32() | 0;
    else if (tag === number(7)) range.serializable = reader.bool();
    else if (tag === number(8)) range.keysOnly = reader.bool();
    else if (tag === number(9)) range.countOnly = reader.bool();
    else if (tag === number(10)) range.minModRevision = reader.int64();
    else if (tag === number(11)) range.maxModRevision = reader.int64();
    else if (tag === number(12)) range.minCreateRevision = reader.int64();
    else if (tag === number(13)) range.maxCreateRevision = reader.int64();
    else reader.skip(tag);
  }
  return range;
}

function readDeleteRange(reader: ProtoReader): WireDeleteRangeRequest {
  const request: Writable<WireDeleteRangeRequest> = { key: noBytes, rangeEnd: noBytes, prevKv: false };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === bytes(1)) request.key = reader.view();
    else if (tag === bytes(2)) request.rangeEnd = reader.view();
    else if (tag === number(3)) request.prevKv = reader.bool();
    else reader.skip(tag);
  }
  return request;
}

function readTxn(reader: ProtoReader): WireTxnRequest {
  const compare: WireCompare[] = [];
  const success: WireRequestOp[] = [];
  const failure: WireRequestOp[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === bytes(1)) compare.push(reader.nested(readCompare));
    else if (tag === bytes(2)) success.push(reader.nested(readOp));
    else if (tag === bytes(3)) failure.push(reader.nested(readOp));
    else reader.skip(tag);
  }
  return { compare, success, failure };
}

function readCompare(reader: ProtoReader): WireCompare {
  const compare: Writable<WireCompare> = {
    result: 0,
    target: 0,
    key: noBytes,
    version: 0,
    createRevision: 0,
    modRevision: 0,
    value: noBytes,
    lease: 0,
    rangeEnd: noBytes,
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === number(1)) compare.result = reader.uint32() | 0;
    else if (tag === number(2)) compare.target = reader.uint32() | 0;
    else if (tag === bytes(3)) compare.key = reader.view();
    else if (tag === number(4)) compare.version = reader.int64();
    else if (tag === number(5)) compare.createRevision = reader.int64();
    else if (tag === number(6)) compare.modRevision = reader.int64();
    else if (tag === bytes(7)) compare.value = reader.view();
    else if (tag === number(8)) compare.lease = reader.int64();
    // Field 64: its tag takes two bytes on the wire.
    else if (tag === bytes(64)) compare.rangeEnd = reader.view();
    else reader.skip(tag);
  }
  return compare;
}

/** One of the four; the last one on the wire, as protobuf's rule for a oneof is. */
function readOp(reader: ProtoReader): WireRequestOp {
  let op: WireRequestOp = noOp;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === bytes(1)) op = { ...noOp, requestRange: reader.nested(readRange) };
    else if (tag === bytes(2)) op = { ...noOp, requestPut: reader.nested(readPut) };
    else if (tag === bytes(3)) op = { ...noOp, requestDeleteRange: reader.nested(readDeleteRange) };
    else if (tag === bytes(4)) op = { ...noOp, requestTxn: reader.nested(readTxn) };
    else reader.skip(tag);
  }
  return op;
}

const noOp: WireRequestOp = { requestRange: null, requestPut: null, requestDeleteRange: null, requestTxn: null };
