/** Requests and answers as the server sees them: the wire's messages in, our values out, and back. */
import { assert } from '../../env/assert.ts';
import { fromInt64 } from '../../proto/int64.ts';
import type {
  Compare,
  DeleteRangeRequest,
  KeyValue,
  Member,
  PutRequest,
  RangeRequest,
  RangeResult,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResult,
  WatchRequest,
} from '../api.ts';
import { noBytes } from '../api.ts';
import { emptyOperation } from '../apply/index.ts';
import { KvError } from '../errors.ts';
import {
  compareResults,
  compareTargets,
  copied,
  saturate,
  sortOrders,
  sortTargets,
  toWireKeyValue,
} from './codec-values.ts';
import type {
  Out,
  WireCompare,
  WireDeleteRangeRequest,
  WireHeader,
  WireMember,
  WirePutRequest,
  WireRangeRequest,
  WireRangeResponse,
  WireRequestOp,
  WireResponseOp,
  WireTxnRequest,
  WireTxnResponse,
  WireWatchCreateRequest,
} from './wire.ts';

/** Throws KvError `invalidSortOption` for an order or target that does not exist. */
export function fromWireRange(request: Out<WireRangeRequest>): RangeRequest {
  const sortOrder = sortOrders[request.sortOrder ?? 0];
  const sortTarget = sortTargets[request.sortTarget ?? 0];
  if (sortOrder === undefined || sortTarget === undefined) {
    throw new KvError((request.key?.length ?? 0) === 0 ? 'emptyKey' : 'invalidSortOption');
  }
  return {
    key: request.key ?? noBytes,
    rangeEnd: request.rangeEnd ?? noBytes,
    // Below zero is no limit and the head, as in etcd.
    limit: Math.max(0, saturate(request.limit)),
    revision: Math.max(0, saturate(request.revision)),
    sortOrder,
    sortTarget,
    serializable: request.serializable ?? false,
    keysOnly: request.keysOnly ?? false,
    countOnly: request.countOnly ?? false,
    minModRevision: saturate(request.minModRevision),
    maxModRevision: saturate(request.maxModRevision),
    minCreateRevision: saturate(request.minCreateRevision),
    maxCreateRevision: saturate(request.maxCreateRevision),
  };
}

export function fromWirePut(request: Out<WirePutRequest>): PutRequest {
  return {
    key: request.key ?? noBytes,
    value: request.value ?? noBytes,
    lease: fromInt64(request.lease),
    prevKv: request.prevKv ?? false,
    ignoreValue: request.ignoreValue ?? false,
    ignoreLease: request.ignoreLease ?? false,
  };
}

export function fromWireDeleteRange(request: Out<WireDeleteRangeRequest>): DeleteRangeRequest {
  return { key: request.key ?? noBytes, rangeEnd: request.rangeEnd ?? noBytes, prevKv: request.prevKv ?? false };
}

function fromWireCompare(compare: Out<WireCompare>): Compare {
  const result = compareResults[compare.result ?? 0];
  const kind = compareTargets[compare.target ?? 0];
  // etcd has no error for these; a client that sends them means something this server does not know.
  if (result === undefined || kind === undefined) throw new KvError('notCapable');
  return {
    key: compare.key ?? noBytes,
    rangeEnd: compare.rangeEnd ?? noBytes,
    result,
    target: targetOf(compare, kind),
  };
}

function targetOf(compare: Out<WireCompare>, kind: (typeof compareTargets)[number]): Compare['target'] {
  switch (kind) {
    case 'version':
      return { kind, value: saturate(compare.version) };
    case 'create':
      return { kind, value: saturate(compare.createRevision) };
    case 'mod':
      return { kind, value: saturate(compare.modRevision) };
    case 'value':
      return { kind, value: compare.value ?? noBytes };
    case 'lease':
      return { kind, value: fromInt64(compare.lease) };
  }
}

