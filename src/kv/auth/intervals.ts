/**
 * The keys that a user may read, or write: a set of half-open intervals of keys, merged when it is made.
 *
 *     key a · range [b, d) · range [d, f) · range [c, e)   becomes   [a, a\0)  [b, f)
 *
 * A request over a range is permitted when one interval holds all of it, and since touching intervals are merged, it does
 * not matter by how many permissions, of how many roles, the keys were given. Finding the interval is a binary search.
 */
import { assert } from '../../env/assert.ts';

/** [from, to); `to` undefined = no upper end. */
export interface Interval {
  readonly from: string;
  readonly to: string | undefined;
}

/** The keys that `key` and `rangeEnd` name, both latin1. May be empty, when `rangeEnd` is not above `key`. */
export function intervalOf(key: string, rangeEnd: string): Interval {
  if (rangeEnd === '') return { from: key, to: `${key}\0` };
  return { from: key, to: rangeEnd === '\0' ? undefined : rangeEnd };
}

function isEmpty({ from, to }: Interval): boolean {
  return to !== undefined && to <= from;
}

export class IntervalSet {
  /** Invariant: sorted, none empty, a gap between any two. */
  readonly #intervals: readonly Interval[];

  constructor(intervals: Iterable<Interval>) {
    const sorted = [...intervals].filter((interval) => !isEmpty(interval)).sort(byFrom);
    const merged: Interval[] = [];
    for (const interval of sorted) {
      const last = merged.at(-1);
      if (last === undefined || (last.to !== undefined && last.to < interval.from)) merged.push(interval);
      else merged[merged.length - 1] = { from: last.from, to: higher(last.to, interval.to) };
    }
    merged.forEach((interval, position) => {
      const before = merged[position - 1];
      assert(!before || (before.to !== undefined && before.to < interval.from), 'merged intervals have gaps between');
    });
    this.#intervals = merged;
  }

  intervals(): readonly Interval[] {
    return this.#intervals;
  }

  /**
   * Whether every key of `wanted` is in the set. Of an interval without keys its first key must be: who asks for nothing
   * learns nothing, but an answer that depends on nothing else would tell that a permission is there.
   */
  covers(wanted: Interval): boolean {
    const asked = isEmpty(wanted) ? intervalOf(wanted.from, '') : wanted;
    const found = this.#lastFromAtMost(asked.from);
    if (found === undefined || (found.to !== undefined && found.to <= asked.from)) return false;
    if (found.to === undefined) return true;
    return asked.to !== undefined && asked.to <= found.to;
  }

  #lastFromAtMost(key: string): Interval | undefined {
    let low = 0;
    let high = this.#intervals.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const interval = this.#intervals[middle];
      assert(interval !== undefined, 'the middle is within the list');
      if (interval.from <= key) low = middle + 1;
      else high = middle;
    }
    assert(low === 0 || (this.#intervals[low - 1]?.from ?? '') <= key, 'what was found does not begin after the key');
    return this.#intervals[low - 1];
  }
}

function byFrom(a: Interval, b: Interval): number {
  return a.from < b.from ? -1 : a.from > b.from ? 1 : 0;
}

function higher(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  return a > b ? a : b;
}
