/** Requests and answers as a client sees them: our values out, the wire's messages in. */
import { assert, unreachable } from '../../env/assert.ts';
import { safeNumberFromInt64 } from '../../proto/int64.ts';
import type { Compare, RangeResult, RequestOp, ResponseOp, TxnRequest, TxnResult } from '../api.ts';
import { putRequest, rangeRequest } from '../api.ts';
import { compareResults, fromWireKeyValue, sortOrders, sortTargets } from './codec-values.ts';
import type {
  Out,
  WireCompare,
  WirePutRequest,
  WireRangeRequest,
  WireRangeResponse,
  WireRequestOp,
  WireResponseOp,
  WireTxnRequest,
  WireTxnResponse,
} from './wire.ts';

export function toWireRange(given: Parameters<typeof rangeRequest>[0]): Out<WireRangeRequest> {
  const { sortOrder, sortTarget, ...request } = rangeRequest(given);
  return { ...request, sortOrder: sortOrders.indexOf(sortOrder), sortTarget: sortTargets.indexOf(sortTarget) };
}

export function toWirePut(given: Parameters<typeof putRequest>[0]): Out<WirePutRequest> {
  return putRequest(given);
}

function toWireCompare(compare: Compare): Out<WireCompare> {
  const common = {
    key: compare.key,
    ...(compare.rangeEnd.length === 0 ? {} : { rangeEnd: compare.rangeEnd }),
    result: compareResults.indexOf(compare.result),
  };
  const { target } = compare;
  switch (target.kind) {
    case 'version':
      return { ...common, target: 0, version: target.value };
    case 'create':
      return { ...common, target: 1, createRevision: target.value };
    case 'mod':
      return { ...common, target: 2, modRevision: target.value };
    case 'value':
      return { ...common, target: 3, value: target.value };
    case 'lease':
      return { ...common, target: 4, lease: target.value };
    default:
      return unreachable(target);
  }
}

function toWireOp(op: RequestOp): Out<WireRequestOp> {
  switch (op.kind) {
    case 'range':
      return { requestRange: toWireRange(op.request) };
    case 'put':
      return { requestPut: toWirePut(op.request) };
    case 'deleteRange':
      return { requestDeleteRange: op.request };
    case 'txn':
      return { requestTxn: toWireTxn(op.request) };
    default:
      return unreachable(op);
  }
}

export function toWireTxn(request: TxnRequest): Out<WireTxnRequest> {
  return {
    compare: request.compare.map(toWireCompare),
    success: request.success.map(toWireOp),
    failure: request.failure.map(toWireOp),
  };
}

export function fromWireRange(response: Out<WireRangeResponse>): RangeResult {
  return {
    kvs: (response.kvs ?? []).map(fromWireKeyValue),
    more: response.more ?? false,
    count: safeNumberFromInt64(response.count),
  };
}

function fromWireOp(op: Out<WireResponseOp>): ResponseOp {
  if (op.responseRange) return { kind: 'range', response: fromWireRange(op.responseRange) };
  if (op.responsePut) {
    const { prevKv } = op.responsePut;
    return { kind: 'put', response: prevKv ? { prevKv: fromWireKeyValue(prevKv) } : {} };
  }
  if (op.responseDeleteRange) {
    const { deleted, prevKvs } = op.responseDeleteRange;
    return {
      kind: 'deleteRange',
      response: { deleted: safeNumberFromInt64(deleted), prevKvs: (prevKvs ?? []).map(fromWireKeyValue) },
    };
  }
  assert(op.responseTxn, 'an operation of a transaction has an answer of a known kind');
  return { kind: 'txn', response: fromWireTxn(op.responseTxn) };
}

export function fromWireTxn(response: Out<WireTxnResponse>): TxnResult {
  return { succeeded: response.succeeded ?? false, responses: (response.responses ?? []).map(fromWireOp) };
}
