/**
 * One key's history: which revisions wrote it, life by life.
 *
 * A generation is one life of the key: it begins with the put that creates it and ends with the tombstone that deletes
 * it. Only the newest generation can be open. The generation keeps the revisions that still have a row, its create
 * revision, and `version`, the number of puts it ever had, so that the version of any kept revision can be counted back
 * from the end although older ones are gone.
 *
 * Worked example. put at 2, put at 4, delete at 5, put at 6, delete at 8, put at 9:
 *
 *     generations   [ 2, 4, 5(t) ]   [ 6, 8(t) ]   [ 9 ]
 *
 *     find(3) = 2   find(4) = 4   find(5) = nothing   find(7) = 6   find(8) = nothing   find(9) = 9
 *
 *     compact(2)    [ 2, 4, 5(t) ]   [ 6, 8(t) ]   [ 9 ]     2 is the latest at or below 2, so it stays
 *     compact(4)    [ 4, 5(t) ]      [ 6, 8(t) ]   [ 9 ]     nobody can read at 3 or below any more
 *     compact(5)    [ 5(t) ]         [ 6, 8(t) ]   [ 9 ]     the tombstone at the compacted revision itself stays: a watch
 *                                                            may start there and must see the delete
 *     compact(6)    [ 6, 8(t) ]      [ 9 ]
 *     compact(8)    [ 8(t) ]         [ 9 ]
 *     compact(9)    [ 9 ]
 *
 * A key whose last generation is dropped has no history left and its entry is removed from the index.
 */
import { assert } from '../../env/assert.ts';
import type { KeyValue } from '../api.ts';

/** Revisions lie flat in one array, three numbers each, because there is one for every write that compaction has left. */
const stride = 3;

interface Generation {
  /** Main revision of the put that began it. */
  readonly created: number;
  /** Puts so far, dropped ones included. */
  version: number;
  /** True once the last revision is a tombstone. */
  ended: boolean;
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

export class KeyEntry {
  readonly key: string;
  /** The live version at the head; undefined while the key is deleted. Invariant: set exactly when the last generation is open. */
  head: KeyValue | undefined;
  #generations: Generation[] = [];

  constructor(key: string) {
    this.key = key;
  }

  /** Records a put. `version` of the new head must be the one that this returns. */
  put(main: number, sub: number, rowBytes: number): { readonly created: number; readonly version: number } {
    assert(main > this.lastModified(), () => `put at ${main} follows a write at ${this.lastModified()}`);
    assert(rowBytes > 0, 'a row has bytes');
    let generation = this.#generations.at(-1);
    if (generation === undefined || generation.ended) {
      generation = { created: main, version: 0, ended: false, revisions: [] };
      this.#generations.push(generation);
    }
    generation.version += 1;
    generation.revisions.push(main, sub, rowBytes);
    return { created: generation.created, version: generation.version };
  }

  /** Records a delete; the key must be alive. */
  tombstone(main: number, sub: number, rowBytes: number): void {
    assert(main > this.lastModified(), () => `delete at ${main} follows a write at ${this.lastModified()}`);
    const generation = this.#generations.at(-1);
    assert(generation !== undefined && !generation.ended, 'only a live key can be deleted');
    generation.ended = true;
    generation.revisions.push(main, sub, rowBytes);
    this.head = undefined;
  }

  /**
   * Records a version read back from the backend, where older ones may be gone: a put says itself when its generation
   * began and how many puts that had; a tombstone whose generation is gone makes one of its own.
   */
  restore(row: KeptRevision, put: { readonly created: number; readonly version: number } | undefined): void {
    assert(row.main > this.lastModified(), () => `row at ${row.main} follows one at ${this.lastModified()}`);
    assert(row.isTombstone === (put === undefined), 'a row is either a put or a tombstone');
    let generation = this.#generations.at(-1);
    if (generation === undefined || generation.ended) {
      generation = { created: put?.created ?? row.main, version: 0, ended: false, revisions: [] };
      this.#generations.push(generation);
    }
    if (put === undefined) generation.ended = true;
    else {
      assert(generation.created === put.created, () => `two create revisions in one life: ${put.created}`);
      assert(put.version > generation.version, () => `version ${put.version} after ${generation.version}`);
      generation.version = put.version;
    }
    generation.revisions.push(row.main, row.sub, row.rowBytes);
  }

