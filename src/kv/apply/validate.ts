/**
 * What can be said about a request without looking at the store: the checks that etcd makes before it proposes. The face
 * (kv/rpc) or the server calls `validateOp` before proposing; `maxTxnOps` is configuration and may differ between members,
 * so it is checked there and never at apply.
 */
import type {
  DeleteRangeRequest,
  InternalOp,
  KvErrorCode,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../api.ts';
import { noBytes, putRequest } from '../api.ts';
import { toText } from '../backend/bytes.ts';
import type { KeyRange } from '../mvcc/key-range.ts';
import { keyRange, rangeContains } from '../mvcc/key-range.ts';

/** etcd's default for operations in one list of a transaction. */
export const maxTxnOpsDefault = 128;

/** An operation of a transaction that came without a request: never valid, and it is refused at its place among the others. */
export const emptyOperation: RequestOp = {
  kind: 'put',
  request: putRequest({ key: noBytes, value: noBytes }),
};

/** Refuses a request that is wrong in itself; undefined when it may be proposed. */
export function validateOp(
  op: InternalOp | { readonly kind: 'range'; readonly request: RangeRequest },
  maxTxnOps: number = maxTxnOpsDefault,
): KvErrorCode | undefined {
  switch (op.kind) {
    case 'range':
      return validateRange(op.request);
    case 'put':
      return validatePut(op.request);
    case 'deleteRange':
      return validateDeleteRange(op.request);
    case 'txn':
      return validateTxn(op.request, maxTxnOps) ?? duplicateKeys(op.request);
    default:
      return undefined;
  }
}

function validateRange(request: RangeRequest): KvErrorCode | undefined {
  return request.key.length === 0 ? 'emptyKey' : undefined;
}

function validatePut(request: PutRequest): KvErrorCode | undefined {
  if (request === emptyOperation.request) return 'keyNotFound';
  if (request.key.length === 0) return 'emptyKey';
  if (request.ignoreValue && request.value.length > 0) return 'valueProvided';
  if (request.ignoreLease && request.lease !== 0n) return 'leaseProvided';
  return undefined;
}

function validateDeleteRange(request: DeleteRangeRequest): KvErrorCode | undefined {
  return request.key.length === 0 ? 'emptyKey' : undefined;
}

function validateTxn(txn: TxnRequest, maxTxnOps: number): KvErrorCode | undefined {
  const longest = Math.max(txn.compare.length, txn.success.length, txn.failure.length);
  if (longest > maxTxnOps) return 'tooManyOps';
  if (txn.compare.some((compare) => compare.key.length === 0)) return 'emptyKey';
  for (const op of [...txn.success, ...txn.failure]) {
    // A nested transaction may use what its parent's longest list leaves.
    const error =
      op.kind === 'txn'
        ? validateTxn(op.request, maxTxnOps - longest)
        : validateOp(op as Exclude<RequestOp, { kind: 'txn' }>);
    if (error !== undefined) return error;
  }
  return undefined;
}

/**
 * `duplicateKey` when one way through the transaction could put a key twice, or put and delete it: within one revision a
 * key is written once. Two deletes may overlap, and so may the two branches of one transaction, of which only one runs.
 */
export function duplicateKeys(txn: TxnRequest): KvErrorCode | undefined {
  return writesOf(txn.success) === undefined || writesOf(txn.failure) === undefined ? 'duplicateKey' : undefined;
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/** What a list of operations may write; undefined when it may write a key twice. */
function writesOf(ops: readonly RequestOp[]): Writes | undefined {
  const all: Writes = { puts: new Set(), deletes: [] };
  for (const op of ops) {
    if (op.kind === 'range') continue;
    const own = op.kind === 'txn' ? branchWrites(op.request) : simpleWrites(op);
    if (own === undefined || collide(all, own)) return undefined;
    for (const key of own.puts) all.puts.add(key);
    all.deletes.push(...own.deletes);
  }
  return all;
}

function simpleWrites(op: Extract<RequestOp, { kind: 'put' | 'deleteRange' }>): Writes {
  if (op.kind === 'put') return { puts: new Set([toText(op.request.key)]), deletes: [] };
  return { puts: new Set(), deletes: [keyRange(op.request.key, op.request.rangeEnd)] };
}

/** Both branches together: they may overlap with each other, but neither with what stands beside the transaction. */
function branchWrites(txn: TxnRequest): Writes | undefined {
  const success = writesOf(txn.success);
  const failure = writesOf(txn.failure);
  if (success === undefined || failure === undefined) return undefined;
  return {
    puts: new Set([...success.puts, ...failure.puts]),
    deletes: [...success.deletes, ...failure.deletes],
  };
}

function collide(a: Writes, b: Writes): boolean {
  for (const key of b.puts) if (a.puts.has(key) || a.deletes.some((range) => rangeContains(range, key))) return true;
  for (const key of a.puts) if (b.deletes.some((range) => rangeContains(range, key))) return true;
  return false;
}
