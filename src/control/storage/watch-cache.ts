/**
 * The store in memory: one ResourceCache per storage prefix, all fed by a single watch over `/registry/`.
 *
 * One watch for all resources keeps one revision for the whole cache: any write to the store moves it, so a consistent
 * read asks the store for its revision and waits until the cache has reached it. A watch per resource would leave a
 * quiet resource behind and cost a progress request for nearly every such read.
 *
 * start() lists everything in pages at one revision and watches from there. When the watch ends (compaction, error) it
 * lists again; while that lasts the cache still answers, but only reads that may be stale.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { KvClient, KvEvent } from '../../kv/index.ts';
import { bytesOf, prefixEnd, registryRoot, splitKey, textOf } from './keys.ts';
import { ResourceCache } from './resource-cache.ts';
import { decodeStored, type StoredObject } from './stored-object.ts';

/** One page of the initial list: large enough to be few round trips, small enough to stay below gRPC's message limit. */
const pageKeys = 1000;
/** Between attempts to list again. */
const relistDelayMs = 500;
/** A wait that no event has ended by now asks the store for progress: the newest write may be outside `/registry/`. */
const progressAfterMs = 25;

export interface WatchCacheOptions {
  readonly kv: KvClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly storagePrefixes: readonly string[];
}

interface Waiter {
  readonly revision: number;
  readonly done: (reached: boolean) => void;
}

export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #resources = new Map<string, ResourceCache>();
  readonly #waiters = new Set<Waiter>();
  readonly #syncListeners = new Set<() => void>();
  #revision = 0;
  #synced = false;
  #closed = false;
  #watch: { cancel(): void; requestProgress(): void } | undefined;
  #retry: Cancel | undefined;
  // Raised with every (re)start, so that a callback of an earlier watch finds out that it is stale.
  #epoch = 0;
  #eventsReceived = 0;

  constructor(options: WatchCacheOptions) {
    this.#options = options;
    for (const prefix of options.storagePrefixes) this.#resources.set(prefix, new ResourceCache(prefix));
  }

  /** Everything up to this revision is in the cache. */
  get revision(): number {
    return this.#revision;
  }
  get synced(): boolean {
    return this.#synced;
  }
  get eventsReceived(): number {
    return this.#eventsReceived;
  }
  resources(): Iterable<ResourceCache> {
    return this.#resources.values();
  }

  resource(storagePrefix: string): ResourceCache {
    const cache = this.#resources.get(storagePrefix);
    assert(cache !== undefined, () => `no cache for ${storagePrefix}`);
    return cache;
  }

  start(): void {
    assert(this.#epoch === 0, 'the watch cache must be started once');
    this.#restart();
  }

  /** Resolves when the first list is in; rejects when the signal is aborted. */
  whenSynced(signal?: AbortSignal): Promise<void> {
    if (this.#synced) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#syncListeners.delete(listener);
        reject(signal?.reason);
      };
      const listener = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#syncListeners.add(listener);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** True when the cache has reached `revision` within the time. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.#revision >= revision) return Promise.resolve(true);
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const { clock } = this.#options;
      const waiter: Waiter = {
        revision,
        done: (reached) => {
          this.#waiters.delete(waiter);
          cancelTimeout();
          cancelProgress();
          resolve(reached);
        },
      };
      const cancelTimeout = clock.after(timeoutMs, () => waiter.done(false));
      const cancelProgress = clock.after(progressAfterMs, () => this.#watch?.requestProgress());
      this.#waiters.add(waiter);
    });
  }

  close(): void {
    this.#closed = true;
    this.#epoch++;
    this.#retry?.();
    this.#watch?.cancel();
    for (const waiter of this.#waiters) waiter.done(false);
  }

  #restart(): void {
    const epoch = ++this.#epoch;
    this.#watch?.cancel();
    this.#watch = undefined;
    this.#listAll(epoch).catch((error: unknown) => {
      if (epoch !== this.#epoch) return;
      this.#options.log.warn('cannot list the store, trying again', { error: errorText(error) });
      this.#retry = this.#options.clock.after(relistDelayMs, () => this.#restart());
    });
  }

  async #listAll(epoch: number): Promise<void> {
    const { kv } = this.#options;
    const lists = new Map<string, StoredObject[]>([...this.#resources.keys()].map((prefix) => [prefix, []]));
    const rangeEnd = prefixEnd(registryRoot);
    let start = bytesOf(registryRoot);
    let revision = 0;
    for (;;) {
      const page = await kv.range({ key: start, rangeEnd, limit: pageKeys, revision });
      if (epoch !== this.#epoch) return;
      if (revision === 0) revision = page.revision;
      for (const item of page.kvs) {
        const place = splitKey(textOf(item.key), this.#resources);
        if (place === undefined) continue;
        try {
          lists.get(place.storagePrefix)?.push(decodeStored(place.short, item));
        } catch (error) {
          // One unreadable value must not hide all the others.
          this.#options.log.error('an object in the store cannot be read', { error: errorText(error) });
        }
      }
      const last = page.kvs[page.kvs.length - 1];
      if (!page.more || last === undefined) break;
      // The smallest key after the last one: the same bytes and a zero.
      start = new Uint8Array([...last.key, 0]);
    }
    assert(revision > 0, 'the store must be at revision 1 or above');
    for (const [prefix, objects] of lists) this.resource(prefix).reset(objects, revision);
    this.#advance(revision);
    this.#watchFrom(revision + 1, epoch);
    if (!this.#synced) {
      this.#synced = true;
      for (const listener of this.#syncListeners) listener();
      this.#syncListeners.clear();
    }
    this.#options.log.info('watch cache is synced', { revision });
  }

  #watchFrom(startRevision: number, epoch: number): void {
    this.#watch = this.#options.kv.watch(
      {
        key: bytesOf(registryRoot),
        rangeEnd: prefixEnd(registryRoot),
        startRevision,
        prevKv: false,
        noPut: false,
        noDelete: false,
        progressNotify: true,
      },
      {
        created: () => {},
        events: (events, revision) => {
          if (epoch === this.#epoch) this.#applyAll(events, revision);
        },
        progress: (revision) => {
          if (epoch === this.#epoch) this.#advance(revision);
        },
        ended: (reason) => {
          if (epoch !== this.#epoch) return;
          this.#options.log.warn('the watch of the store ended, listing again', {
            reason: reason.kind,
            ...(reason.kind === 'error' ? { error: errorText(reason.error) } : {}),
          });
          this.#retry = this.#options.clock.after(relistDelayMs, () => this.#restart());
        },
      },
    );
  }

  #applyAll(events: readonly KvEvent[], revision: number): void {
    let highest = 0;
    for (const event of events) {
      this.#eventsReceived++;
      highest = Math.max(highest, event.kv.modRevision);
      const place = splitKey(textOf(event.kv.key), this.#resources);
      if (place === undefined) continue;
      const cache = this.resource(place.storagePrefix);
      if (event.type === 'delete') {
        cache.apply(place.short, event.kv.modRevision, undefined);
        continue;
      }
      let stored: StoredObject;
      try {
        stored = decodeStored(place.short, event.kv);
      } catch (error) {
        this.#options.log.error('an object in the store cannot be read', { error: errorText(error) });
        continue;
      }
      cache.apply(place.short, event.kv.modRevision, stored, event.kv.value.length);
    }
    // The response's header may be ahead of the events it carries; only what was handed out counts.
    assert(highest <= revision || revision === 0, 'an event must not be newer than its response');
    this.#advance(highest);
  }

  #advance(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    for (const waiter of this.#waiters) {
      if (waiter.revision <= revision) waiter.done(true);
    }
  }
}
