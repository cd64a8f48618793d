/** What a Job wants done: pods to create and delete, its status, and when to look again. Pure. */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { timeFromMs } from '../api/time-text.ts';
import { conditionOf, isFinished, isPodReady, isTerminating, withCondition } from './shared-plan.ts';

export interface JobPlan {
  readonly createCount: number;
  /** Completion indexes of the pods to create, for Indexed jobs. */
  readonly createIndexes?: readonly number[];
  readonly deletePods: readonly KubeObject[];
  readonly status: JsonObject;
  /** The Job itself is due to go (ttlSecondsAfterFinished). */
  readonly deleteJob: boolean;
  readonly requeueAfterMs?: number;
  /** Told as an Event when the Job has just finished. */
  readonly finished?: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };
}

export const completionIndexAnnotation = 'batch.kubernetes.io/job-completion-index';
const backoffBaseMs = 10_000;
const backoffMaxMs = 600_000;

export const isJobFinished = (job: KubeObject): boolean =>
  conditionOf(job, 'Complete')?.['status'] === 'True' || conditionOf(job, 'Failed')?.['status'] === 'True';

/** `pods`: those the Job controls. */
export function planJob(job: KubeObject, pods: readonly KubeObject[], nowMs: number): JobPlan {
  const spec: JsonObject = job['spec'];
  const before: JsonObject = job['status'] ?? {};
  const none = { createCount: 0, deletePods: [], deleteJob: false };
  if (isTerminating(job)) return { ...none, status: before };
  if (isJobFinished(job)) return planFinished(job, pods, nowMs);

  const nowText = timeFromMs(nowMs);
  const succeededPods = pods.filter((pod) => pod['status']?.phase === 'Succeeded');
  const failedPods = pods.filter((pod) => pod['status']?.phase === 'Failed');
  const active = pods.filter((pod) => !isFinished(pod) && !isTerminating(pod));
  const terminating = pods.filter((pod) => !isFinished(pod) && isTerminating(pod));
  const isIndexed = spec['completionMode'] === 'Indexed';
  const doneIndexes = new Set([
    ...parseIndexes(before['completedIndexes'] ?? ''),
    ...succeededPods.map(indexOf).filter((index) => index >= 0),
  ]);
  // Pods that were removed after they ended still count: the counters never go back.
  const succeeded = isIndexed ? doneIndexes.size : Math.max(before['succeeded'] ?? 0, succeededPods.length);
  const failed = Math.max(before['failed'] ?? 0, failedPods.length);
  const isSuspended = spec['suspend'] === true;
  const status: JsonObject = {
    ...before,
    startTime: before['startTime'] ?? (isSuspended ? undefined : nowText),
    active: active.length,
    ready: active.filter(isPodReady).length,
    terminating: terminating.length,
    succeeded,
    failed,
    ...(isIndexed ? { completedIndexes: formatIndexes(doneIndexes) } : {}),
  };
  const conditions: JsonObject[] = before['conditions'] ?? [];
  const conclude = (type: 'Complete' | 'Failed', reason: string, message: string): JobPlan => {
    const condition = { type, status: 'True', reason, message, lastProbeTime: nowText };
    const target = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
    const withTarget = withCondition(conditions, { ...condition, type: target }, nowText);
    return {
      ...none,
      deletePods: active,
      status: {
        ...status,
        active: 0,
        ready: 0,
        conditions: withCondition(withTarget, condition, nowText),
        ...(type === 'Complete' ? { completionTime: nowText } : {}),
      },
      finished:
        type === 'Complete'
          ? { type: 'Normal', reason: 'Completed', message: 'Job completed' }
          : { type: 'Warning', reason, message },
      ...ttlOf(job, nowMs, nowMs),
    };
  };

  const completions: number | undefined = spec['completions'];
  const parallelism: number = spec['parallelism'] ?? 1;
  const backoffLimit: number = spec['backoffLimit'] ?? 6;
  const restarts = active.reduce((count, pod) => count + restartsOf(pod), 0);
  const isRestartInPlace = spec['template']?.spec?.restartPolicy === 'OnFailure';
  if (failed > backoffLimit || (isRestartInPlace && restarts > 0 && restarts >= backoffLimit && backoffLimit > 0)) {
    return conclude('Failed', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  const startMs = Date.parse(status['startTime'] ?? '');
  const deadlineMs =
    spec['activeDeadlineSeconds'] === undefined ? undefined : startMs + spec['activeDeadlineSeconds'] * 1000;
  if (!isSuspended && deadlineMs !== undefined && nowMs >= deadlineMs) {
    return conclude('Failed', 'DeadlineExceeded', 'Job was active longer than specified deadline');
  }
  const isComplete =
    completions === undefined
      ? succeeded > 0 && active.length === 0 && terminating.length === 0
      : succeeded >= completions;
  if (isComplete) return conclude('Complete', 'CompletionsReached', 'Reached expected number of succeeded pods');

  const waits: number[] = deadlineMs === undefined || isSuspended ? [] : [deadlineMs - nowMs];
  const suspendCondition = {
    type: 'Suspended',
    status: isSuspended ? 'True' : 'False',
    reason: isSuspended ? 'JobSuspended' : 'JobResumed',
    message: `Job ${isSuspended ? 'suspended' : 'resumed'}`,
    lastProbeTime: nowText,
  };
  const wasSuspended = conditionOf(job, 'Suspended');
  const nextConditions =
    isSuspended || wasSuspended !== undefined ? withCondition(conditions, suspendCondition, nowText) : conditions;
  const { startTime: _, ...suspendedStatus } = status;
  const told = {
    ...(isSuspended ? suspendedStatus : status),
    ...(nextConditions.length === 0 ? {} : { conditions: nextConditions }),
  };
  if (isSuspended) return { ...none, deletePods: active, status: { ...told, active: 0, ready: 0 } };

  // Without completions a first success means that no more pods are started.
  const remaining = completions === undefined ? (succeeded > 0 ? active.length : parallelism) : completions - succeeded;
  const wanted = Math.max(0, Math.min(parallelism, remaining));
  if (active.length > wanted) {
    return { ...none, deletePods: active.slice(wanted), status: told, ...least(waits) };
  }
  // A pod that failed just now is replaced after a back-off that doubles with each failure.
  const delayMs = failed === 0 ? 0 : retryDelayMs(failedPods, failed, nowMs);
  if (delayMs > 0 && active.length < wanted) {
    return { ...none, status: told, ...least([...waits, delayMs]) };
  }
  let createCount = Math.max(0, wanted - active.length - terminating.length);
  if (!isIndexed) return { ...none, createCount, status: told, ...least(waits) };
  const taken = new Set([...doneIndexes, ...active.map(indexOf), ...terminating.map(indexOf)]);
  const free: number[] = [];
  for (let index = 0; index < (completions ?? 0) && free.length < createCount; index++)
    if (!taken.has(index)) free.push(index);
  createCount = free.length;
  return { ...none, createCount, createIndexes: free, status: told, ...least(waits) };
}

function planFinished(job: KubeObject, pods: readonly KubeObject[], nowMs: number): JobPlan {
  const condition = conditionOf(job, 'Complete') ?? conditionOf(job, 'Failed');
  const finishedMs = Date.parse(condition?.['lastTransitionTime'] ?? '') || nowMs;
  const left = pods.filter((pod) => !isFinished(pod) && !isTerminating(pod));
  const ttl = ttlOf(job, finishedMs, nowMs);
  return { createCount: 0, deletePods: left, status: job['status'], ...ttl };
}

function ttlOf(job: KubeObject, finishedMs: number, nowMs: number): { deleteJob: boolean; requeueAfterMs?: number } {
  const ttlSeconds: number | undefined = job['spec'].ttlSecondsAfterFinished;
  if (ttlSeconds === undefined) return { deleteJob: false };
  const leftMs = finishedMs + ttlSeconds * 1000 - nowMs;
  return leftMs <= 0 ? { deleteJob: true } : { deleteJob: false, requeueAfterMs: leftMs };
}

function retryDelayMs(failedPods: readonly KubeObject[], failed: number, nowMs: number): number {
  const last = Math.max(0, ...failedPods.map(finishedAtMs));
  const backoffMs = Math.min(backoffBaseMs * 2 ** Math.min(failed - 1, 10), backoffMaxMs);
  return Math.max(0, last + backoffMs - nowMs);
}

function finishedAtMs(pod: KubeObject): number {
  const ends = (pod['status']?.containerStatuses ?? []).map((each: JsonObject) =>
    Date.parse(each['state']?.terminated?.finishedAt ?? ''),
  );
  const known = ends.filter((end: number) => !Number.isNaN(end));
  return known.length > 0 ? Math.max(...known) : Date.parse(pod.metadata.creationTimestamp) || 0;
}

const least = (waits: readonly number[]) =>
  waits.length === 0 ? {} : { requeueAfterMs: Math.max(0, Math.min(...waits)) };

const restartsOf = (pod: KubeObject): number =>
  (pod['status']?.containerStatuses ?? []).reduce(
    (count: number, each: JsonObject) => count + (each['restartCount'] ?? 0),
    0,
  );

const indexOf = (pod: KubeObject): number => Number(pod.metadata.annotations?.[completionIndexAnnotation] ?? -1);

/** `0-3,5` as numbers. */
export function parseIndexes(text: string): number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [from, to] = part.split('-').map(Number) as [number, number | undefined];
      return Array.from({ length: (to ?? from) - from + 1 }, (_, offset) => from + offset);
    });
}

/** Numbers as `0-3,5`; pairs are `1,2` as upstream writes them. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...new Set(indexes)].filter((index) => index >= 0).sort((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (sorted[end + 1] === (sorted[end] as number) + 1) end++;
    if (end - at >= 2) parts.push(`${sorted[at]}-${sorted[end]}`);
    else for (let each = at; each <= end; each++) parts.push(String(sorted[each]));
    at = end + 1;
  }
  return parts.join(',');
}
