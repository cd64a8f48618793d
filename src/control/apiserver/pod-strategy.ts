/** Pods: they start Pending, keep their class of service, and are deleted gracefully while a node may be running them. */
import type { JsonObject, KubeObject } from './kinds.ts';
import { parseQuantity } from './kinds.ts';
import type { Strategy } from './strategy.ts';

const gracePeriodSecondsDefault = 30;

export const podStrategy: Strategy = {
  prepareForCreate(object) {
    object['status'] = { phase: 'Pending', qosClass: qosClassOf(object) };
  },
  prepareForUpdate(object, old, { subresource }) {
    const status: JsonObject | undefined = object['status'];
    if (subresource === 'status' && status !== undefined && old['status']?.qosClass !== undefined) {
      status['qosClass'] = old['status'].qosClass;
    }
  },
  gracePeriodSeconds(object, options) {
    const spec: JsonObject = object['spec'] ?? {};
    const phase = object['status']?.phase;
    // Nobody runs it (any more), so there is nobody to wait for.
    if (!spec['nodeName'] || phase === 'Failed' || phase === 'Succeeded') return 0;
    const asked = options['gracePeriodSeconds'];
    const grace =
      typeof asked === 'number' ? asked : (spec['terminationGracePeriodSeconds'] ?? gracePeriodSecondsDefault);
    // A negative period on the pod means as short as a pod can be told of.
    return grace < 0 ? 1 : grace;
  },
};

const countedResources = ['cpu', 'memory'] as const;

/** Guaranteed, Burstable or BestEffort, by the requests and limits of all containers. */
export function qosClassOf(pod: KubeObject): string {
  const spec: JsonObject = pod['spec'] ?? {};
  const containers: JsonObject[] = [...(spec['initContainers'] ?? []), ...(spec['containers'] ?? [])];
  let hasAny = false;
  let isGuaranteed = containers.length > 0;
  for (const container of containers) {
    const requests = positive(container['resources']?.requests);
    const limits = positive(container['resources']?.limits);
    if (requests.size + limits.size > 0) hasAny = true;
    for (const name of countedResources) {
      const limit = limits.get(name);
      const request = requests.get(name) ?? limit;
      if (limit === undefined || request !== limit) isGuaranteed = false;
    }
  }
  return !hasAny ? 'BestEffort' : isGuaranteed ? 'Guaranteed' : 'Burstable';
}

/** The counted resources above zero, in a form that compares equal for equal amounts. */
function positive(list: JsonObject | undefined): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of countedResources) {
    const text = list?.[name];
    if (text === undefined) continue;
    const amount = String(parseQuantity(String(text)));
    if (amount !== '0') found.set(name, amount);
  }
  return found;
}
