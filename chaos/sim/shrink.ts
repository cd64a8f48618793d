/**
 * The shortest story that still fails: takes faults away from a failing schedule as long as what is left fails as well
 * (delta debugging, Zeller and Hildebrandt 2002). Knows nothing of worlds.
 */
import { assert } from '../../src/env/assert.ts';

export interface Shrinking<T> {
  /** Whether a world with just these fails in the same way. */
  readonly fails: (kept: readonly T[]) => Promise<boolean>;
  /** Asked before each attempt; false ends the search with what was found. */
  readonly mayGoOn: () => boolean;
}

/** What is left of `all`, in order. When the search ends by itself, no single one of it can be left out. */
export async function shrink<T>(all: readonly T[], { fails, mayGoOn }: Shrinking<T>): Promise<readonly T[]> {
  let kept = all;
  let parts = Math.min(2, kept.length);
  while (kept.length > 0) {
    assert(parts >= 1 && parts <= kept.length, 'every part holds something');
    const without = await firstThatFails(kept, parts, { fails, mayGoOn });
    if (without === 'stopped') return kept;
    if (without !== undefined) {
      kept = without;
      parts = Math.min(Math.max(parts - 1, 2), kept.length);
    } else if (parts === kept.length) return kept;
    else parts = Math.min(parts * 2, kept.length);
  }
  return kept;
}

/** `kept` without one of its parts, the first for which that still fails; undefined when every part is needed. */
async function firstThatFails<T>(
  kept: readonly T[],
  parts: number,
  { fails, mayGoOn }: Shrinking<T>,
): Promise<readonly T[] | 'stopped' | undefined> {
  for (let part = 0; part < parts; part++) {
    if (!mayGoOn()) return 'stopped';
    const from = Math.floor((part * kept.length) / parts);
    const to = Math.floor(((part + 1) * kept.length) / parts);
    const without = [...kept.slice(0, from), ...kept.slice(to)];
    if (await fails(without)) return without;
  }
  return undefined;
}
