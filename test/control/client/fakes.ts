/** Seeded chance and a Lease store in memory, for tests of the client; and the clock that all tests share. */
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { conflict, notFound } from '../../../src/control/api/index.ts';
import type { ApiClient } from '../../../src/control/client/index.ts';
import { keyOf } from '../../../src/control/client/index.ts';
import type { Random } from '../../../src/env/random.ts';

export { FakeClock, settle } from '../../support/fake-clock.ts';

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
