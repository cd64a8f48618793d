/**
 * Reflector and shared informers: one list, then a watch that resumes from the last resourceVersion; a new list only
 * when the server says that version is gone. Failures are retried with a jittered back-off for ever, because every
 * controller depends on the copy becoming right again.
 *
 * Promises: handlers see every object that was there at the end of a list, and each later change at least once; they
 * run after the local copy has changed. Informers of one factory for the same resource and selectors are shared.
 */
import { assert } from '../../env/assert.ts';
import { type Clock, pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { GroupVersionResource, KubeObject } from '../api/contract.ts';
import { isGone } from './api-error.ts';
import type { ApiClient, Informer, WatchListener } from './contract.ts';
import { ObjectIndex } from './object-index.ts';
import { describeResource, keyOf } from './resources.ts';

/** Objects a page: an answer stays small enough not to hold up the event loop for long. */
const listPageSize = 500;
const backoffBaseMs = 200;
const backoffMaxMs = 5000;
/** The server ends the watch after 5 to 10 minutes, so that watches spread over servers again. */
const watchSecondsMin = 300;

export interface InformerOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface InformerWorld {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

type Handler = (key: string, before: KubeObject | undefined, after: KubeObject | undefined) => void;

/** An Informer that tells how far it has come. */
export interface SharedInformer extends Informer {
  /** Every change up to this resourceVersion is in the local copy; '' before the first list. */
  lastResourceVersion(): string;
}

class Reflector implements SharedInformer {
  readonly resource: GroupVersionResource;
  readonly #world: InformerWorld;
  readonly #options: InformerOptions;
  readonly #index = new ObjectIndex();
  readonly #handlers: Handler[] = [];
  readonly #syncWaiters: (() => void)[] = [];
  #resourceVersion = '';
  #hasSynced = false;
  #isRunning = false;

  constructor(world: InformerWorld, resource: GroupVersionResource, options: InformerOptions) {
    this.#world = world;
    this.resource = resource;
    this.#options = options;
  }

  get(key: string): KubeObject | undefined {
    return this.#index.get(key);
  }
  list(): readonly KubeObject[] {
    return this.#index.list();
  }
  byIndex(name: string, value: string): readonly KubeObject[] {
    return this.#index.byIndex(name, value);
  }
  addIndex(name: string, values: (object: KubeObject) => readonly string[]): void {
    this.#index.addIndex(name, values);
  }
  hasSynced(): boolean {
    return this.#hasSynced;
  }

  lastResourceVersion(): string {
    return this.#resourceVersion;
  }

  /** A handler that comes late is told of everything that is there. */
  onChange(handler: Handler): void {
    this.#handlers.push(handler);
    for (const key of this.#index.keys()) handler(key, undefined, this.#index.get(key));
  }

  synced(): Promise<void> {
    return this.#hasSynced ? Promise.resolve() : new Promise((resolve) => this.#syncWaiters.push(resolve));
  }

  start(signal: AbortSignal): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run(signal).finally(() => {
      this.#isRunning = false;
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let mustList = true;
    while (!signal.aborted) {
      try {
        if (mustList) {
          await this.#list(signal);
          mustList = false;
        }
        const startedMs = this.#world.clock.monotonicMs();
        mustList = (await this.#watch(signal)) === 'expired';
        // A watch that ends at once, again and again, must not become a busy loop.
        failures = this.#world.clock.monotonicMs() - startedMs > 1000 ? 0 : failures + 1;
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        if (isGone(error)) mustList = true;
        const fields = { resource: describeResource(this.resource), error: errorText(error), failures };
        if (failures > 1) this.#world.log.warn('list or watch failed, trying again', fields);
        else this.#world.log.debug('list or watch failed, trying again', fields);
      }
      if (failures > 1 && !signal.aborted) {
        const delayMs = Math.min(backoffBaseMs * 2 ** Math.min(failures - 2, 10), backoffMaxMs);
        await pause(this.#world.clock, delayMs * (0.5 + this.#world.random.next()), signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const found = new Map<string, KubeObject>();
    let position: string | undefined;
    let resourceVersion = '';
    do {
      const page = await this.#world.client.list(
        this.resource,
        { ...this.#options, limit: listPageSize, ...(position === undefined ? {} : { continue: position }) },
        { signal },
      );
      for (const object of page.items) found.set(keyOf(object), object);
      // All pages are of the revision of the first.
      resourceVersion = page.resourceVersion;
      position = page.continue;
    } while (position !== undefined);
    signal.throwIfAborted();
    assert(resourceVersion !== '', () => `a list of ${describeResource(this.resource)} must have a resourceVersion`);
    this.#resourceVersion = resourceVersion;
    for (const key of this.#index.keys()) if (!found.has(key)) this.#change(key, undefined);
    for (const [key, object] of found) this.#change(key, object);
    this.#hasSynced = true;
    for (const waiter of this.#syncWaiters.splice(0)) waiter();
  }

  #watch(signal: AbortSignal): Promise<'closed' | 'expired'> {
    return new Promise((resolve, reject) => {
      const ending = new AbortController();
      const onAbort = () => {
        ending.abort();
        resolve('closed');
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const listener: WatchListener = {
        event: (type, object) => {
          if (type !== 'BOOKMARK') this.#change(keyOf(object), type === 'DELETED' ? undefined : object);
          this.#resourceVersion = object.metadata.resourceVersion;
        },
        ended: (reason) => {
          signal.removeEventListener('abort', onAbort);
          if (reason.kind === 'error') reject(reason.error);
          else resolve(reason.kind);
        },
      };
      const timeoutSeconds = this.#world.random.integer(watchSecondsMin, 2 * watchSecondsMin);
      this.#world.client.watch(
        this.resource,
        { ...this.#options, resourceVersion: this.#resourceVersion, timeoutSeconds },
        listener,
        ending.signal,
      );
    });
  }

  #change(key: string, after: KubeObject | undefined): void {
    const before = this.#index.set(key, after);
    if (before === undefined && after === undefined) return;
    if (before !== undefined && before.metadata.resourceVersion === after?.metadata.resourceVersion) return;
    // An object deleted and created again under its name between two lists is two objects.
    if (before !== undefined && after !== undefined && before.metadata.uid !== after.metadata.uid) {
      for (const handler of this.#handlers) handler(key, before, undefined);
      for (const handler of this.#handlers) handler(key, undefined, after);
      return;
    }
    for (const handler of this.#handlers) handler(key, before, after);
  }
}

export class InformerFactory {
  readonly #world: InformerWorld;
  readonly #reflectors = new Map<string, Reflector>();
  #signal: AbortSignal | undefined;

  constructor(world: InformerWorld) {
    this.#world = world;
  }

  /** The shared informer of a resource under these selectors. It starts with the factory, or now when that runs. */
  informer(resource: GroupVersionResource, options: InformerOptions = {}): SharedInformer {
    const { namespace = '', labelSelector = '', fieldSelector = '' } = options;
    const key = [describeResource(resource), resource.version, namespace, labelSelector, fieldSelector].join('|');
    let reflector = this.#reflectors.get(key);
    if (reflector === undefined) {
      reflector = new Reflector(this.#world, resource, options);
      this.#reflectors.set(key, reflector);
      if (this.#signal !== undefined) reflector.start(this.#signal);
    }
    return reflector;
  }

  /** Lists and watches until `signal` aborts. */
  start(signal: AbortSignal): void {
    this.#signal = signal;
    for (const reflector of this.#reflectors.values()) reflector.start(signal);
  }

  /** Resolves when every informer has its first list; rejects with the signal's reason when it aborts before. */
  async waitForSync(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const all = Promise.all([...this.#reflectors.values()].map((reflector) => reflector.synced()));
    await Promise.race([all, aborted]);
  }

  hasSynced(): boolean {
    return [...this.#reflectors.values()].every((reflector) => reflector.hasSynced());
  }
}