function fromWireOp(op: Out<WireRequestOp>): RequestOp {
  if (op.requestRange) {
    const request = fromWireRange(op.requestRange);
    // Inside a transaction etcd takes a revision below zero for one that was compacted, once anything was.
    return { kind: 'range', request: saturate(op.requestRange.revision) < 0 ? { ...request, revision: -1 } : request };
  }
  if (op.requestPut) return { kind: 'put', request: fromWirePut(op.requestPut) };
  if (op.requestDeleteRange) return { kind: 'deleteRange', request: fromWireDeleteRange(op.requestDeleteRange) };
  if (op.requestTxn) return { kind: 'txn', request: fromWireTxn(op.requestTxn) };
  return emptyOperation;
}

export function fromWireTxn(request: Out<WireTxnRequest>): TxnRequest {
  return {
    compare: (request.compare ?? []).map(fromWireCompare),
    success: (request.success ?? []).map(fromWireOp),
    failure: (request.failure ?? []).map(fromWireOp),
  };
}

/** The keys outlive the message: they are copied. An empty key means from the very first one on, as in etcd. */
export function fromWireWatch(request: Out<WireWatchCreateRequest>): WatchRequest {
  const filters = request.filters ?? [];
  return {
    key: request.key && request.key.length > 0 ? copied(request.key) : new Uint8Array([0]),
    rangeEnd: copied(request.rangeEnd),
    startRevision: Math.max(0, saturate(request.startRevision)),
    prevKv: request.prevKv ?? false,
    noPut: filters.includes(0),
    noDelete: filters.includes(1),
  };
}

export function toWireRange(result: RangeResult, header: Out<WireHeader>): Out<WireRangeResponse> {
  return { header, kvs: result.kvs.map(toWireKeyValue), more: result.more, count: result.count };
}

export function toWirePrevKv(prevKv: KeyValue | undefined): { readonly prevKv?: ReturnType<typeof toWireKeyValue> } {
  return prevKv === undefined ? {} : { prevKv: toWireKeyValue(prevKv) };
}

/** How far a transaction has come while its answers are written down, one after another. */
interface TxnProgress {
  readonly before: number;
  readonly after: number;
  hasWritten: boolean;
}

/** Answers inside a transaction carry only a revision, the one they saw or made; a nested transaction's carries none. */
function toWireOp(op: ResponseOp, progress: TxnProgress): Out<WireResponseOp> {
  if (op.kind === 'put' || (op.kind === 'deleteRange' && op.response.deleted > 0)) progress.hasWritten = true;
  const header = { revision: progress.hasWritten ? progress.after : progress.before };
  switch (op.kind) {
    case 'range':
      return { responseRange: toWireRange(op.response, header) };
    case 'put':
      return { responsePut: { header, ...toWirePrevKv(op.response.prevKv) } };
    case 'deleteRange': {
      const { deleted, prevKvs } = op.response;
      return { responseDeleteRange: { header, deleted, prevKvs: prevKvs.map(toWireKeyValue) } };
    }
    case 'txn':
      return {
        responseTxn: { header: {}, succeeded: op.response.succeeded, responses: toWireOps(op.response, progress) },
      };
  }
}

function toWireOps(result: TxnResult, progress: TxnProgress): readonly Out<WireResponseOp>[] {
  return result.responses.map((op) => toWireOp(op, progress));
}

/** `revision` is the store's after the transaction. */
export function toWireTxn(result: TxnResult, header: Out<WireHeader>, revision: number): Out<WireTxnResponse> {
  assert(revision > 0, 'a transaction is answered at a revision');
  const before = hasWritten(result) ? revision - 1 : revision;
  const progress: TxnProgress = { before, after: revision, hasWritten: false };
  return { header, succeeded: result.succeeded, responses: toWireOps(result, progress) };
}

function hasWritten(result: TxnResult): boolean {
  return result.responses.some(
    (op) =>
      op.kind === 'put' ||
      (op.kind === 'deleteRange' && op.response.deleted > 0) ||
      (op.kind === 'txn' && hasWritten(op.response)),
  );
}

export function toWireMember(member: Member): Out<WireMember> {
  return {
    ID: member.id,
    name: member.name,
    peerURLs: member.peerUrls,
    clientURLs: member.clientUrls,
    isLearner: member.isLearner,
  };
}
