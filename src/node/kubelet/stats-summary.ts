/** `/stats/summary`: what pods use, out of the runtime's container statistics. Pure. */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { timeFromMs } from '../../control/api/time-text.ts';
import type { ContainerStats } from '../cri/cri.ts';
import { labels } from './container-config.ts';

export function statsSummary(
  nodeName: string,
  pods: readonly KubeObject[],
  stats: readonly ContainerStats[],
  nowMs: number,
): JsonObject {
  const ofPod = (pod: KubeObject) => stats.filter((each) => each.labels[labels.podUid] === pod.metadata.uid);
  return {
    node: { nodeName, cpu: usageCpu(stats, nowMs), memory: usageMemory(stats, nowMs) },
    pods: pods.map((pod) => {
      const containers = ofPod(pod);
      return {
        podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
        startTime: pod.status?.startTime ?? null,
        cpu: usageCpu(containers, nowMs),
        memory: usageMemory(containers, nowMs),
        containers: containers.map((each) => ({
          name: each.name,
          cpu: usageCpu([each], each.timestampMs),
          memory: usageMemory([each], each.timestampMs),
          rootfs: { time: timeFromMs(each.timestampMs), usedBytes: each.writableLayerUsedBytes },
        })),
      };
    }),
  };
}

function usageCpu(stats: readonly ContainerStats[], atMs: number): JsonObject {
  const used = stats.reduce((sum, each) => sum + each.cpuUsageCoreNanoseconds, 0);
  return { time: timeFromMs(atMs), usageCoreNanoSeconds: used };
}

function usageMemory(stats: readonly ContainerStats[], atMs: number): JsonObject {
  return { time: timeFromMs(atMs), workingSetBytes: stats.reduce((sum, each) => sum + each.memoryWorkingSetBytes, 0) };
}
