/**
 * Randomness out of a seed (sfc32): the same seed gives the same numbers on every machine and Node version, because
 * only 32-bit integer arithmetic is used. `fork(name)` gives a generator of its own for a purpose, so that one more draw
 * in one place does not reshuffle all the others.
 */
import { assert } from '../../src/env/assert.ts';
import type { Random } from '../../src/env/random.ts';

export interface SeededRandom extends Random {
  fork(name: string): SeededRandom;
}

/** A generator for `seed`, a number or any text. */
export function seededRandom(seed: number | string): SeededRandom {
  let [a, b, c, counter] = stateOf(String(seed));
  const next32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next32();
  const next = (): number => ((next32() >>> 5) * 67108864 + (next32() >>> 6)) / 9007199254740992;
  const integer = (min: number, max: number): number => {
    assert(
      Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max,
      () => `an integer in [${min}, ${max}]`,
    );
    return min + Math.floor(next() * (max - min + 1));
  };
  const bytes = (length: number): Uint8Array => {
    const result = new Uint8Array(length);
    for (let index = 0; index < length; index++) result[index] = next32() & 0xff;
    return result;
  };
  const uuid = (): string => {
    const raw = bytes(16);
    raw[6] = ((raw[6] ?? 0) & 0x0f) | 0x40;
    raw[8] = ((raw[8] ?? 0) & 0x3f) | 0x80;
    const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
  return { next, integer, bytes, uuid, fork: (name) => seededRandom(`${seed}/${name}`) };
}

/** Four words from a text (FNV-1a with four offsets). */
function stateOf(text: string): [number, number, number, number] {
  const words = [0x811c9dc5, 0x01000193, 0x9e3779b9, 0x85ebca6b].map((offset) => {
    let hash = offset | 0;
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    return hash;
  });
  return words as [number, number, number, number];
}
