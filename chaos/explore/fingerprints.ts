/**
 * A set of 64-bit numbers in flat arrays: the states that were seen, as fingerprints. Two states with the same fingerprint
 * would be taken for one; with n states the chance that any two are is about n² / 2^65, so for ten million 3 in a million.
 */
import { assert } from '../../src/env/assert.ts';

/** Slots are doubled when so many are taken. */
const fullest = 0.6;

export class Fingerprints {
  #high = new Uint32Array(1 << 16);
  #low = new Uint32Array(1 << 16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** True when it was not there before. (0, 0) marks an empty slot and is taken for (0, 1). */
  add(high: number, low: number): boolean {
    const lowKept = high === 0 && low === 0 ? 1 : low;
    if (!this.#insert(high, lowKept)) return false;
    this.#size += 1;
    if (this.#size > this.#low.length * fullest) this.#grow();
    return true;
  }

  #insert(high: number, low: number): boolean {
    const mask = this.#low.length - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      if (this.#low[at] === low && this.#high[at] === high) return false;
      if (this.#low[at] !== 0 || this.#high[at] !== 0) continue;
      this.#low[at] = low;
      this.#high[at] = high;
      return true;
    }
  }

  #grow(): void {
    const [high, low] = [this.#high, this.#low];
    this.#high = new Uint32Array(high.length * 2);
    this.#low = new Uint32Array(low.length * 2);
    for (let at = 0; at < low.length; at++) {
      if (low[at] === 0 && high[at] === 0) continue;
      const isNew = this.#insert(high[at] as number, low[at] as number);
      assert(isNew, 'a set holds a number once');
    }
  }
}

/** Stirs `value` into `hash`: 32 bits each. */
export function mixLow(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x9e3779b1);
  const again = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77);
  return (again ^ (again >>> 13)) >>> 0;
}

/** Another way to do it: both together make 64 bits. */
export function mixHigh(hash: number, value: number): number {
  const mixed = Math.imul((hash + 0x7f4a7c15) ^ Math.imul(value, 0xc2b2ae3d), 0x27d4eb2f);
  const again = Math.imul(mixed ^ (mixed >>> 16), 0x165667b1);
  return (again ^ (again >>> 14)) >>> 0;
}
