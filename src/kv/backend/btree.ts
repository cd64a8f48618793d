/**
 * The ordered map under every in-memory index of the store: a B+ tree with string keys and a copy-on-write `clone()`.
 *
 * The library is CommonJS, so under ES modules its default import is the module object and the class is a property of
 * it. This file unwraps it once; everything else imports `OrderedMap` from here.
 */
import library from 'sorted-btree';
import bulkLibrary from 'sorted-btree/extended/bulkLoad.js';

/** Keys are latin1 strings: one UTF-16 unit per byte, so that string order is byte order. */
export type OrderedMap<V> = library.default<string, V>;

/** An empty ordered map. */
export function orderedMap<V>(): OrderedMap<V> {
  return new library.default<string, V>(undefined, compareText);
}

/** Byte order on latin1 strings. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Of strictly ascending keys and their values: the nodes are made full, from the leaves up, without a search. */
export function orderedMapOf<V>(keys: string[], values: V[]): OrderedMap<V> {
  if (keys.length === 0) return orderedMap();
  return bulkLibrary.bulkLoad(keys, values, nodeKeysMax, compareText, leafShare);
}

/** The library's own number. */
const nodeKeysMax = 32;
/** Some room in each leaf, so that the first key that comes does not split it. */
const leafShare = 0.8;
