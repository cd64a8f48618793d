/**
 * Node lifecycle and taint eviction: notices nodes that went silent, marks them and their pods, and evicts the pods
 * whose toleration has run out.
 *
 * A standby observes heartbeats too, so a new leader neither forgets how long a node was silent nor takes its own start
 * for a heartbeat.
 */
import { assert } from '../../env/assert.ts';
import { pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { timeFromMs } from '../api/time-text.ts';
import { isConflict, isNotFound, keyOf, ReconcileLoop, resources } from '../client/index.ts';
import { type Controller, type ControllerContext, deleteObject } from './controller.ts';
import {
  evictionDelayMs,
  evictionRate,
  hasExecuteTaint,
  healthOf,
  planNodeConditions,
  planNodeTaints,
  zoneOf,
  zoneState,
} from './node-lifecycle-plan.ts';
import { isEqualJson, isFinished, isPodReady, isTerminating, withCondition } from './shared-plan.ts';

const byNode = 'node';

export function createNodeLifecycleController(context: ControllerContext): Controller {
  const { client, clock, informers, settings, log } = context;
  const events = context.events.for('node-controller');
  const nodes = informers.informer(resources.nodes);
  const leases = informers.informer(resources.leases, { namespace: 'kube-node-lease' });
  const pods = informers.informer(resources.pods);
  pods.addIndex(byNode, (pod) => [pod['spec']?.nodeName ?? '']);
  /** Last sign of life by node name; entries go with the node. */
  const heardAtMs = new Map<string, number>();
  const heard = (name: string) => heardAtMs.set(name, clock.monotonicMs());
  leases.onChange((_key, before, after) => {
    if (after === undefined || before?.['spec']?.renewTime === after['spec']?.renewTime) return;
    heard(after.metadata.name);
  });
  nodes.onChange((name, before, after) => {
    if (after === undefined) heardAtMs.delete(name);
    // What this controller itself wrote carries no new heartbeat.
    else if (!isEqualJson(heartbeats(before), heartbeats(after))) heard(name);
  });
  /** Eviction budget of each zone: nodes that may be tainted now. */
  const budgets = new Map<string, { tokens: number; atMs: number }>();

  const takeToken = (zone: string, rate: number): boolean => {
    const nowMs = clock.monotonicMs();
    const budget = budgets.get(zone) ?? { tokens: 1, atMs: nowMs };
    budget.tokens = Math.min(1, budget.tokens + ((nowMs - budget.atMs) / 1000) * rate);
    budget.atMs = nowMs;
    budgets.set(zone, budget);
    if (rate === 0 || budget.tokens < 1) return false;
    budget.tokens -= 1;
    return true;
  };

  const markPodsNotReady = async (node: KubeObject): Promise<void> => {
    for (const pod of pods.byIndex(byNode, node.metadata.name)) {
      if (!isPodReady(pod)) continue;
      const nowText = timeFromMs(clock.wallMs());
      const ready = (pod['status'].conditions as JsonObject[]).find((each) => each['type'] === 'Ready');
      const conditions = withCondition(pod['status'].conditions, { ...ready, status: 'False' }, nowText);
      try {
        await client.update(
          resources.pods,
          { ...pod, status: { ...pod['status'], conditions } },
          { subresource: 'status' },
        );
        events.record(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    }
  };

  const monitorNode = async (known: KubeObject, mayEvict: boolean, mustSpare: boolean): Promise<void> => {
    let node = known;
    const { name } = node.metadata;
    const nowText = timeFromMs(clock.wallMs());
    const nowMs = clock.monotonicMs();
    const silentMs = nowMs - (heardAtMs.get(name) ?? nowMs);
    assert(silentMs >= 0, 'monotonic time does not go back');
    const timings = { graceMs: settings.nodeMonitorGracePeriodMs, startupGraceMs: settings.nodeStartupGracePeriodMs };
    const conditions = planNodeConditions(node, silentMs, timings, nowText);
    if (conditions !== undefined) {
      const status = { ...node['status'], conditions };
      node = await client.update(resources.nodes, { ...node, status }, { subresource: 'status' });
      log.warn('node stopped posting status', { node: name, silentMs: Math.round(silentMs) });
      events.record(node, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
    }
    const taints = planNodeTaints(node, { mayEvict, mustSpare, nowText });
    if (taints !== undefined) {
      await client.update(resources.nodes, { ...node, spec: { ...node['spec'], taints } });
    }
    if (healthOf(node) !== 'ready') await markPodsNotReady(node);
  };

  const monitor = async (): Promise<void> => {
    const zones = Map.groupBy(nodes.list(), zoneOf);
    const states = new Map([...zones].map(([zone, all]) => [zone, zoneState(all, settings.unhealthyZoneThreshold)]));
    const allDisrupted = states.size > 0 && [...states.values()].every((state) => state === 'fullDisruption');
    for (const [zone, all] of zones) {
      const rate = evictionRate(states.get(zone) ?? 'normal', all.length, allDisrupted, {
        normal: settings.nodeEvictionRate,
        secondary: settings.secondaryNodeEvictionRate,
        largeClusterSizeThreshold: settings.largeClusterSizeThreshold,
      });
      for (const node of all) {
        const mayEvict = healthOf(node) !== 'ready' && !hasExecuteTaint(node) && takeToken(zone, rate);
        try {
          await monitorNode(node, mayEvict, allDisrupted);
        } catch (error) {
          // The next round sees a newer copy.
          if (!isConflict(error) && !isNotFound(error)) {
            log.warn('cannot update a node', { node: node.metadata.name, error: errorText(error) });
          }
        }
      }
    }
  };

  /** Taints and heartbeats are looked at at once, too, when a node changes. */
  let wake = () => {};
  nodes.onChange((_key, before, after) => {
    if (before === undefined || after === undefined || healthOf(before) !== healthOf(after)) wake();
    else if (!isEqualJson(before['spec'], after['spec'])) wake();
  });

  return {
    name: 'node-lifecycle',
    run: async (signal) => {
      budgets.clear();
      while (!signal.aborted) {
        await monitor();
        const round = new AbortController();
        wake = () => round.abort();
        const either = AbortSignal.any([signal, round.signal]);
        await pause(clock, settings.nodeMonitorPeriodMs, either);
        // Several nodes that change together are one round.
        if (!signal.aborted) await pause(clock, 50, signal);
      }
    },
  };
}

/** The parts of a node's status that only its kubelet writes. */
function heartbeats(node: KubeObject | undefined): unknown {
  return ((node?.['status']?.conditions ?? []) as JsonObject[])
    .filter((condition) => condition['status'] !== 'Unknown')
    .map((condition) => [condition['type'], condition['lastHeartbeatTime'], condition['status']]);
}

/** Deletes pods from nodes with NoExecute taints when their tolerations have run out. */
export function createTaintEvictionController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const events = context.events.for('taint-eviction-controller');
  const nodes = informers.informer(resources.nodes);
  const pods = informers.informer(resources.pods);
  pods.addIndex(byNode, (pod) => [pod['spec']?.nodeName ?? '']);
  /** When each NoExecute taint was first seen, by node and taint; gone with the taint. */
  const seenAtMs = new Map<string, Map<string, number>>();
  const textOf = (taint: JsonObject) => `${taint['key']}=${taint['value'] ?? ''}@${taint['timeAdded'] ?? ''}`;

  const loop = new ReconcileLoop({
    ...context,
    name: 'taint-eviction',
    workers: 4,
    keys: () => pods.list().map(keyOf),
    reconcile: async (key) => {
      const pod = pods.get(key);
      const node = nodes.get(pod?.['spec']?.nodeName ?? '');
      if (pod === undefined || node === undefined || isTerminating(pod) || isFinished(pod)) return;
      const seen = seenAtMs.get(node.metadata.name);
      const nowMs = clock.monotonicMs();
      const ageMs = (taint: JsonObject) => nowMs - (seen?.get(textOf(taint)) ?? nowMs);
      const delayMs = evictionDelayMs(pod, node['spec']?.taints ?? [], ageMs);
      if (delayMs === undefined) return;
      if (delayMs > 0) return { requeueAfterMs: delayMs };
      const nowText = timeFromMs(clock.wallMs());
      const target = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByTaintManager',
        message: 'Taint manager: deleting due to NoExecute taint',
      };
      const conditions = withCondition(pod['status']?.conditions ?? [], target, nowText);
      try {
        await client.update(
          resources.pods,
          { ...pod, status: { ...pod['status'], conditions } },
          { subresource: 'status' },
        );
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      events.record(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
      await deleteObject(client, resources.pods, pod);
      return;
    },
  });
  nodes.onChange((name, _before, after) => {
    const taints = ((after?.['spec']?.taints ?? []) as JsonObject[]).filter((taint) => taint['effect'] === 'NoExecute');
    const old = seenAtMs.get(name);
    if (taints.length === 0) seenAtMs.delete(name);
    else
      seenAtMs.set(
        name,
        new Map(taints.map((taint) => [textOf(taint), old?.get(textOf(taint)) ?? clock.monotonicMs()])),
      );
    if (taints.length > 0) for (const pod of pods.byIndex(byNode, name)) loop.enqueue(keyOf(pod));
  });
  pods.onChange((key, before, after) => {
    if (after !== undefined && before?.['spec']?.nodeName !== after['spec']?.nodeName) loop.enqueue(key);
  });
  return { name: 'taint-eviction', run: (signal) => loop.run(signal) };
}