  /** Main revision of the last write; 0 for a key never written. */
  lastModified(): number {
    return this.#generations.at(-1)?.revisions.at(-stride) ?? 0;
  }

  /** The revision that a reader at `atMain` sees, or undefined when the key was not alive then. */
  find(atMain: number): FoundRevision | undefined {
    assert(atMain > 0, () => `a reader cannot be at revision ${atMain}`);
    for (let index = this.#generations.length - 1; index >= 0; index--) {
      const generation = this.#generations[index];
      assert(generation !== undefined && generation.revisions.length > 0, 'a generation has a revision');
      const { revisions } = generation;
      if ((revisions[0] as number) > atMain) continue;
      const at = latestAtOrBelow(revisions, atMain);
      if (generation.ended && at === revisions.length - stride) return undefined;
      return { main: revisions[at] as number, sub: revisions[at + 1] as number };
    }
    return undefined;
  }

  /** The write at exactly `main`. */
  writeAt(main: number): KeptRevision | undefined {
    for (let index = this.#generations.length - 1; index >= 0; index--) {
      const generation = this.#generations[index] as Generation;
      const { revisions } = generation;
      if ((revisions[0] as number) > main) continue;
      const at = latestAtOrBelow(revisions, main);
      return revisions[at] === main ? revisionAt(generation, at) : undefined;
    }
    return undefined;
  }

  /** What compaction at `atMain` keeps of this key, oldest first, at or below `limitMain`. */
  *kept(atMain: number, limitMain: number): Generator<KeptRevision> {
    const first = this.#firstKept(atMain);
    for (let index = first.generation; index < this.#generations.length; index++) {
      const generation = this.#generations[index] as Generation;
      const start = index === first.generation ? first.at : 0;
      for (let at = start; at < generation.revisions.length; at += stride) {
        const revision = revisionAt(generation, at);
        if (revision.main > limitMain) return;
        yield revision;
      }
    }
  }

  /** Drops what nobody can read at `atMain` or later and returns it. See the example above. */
  compact(atMain: number): KeptRevision[] {
    const first = this.#firstKept(atMain);
    const dropped: KeptRevision[] = [];
    for (let index = 0; index <= first.generation && index < this.#generations.length; index++) {
      const generation = this.#generations[index] as Generation;
      const end = index === first.generation ? first.at : generation.revisions.length;
      for (let at = 0; at < end; at += stride) dropped.push(revisionAt(generation, at));
      if (index === first.generation) generation.revisions = generation.revisions.slice(end);
    }
    this.#generations = this.#generations.slice(first.generation);
    assert(
      this.#generations.every((generation) => generation.revisions.length > 0),
      'compaction leaves no empty generation',
    );
    assert(this.head === undefined || this.#generations.length > 0, 'compaction never drops a live key');
    return dropped;
  }

  /** True when no revision is left and the entry can go. */
  isEmpty(): boolean {
    return this.#generations.length === 0;
  }

  /** `[2, 4, 5(t)] [6]`, for tests and messages. */
  describe(): string {
    const lives = this.#generations.map((generation) => {
      const mains = generation.revisions.filter((_, at) => at % stride === 0).map(String);
      if (generation.ended) mains.push(`${mains.pop()}(t)`);
      return `[${mains.join(', ')}]`;
    });
    return lives.join(' ');
  }

  /** Where the kept part begins: the last revision at or below `atMain` of the first generation that did not end before it. */
  #firstKept(atMain: number): { readonly generation: number; readonly at: number } {
    let index = 0;
    while (index < this.#generations.length) {
      const generation = this.#generations[index] as Generation;
      if (!generation.ended || (generation.revisions.at(-stride) as number) >= atMain) break;
      index += 1;
    }
    const generation = this.#generations[index];
    if (generation === undefined || (generation.revisions[0] as number) > atMain) return { generation: index, at: 0 };
    return { generation: index, at: latestAtOrBelow(generation.revisions, atMain) };
  }
}

function revisionAt(generation: Generation, at: number): KeptRevision {
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
function latestAtOrBelow(revisions: readonly number[], main: number): number {
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
