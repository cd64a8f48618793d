/**
 * One life of a key as an array: the revisions that still have a row, and finding one among them. See key-index.ts.
 */
import { assert } from '../../env/assert.ts';

/** Revisions lie flat in one array, three numbers each, because there is one for every write that compaction has left. */
export const stride = 3;

export interface Generation {
  /** Main revision of the put that began it. */
  readonly created: number;
  /** Puts so far, dropped ones included. */
  readonly version: number;
  /** True once the last revision is a tombstone. */
  readonly ended: boolean;
  /** main, sub, row bytes, … Invariant: main grows; at least one revision. */
  revisions: number[];
}

export interface FoundRevision {
  readonly main: number;
  readonly sub: number;
}

export interface KeptRevision extends FoundRevision {
  readonly rowBytes: number;
  readonly isTombstone: boolean;
}

/** Where the kept part begins: the last revision at or below `atMain` of the first generation that did not end before it. */
export function firstKept(
  generations: readonly Generation[],
  atMain: number,
): { readonly generation: number; readonly at: number } {
  let index = 0;
  while (index < generations.length) {
    const generation = generations[index] as Generation;
    if (!generation.ended || (generation.revisions.at(-stride) as number) >= atMain) break;
    index += 1;
  }
  const generation = generations[index];
  if (generation === undefined || (generation.revisions[0] as number) > atMain) return { generation: index, at: 0 };
  return { generation: index, at: latestAtOrBelow(generation.revisions, atMain) };
}

export function foundAt(revisions: readonly number[], at: number): FoundRevision {
  return { main: revisions[at] as number, sub: revisions[at + 1] as number };
}

export function revisionAt(generation: Pick<Generation, 'revisions' | 'ended'>, at: number): KeptRevision {
  const { revisions } = generation;
  assert(at % stride === 0 && at < revisions.length, () => `no revision at ${at} of ${revisions.length}`);
  return {
    main: revisions[at] as number,
    sub: revisions[at + 1] as number,
    rowBytes: revisions[at + 2] as number,
    isTombstone: generation.ended && at === revisions.length - stride,
  };
}

/** Place of the last revision whose main is at or below `main`; the first one must be. */
export function latestAtOrBelow(revisions: readonly number[], main: number): number {
  assert((revisions[0] as number) <= main, 'the search begins at or below the wanted revision');
  let low = 0;
  let high = revisions.length / stride - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((revisions[middle * stride] as number) <= main) low = middle;
    else high = middle - 1;
  }
  return low * stride;
}
