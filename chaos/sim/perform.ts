/** One operation of a client, carried out on one member and answered in the words of the history. */
import {
  noBytes,
  putRequest,
  type RangeRequest,
  rangeRequest,
  type RequestOp,
  type TxnRequest,
} from '../../src/kv/api.ts';
import type { Credentials } from '../../src/kv/server/auth-contract.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import type { Operation, Outcome, TxnStep } from '../check/history.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** From the first key on. */
const allKeys = { key: new Uint8Array(1), rangeEnd: new Uint8Array(1) };

/** Rejects when nobody can say whether it happened, or that it did not. */
export async function perform(
  server: StoreServer,
  operation: Operation,
  from: Credentials | undefined,
): Promise<Outcome> {
  switch (operation.kind) {
    case 'put': {
      const { key, value, lease = '0' } = operation;
      const request = putRequest({ key: encoder.encode(key), value: encoder.encode(value), lease: BigInt(lease) });
      const { revision } = await server.put(request, from);
      return { kind: 'put', revision };
    }
    case 'get': {
      const { kvs, revision } = await server.range(rangeRequest({ key: encoder.encode(operation.key) }), from);
      return {
        kind: 'get',
        revision,
        value: kvs[0] === undefined ? undefined : decoder.decode(kvs[0].value),
        modRevision: kvs[0]?.modRevision ?? 0,
      };
    }
    case 'cas': {
      const { key, expected, value } = operation;
      const request: TxnRequest = {
        compare: [comparison(key, expected)],
        success: [toOp({ kind: 'put', key, value })],
        failure: [],
      };
      const { succeeded, revision } = await server.txn(request, from);
      return { kind: 'cas', revision, succeeded };
    }
    case 'delete': {
      const request = { key: encoder.encode(operation.key), rangeEnd: noBytes, prevKv: false };
      const { deleted, revision } = await server.deleteRange(request, from);
      return { kind: 'delete', revision, deleted: deleted > 0 };
    }
    case 'txn': {
      const { compare, success, failure } = operation;
      const request: TxnRequest = {
        compare: compare.map(({ key, value }) => comparison(key, value)),
        success: success.map(toOp),
        failure: failure.map(toOp),
      };
      const { succeeded, revision, responses } = await server.txn(request, from);
      const found = responses.flatMap((op) => {
        if (op.kind !== 'range') return [];
        const kv = op.response.kvs[0];
        return [kv === undefined ? undefined : decoder.decode(kv.value)];
      });
      return { kind: 'txn', revision, succeeded, found };
    }
    case 'list': {
      const request: RangeRequest = rangeRequest({
        ...allKeys,
        revision: operation.at,
        serializable: operation.isLocal,
      });
      const { kvs, revision } = await server.range(request, from);
      const keys = kvs.map((kv) => {
        const [key, value] = [decoder.decode(kv.key), decoder.decode(kv.value)];
        return { key, value, modRevision: kv.modRevision };
      });
      return { kind: 'list', revision, keys };
    }
    case 'compact': {
      const { revision } = await server.compact(operation.revision, false, from);
      return { kind: 'compact', revision };
    }
  }
}

function comparison(key: string, value: string | undefined): TxnRequest['compare'][number] {
  const target =
    value === undefined
      ? ({ kind: 'version', value: 0 } as const)
      : ({ kind: 'value', value: encoder.encode(value) } as const);
  return { key: encoder.encode(key), rangeEnd: noBytes, result: 'equal', target };
}

function toOp(step: TxnStep): RequestOp {
  const key = encoder.encode(step.key);
  switch (step.kind) {
    case 'put':
      return { kind: 'put', request: putRequest({ key, value: encoder.encode(step.value) }) };
    case 'delete':
      return { kind: 'deleteRange', request: { key, rangeEnd: noBytes, prevKv: false } };
    case 'get':
      return { kind: 'range', request: rangeRequest({ key }) };
  }
}
