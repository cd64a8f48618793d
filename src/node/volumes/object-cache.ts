/**
 * ConfigMaps and Secrets that this node's pods refer to, read one by one (a node may read those and no others) and kept
 * for a while. `refresh` brings what is asked for up to date; the pure parts then look it up without waiting.
 */
import type { GroupVersionResource, KubeObject } from '../../control/api/contract.ts';
import { type ApiClient, isNotFound, resources } from '../../control/client/index.ts';
import type { Clock } from '../../env/clock.ts';

// Old enough to spare the API server, young enough that a changed ConfigMap is in its pods within half a minute.
const freshMs = 15_000;
// Two per pod of a full node, several times over; beyond it the oldest are read again when asked for.
const entriesMax = 1024;

interface Entry {
  readonly object: KubeObject | undefined;
  readonly readAtMs: number;
}

export class ObjectCache {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #reading = new Map<string, Promise<KubeObject | undefined>>();

  constructor(client: ApiClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async configMaps(namespace: string, names: Iterable<string>): Promise<Map<string, KubeObject>> {
    return this.#all(resources.configMaps, namespace, names);
  }

  async secrets(namespace: string, names: Iterable<string>): Promise<Map<string, KubeObject>> {
    return this.#all(resources.secrets, namespace, names);
  }

  async #all(
    resource: GroupVersionResource,
    namespace: string,
    names: Iterable<string>,
  ): Promise<Map<string, KubeObject>> {
    const out = new Map<string, KubeObject>();
    await Promise.all(
      [...names].map(async (name) => {
        const object = await this.#get(resource, namespace, name);
        if (object !== undefined) out.set(name, object);
      }),
    );
    return out;
  }

  #get(resource: GroupVersionResource, namespace: string, name: string): Promise<KubeObject | undefined> {
    const key = `${resource.resource}/${namespace}/${name}`;
    const known = this.#entries.get(key);
    // What was missing is asked for again at once: a pod is waiting for it.
    if (known?.object !== undefined && this.#clock.monotonicMs() - known.readAtMs < freshMs) {
      return Promise.resolve(known.object);
    }
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const reading = this.#read(resource, namespace, name, key).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #read(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    key: string,
  ): Promise<KubeObject | undefined> {
    let object: KubeObject | undefined;
    try {
      object = await this.#client.get(resource, namespace, name);
    } catch (error) {
      if (!isNotFound(error)) {
        const known = this.#entries.get(key);
        // A pod that runs keeps what it has while the API server is away.
        if (known?.object !== undefined) return known.object;
        throw error;
      }
    }
    this.#entries.delete(key);
    this.#entries.set(key, { object, readAtMs: this.#clock.monotonicMs() });
    if (this.#entries.size > entriesMax) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    return object;
  }
}
