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
import {
  firstKept,
  type FoundRevision,
  foundAt,
  type Generation,
  type KeptRevision,
  latestAtOrBelow,
  revisionAt,
  stride,
} from './generation.ts';
import type { Slab } from './row-arena.ts';

export type { FoundRevision, KeptRevision } from './generation.ts';

/**
 * There is one of these for every key, so what nearly all keys have lies in the entry itself: the newest revision and what
 * the newest generation counts. Older revisions of that generation, and older generations, are arrays that come when they
 * are needed.
 */
export class KeyEntry {
  readonly key: string;
  /** Where the row of the live version lies; undefined while the key is deleted. Kept by the store. */
  slab: Slab | undefined = undefined;
  slabAt = 0;
  /** Newest revision; 0 = none. */
  #main = 0;
  #sub = 0;
  #rowBytes = 0;
  /** Of the newest generation. */
  #created = 0;
  #version = 0;
  #ended = false;
  /** Older revisions of the newest generation, flat. */
  #older: number[] | undefined = undefined;
  /** Generations before the newest, oldest first; all have ended. */
  #past: Generation[] | undefined = undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** Whether the newest generation is open. */
  isLive(): boolean {
    return this.#main !== 0 && !this.#ended;
  }

  /** Main revision of the put that began the newest generation. */
  created(): number {
    return this.#created;
  }

  /** Puts of the newest generation so far. */
  version(): number {
    return this.#version;
  }

  /** Row bytes of the newest revision. */
  rowBytes(): number {
    return this.#rowBytes;
  }

