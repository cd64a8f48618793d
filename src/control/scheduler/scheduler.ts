/**
 * The scheduler's host: feeds the cache and the queue from informers, decides one pod at a time, and binds in the
 * background. A pod counts on its node from the moment of the decision (assumed) until the server confirms or refuses.
 */
import type { Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { timeFromMs } from '../api/time-text.ts';
import {
  type ApiClient,
  type EventRecorder,
  type InformerFactory,
  isConflict,
  isNotFound,
  keyOf,
  resources,
} from '../client/index.ts';
import { type Plugin, schedulePod } from './framework.ts';
import { SchedulerCache } from './node-info.ts';
import { defaultPlugins } from './plugins/index.ts';
import { SchedulingQueue } from './scheduling-queue.ts';

/** Bindings in flight: enough to hide the server's latency, few enough to see refusals early. */
const bindingsMax = 16;

export interface SchedulerOptions {
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: EventRecorder;
  /** Pods that name another scheduler are left alone. */
  readonly schedulerName?: string;
  readonly plugins?: readonly Plugin[];
  readonly onAttempt?: (result: 'scheduled' | 'unschedulable' | 'error', seconds: number) => void;
}

export interface Scheduler {
  /** Schedules until `signal` aborts and the bindings in flight are answered; may be run again. */
  run(signal: AbortSignal): Promise<void>;
  pending(): { readonly active: number; readonly backoff: number; readonly unschedulable: number };
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { client, informers, clock, random, log, events, plugins = defaultPlugins } = options;
  const schedulerName = options.schedulerName ?? 'default-scheduler';
  const nodes = informers.informer(resources.nodes);
  const pods = informers.informer(resources.pods);
  const cache = new SchedulerCache();
  const queue = new SchedulingQueue(clock);
  let isRunning = false;
  const binding = new Set<Promise<void>>();

  const isOurs = (pod: KubeObject): boolean =>
    !pod['spec'].nodeName &&
    pod.metadata.deletionTimestamp === undefined &&
    (pod['spec'].schedulerName ?? 'default-scheduler') === schedulerName &&
    (pod['spec'].schedulingGates ?? []).length === 0 &&
    pod['status']?.phase !== 'Failed' &&
    pod['status']?.phase !== 'Succeeded';
  const priorityOf = (pod: KubeObject): number => pod['spec'].priority ?? 0;

  nodes.onChange((name, before, after) => {
    cache.setNode(name, after);
    if (after !== undefined && isBetterNode(before, after)) queue.moveAll();
  });
  pods.onChange((key, before, after) => {
    const uid = (after ?? before)?.metadata.uid ?? '';
    cache.setPod(uid, after);
    // A pod that ended or went, or that came to a node, may make room or company for another.
    if (before?.['spec']?.nodeName || after?.['spec']?.nodeName) {
      if (after === undefined || !before?.['spec']?.nodeName || isEnded(after) !== isEnded(before)) queue.moveAll();
    }
    if (!isRunning) return;
    if (after === undefined || !isOurs(after)) queue.remove(key);
    else if (!cache.isPlaced(uid) && (before === undefined || hasNewNeeds(before, after)))
      queue.add(key, priorityOf(after));
  });

  const reject = async (pod: KubeObject, message: string): Promise<void> => {
    events.record(pod, 'Warning', 'FailedScheduling', message);
    const conditions: JsonObject[] = pod['status']?.conditions ?? [];
    const before = conditions.find((each) => each['type'] === 'PodScheduled');
    if (before?.['status'] === 'False' && before['message'] === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastProbeTime: null,
      lastTransitionTime: before?.['status'] === 'False' ? before['lastTransitionTime'] : timeFromMs(clock.wallMs()),
    };
    const others = conditions.filter((each) => each['type'] !== 'PodScheduled');
    const status = { ...pod['status'], conditions: [...others, condition] };
    try {
      await client.update(resources.pods, { ...pod, status }, { subresource: 'status' });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) {
        log.warn('cannot tell that a pod is unschedulable', { pod: keyOf(pod), error: errorText(error) });
      }
    }
  };

  const bind = async (pod: KubeObject, nodeName: string, startedMs: number): Promise<void> => {
    const key = keyOf(pod);
    const { namespace = '', name, uid } = pod.metadata;
    try {
      await client.createSubresource(resources.pods, namespace, name, 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
      });
      queue.forget(key);
      events.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${key} to ${nodeName}`);
      log.info('bound a pod', { pod: key, node: nodeName });
      options.onAttempt?.('scheduled', (clock.monotonicMs() - startedMs) / 1000);
    } catch (error) {
      options.onAttempt?.('error', (clock.monotonicMs() - startedMs) / 1000);
      const now = pods.get(key);
      // Bound after all (the answer was lost, or another scheduler did it), or gone: the informer's word counts.
      if (now === undefined || now.metadata.uid !== uid || now['spec'].nodeName) return cache.forget(uid);
      log.warn('cannot bind a pod, trying again', { pod: key, node: nodeName, error: errorText(error) });
      cache.forget(uid);
      queue.addBackoff(key, priorityOf(pod));
    }
  };

  const scheduleOne = (key: string, priority: number, moves: number): void => {
    const pod = pods.get(key);
    if (pod === undefined || !isOurs(pod) || cache.isPlaced(pod.metadata.uid)) return;
    const startedMs = clock.monotonicMs();
    const placement = schedulePod(cache.snapshot(), pod, random, plugins);
    let work: Promise<void>;
    if (placement.node === undefined) {
      queue.addUnschedulable(key, priority, moves);
      options.onAttempt?.('unschedulable', (clock.monotonicMs() - startedMs) / 1000);
      work = reject(pod, placement.message);
    } else {
      cache.assume(pod, placement.node);
      work = bind(pod, placement.node, startedMs);
    }
    const tracked = work.finally(() => binding.delete(tracked));
    binding.add(tracked);
  };

  return {
    pending: () => queue.lengths(),
    run: async (signal) => {
      isRunning = true;
      cache.forgetAll();
      for (const pod of pods.list()) if (isOurs(pod)) queue.add(keyOf(pod), priorityOf(pod));
      try {
        while (!signal.aborted) {
          await queue.waitForActive(signal);
          const next = signal.aborted ? undefined : queue.pop();
          if (next === undefined) continue;
          scheduleOne(next.key, next.priority, next.moves);
          if (binding.size >= bindingsMax) await Promise.race(binding);
        }
        await Promise.allSettled(binding);
      } finally {
        isRunning = false;
        queue.clear();
        cache.forgetAll();
      }
    },
  };
}

const isEnded = (pod: KubeObject | undefined): boolean =>
  pod?.['status']?.phase === 'Succeeded' || pod?.['status']?.phase === 'Failed';

/** Whether a node changed in what filters look at; heartbeats and image lists do not count. */
function isBetterNode(before: KubeObject | undefined, after: KubeObject): boolean {
  if (before === undefined) return true;
  const relevant = (node: KubeObject) =>
    JSON.stringify([node['spec'], node['status']?.allocatable, node.metadata.labels]);
  return relevant(before) !== relevant(after);
}

/** Whether a pending pod changed in what decides about its place; our own status condition does not count. */
function hasNewNeeds(before: KubeObject, after: KubeObject): boolean {
  return (
    JSON.stringify([before['spec'], before.metadata.labels]) !== JSON.stringify([after['spec'], after.metadata.labels])
  );
}
