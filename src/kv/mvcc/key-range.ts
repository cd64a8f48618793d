/**
 * The set of keys that a request names by `key` and `rangeEnd`: one key, a half-open interval, or everything from a key on.
 */
import { toText } from '../backend/bytes.ts';

export interface KeyRange {
  readonly from: string;
  /** Exclusive. undefined = no upper end. */
  readonly to: string | undefined;
  readonly isSingle: boolean;
}

/** etcd's rule: empty `rangeEnd` = the one key; the single byte 0 = all keys from `key` on; else [key, rangeEnd). */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const from = toText(key);
  if (rangeEnd.length === 0) return { from, to: `${from}\0`, isSingle: true };
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { from, to: undefined, isSingle: false };
  return { from, to: toText(rangeEnd), isSingle: false };
}

/** Whether `key` is in the range. */
export function rangeContains(range: KeyRange, key: string): boolean {
  if (range.isSingle) return key === range.from;
  return key >= range.from && (range.to === undefined || key < range.to);
}

/** The prefix whose keys are exactly the range's, or undefined when the range is no prefix. */
export function rangePrefix(range: KeyRange): string | undefined {
  if (range.isSingle) return undefined;
  // No key is empty, so "from the byte 0 on" is every key, as "from the empty key on" is.
  if (range.to === undefined) return range.from === '' || range.from === '\0' ? '' : undefined;
  return range.to === prefixEnd(range.from) ? range.from : undefined;
}

/** The first key after all keys with this prefix; undefined when there is none (the prefix is empty or all 0xff). */
export function prefixEnd(prefix: string): string | undefined {
  for (let length = prefix.length; length > 0; length--) {
    const last = prefix.charCodeAt(length - 1);
    if (last < 0xff) return prefix.slice(0, length - 1) + String.fromCharCode(last + 1);
  }
  return undefined;
}
