/** Which pods no kubelet will ever remove. Pure. */
import type { KubeObject } from '../api/contract.ts';
import { isFinished, isTerminating } from './shared-plan.ts';

/** `goneNodes`: nodes the server itself says do not exist. Finished pods above `finishedMax` go, oldest first. */
export function planPodGc(
  pods: readonly KubeObject[],
  goneNodes: ReadonlySet<string>,
  finishedMax: number,
): { readonly pod: KubeObject; readonly why: string }[] {
  const due = new Map<KubeObject, string>();
  for (const pod of pods) {
    const nodeName: string | undefined = pod['spec'].nodeName;
    if (nodeName && goneNodes.has(nodeName)) due.set(pod, `node ${nodeName} does not exist`);
    else if (!nodeName && isTerminating(pod)) due.set(pod, 'it is being deleted and never had a node');
  }
  const finished = pods
    .filter((pod) => isFinished(pod) && !due.has(pod))
    .sort((a, b) => Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp));
  const excess = finishedMax > 0 ? Math.max(0, finished.length - finishedMax) : 0;
  for (const pod of finished.slice(0, excess)) due.set(pod, `more than ${finishedMax} pods have finished`);
  return [...due].map(([pod, why]) => ({ pod, why }));
}
