/**
 * The ordered map under every in-memory index of the store: a B+ tree with string keys and a copy-on-write `clone()`.
 *
 * The library is CommonJS, so under ES modules its default import is the module object and the class is a property of
 * it. This file unwraps it once; everything else imports `OrderedMap` from here.
 */
import library from 'sorted-btree';

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
