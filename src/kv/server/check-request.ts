/** What a request must satisfy before it is proposed: etcd's checks in etcd's order, as pure functions. */
import type { KvErrorCode, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from '../api.ts';
import { KeySets } from './key-sets.ts';

export function checkRange(request: RangeRequest): KvErrorCode | undefined {
  return request.key.length === 0 ? 'emptyKey' : undefined;
}

export function checkPut(request: PutRequest): KvErrorCode | undefined {
  if (request.key.length === 0) return 'emptyKey';
  if (request.ignoreValue && request.value.length > 0) return 'valueProvided';
  if (request.ignoreLease && request.lease !== 0n) return 'leaseProvided';
  return undefined;
}

export function checkDeleteRange(request: DeleteRangeRequest): KvErrorCode | undefined {
  return request.key.length === 0 ? 'emptyKey' : undefined;
}

/** `opsMax` bounds compares, successes and failures each; what an outer transaction uses up an inner one lacks. */
export function checkTxn(request: TxnRequest, opsMax: number): KvErrorCode | undefined {
  return checkTxnShape(request, opsMax) ?? checkTxnKeys(request);
}

function checkTxnShape(request: TxnRequest, opsMax: number): KvErrorCode | undefined {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) return 'tooManyOps';
  if (request.compare.some((compare) => compare.key.length === 0)) return 'emptyKey';
  for (const op of [...request.success, ...request.failure]) {
    const error = checkOp(op, opsMax - ops);
    if (error) return error;
  }
  return undefined;
}

function checkOp(op: RequestOp, opsMax: number): KvErrorCode | undefined {
  switch (op.kind) {
    case 'range':
      return checkRange(op.request);
    case 'put':
      return checkPut(op.request);
    case 'deleteRange':
      return checkDeleteRange(op.request);
    case 'txn':
      return checkTxnShape(op.request, opsMax);
  }
}

/** No key may be written twice, or written and deleted, on any way through the transaction. */
function checkTxnKeys(request: TxnRequest): KvErrorCode | undefined {
  return KeySets.of(request.success) && KeySets.of(request.failure) ? undefined : 'duplicateKey';
}
