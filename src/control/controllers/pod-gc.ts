/** Pod garbage collector: removes pods that no kubelet will ever remove. */
import { pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { KubeObject } from '../api/contract.ts';
import { isNotFound, keyOf, resources } from '../client/index.ts';
import { type Controller, type ControllerContext, deleteObject } from './controller.ts';
import { planPodGc } from './pod-gc-plan.ts';

const periodMs = 20_000;
/** A node must be missing that long: its object may be deleted and made again by a restart. */
const quarantineMs = 40_000;

export function createPodGcController(context: ControllerContext): Controller {
  const { client, clock, informers, log, settings } = context;
  const pods = informers.informer(resources.pods);
  const nodes = informers.informer(resources.nodes);
  /** Since when a node that pods name is missing. */
  const missingSinceMs = new Map<string, number>();

  const isMissing = async (name: string): Promise<boolean> => {
    try {
      await client.get(resources.nodes, '', name);
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  };

  const collect = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const named = new Set(pods.list().map((pod) => pod['spec'].nodeName as string | undefined));
    for (const name of named) {
      if (name && nodes.get(name) === undefined) missingSinceMs.set(name, missingSinceMs.get(name) ?? nowMs);
    }
    for (const name of missingSinceMs.keys()) {
      if (!named.has(name) || nodes.get(name) !== undefined) missingSinceMs.delete(name);
    }
    const gone = new Set<string>();
    for (const [name, sinceMs] of missingSinceMs) {
      if (nowMs - sinceMs >= quarantineMs && (await isMissing(name))) gone.add(name);
    }
    const due = planPodGc(pods.list(), gone, settings.terminatedPodGcThreshold);
    for (const { pod, why } of due) await remove(pod, why);
  };

  const remove = async (pod: KubeObject, why: string): Promise<void> => {
    log.info('removing a pod', { pod: keyOf(pod), why });
    const status = pod['status'] ?? {};
    if (status.phase !== 'Succeeded' && status.phase !== 'Failed') {
      try {
        const failed = { ...pod, status: { ...status, phase: 'Failed' } };
        await client.update(resources.pods, failed, { subresource: 'status' });
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
    }
    await deleteObject(client, resources.pods, pod, { gracePeriodSeconds: 0 });
  };

  return {
    name: 'pod-garbage-collector',
    run: async (signal) => {
      missingSinceMs.clear();
      while (!signal.aborted) {
        try {
          await collect();
        } catch (error) {
          log.warn('cannot collect pods, trying again', { error: errorText(error) });
        }
        await pause(clock, periodMs, signal);
      }
    },
  };
}
