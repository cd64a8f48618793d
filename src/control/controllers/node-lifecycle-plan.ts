/**
 * When a node counts as lost and what follows: its conditions, its taints, and which nodes may have their pods evicted
 * now. Pure; time comes in as monotonic milliseconds, so a clock that jumps evicts nobody.
 */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { conditionOf } from './shared-plan.ts';

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';

export interface NodeTimings {
  readonly graceMs: number;
  readonly startupGraceMs: number;
}

/** `silentMs`: how long neither the node's Lease nor its status changed, as seen by this process. */
export function planNodeConditions(
  node: KubeObject,
  silentMs: number,
  timings: NodeTimings,
  nowText: string,
): JsonObject[] | undefined {
  const ready = conditionOf(node, 'Ready');
  const graceMs = ready === undefined ? timings.startupGraceMs : timings.graceMs;
  if (silentMs <= graceMs) return undefined;
  const types = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];
  const before: JsonObject[] = node['status']?.conditions ?? [];
  if (types.every((type) => conditionOf(node, type)?.['status'] === 'Unknown')) return undefined;
  const next = before.map((condition) =>
    !types.includes(condition['type']) || condition['status'] === 'Unknown'
      ? condition
      : {
          ...condition,
          status: 'Unknown',
          reason: 'NodeStatusUnknown',
          message: 'Kubelet stopped posting node status.',
          lastTransitionTime: nowText,
        },
  );
  for (const type of types) {
    if (before.some((condition) => condition['type'] === type)) continue;
    next.push({
      type,
      status: 'Unknown',
      reason: 'NodeStatusNeverUpdated',
      message: 'Kubelet never posted node status.',
      lastHeartbeatTime: node.metadata.creationTimestamp,
      lastTransitionTime: nowText,
    });
  }
  return next;
}

export type NodeHealth = 'ready' | 'notReady' | 'unreachable';

export function healthOf(node: KubeObject): NodeHealth {
  const status = conditionOf(node, 'Ready')?.['status'];
  return status === 'True' ? 'ready' : status === 'Unknown' ? 'unreachable' : 'notReady';
}

export type ZoneState = 'normal' | 'partialDisruption' | 'fullDisruption';

export function zoneOf(node: KubeObject): string {
  const labels = node.metadata.labels ?? {};
  return `${labels['topology.kubernetes.io/region'] ?? ''}/${labels['topology.kubernetes.io/zone'] ?? ''}`;
}

/** A zone with nothing ready is fully disrupted; one or two lost nodes never make a zone partially so. */
export function zoneState(nodes: readonly KubeObject[], unhealthyThreshold: number): ZoneState {
  const lost = nodes.filter((node) => healthOf(node) !== 'ready').length;
  if (nodes.length > 0 && lost === nodes.length) return 'fullDisruption';
  return lost > 2 && lost / nodes.length >= unhealthyThreshold ? 'partialDisruption' : 'normal';
}

export interface EvictionRates {
  readonly normal: number;
  readonly secondary: number;
  readonly largeClusterSizeThreshold: number;
}

/**
 * Evictions a second in a zone. When everything everywhere looks lost it is our own link that is broken: nobody is
 * evicted. A zone that is lost alone is evicted at the normal rate.
 */
export function evictionRate(state: ZoneState, zoneSize: number, allDisrupted: boolean, rates: EvictionRates): number {
  if (allDisrupted) return 0;
  if (state !== 'partialDisruption') return rates.normal;
  return zoneSize > rates.largeClusterSizeThreshold ? rates.secondary : 0;
}

const conditionTaints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: notReadyTaint, Unknown: unreachableTaint },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
};
const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const ownNoSchedule = new Set([
  unschedulableTaint,
  ...Object.values(conditionTaints).flatMap((byStatus) => Object.values(byStatus)),
]);

/**
 * The taints the node must have, or undefined when it has them. `mayEvict`: whether a NoExecute taint may be added now;
 * one that is there already is swapped or kept. With `mustSpare` they are all taken away.
 */
export function planNodeTaints(
  node: KubeObject,
  options: { readonly mayEvict: boolean; readonly mustSpare: boolean; readonly nowText: string },
): JsonObject[] | undefined {
  const before: JsonObject[] = node['spec']?.taints ?? [];
  const wanted = new Set<string>();
  for (const [type, byStatus] of Object.entries(conditionTaints)) {
    const key = byStatus[conditionOf(node, type)?.['status'] ?? ''];
    if (key !== undefined) wanted.add(key);
  }
  // A node whose kubelet has not said anything yet is not ready.
  if (conditionOf(node, 'Ready') === undefined) wanted.add(notReadyTaint);
  if (node['spec']?.unschedulable === true) wanted.add(unschedulableTaint);
  const isExecute = (taint: JsonObject) =>
    taint['effect'] === 'NoExecute' && (taint['key'] === notReadyTaint || taint['key'] === unreachableTaint);
  const next = before.filter(
    (taint) =>
      !isExecute(taint) &&
      !(taint['effect'] === 'NoSchedule' && ownNoSchedule.has(taint['key']) && !wanted.has(taint['key'])),
  );
  for (const key of wanted) {
    if (next.some((taint) => taint['key'] === key && taint['effect'] === 'NoSchedule')) continue;
    next.push({ key, effect: 'NoSchedule', timeAdded: options.nowText });
  }
  const health = healthOf(node);
  if (health !== 'ready' && !options.mustSpare) {
    const key = health === 'unreachable' ? unreachableTaint : notReadyTaint;
    const same = before.find((taint) => isExecute(taint) && taint['key'] === key);
    if (same !== undefined) next.push(same);
    else if (options.mayEvict || before.some(isExecute))
      next.push({ key, effect: 'NoExecute', timeAdded: options.nowText });
  }
  const text = (taint: JsonObject) => `${taint['key']}=${taint['value'] ?? ''}:${taint['effect']}`;
  const isSame =
    before.length === next.length && before.every((taint) => next.some((each) => text(each) === text(taint)));
  return isSame ? undefined : next;
}

export const hasExecuteTaint = (node: KubeObject): boolean =>
  (node['spec']?.taints ?? []).some((taint: JsonObject) => taint['effect'] === 'NoExecute');

export function tolerates(toleration: JsonObject, taint: JsonObject): boolean {
  if (toleration['effect'] && toleration['effect'] !== taint['effect']) return false;
  if (toleration['key'] && toleration['key'] !== taint['key']) return false;
  const operator = toleration['operator'] || 'Equal';
  if (operator === 'Exists') return true;
  return Boolean(toleration['key']) && (toleration['value'] ?? '') === (taint['value'] ?? '');
}

/**
 * How long from now a pod may stay on a node with these NoExecute taints: undefined = for ever, 0 = it must go.
 * `taintAgeMs` says how long each taint has been seen.
 */
export function evictionDelayMs(
  pod: KubeObject,
  taints: readonly JsonObject[],
  taintAgeMs: (taint: JsonObject) => number,
): number | undefined {
  let least: number | undefined;
  for (const taint of taints.filter((each) => each['effect'] === 'NoExecute')) {
    const used = ((pod['spec'].tolerations ?? []) as JsonObject[]).filter((each) => tolerates(each, taint));
    if (used.length === 0) return 0;
    for (const toleration of used) {
      if (toleration['tolerationSeconds'] === undefined) continue;
      const leftMs = Math.max(0, toleration['tolerationSeconds'] * 1000 - taintAgeMs(taint));
      least = Math.min(least ?? leftMs, leftMs);
    }
  }
  return least;
}
