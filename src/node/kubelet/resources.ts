/** Requests and limits as the kernel's numbers. Pure. */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { quantityMillis, quantityValue } from '../../control/api/quantity.ts';
import type { LinuxResources } from '../cri/cri.ts';
import { qosClass } from './pod-status.ts';

const cpuPeriodMicroseconds = 100_000;
const cpuQuotaMinMicroseconds = 1000;
const cpuSharesMin = 2;
const cpuSharesMax = 262_144;

export function containerResources(pod: KubeObject, container: JsonObject, nodeMemoryBytes: number): LinuxResources {
  const limits = (container.resources?.limits ?? {}) as Record<string, unknown>;
  const requests = (container.resources?.requests ?? {}) as Record<string, unknown>;
  const cpuLimit = quantityMillis(limits.cpu);
  // A container that names only a limit asks for that much.
  const cpuRequest = quantityMillis(requests.cpu) ?? cpuLimit ?? 0;
  const memoryLimit = quantityValue(limits.memory);
  return {
    cpuShares: Math.min(Math.max(Math.floor((cpuRequest * 1024) / 1000), cpuSharesMin), cpuSharesMax),
    ...(cpuLimit === undefined || cpuLimit === 0
      ? {}
      : {
          cpuPeriod: cpuPeriodMicroseconds,
          cpuQuota: Math.max(Math.floor((cpuLimit * cpuPeriodMicroseconds) / 1000), cpuQuotaMinMicroseconds),
        }),
    ...(memoryLimit === undefined ? {} : { memoryLimitBytes: Math.floor(memoryLimit) }),
    oomScoreAdj: oomScoreAdjustment(pod, quantityValue(requests.memory) ?? memoryLimit ?? 0, nodeMemoryBytes),
  };
}

/** Who goes first when memory runs out: best effort, then burstable by how little was asked for, guaranteed last. */
export function oomScoreAdjustment(pod: KubeObject, memoryRequestBytes: number, nodeMemoryBytes: number): number {
  switch (qosClass(pod)) {
    case 'Guaranteed':
      return -997;
    case 'BestEffort':
      return 1000;
    case 'Burstable': {
      const share = nodeMemoryBytes === 0 ? 0 : Math.floor((1000 * memoryRequestBytes) / nodeMemoryBytes);
      return Math.min(Math.max(1000 - share, 3), 999);
    }
  }
}

/** Where a pod's cgroups lie. */
export function podCgroupParent(cgroupRoot: string, pod: KubeObject): string {
  const qos = qosClass(pod);
  const level = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`;
  return `${cgroupRoot.replace(/\/$/, '')}/kubepods${level}/pod${pod.metadata.uid}`;
}
