/** A clock that moves only when told, and a Lease store in memory, for tests of the client. */
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { conflict, notFound } from '../../../src/control/api/index.ts';
import type { ApiClient } from '../../../src/control/client/index.ts';
import { keyOf } from '../../../src/control/client/index.ts';
import type { Clock } from '../../../src/env/clock.ts';
import type { Random } from '../../../src/env/random.ts';

export class FakeClock implements Clock {
  nowMs = 1_000_000;
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();
  monotonicMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs;
  }
  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
  every(periodMs: number, callback: () => void): () => void {
    let cancel = () => {};
    const arm = () => {
      cancel = this.after(periodMs, () => {
        arm();
        callback();
      });
    };
    arm();
    return () => cancel();
  }
  /** Runs every timer that is due on the way, and lets promises settle after each. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.nowMs + byMs;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.callback();
    }
    this.nowMs = untilMs;
    await settle();
  }
}

/** Long enough for every promise chain of the code under test. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The same numbers in each run. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0 || 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    next,
    integer: (min, max) => min + Math.floor(next() * (max - min + 1)),
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
    uuid: () => `uuid-${Math.floor(next() * 2 ** 32)}`,
  };
}

/** get, create and update of objects in memory, with revisions; `isCutOff(client)` makes a client's calls fail. */
export class MemoryApi {
  readonly objects = new Map<string, KubeObject>();
  #revision = 0;
  client(isCutOff: () => boolean = () => false): ApiClient {
    const about = { group: 'coordination.k8s.io', resource: 'leases' };
    const check = () => {
      if (isCutOff()) throw new Error('no route to host');
    };
    const put = (object: JsonObject): KubeObject => {
      const metadata = { ...object['metadata'], resourceVersion: String(++this.#revision) };
      const stored = structuredClone({ ...object, metadata }) as KubeObject;
      this.objects.set(keyOf(stored), stored);
      return structuredClone(stored);
    };
    return {
      get: async (_resource: unknown, namespace: string, name: string) => {
        check();
        const found = this.objects.get(`${namespace}/${name}`);
        if (found === undefined) throw notFound(about, name);
        return structuredClone(found);
      },
      create: async (_resource: unknown, object: JsonObject) => {
        check();
        return put(object);
      },
      update: async (_resource: unknown, object: KubeObject) => {
        check();
        const found = this.objects.get(keyOf(object));
        if (found === undefined) throw notFound(about, object.metadata.name);
        if (found.metadata.resourceVersion !== object.metadata.resourceVersion)
          throw conflict(about, object.metadata.name);
        return put(object);
      },
    } as unknown as ApiClient;
  }
}
