/** The status of a Deployment and its Available and Progressing conditions, as `kubectl rollout status` reads them. Pure. */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { timeFromMs } from '../api/time-text.ts';
import { conditionOf, resolveIntOrPercent, withCondition } from './shared-plan.ts';

export interface DeploymentState {
  readonly deployment: KubeObject;
  /** The ReplicaSets that it controls. */
  readonly sets: readonly KubeObject[];
  /** The pods of those sets; only looked at by Recreate. */
  readonly pods: readonly KubeObject[];
  readonly nowMs: number;
}

const total = (sets: readonly KubeObject[], field: string): number =>
  sets.reduce((count, set) => count + (set['status']?.[field] ?? 0), 0);

export function deploymentStatus(
  state: DeploymentState,
  newSet: KubeObject | undefined,
): { readonly status: JsonObject; readonly requeueAfterMs?: number } {
  const { deployment, sets, nowMs } = state;
  const nowText = timeFromMs(nowMs);
  const wanted: number = deployment['spec'].replicas ?? 1;
  const before: JsonObject = deployment['status'] ?? {};
  const replicas = total(sets, 'replicas');
  const available = total(sets, 'availableReplicas');
  const updated = newSet === undefined ? 0 : (newSet['status']?.replicas ?? 0);
  const counts = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas,
    updatedReplicas: updated,
    readyReplicas: total(sets, 'readyReplicas'),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sets.reduce((count, set) => count + (set['spec'].replicas ?? 1), 0) - available),
  };
  const rolling = deployment['spec'].strategy?.rollingUpdate ?? {};
  const maxUnavailable =
    deployment['spec'].strategy?.type === 'Recreate'
      ? 0
      : Math.min(wanted, resolveIntOrPercent(rolling.maxUnavailable ?? '25%', wanted, 'down'));
  const isAvailable = available >= wanted - maxUnavailable;
  let conditions: JsonObject[] = before['conditions'] ?? [];
  conditions = withCondition(
    conditions,
    {
      type: 'Available',
      status: isAvailable ? 'True' : 'False',
      reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: `Deployment ${isAvailable ? 'has' : 'does not have'} minimum availability.`,
      lastUpdateTime: nowText,
    },
    nowText,
  );
  const failure = sets.map((set) => conditionOf(set, 'ReplicaFailure')).find((each) => each?.['status'] === 'True');
  conditions = conditions.filter((each) => each['type'] !== 'ReplicaFailure');
  if (failure !== undefined) {
    const { type, status, reason, message } = failure as Record<string, string>;
    const kept = (before['conditions'] ?? []).filter((each: JsonObject) => each['type'] === 'ReplicaFailure');
    conditions = [
      ...conditions,
      ...withCondition(kept, { type, status, reason, message, lastUpdateTime: nowText }, nowText),
    ];
  }
  const progress = progressing(state, newSet, counts, nowText);
  if (progress.condition !== undefined) conditions = withCondition(conditions, progress.condition, nowText);
  const status: JsonObject = { ...counts, conditions };
  if (before['collisionCount'] !== undefined) status['collisionCount'] = before['collisionCount'];
  return { status, ...(progress.requeueAfterMs === undefined ? {} : { requeueAfterMs: progress.requeueAfterMs }) };
}

function progressing(
  { deployment, nowMs }: DeploymentState,
  newSet: KubeObject | undefined,
  counts: Readonly<Record<string, number>>,
  nowText: string,
): { readonly condition?: JsonObject; readonly requeueAfterMs?: number } {
  const deadlineSeconds: number | undefined = deployment['spec'].progressDeadlineSeconds;
  if (deadlineSeconds === undefined || deadlineSeconds >= 2 ** 31 - 1) return {};
  const before = conditionOf(deployment, 'Progressing');
  const status: JsonObject = deployment['status'] ?? {};
  const wanted: number = deployment['spec'].replicas ?? 1;
  const named =
    newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`;
  const told = (isTrue: boolean | 'Unknown', reason: string, message: string): JsonObject => ({
    type: 'Progressing',
    status: isTrue === 'Unknown' ? 'Unknown' : isTrue ? 'True' : 'False',
    reason,
    message,
    lastUpdateTime: nowText,
  });
  if (deployment['spec'].paused === true) {
    return { condition: told('Unknown', 'DeploymentPaused', 'Deployment is paused') };
  }
  const isComplete =
    newSet !== undefined &&
    counts['updatedReplicas'] === wanted &&
    counts['replicas'] === wanted &&
    counts['availableReplicas'] === wanted;
  if (isComplete) {
    return { condition: told(true, 'NewReplicaSetAvailable', `${named} has successfully progressed.`) };
  }
  const count = (name: string) => status[name] ?? 0;
  const hasProgressed =
    (counts['updatedReplicas'] ?? 0) > count('updatedReplicas') ||
    (counts['readyReplicas'] ?? 0) > count('readyReplicas') ||
    (counts['availableReplicas'] ?? 0) > count('availableReplicas') ||
    (counts['replicas'] ?? 0) - (counts['updatedReplicas'] ?? 0) < count('replicas') - count('updatedReplicas');
  const isNewRollout =
    before === undefined ||
    before['status'] === 'Unknown' ||
    status['observedGeneration'] !== deployment.metadata.generation;
  if (hasProgressed || isNewRollout) {
    // A message that changes each time would hide that the state is the same; the update time tells it.
    const condition = told(true, 'ReplicaSetUpdated', `${named} is progressing.`);
    return { condition, requeueAfterMs: deadlineSeconds * 1000 + 1000 };
  }
  // A completed rollout whose pods fail later is not a rollout that makes no progress.
  if (before['reason'] === 'NewReplicaSetAvailable' || before['reason'] === 'ProgressDeadlineExceeded') return {};
  const sinceMs = Date.parse(before['lastUpdateTime'] ?? before['lastTransitionTime'] ?? nowText);
  const leftMs = sinceMs + deadlineSeconds * 1000 - nowMs;
  if (leftMs > 0) return { requeueAfterMs: leftMs + 1000 };
  return { condition: told(false, 'ProgressDeadlineExceeded', `${named} has timed out progressing.`) };
}
