/**
 * The current objects of one resource and a window of its recent events, fed from the store's watch in revision order.
 * Pure and synchronous; watch-cache.ts feeds it.
 *
 * Promises: listeners see every event after the revision they asked for, in order, once. A revision older than the
 * window is refused (`expired`), never answered with a gap. Objects and events are shared and must not be changed;
 * whatever is derived from them (encoded forms) is kept beside them so that it is made once for all watchers.
 */
import sortedBtree from 'sorted-btree';
import { assert } from '../../env/assert.ts';
import { type StoredObject, withRevision } from './stored-object.ts';

// The package is CommonJS; its class sits one level deeper for an importing module.
const BTree = sortedBtree.default;

/** Plain comparison of code units: the store's byte order for the characters that names may have. */
function byKey(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Events kept per resource: at ten writes a second it spans some minutes, longer than any client needs to reconnect. */
const windowEventsMax = 2048;
/** Bytes of stored objects the window keeps alive per resource: a thousand secrets of 64 KB, not two thousand of 1 MB. */
const windowBytesMax = 64 * 1024 * 1024;
/** What an event takes whatever its object holds. */
const eventBytesMin = 512;

/** Derived forms of one state, by a name that the maker chooses (`json`, `protobuf`, …). */
export class CachedObject implements StoredObject {
  readonly key: string;
  readonly object: StoredObject['object'];
  readonly revision: number;
  #forms: Map<string, Uint8Array> | undefined;
  constructor(stored: StoredObject) {
    this.key = stored.key;
    this.object = stored.object;
    this.revision = stored.revision;
  }
  /** The form `name`, made by `make` the first time. */
  form(name: string, make: () => Uint8Array): Uint8Array {
    const known = this.#forms?.get(name);
    if (known !== undefined) return known;
    const made = make();
    this.#forms ??= new Map();
    this.#forms.set(name, made);
    return made;
  }
}

export interface CacheEvent {
  readonly type: 'put' | 'delete';
  readonly revision: number;
  /** The new state; for a deletion the last state under the deletion's revision. */
  readonly current: CachedObject;
  /** The state before; absent when the object was created. */
  readonly previous: CachedObject | undefined;
  /** What the event adds to memory, as a store's value: a deletion shares its object with the event before. */
  readonly sizeBytes: number;
}

export interface CacheListener {
  event(event: CacheEvent): void;
  /** The cache was rebuilt and events may be missing: the watch must end. */
  reset(): void;
}

export class ResourceCache {
  readonly storagePrefix: string;
  #objects = new BTree<string, CachedObject>(undefined, byKey);
  #events: CacheEvent[] = [];
  // Invariant: the sum of sizeBytes over #events.
  #windowBytes = 0;
  // Invariant: every event with a revision above #windowStart that was ever applied since the last reset is in #events.
  #windowStart = 0;
  #lastRevision = 0;
  readonly #listeners = new Set<CacheListener>();

  constructor(storagePrefix: string) {
    this.storagePrefix = storagePrefix;
  }

  get size(): number {
    return this.#objects.size;
  }
  get watchers(): number {
    return this.#listeners.size;
  }

  get(key: string): CachedObject | undefined {
    return this.#objects.get(key);
  }

  /** Objects in key order: all, those of one namespace, or those after a key. */
  list(options: { readonly namespace?: string; readonly after?: string } = {}): CachedObject[] {
    const { namespace, after } = options;
    const from = namespace === undefined ? '' : `${namespace}/`;
    // '0' is the character after '/', so the interval holds exactly the namespace's keys.
    const to = namespace === undefined ? undefined : `${namespace}0`;
    const found: CachedObject[] = [];
    const start = after !== undefined && after >= from ? after : from;
    for (const [key, value] of this.#objects.entries(start)) {
      if (to !== undefined && key >= to) break;
      if (after === undefined || key > after) found.push(value);
    }
    return found;
  }

  /** Replaces everything by a snapshot of the store at `revision`; ends all watches when it was filled before. */
  reset(objects: readonly StoredObject[], revision: number): void {
    assert(revision > 0, 'a snapshot must have a revision');
    // Unchanged objects keep their encoded forms.
    const entries = objects.map((stored): [string, CachedObject] => {
      const known = this.#objects.get(stored.key);
      return [stored.key, known?.revision === stored.revision ? known : new CachedObject(stored)];
    });
    this.#objects = new BTree(entries, byKey);
    assert(this.#objects.size === objects.length, 'a snapshot must not hold a key twice');
    this.#events = [];
    this.#windowBytes = 0;
    this.#windowStart = revision;
    this.#lastRevision = revision;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener.reset();
  }

  /** Applies one event of the store. Events at or below the snapshot's revision are already in it and are dropped. */
  apply(key: string, revision: number, stored: StoredObject | undefined, sizeBytes = 0): void {
    assert(revision >= this.#lastRevision, () => `event of revision ${revision} came after ${this.#lastRevision}`);
    if (revision <= this.#windowStart) return;
    this.#lastRevision = revision;
    const previous = this.#objects.get(key);
    if (stored === undefined) {
      // The store may report the deletion of a key that was never readable.
      if (previous === undefined) return;
      this.#objects.delete(key);
      const last = new CachedObject({ key, object: withRevision(previous.object, revision), revision });
      this.#publish({ type: 'delete', revision, current: last, previous, sizeBytes: eventBytesMin });
      return;
    }
    assert(stored.revision === revision, 'a put event must carry the state of its revision');
    const current = new CachedObject(stored);
    this.#objects.set(key, current);
    this.#publish({ type: 'put', revision, current, previous, sizeBytes: eventBytesMin + sizeBytes });
  }

  #publish(event: CacheEvent): void {
    this.#events.push(event);
    this.#windowBytes += event.sizeBytes;
    // Cut in blocks: shifting an array one by one would cost its length each time.
    if (this.#events.length > windowEventsMax * 1.25 || this.#windowBytes > windowBytesMax * 1.25) {
      this.#cut(windowEventsMax, windowBytesMax);
    }
    // A listener added by another one has read this event from the window already.
    const listeners = [...this.#listeners];
    for (const listener of listeners) listener.event(event);
  }

  /** Drops the oldest events until both limits hold. The newest one always stays. */
  #cut(eventsMax: number, bytesMax: number): void {
    let count = 0;
    while (
      count < this.#events.length - 1 &&
      (this.#events.length - count > eventsMax || this.#windowBytes > bytesMax)
    ) {
      this.#windowBytes -= (this.#events[count] as CacheEvent).sizeBytes;
      count += 1;
    }
    const dropped = this.#events.splice(0, count);
    assert(this.#windowBytes >= 0, 'a window holds no fewer than no bytes');
    const last = dropped[dropped.length - 1];
    if (last !== undefined) this.#windowStart = last.revision;
  }

  /** Events after `revision`, or `expired` when the window does not reach back that far. */
  eventsAfter(revision: number): readonly CacheEvent[] | 'expired' {
    if (revision < this.#windowStart) return 'expired';
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle] as CacheEvent).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  /** Future events only; take eventsAfter in the same turn. */
  listen(listener: CacheListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
