/** The columns of pods: readiness, the one word that says how a pod is, restarts. */
import type { JsonObject, KubeObject } from '../contract.ts';
import { ageOf, define } from './define.ts';
import { humanDuration } from './text.ts';

interface Tally {
  ready: number;
  restarts: number;
  /** When the latest restarted container had ended; 0 when none was restarted. */
  lastRestartMs: number;
  reason: string;
}

function endedMs(status: JsonObject): number {
  const finishedAt = status['lastState']?.terminated?.finishedAt;
  return finishedAt ? Date.parse(finishedAt) : 0;
}

function terminatedReason(terminated: JsonObject): string {
  if (terminated['reason']) return terminated['reason'];
  return terminated['signal'] ? `Signal:${terminated['signal']}` : `ExitCode:${terminated['exitCode'] ?? 0}`;
}

function hasCondition(pod: KubeObject, type: string): boolean {
  return (pod['status']?.conditions ?? []).some(
    (item: JsonObject) => item['type'] === type && item['status'] === 'True',
  );
}

/** Init containers in order, up to the first that is not done. */
function tallyInit(
  pod: KubeObject,
  sidecars: ReadonlySet<string>,
): { tally: Tally; sidecar: Tally; isInitializing: boolean } {
  const tally: Tally = { ready: 0, restarts: 0, lastRestartMs: 0, reason: '' };
  const sidecar: Tally = { ...tally };
  const statuses: JsonObject[] = pod['status']?.initContainerStatuses ?? [];
  for (const [index, status] of statuses.entries()) {
    const isSidecar = sidecars.has(status['name']);
    for (const counted of isSidecar ? [tally, sidecar] : [tally]) {
      counted.restarts += status['restartCount'] ?? 0;
      counted.lastRestartMs = Math.max(counted.lastRestartMs, endedMs(status));
    }
    const { terminated, waiting } = status['state'] ?? {};
    if (terminated && (terminated.exitCode ?? 0) === 0) continue;
    if (isSidecar && status['started'] === true) {
      if (status['ready']) tally.ready++;
      continue;
    }
    if (terminated) tally.reason = `Init:${terminatedReason(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') tally.reason = `Init:${waiting.reason}`;
    else tally.reason = `Init:${index}/${pod['spec']?.initContainers?.length ?? 0}`;
    return { tally, sidecar, isInitializing: true };
  }
  return { tally, sidecar, isInitializing: false };
}

function tallyContainers(pod: KubeObject, tally: Tally): void {
  let hasRunning = false;
  for (const status of [...(pod['status']?.containerStatuses ?? [])].reverse()) {
    tally.restarts += status.restartCount ?? 0;
    tally.lastRestartMs = Math.max(tally.lastRestartMs, endedMs(status));
    const { waiting, terminated, running } = status.state ?? {};
    if (waiting?.reason) tally.reason = waiting.reason;
    else if (terminated) tally.reason = terminatedReason(terminated);
    else if (status.ready && running) {
      hasRunning = true;
      tally.ready++;
    }
  }
  // Some containers are done and others go on: the pod as a whole does.
  if (tally.reason === 'Completed' && hasRunning) tally.reason = hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
}

/** The word in the STATUS column, the number in READY and what RESTARTS says. */
export function summarizePod(pod: KubeObject): Tally & { total: number } {
  const sidecars = new Set<string>(
    (pod['spec']?.initContainers ?? [])
      .filter((container: JsonObject) => container['restartPolicy'] === 'Always')
      .map((container: JsonObject) => container['name']),
  );
  const { status } = pod;
  let reason: string = status?.reason || status?.phase || '';
  const isGated = (status?.conditions ?? []).some(
    (item: JsonObject) => item['type'] === 'PodScheduled' && item['reason'] === 'SchedulingGated',
  );
  if (isGated) reason = 'SchedulingGated';
  const { tally: init, sidecar, isInitializing } = tallyInit(pod, sidecars);
  let tally: Tally = { ...init, reason: isInitializing ? init.reason : reason };
  if (!isInitializing || hasCondition(pod, 'Initialized')) {
    tally = { ...sidecar, ready: init.ready, reason: tally.reason };
    tallyContainers(pod, tally);
  }
  if (pod.metadata.deletionTimestamp) {
    if (status?.reason === 'NodeLost') tally.reason = 'Unknown';
    else if (status?.phase !== 'Succeeded' && status?.phase !== 'Failed') tally.reason = 'Terminating';
  }
  return { ...tally, total: (pod['spec']?.containers ?? []).length + sidecars.size };
}

function readinessGates(pod: KubeObject): string {
  const gates: JsonObject[] = pod['spec']?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const passed = gates.filter((gate) => hasCondition(pod, gate['conditionType'])).length;
  return `${passed}/${gates.length}`;
}

export const podColumns = define(
  ['Name', 'Ready', 'Status', 'Restarts', 'Age', 'IP!', 'Node!', 'Nominated Node!', 'Readiness Gates!'],
  (pod, nowMs) => {
    const summary = summarizePod(pod);
    const ago = summary.lastRestartMs > 0 ? ` (${humanDuration(nowMs - summary.lastRestartMs)} ago)` : '';
    return [
      pod.metadata.name,
      `${summary.ready}/${summary.total}`,
      summary.reason,
      summary.restarts === 0 ? '0' : `${summary.restarts}${ago}`,
      ageOf(pod, nowMs),
      pod['status']?.podIPs?.[0]?.ip || pod['status']?.podIP || '<none>',
      pod['spec']?.nodeName || '<none>',
      pod['status']?.nominatedNodeName || '<none>',
      readinessGates(pod),
    ];
  },
);
