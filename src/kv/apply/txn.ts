/**
 * Transactions, in etcd's order: first every comparison of every nested transaction is decided, on the state before any
 * write; then every operation on the way so chosen is checked; then all are carried out, in order, each read seeing the
 * writes before it. A transaction that fails therefore changes nothing.
 */
import { assert, unreachable } from '../../env/assert.ts';
import {
  type Compare,
  type KeyValue,
  type KvErrorCode,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type ResponseOp,
  rangeRequest,
  type TxnRequest,
  type TxnResult,
} from '../api.ts';
import { asBuffer } from '../backend/bytes.ts';
import type { ReadView } from '../mvcc/contract.ts';

/** What carries the writes out; the leases' side of them is its business. */
export interface TxnTarget extends ReadView {
  /** What it replaced, for a request that asks. */
  put(request: PutRequest): KeyValue | undefined;
  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): readonly KeyValue[];
}

/** What checks need to know of the state. */
export interface TxnChecks extends ReadView {
  isLive(key: Uint8Array): boolean;
  hasLease(id: bigint): boolean;
}

/** A transaction with its comparisons decided. */
export interface ChosenTxn {
  readonly succeeded: boolean;
  readonly ops: readonly (Exclude<RequestOp, { kind: 'txn' }> | { readonly kind: 'txn'; readonly chosen: ChosenTxn })[];
}

/** Whether no branch writes. */
export function isReadOnlyTxn(txn: TxnRequest): boolean {
  return [...txn.success, ...txn.failure].every(
    (op) => op.kind === 'range' || (op.kind === 'txn' && isReadOnlyTxn(op.request)),
  );
}

/** Whether some branch puts: such a transaction is refused when there is no space. */
export function hasPut(txn: TxnRequest): boolean {
  return [...txn.success, ...txn.failure].some((op) => op.kind === 'put' || (op.kind === 'txn' && hasPut(op.request)));
}

/** Decides all comparisons on the state as it is now. */
export function chooseTxn(view: ReadView, txn: TxnRequest): ChosenTxn {
  const succeeded = txn.compare.every((compare) => holds(view, compare));
  const ops = (succeeded ? txn.success : txn.failure).map((op) =>
    op.kind === 'txn' ? { kind: op.kind, chosen: chooseTxn(view, op.request) } : op,
  );
  return { succeeded, ops };
}

/** The first reason not to carry out what was chosen, in the order of the operations. */
export function checkTxn(view: TxnChecks, txn: ChosenTxn): KvErrorCode | undefined {
  for (const op of txn.ops) {
    let error: KvErrorCode | undefined;
    if (op.kind === 'txn') error = checkTxn(view, op.chosen);
    else if (op.kind === 'put') error = checkPut(view, op.request);
    else if (op.kind === 'range') error = checkRange(view, op.request);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** The reason not to carry out a put. */
export function checkPut(view: TxnChecks, put: PutRequest): KvErrorCode | undefined {
  if ((put.ignoreValue || put.ignoreLease) && !view.isLive(put.key)) return 'keyNotFound';
  if (put.lease !== 0n && !view.hasLease(put.lease)) return 'leaseNotFound';
  return undefined;
}

/** Carries out what was chosen and checked. */
export function runTxn(target: TxnTarget, txn: ChosenTxn): TxnResult {
  return { succeeded: txn.succeeded, responses: txn.ops.map((op) => runOp(target, op)) };
}

function checkRange(view: ReadView, range: RangeRequest): KvErrorCode | undefined {
  if (range.revision === 0) return undefined;
  // Below zero is before everything that was compacted, and the head as long as nothing was.
  if (range.revision < 0) return view.compactRevision() > 0 ? 'compacted' : undefined;
  if (range.revision > view.revision()) return 'futureRevision';
  return range.revision < view.compactRevision() ? 'compacted' : undefined;
}

function runOp(target: TxnTarget, op: ChosenTxn['ops'][number]): ResponseOp {
  switch (op.kind) {
    case 'range': {
      const response = target.range(op.request.revision < 0 ? { ...op.request, revision: 0 } : op.request);
      assert(typeof response !== 'string', () => `a checked range answers ${String(response)}`);
      return { kind: 'range', response };
    }
    case 'put':
      return runPut(target, op.request);
    case 'deleteRange': {
      const deleted = target.deleteRange(op.request.key, op.request.rangeEnd);
      return {
        kind: 'deleteRange',
        response: { deleted: deleted.length, prevKvs: op.request.prevKv ? deleted : [] },
      };
    }
    case 'txn':
      return { kind: 'txn', response: runTxn(target, op.chosen) };
    default:
      return unreachable(op);
  }
}

/** Carries out one checked put. */
export function runPut(target: TxnTarget, request: PutRequest): ResponseOp {
  const previous = target.put(request);
  return { kind: 'put', response: request.prevKv && previous !== undefined ? { prevKv: previous } : {} };
}

/** A comparison over a range holds when it holds for every key in it; over nothing, it compares with zero. */
function holds(view: ReadView, compare: Compare): boolean {
  const { key, rangeEnd } = compare;
  const result = view.range(rangeRequest({ key, rangeEnd, serializable: true }));
  assert(typeof result !== 'string', () => `a range at the head answers ${String(result)}`);
  // A missing key has no value, not an empty one.
  if (result.kvs.length === 0)
    return compare.target.kind !== 'value' && resultHolds(compare, compareWith(compare, undefined));
  return result.kvs.every((kv) => resultHolds(compare, compareWith(compare, kv)));
}

function compareWith(compare: Compare, kv: KeyValue | undefined): number {
  const { target } = compare;
  switch (target.kind) {
    case 'version':
      return (kv?.version ?? 0) - target.value;
    case 'create':
      return (kv?.createRevision ?? 0) - target.value;
    case 'mod':
      return (kv?.modRevision ?? 0) - target.value;
    case 'value':
      assert(kv !== undefined, 'a value is compared with a key that is there');
      return asBuffer(kv.value).compare(target.value);
    case 'lease': {
      const lease = kv?.lease ?? 0n;
      return lease < target.value ? -1 : lease > target.value ? 1 : 0;
    }
    default:
      return unreachable(target);
  }
}

function resultHolds(compare: Compare, difference: number): boolean {
  switch (compare.result) {
    case 'equal':
      return difference === 0;
    case 'notEqual':
      return difference !== 0;
    case 'greater':
      return difference > 0;
    case 'less':
      return difference < 0;
    default:
      return unreachable(compare.result);
  }
}

/** For transactions that only read. */
export function readOnlyTarget(store: ReadView): TxnTarget {
  const refuse = (): never => {
    assert(false, 'a read-only transaction does not write');
  };
  return {
    revision: () => store.revision(),
    compactRevision: () => store.compactRevision(),
    range: (request) => store.range(request),
    put: refuse,
    deleteRange: refuse,
  };
}
