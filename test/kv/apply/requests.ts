/** Short ways to write requests down, for the tests of the store's state. */
import * as api from '../../../src/kv/api.ts';
import type {
  Compare,
  DeleteRangeRequest,
  InternalOp,
  PutRequest,
  RangeRequest,
  RequestOp,
  WatchRequest,
} from '../../../src/kv/api.ts';
import type { KvState } from '../../../src/kv/apply/contract.ts';
import type { ApplyResult, KeyValue, KvEvent } from '../../../src/kv/api.ts';

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
export const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');

export function putRequest(key: string, value = '', more: Partial<PutRequest> = {}): PutRequest {
  return api.putRequest({ key: bytes(key), value: bytes(value), ...more });
}

export function rangeRequest(key: string, rangeEnd = '', more: Partial<RangeRequest> = {}): RangeRequest {
  return api.rangeRequest({ key: bytes(key), rangeEnd: bytes(rangeEnd), ...more });
}

export function deleteRequest(key: string, rangeEnd = '', prevKv = false): DeleteRangeRequest {
  return { key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv };
}

export function watchRequest(key: string, rangeEnd = '', more: Partial<WatchRequest> = {}): WatchRequest {
  return {
    key: bytes(key),
    rangeEnd: bytes(rangeEnd),
    startRevision: 0,
    prevKv: false,
    noPut: false,
    noDelete: false,
    ...more,
  };
}

export const op = {
  put: (key: string, value = '', more: Partial<PutRequest> = {}): Extract<InternalOp & RequestOp, { kind: 'put' }> => ({
    kind: 'put',
    request: putRequest(key, value, more),
  }),
  del: (key: string, rangeEnd = '', prevKv = false): Extract<InternalOp & RequestOp, { kind: 'deleteRange' }> => ({
    kind: 'deleteRange',
    request: deleteRequest(key, rangeEnd, prevKv),
  }),
  range: (key: string, rangeEnd = '', more: Partial<RangeRequest> = {}): Extract<RequestOp, { kind: 'range' }> => ({
    kind: 'range',
    request: rangeRequest(key, rangeEnd, more),
  }),
  txn: (
    compare: readonly Compare[],
    success: readonly RequestOp[],
    failure: readonly RequestOp[] = [],
  ): Extract<InternalOp & RequestOp, { kind: 'txn' }> => ({ kind: 'txn', request: { compare, success, failure } }),
  compact: (revision: number): InternalOp => ({ kind: 'compact', revision }),
  grant: (id: bigint, ttlSeconds = 60): InternalOp => ({ kind: 'leaseGrant', id, ttlSeconds }),
  revoke: (id: bigint): InternalOp => ({ kind: 'leaseRevoke', id }),
};

export function compare(key: string, result: Compare['result'], target: Compare['target'], rangeEnd = ''): Compare {
  return { key: bytes(key), rangeEnd: bytes(rangeEnd), result, target };
}

/** Applies requests one after the other. */
export class Applier {
  readonly state: KvState;
  constructor(state: KvState) {
    this.state = state;
  }
  apply(operation: InternalOp): ApplyResult {
    return this.state.apply(this.state.consistentIndex() + 1, { requestId: 0, op: operation });
  }
  /** Applies and insists on success. */
  ok(operation: InternalOp): Extract<ApplyResult, { ok: true }> {
    const result = this.apply(operation);
    if (!result.ok) throw new Error(`${operation.kind} answers ${result.error}`);
    return result;
  }
  /** Applies and gives the error. */
  error(operation: InternalOp): string {
    const result = this.apply(operation);
    return result.ok ? 'ok' : result.error;
  }
}

/** `a=1 c2 m3 v2` for create, mod and version. */
export function describeKv(kv: KeyValue): string {
  const lease = kv.lease === 0n ? '' : ` l${kv.lease}`;
  return `${text(kv.key)}=${text(kv.value)} c${kv.createRevision} m${kv.modRevision} v${kv.version}${lease}`;
}

/** `put a=1@2` or `delete a@3`, with `(was 0)` for the previous value. */
export function describeEvent(event: KvEvent): string {
  const what = event.type === 'put' ? `${text(event.kv.key)}=${text(event.kv.value)}` : text(event.kv.key);
  const previous = event.prevKv === undefined ? '' : ` (was ${text(event.prevKv.value)})`;
  return `${event.type} ${what}@${event.kv.modRevision}${previous}`;
}

/** What a range answers, as text. */
export function listed(state: Pick<KvState, 'range'>, request: RangeRequest): string {
  const result = state.range(request);
  if (typeof result === 'string') return result;
  const kvs = result.kvs.map(describeKv).join(', ');
  return `${kvs}${result.more ? ' …' : ''} #${result.count}`.trim();
}
