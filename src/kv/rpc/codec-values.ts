/**
 * Values that occur in requests and in answers: keys with their values, events, and the enums by their numbers.
 *
 * 64-bit numbers from outside that a JavaScript number cannot hold are saturated: every one of them is compared with a
 * revision, version or count below 2^53, so the outcome stays the same.
 */
import { fromInt64, type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import type { Bytes, CompareResult, KeyValue, KvEvent, SortOrder, SortTarget } from '../api.ts';
import { noBytes } from '../api.ts';
import type { Out, WireEvent, WireKeyValue } from './wire.ts';

/** Position = number on the wire. */
export const sortOrders: readonly SortOrder[] = ['none', 'ascend', 'descend'];
export const sortTargets: readonly SortTarget[] = ['key', 'version', 'create', 'mod', 'value'];
export const compareResults: readonly CompareResult[] = ['equal', 'greater', 'less', 'notEqual'];
export const compareTargets = ['version', 'create', 'mod', 'value', 'lease'] as const;

/** A 64-bit number from outside as a safe integer, saturated. */
export function saturate(value: Int64Like | null | undefined): number {
  if (typeof value === 'number') return value;
  const exact = fromInt64(value);
  if (exact > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (exact < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(exact);
}

/** Bytes that outlive the message they came in: a view would pin the whole message. */
export function copied(bytes: Bytes | undefined): Bytes {
  return bytes === undefined || bytes.length === 0 ? noBytes : new Uint8Array(bytes);
}

export function toWireKeyValue(kv: KeyValue): Out<WireKeyValue> {
  return {
    key: kv.key,
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    version: kv.version,
    value: kv.value,
    lease: kv.lease === 0n ? 0 : kv.lease,
  };
}

/** For what a server sent: it keeps below 2^53. */
export function fromWireKeyValue(kv: Out<WireKeyValue>): KeyValue {
  return {
    key: copied(kv.key),
    createRevision: safeNumberFromInt64(kv.createRevision),
    modRevision: safeNumberFromInt64(kv.modRevision),
    version: safeNumberFromInt64(kv.version),
    value: copied(kv.value),
    lease: fromInt64(kv.lease),
  };
}

function toWireEvent(event: KvEvent): Out<WireEvent> {
  const kv = event.type === 'put' ? toWireKeyValue(event.kv) : { key: event.kv.key, modRevision: event.kv.modRevision };
  return {
    type: event.type === 'put' ? 0 : 1,
    kv,
    ...(event.prevKv === undefined ? {} : { prevKv: toWireKeyValue(event.prevKv) }),
  };
}

export function toWireEvents(events: readonly KvEvent[]): readonly Out<WireEvent>[] {
  return events.map(toWireEvent);
}

export function fromWireEvent(event: Out<WireEvent>): KvEvent {
  return {
    type: event.type === 1 ? 'delete' : 'put',
    kv: fromWireKeyValue(event.kv ?? {}),
    ...(event.prevKv ? { prevKv: fromWireKeyValue(event.prevKv) } : {}),
  };
}
