/**
 * The keys that a list of operations may put and the intervals it may delete, inner transactions included. Success and
 * failure of one transaction exclude each other, so both may put the same key; anything else that meets is a conflict.
 */
import type { Bytes, RequestOp } from '../api.ts';
import { toText } from '../backend/bytes.ts';

interface Interval {
  readonly from: Bytes;
  /** Undefined = `from` alone; empty = no end. */
  readonly to: Bytes | undefined;
}

function intervalOf(key: Bytes, rangeEnd: Bytes): Interval {
  if (rangeEnd.length === 0) return { from: key, to: undefined };
  return { from: key, to: rangeEnd.length === 1 && rangeEnd[0] === 0 ? new Uint8Array(0) : rangeEnd };
}

function contains(interval: Interval, key: Bytes): boolean {
  if (interval.to === undefined) return Buffer.compare(key, interval.from) === 0;
  if (Buffer.compare(key, interval.from) < 0) return false;
  return interval.to.length === 0 || Buffer.compare(key, interval.to) < 0;
}

export class KeySets {
  /** Keys by their bytes as one character each. */
  readonly puts = new Map<string, Bytes>();
  readonly deletes: Interval[] = [];

  /** Undefined when two of the operations meet. */
  static of(ops: readonly RequestOp[]): KeySets | undefined {
    const sets = new KeySets();
    for (const op of ops) {
      if (op.kind === 'deleteRange') sets.deletes.push(intervalOf(op.request.key, op.request.rangeEnd));
    }
    // Deletes of inner transactions join after all puts of inner transactions were checked against this level's own.
    const innerDeletes: Interval[] = [];
    for (const op of ops) {
      if (op.kind !== 'txn') continue;
      const success = KeySets.of(op.request.success);
      const failure = KeySets.of(op.request.failure);
      if (!success || !failure) return undefined;
      const both = new Map([...success.puts, ...failure.puts]);
      if (!sets.#addAll(both)) return undefined;
      innerDeletes.push(...success.deletes, ...failure.deletes);
    }
    sets.deletes.push(...innerDeletes);
    for (const op of ops) {
      if (op.kind !== 'put') continue;
      if (!sets.#addAll(new Map([[toText(op.request.key), op.request.key]]))) return undefined;
    }
    return sets;
  }

  #addAll(puts: ReadonlyMap<string, Bytes>): boolean {
    for (const [text, key] of puts) {
      if (this.puts.has(text) || this.deletes.some((interval) => contains(interval, key))) return false;
    }
    for (const [text, key] of puts) this.puts.set(text, key);
    return true;
  }
}
