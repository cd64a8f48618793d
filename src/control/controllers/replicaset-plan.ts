/** What a ReplicaSet wants done: pods to adopt, release, create and delete, and its status. Pure. */
import { assert } from '../../env/assert.ts';
import { type KubeObject, matchesLabelSelector, selectorFromObject } from '../api/index.ts';
import type { JsonObject } from '../api/contract.ts';
import {
  availableInMs,
  conditionOf,
  controllerOf,
  isActivePod,
  isFinished,
  isPodReady,
  isTerminating,
} from './shared-plan.ts';

/** Pods created or deleted in one go, as upstream's burst: bounds what one mistake can do before it is seen. */
export const burstReplicas = 500;

export interface ReplicaSetPlan {
  readonly adopt: readonly KubeObject[];
  readonly release: readonly KubeObject[];
  readonly createCount: number;
  readonly deletePods: readonly KubeObject[];
  readonly status: JsonObject;
  /** When a ready pod becomes available. */
  readonly requeueAfterMs?: number;
}

/** `pods`: those it controls, and those of its namespace that nobody controls. */
export function planReplicaSet(set: KubeObject, pods: readonly KubeObject[], nowMs: number): ReplicaSetPlan {
  const selector = selectorFromObject(set['spec'].selector ?? {});
  assert(selector.length > 0, () => `ReplicaSet ${set.metadata.name} must have a selector`);
  const matches = (pod: KubeObject) => matchesLabelSelector(selector, pod.metadata.labels);
  const isOurs = (pod: KubeObject) => controllerOf(pod)?.uid === set.metadata.uid;
  const canAdopt = !isTerminating(set);
  const adopt = pods.filter(
    (pod) => canAdopt && controllerOf(pod) === undefined && matches(pod) && !isTerminating(pod) && !isFinished(pod),
  );
  const release = pods.filter((pod) => isOurs(pod) && !matches(pod) && !isTerminating(pod));
  const members = [...pods.filter((pod) => isOurs(pod) && matches(pod)), ...adopt];
  const active = members.filter(isActivePod);
  const wanted: number = set['spec'].replicas ?? 1;
  const difference = isTerminating(set) ? 0 : active.length - wanted;
  const deletePods = difference > 0 ? rankForDeletion(active).slice(0, Math.min(difference, burstReplicas)) : [];
  const waits: number[] = [];
  const status = statusOf(set, active, nowMs, waits);
  return {
    adopt,
    release,
    createCount: difference < 0 ? Math.min(-difference, burstReplicas) : 0,
    deletePods,
    status,
    ...(waits.length === 0 ? {} : { requeueAfterMs: Math.min(...waits) }),
  };
}

function statusOf(set: KubeObject, active: readonly KubeObject[], nowMs: number, waits: number[]): JsonObject {
  const templateLabels: Record<string, string> = set['spec'].template?.metadata?.labels ?? {};
  const minReadySeconds: number = set['spec'].minReadySeconds ?? 0;
  let available = 0;
  for (const pod of active) {
    const inMs = availableInMs(pod, minReadySeconds, nowMs);
    if (inMs === 0) available++;
    else if (inMs !== undefined) waits.push(inMs);
  }
  const before: JsonObject = set['status'] ?? {};
  return {
    ...before,
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) =>
      Object.entries(templateLabels).every(([key, value]) => pod.metadata.labels?.[key] === value),
    ).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: available,
    observedGeneration: set.metadata.generation ?? 0,
  };
}

const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** The pods that are missed least come first: unassigned, not running, not ready, cheap, crowded, young. */
export function rankForDeletion(pods: readonly KubeObject[]): KubeObject[] {
  const onNode = new Map<string, number>();
  for (const pod of pods) {
    const node = pod['spec']?.nodeName ?? '';
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  const cost = (pod: KubeObject) =>
    Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0);
  const readySince = (pod: KubeObject) =>
    isPodReady(pod) ? Date.parse(conditionOf(pod, 'Ready')?.['lastTransitionTime'] ?? '') || 0 : 0;
  const restarts = (pod: KubeObject) =>
    Math.max(0, ...(pod['status']?.containerStatuses ?? []).map((each: JsonObject) => each['restartCount'] ?? 0));
  const created = (pod: KubeObject) => Date.parse(pod.metadata.creationTimestamp) || 0;
  const comparisons: ((pod: KubeObject) => number)[] = [
    (pod) => (pod['spec']?.nodeName ? 1 : 0),
    (pod) => phaseRank[pod['status']?.phase ?? 'Pending'] ?? 0,
    (pod) => (isPodReady(pod) ? 1 : 0),
    cost,
    (pod) => -(onNode.get(pod['spec']?.nodeName ?? '') ?? 0),
    (pod) => -readySince(pod),
    (pod) => -restarts(pod),
    (pod) => -created(pod),
  ];
  return [...pods].sort((a, b) => {
    for (const value of comparisons) {
      const difference = value(a) - value(b);
      if (difference !== 0) return difference;
    }
    return a.metadata.name < b.metadata.name ? -1 : 1;
  });
}