  /** Records a put. */
  put(main: number, sub: number, rowBytes: number): void {
    assert(main > this.#main, () => `put at ${main} follows a write at ${this.#main}`);
    assert(rowBytes > 0, 'a row has bytes');
    this.#push(main, sub, rowBytes, main);
    this.#version += 1;
  }

  /** Records a delete; the key must be alive. */
  tombstone(main: number, sub: number, rowBytes: number): void {
    assert(main > this.#main, () => `delete at ${main} follows a write at ${this.#main}`);
    assert(this.isLive(), 'only a live key can be deleted');
    this.#push(main, sub, rowBytes, main);
    this.#ended = true;
  }

  /** Records a put read back, which says itself when its generation began and how many puts that had: older ones may be gone. */
  restorePut(put: {
    readonly main: number;
    readonly sub: number;
    readonly rowBytes: number;
    readonly created: number;
    readonly version: number;
  }): void {
    assert(put.main > this.#main, () => `row at ${put.main} follows one at ${this.#main}`);
    this.#push(put.main, put.sub, put.rowBytes, put.created);
    assert(this.#created === put.created, () => `two create revisions in one life: ${put.created}`);
    assert(put.version > this.#version, () => `version ${put.version} after ${this.#version}`);
    this.#version = put.version;
  }

  /** Records a tombstone read back; one whose generation is gone makes one of its own. */
  restoreTombstone(main: number, sub: number, rowBytes: number): void {
    assert(main > this.#main, () => `row at ${main} follows one at ${this.#main}`);
    this.#push(main, sub, rowBytes, main);
    this.#ended = true;
  }

  /** Main revision of the last write; 0 for a key never written. */
  lastModified(): number {
    return this.#main;
  }

  /** The revision that a reader at `atMain` sees, or undefined when the key was not alive then. */
  find(atMain: number): FoundRevision | undefined {
    assert(atMain > 0, () => `a reader cannot be at revision ${atMain}`);
    if (this.#main !== 0 && this.#main <= atMain) {
      return this.#ended ? undefined : { main: this.#main, sub: this.#sub };
    }
    const older = this.#older;
    if (older !== undefined && (older[0] as number) <= atMain) return foundAt(older, latestAtOrBelow(older, atMain));
    const generation = this.#pastAt(atMain);
    if (generation === undefined) return undefined;
    const { revisions } = generation;
    const at = latestAtOrBelow(revisions, atMain);
    return generation.ended && at === revisions.length - stride ? undefined : foundAt(revisions, at);
  }

  /** The write at exactly `main`. */
  writeAt(main: number): KeptRevision | undefined {
    if (main === this.#main) return this.#newest();
    const older = this.#older;
    const isNewestLife = older !== undefined && (older[0] as number) <= main;
    const generation = isNewestLife ? { revisions: older, ended: false } : this.#pastAt(main);
    if (generation === undefined) return undefined;
    const at = latestAtOrBelow(generation.revisions, main);
    return generation.revisions[at] === main ? revisionAt(generation, at) : undefined;
  }

  /** The last generation before the newest that had begun at `main`. */
  #pastAt(main: number): Generation | undefined {
    const past = this.#past ?? [];
    let low = 0;
    let high = past.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((past[middle] as Generation).revisions[0] as number) <= main) low = middle + 1;
      else high = middle;
    }
    return past[low - 1];
  }

  /** What compaction at `atMain` keeps of this key, oldest first, at or below `limitMain`. */
  *kept(atMain: number, limitMain: number): Generator<KeptRevision> {
    if (this.#older === undefined && this.#past === undefined) {
      const isGone = this.#ended && this.#main < atMain;
      if (this.#main !== 0 && !isGone && this.#main <= limitMain) yield this.#newest();
      return;
    }
    const generations = this.#generations();
    const first = firstKept(generations, atMain);
    for (let index = first.generation; index < generations.length; index++) {
      const generation = generations[index] as Generation;
      const start = index === first.generation ? first.at : 0;
      for (let at = start; at < generation.revisions.length; at += stride) {
        const revision = revisionAt(generation, at);
        if (revision.main > limitMain) return;
        yield revision;
      }
    }
  }

  /**
   * Drops what nobody can read at `atMain` or later and returns it. See the example above. Called for every write that is
   * cleaned up: where there is nothing to drop, it costs no more than finding that out.
   */
  compact(atMain: number): KeptRevision[] {
    const dropped: KeptRevision[] = [];
    if (this.#past !== undefined && !this.#compactPast(this.#past, atMain, dropped)) return dropped;
    if (this.#ended && this.#main < atMain) {
      drop(dropped, { revisions: this.#older ?? [], ended: false });
      dropped.push(this.#newest());
      this.#main = 0;
      this.#version = 0;
      this.#ended = false;
      this.#older = undefined;
      return dropped;
    }
    const older = this.#older;
    if (older === undefined || (older[0] as number) > atMain) return dropped;
    const end = this.#main <= atMain ? older.length : latestAtOrBelow(older, atMain);
    drop(dropped, { revisions: older, ended: false }, end);
    if (end === older.length) this.#older = undefined;
    else if (end > 0) this.#older = older.slice(end);
    assert(this.#main !== 0, 'compaction never drops a live key');
    return dropped;
  }

  /** True when no generation is left before the newest. */
  #compactPast(past: Generation[], atMain: number, dropped: KeptRevision[]): boolean {
    let gone = 0;
    for (; gone < past.length; gone++) {
      const generation = past[gone] as Generation;
      assert(generation.ended, 'a life that another one follows has ended');
      if ((generation.revisions.at(-stride) as number) >= atMain) break;
      drop(dropped, generation);
    }
    if (gone > 0) past.splice(0, gone);
    const [first] = past;
    if (first === undefined) {
      this.#past = undefined;
      return true;
    }
    const end = (first.revisions[0] as number) > atMain ? 0 : latestAtOrBelow(first.revisions, atMain);
    drop(dropped, first, end);
    if (end > 0) first.revisions = first.revisions.slice(end);
    return false;
  }

  /** True when no revision is left and the entry can go. */
  isEmpty(): boolean {
    return this.#main === 0;
  }

  /** `[2, 4, 5(t)] [6]`, for tests and messages. */
  describe(): string {
    const lives = this.#generations().map((generation) => {
      const mains = generation.revisions.filter((_, at) => at % stride === 0).map(String);
      if (generation.ended) mains.push(`${mains.pop()}(t)`);
      return `[${mains.join(', ')}]`;
    });
    return lives.join(' ');
  }

  #newest(): KeptRevision {
    const isTombstone = this.#ended;
    return { main: this.#main, sub: this.#sub, rowBytes: this.#rowBytes, isTombstone };
  }

  /** Makes this the newest revision, in a generation of its own when the last one has ended. */
  #push(main: number, sub: number, rowBytes: number, created: number): void {
    if (this.#main === 0) this.#created = created;
    else if (this.#ended) {
      const revisions = this.#older ?? [];
      revisions.push(this.#main, this.#sub, this.#rowBytes);
      this.#past ??= [];
      this.#past.push({ created: this.#created, version: this.#version, ended: true, revisions });
      this.#older = undefined;
      this.#created = created;
      this.#version = 0;
      this.#ended = false;
    } else {
      this.#older ??= [];
      this.#older.push(this.#main, this.#sub, this.#rowBytes);
    }
    this.#main = main;
    this.#sub = sub;
    this.#rowBytes = rowBytes;
  }

  /** All generations as arrays, oldest first. */
  #generations(): Generation[] {
    if (this.#main === 0) return [];
    const revisions = [...(this.#older ?? []), this.#main, this.#sub, this.#rowBytes];
    const newest = { created: this.#created, version: this.#version, ended: this.#ended, revisions };
    return [...(this.#past ?? []), newest];
  }
}

/** Takes note of the first revisions of a generation, up to the place `end`. */
function drop(
  dropped: KeptRevision[],
  generation: Pick<Generation, 'revisions' | 'ended'>,
  end: number = generation.revisions.length,
): void {
  for (let at = 0; at < end; at += stride) dropped.push(revisionAt(generation, at));
}
