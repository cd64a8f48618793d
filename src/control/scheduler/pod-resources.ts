/**
 * Resource amounts of pods and nodes as numbers: CPU in millicores, everything else in its base unit. Pure. Fractions of
 * a byte do not matter to placement, so numbers are exact enough here; nothing of this is written back.
 */
import type { JsonObject, KubeObject } from '../api/contract.ts';

export type Resources = Readonly<Record<string, number>>;

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The value of a quantity such as `250m` or `1Gi`; 0 for what is none, which validation has kept out. */
export function quantityValue(quantity: unknown): number {
  if (typeof quantity === 'number') return quantity;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(String(quantity ?? '').trim());
  if (match === null) return 0;
  return Number(match[1]) * (factors[match[2] ?? ''] ?? 0);
}

/** `{cpu: '100m'}` as numbers. */
export function resourcesOf(list: JsonObject | undefined): Record<string, number> {
  const amounts: Record<string, number> = {};
  for (const [name, quantity] of Object.entries(list ?? {})) {
    amounts[name] = name === 'cpu' ? Math.ceil(quantityValue(quantity) * 1000) : Math.ceil(quantityValue(quantity));
  }
  return amounts;
}

export function addResources(total: Record<string, number>, more: Resources, sign: 1 | -1 = 1): void {
  for (const [name, amount] of Object.entries(more)) total[name] = (total[name] ?? 0) + sign * amount;
}

function maxResources(a: Record<string, number>, b: Resources): void {
  for (const [name, amount] of Object.entries(b)) a[name] = Math.max(a[name] ?? 0, amount);
}

/** What a pod asks for: its containers and sidecars together, or its largest init step, plus overhead. */
export function requestsOf(pod: KubeObject): Record<string, number> {
  const spec: JsonObject = pod['spec'];
  const requests = (container: JsonObject) => resourcesOf(container['resources']?.requests);
  const total: Record<string, number> = {};
  for (const container of spec['containers'] ?? []) addResources(total, requests(container));
  const sidecars: Record<string, number> = {};
  const initPeak: Record<string, number> = {};
  for (const container of spec['initContainers'] ?? []) {
    const step = requests(container);
    addResources(step, sidecars);
    if (container.restartPolicy === 'Always') addResources(sidecars, requests(container));
    maxResources(initPeak, step);
  }
  addResources(total, sidecars);
  maxResources(total, initPeak);
  if (spec['resources']?.requests !== undefined) Object.assign(total, resourcesOf(spec['resources'].requests));
  addResources(total, resourcesOf(spec['overhead']));
  return total;
}

/** Upstream's assumptions for pods that ask for nothing, so that they spread at all; only for scores. */
const cpuAssumed = 100;
const memoryAssumed = 200 * 2 ** 20;

export function scoredRequestsOf(requests: Resources): { readonly cpu: number; readonly memory: number } {
  return { cpu: requests['cpu'] || cpuAssumed, memory: requests['memory'] || memoryAssumed };
}
