/**
 * Resource amounts of pods and nodes as numbers: CPU in millicores, everything else in its base unit. Pure. What is no
 * amount counts as none; validation has kept it out.
 */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { quantityMillis, quantityUnits } from '../api/quantity.ts';

export type Resources = Readonly<Record<string, number>>;

/** `{cpu: '100m'}` as numbers. */
export function resourcesOf(list: JsonObject | undefined): Record<string, number> {
  const amounts: Record<string, number> = {};
  for (const [name, quantity] of Object.entries(list ?? {})) {
    amounts[name] = (name === 'cpu' ? quantityMillis(quantity) : quantityUnits(quantity)) ?? 0;
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
