/**
 * How often a value stayed within each of some bounds, as plain numbers: what cores and hosts count without knowing who
 * will read it. Whoever serves metrics gives it a name.
 */
import { assert } from './assert.ts';

export class PlainHistogram {
  /** Upper bounds, ascending; values above the last one are counted behind it. */
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    assert(bounds.length > 0, 'a histogram has a bound');
    assert(
      bounds.every((bound, place) => place === 0 || bound > (bounds[place - 1] as number)),
      'bounds ascend',
    );
    this.bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let place = 0;
    while (place < this.bounds.length && value > (this.bounds[place] as number)) place += 1;
    this.#counts[place] = (this.#counts[place] as number) + 1;
    this.#sum += value;
    this.#count += 1;
  }

  /** `within[i]`: values up to `bounds[i]`. */
  read(): { readonly within: readonly number[]; readonly sum: number; readonly count: number } {
    let total = 0;
    const within = this.bounds.map((_, place) => (total += this.#counts[place] as number));
    assert(
      within.every((value) => value <= this.#count),
      'no more values are within a bound than there are',
    );
    return { within, sum: this.#sum, count: this.#count };
  }
}

/** `count` bounds, each `factor` times the one before: as durations are usually told. */
export function exponentialBounds(first: number, factor: number, count: number): readonly number[] {
  assert(first > 0 && factor > 1 && count > 0, 'bounds grow');
  return Array.from({ length: count }, (_, power) => first * factor ** power);
}
