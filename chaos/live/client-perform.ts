/** One operation of a client over gRPC, answered in the words of the history. Every key stands under a prefix, which the history does not see. */
import { noBytes, putRequest, rangeRequest, type RequestOp, type TxnRequest } from '../../src/kv/api.ts';
import type { KvClient } from '../../src/kv/client/contract.ts';
import type { Operation, Outcome, TxnStep } from '../check/history.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Keys of one run, apart from all others in the store. */
export class KeySpace {
  readonly prefix: string;
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  toBytes(key: string): Uint8Array {
    return encoder.encode(this.prefix + key);
  }

  fromBytes(key: Uint8Array): string {
    return decoder.decode(key).slice(this.prefix.length);
  }

  /** All keys of the run: the prefix ends in a character that has a next one. */
  all(): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
    const rangeEnd = encoder.encode(this.prefix);
    rangeEnd[rangeEnd.length - 1] = (rangeEnd.at(-1) ?? 0) + 1;
    return { key: encoder.encode(this.prefix), rangeEnd };
  }
}

/** Rejects when nobody can say whether it happened, or that it did not. */
export async function performOn(client: KvClient, operation: Operation, space: KeySpace): Promise<Outcome | undefined> {
  switch (operation.kind) {
    case 'put': {
      const key = space.toBytes(operation.key);
      const { revision } = await client.put({ key, value: encoder.encode(operation.value) });
      return { kind: 'put', revision };
    }
    case 'get': {
      const { kvs, revision } = await client.range({ key: space.toBytes(operation.key) });
      const kv = kvs[0];
      const value = kv === undefined ? undefined : decoder.decode(kv.value);
      return { kind: 'get', revision, value, modRevision: kv?.modRevision ?? 0 };
    }
    case 'cas': {
      const { key, expected, value } = operation;
      const { succeeded, revision } = await client.txn({
        compare: [comparison(space, key, expected)],
        success: [toOp(space, { kind: 'put', key, value })],
        failure: [],
      });
      return { kind: 'cas', revision, succeeded };
    }
    case 'delete': {
      const { deleted, revision } = await client.deleteRange(space.toBytes(operation.key), noBytes);
      return { kind: 'delete', revision, deleted: deleted > 0 };
    }
    case 'txn': {
      const { succeeded, revision, responses } = await client.txn({
        compare: operation.compare.map(({ key, value }) => comparison(space, key, value)),
        success: operation.success.map((step) => toOp(space, step)),
        failure: operation.failure.map((step) => toOp(space, step)),
      });
      const found = responses.flatMap((op) => {
        if (op.kind !== 'range') return [];
        const kv = op.response.kvs[0];
        return [kv === undefined ? undefined : decoder.decode(kv.value)];
      });
      return { kind: 'txn', revision, succeeded, found };
    }
    case 'list': {
      const { kvs, revision } = await client.range({
        ...space.all(),
        revision: operation.at,
        serializable: operation.isLocal,
      });
      const keys = kvs.map((kv) => ({
        key: space.fromBytes(kv.key),
        value: decoder.decode(kv.value),
        modRevision: kv.modRevision,
      }));
      return { kind: 'list', revision, keys };
    }
    case 'compact':
      await client.compact(operation.revision);
      // The client does not say which revision the answer named.
      return undefined;
  }
}

function comparison(space: KeySpace, key: string, value: string | undefined): TxnRequest['compare'][number] {
  const target =
    value === undefined
      ? ({ kind: 'version', value: 0 } as const)
      : ({ kind: 'value', value: encoder.encode(value) } as const);
  return { key: space.toBytes(key), rangeEnd: noBytes, result: 'equal', target };
}

function toOp(space: KeySpace, step: TxnStep): RequestOp {
  const key = space.toBytes(step.key);
  switch (step.kind) {
    case 'put':
      return { kind: 'put', request: putRequest({ key, value: encoder.encode(step.value) }) };
    case 'delete':
      return { kind: 'deleteRange', request: { key, rangeEnd: noBytes, prevKv: false } };
    case 'get':
      return { kind: 'range', request: rangeRequest({ key }) };
  }
}
