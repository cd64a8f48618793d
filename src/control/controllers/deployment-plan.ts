/**
 * What a Deployment wants done next: at most one kind of step at a time, decided anew from the state after each.
 *
 * Promises of a rolling update: the sum of the sets' wanted replicas never rises above replicas + maxSurge, and no step
 * takes the pods that count as available below replicas - maxUnavailable. Pure.
 */
import { assert } from '../../env/assert.ts';
import type { JsonObject, KubeObject } from '../api/contract.ts';
import {
  controllerOf,
  hashJson,
  isEqualJson,
  isFinished,
  maxNameLength,
  ownerReferenceTo,
  resolveIntOrPercent,
} from './shared-plan.ts';
import { deploymentStatus, type DeploymentState } from './deployment-status-plan.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
const maxAnnotation = 'deployment.kubernetes.io/max-replicas';
export const hashLabel = 'pod-template-hash';

/** Annotations of the Deployment that say something about it and not about its pods. */
const annotationsNotCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]);

export type DeploymentAction =
  | { readonly kind: 'create'; readonly set: JsonObject }
  /** A whole new state of an existing set: replicas, annotations or minReadySeconds. */
  | { readonly kind: 'update'; readonly set: KubeObject; readonly next: KubeObject }
  | { readonly kind: 'delete'; readonly set: KubeObject };

export interface DeploymentPlan {
  readonly actions: readonly DeploymentAction[];
  /** What the Deployment's own revision annotation must be. */
  readonly revision: string | undefined;
  readonly status: JsonObject;
  readonly requeueAfterMs?: number;
}

export interface Limits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export const wantedOf = (object: KubeObject): number => object['spec'].replicas ?? 1;
const availableOf = (set: KubeObject): number => set['status']?.availableReplicas ?? 0;
const sum = (sets: readonly KubeObject[], value: (set: KubeObject) => number) =>
  sets.reduce((total, set) => total + value(set), 0);
const revisionOf = (set: KubeObject): number => Number(set.metadata.annotations?.[revisionAnnotation] ?? 0) || 0;
const byAge = (a: KubeObject, b: KubeObject) =>
  Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp) ||
  (a.metadata.name < b.metadata.name ? -1 : 1);

export function limitsOf(deployment: KubeObject): Limits {
  const replicas = wantedOf(deployment);
  const rolling = deployment['spec'].strategy?.rollingUpdate ?? {};
  if (deployment['spec'].strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: replicas };
  const maxSurge = resolveIntOrPercent(rolling.maxSurge ?? '25%', replicas, 'up');
  const maxUnavailable = resolveIntOrPercent(rolling.maxUnavailable ?? '25%', replicas, 'down');
  // Both zero would never move; validation refuses that for numbers, rounding can still lead here.
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : Math.min(maxUnavailable, replicas) };
}

/** The set whose template is the Deployment's, the oldest when there are several. */
export function findNewSet(deployment: KubeObject, sets: readonly KubeObject[]): KubeObject | undefined {
  return [...sets].sort(byAge).find((set) => isEqualTemplate(set['spec'].template, deployment['spec'].template));
}

function isEqualTemplate(a: JsonObject, b: JsonObject): boolean {
  const bare = (template: JsonObject) => {
    const { [hashLabel]: _, ...labels } = template['metadata']?.labels ?? {};
    const { creationTimestamp: __, ...metadata } = template['metadata'] ?? {};
    return { ...template, metadata: { ...metadata, labels } };
  };
  return isEqualJson(bare(a), bare(b));
}

export function planDeployment(state: DeploymentState): DeploymentPlan {
  const { deployment, sets } = state;
  for (const set of sets) {
    assert(
      controllerOf(set)?.uid === deployment.metadata.uid,
      () => `set ${set.metadata.name} must be the Deployment's`,
    );
  }
  const newSet = findNewSet(deployment, sets);
  const oldSets = sets.filter((set) => set !== newSet).sort(byAge);
  const revision = Math.max(0, ...oldSets.map(revisionOf)) + 1;
  const newRevision = Math.max(revision, newSet === undefined ? 0 : revisionOf(newSet));
  const { status, requeueAfterMs } = deploymentStatus(state, newSet);
  const plan = (actions: readonly (DeploymentAction | undefined)[], known: number | undefined): DeploymentPlan => ({
    actions: actions.filter((action) => action !== undefined),
    revision: known === undefined ? undefined : String(known),
    status,
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  });
  if (deployment.metadata.deletionTimestamp !== undefined) return plan([], undefined);
  const isPaused = deployment['spec'].paused === true;
  const scaling = scaleActions(deployment, newSet, oldSets);
  if (isPaused || scaling.length > 0) return plan(scaling, newSet === undefined ? undefined : newRevision);

  if (newSet === undefined) {
    if (mustWaitForOldPods(state, oldSets)) return plan(scaleToZero(deployment, oldSets), undefined);
    return plan([{ kind: 'create', set: newReplicaSet(deployment, oldSets, newRevision) }], newRevision);
  }
  const annotated = withAnnotations(deployment, newSet, newRevision);
  if (annotated !== undefined) return plan([{ kind: 'update', set: newSet, next: annotated }], newRevision);
  if (deployment['spec'].strategy?.type === 'Recreate') {
    const downs = scaleToZero(deployment, oldSets);
    if (downs.length > 0) return plan(downs, newRevision);
    if (mustWaitForOldPods(state, oldSets)) return plan([], newRevision);
    return plan(
      [scaled(deployment, newSet, wantedOf(deployment)), ...cleanUp(deployment, oldSets, status)],
      newRevision,
    );
  }
  const up = scaled(deployment, newSet, newSetReplicas(deployment, newSet, oldSets));
  if (up !== undefined) return plan([up], newRevision);
  const downs = scaleDownOld(deployment, newSet, oldSets);
  if (downs.length > 0) return plan(downs, newRevision);
  return plan(cleanUp(deployment, oldSets, status), newRevision);
}

function mustWaitForOldPods(state: DeploymentState, oldSets: readonly KubeObject[]): boolean {
  if (state.deployment['spec'].strategy?.type !== 'Recreate') return false;
  const old = new Set(oldSets.map((set) => set.metadata.uid));
  return (
    oldSets.some((set) => wantedOf(set) > 0) ||
    state.pods.some((pod) => old.has(controllerOf(pod)?.uid ?? '') && !isFinished(pod))
  );
}

/** How many replicas the new set may have now. */
export function newSetReplicas(
  deployment: KubeObject,
  newSet: KubeObject | undefined,
  oldSets: readonly KubeObject[],
): number {
  const wanted = wantedOf(deployment);
  if (deployment['spec'].strategy?.type === 'Recreate') return wanted;
  const current = newSet === undefined ? 0 : wantedOf(newSet);
  const total = current + sum(oldSets, wantedOf);
  const totalMax = wanted + limitsOf(deployment).maxSurge;
  if (total >= totalMax) return Math.min(current, wanted);
  return Math.min(current + totalMax - total, wanted);
}

function scaleDownOld(deployment: KubeObject, newSet: KubeObject, oldSets: readonly KubeObject[]): DeploymentAction[] {
  const oldTotal = sum(oldSets, wantedOf);
  if (oldTotal === 0) return [];
  const availableMin = wantedOf(deployment) - limitsOf(deployment).maxUnavailable;
  const newUnavailable = Math.max(0, wantedOf(newSet) - availableOf(newSet));
  let spare = oldTotal + wantedOf(newSet) - availableMin - newUnavailable;
  if (spare <= 0) return [];
  const targets = new Map(oldSets.map((set) => [set, wantedOf(set)]));
  // Pods that are not available cost nothing to lose, so they go first.
  for (const set of oldSets) {
    const unavailable = Math.max(0, wantedOf(set) - availableOf(set));
    const cut = Math.min(spare, unavailable);
    targets.set(set, wantedOf(set) - cut);
    spare -= cut;
  }
  // Available ones go only as far as the whole stays above the minimum.
  const availableTotal = sum([newSet, ...oldSets], (set) => Math.min(availableOf(set), wantedOf(set)));
  let cuttable = Math.min(spare, availableTotal - availableMin);
  for (const set of oldSets) {
    if (cuttable <= 0) break;
    const cut = Math.min(targets.get(set) as number, cuttable);
    targets.set(set, (targets.get(set) as number) - cut);
    cuttable -= cut;
  }
  return [...targets].map(([set, replicas]) => scaled(deployment, set, replicas)).filter((each) => each !== undefined);
}

const scaleToZero = (deployment: KubeObject, sets: readonly KubeObject[]): DeploymentAction[] =>
  sets.map((set) => scaled(deployment, set, 0)).filter((each) => each !== undefined);

/**
 * Someone changed the Deployment's replicas (or it is paused): the sets are scaled in proportion, so that a scale in the
 * middle of a rollout neither finishes nor undoes it.
 */
function scaleActions(
  deployment: KubeObject,
  newSet: KubeObject | undefined,
  oldSets: readonly KubeObject[],
): DeploymentAction[] {
  const all = [...oldSets, ...(newSet === undefined ? [] : [newSet])];
  const active = all.filter((set) => wantedOf(set) > 0);
  const wanted = wantedOf(deployment);
  const isScaled = active.some((set) => {
    const desired = set.metadata.annotations?.[desiredAnnotation];
    return desired !== undefined && Number(desired) !== wanted;
  });
  if (!isScaled && deployment['spec'].paused !== true) return [];
  const only = active.length === 1 ? active[0] : active.length === 0 ? (newSet ?? all.at(-1)) : undefined;
  if (only !== undefined) {
    const action = scaled(deployment, only, wanted);
    return action === undefined ? [] : [action];
  }
  if (deployment['spec'].strategy?.type === 'Recreate' || active.length === 0) return [];
  const total = sum(active, wantedOf);
  const totalMax = wanted === 0 ? 0 : wanted + limitsOf(deployment).maxSurge;
  let left = totalMax - total;
  // The largest sets take the rounding; newest first among equals when growing, oldest first when shrinking.
  const order = [...active].sort((a, b) => wantedOf(b) - wantedOf(a) || (left > 0 ? byAge(b, a) : byAge(a, b)));
  const targets = new Map<KubeObject, number>();
  for (const set of order) {
    const before = wantedOf(set);
    const maxBefore = Number(set.metadata.annotations?.[maxAnnotation] ?? total) || total;
    const share = Math.round((before * totalMax) / maxBefore) - before;
    const bounded = left > 0 ? Math.min(Math.max(share, 0), left) : Math.max(Math.min(share, 0), left);
    targets.set(set, Math.max(0, before + bounded));
    left -= bounded;
  }
  const largest = order[0] as KubeObject;
  targets.set(largest, Math.max(0, (targets.get(largest) as number) + left));
  return [...targets].map(([set, replicas]) => scaled(deployment, set, replicas)).filter((each) => each !== undefined);
}

/** `set` with `replicas`, and with the annotations that say for which size of the Deployment that was right. */
function scaled(deployment: KubeObject, set: KubeObject, replicas: number): DeploymentAction | undefined {
  assert(replicas >= 0, () => `set ${set.metadata.name} cannot have ${replicas} replicas`);
  const annotations = { ...set.metadata.annotations, ...sizeAnnotations(deployment) };
  if (wantedOf(set) === replicas && isEqualJson(annotations, set.metadata.annotations ?? {})) return undefined;
  const next = { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set['spec'], replicas } };
  return { kind: 'update', set, next };
}

function sizeAnnotations(deployment: KubeObject): Record<string, string> {
  const wanted = wantedOf(deployment);
  return { [desiredAnnotation]: String(wanted), [maxAnnotation]: String(wanted + limitsOf(deployment).maxSurge) };
}

/** The new set with the Deployment's annotations, revision and minReadySeconds; undefined when it has them. */
function withAnnotations(deployment: KubeObject, set: KubeObject, revision: number): KubeObject | undefined {
  const before = set.metadata.annotations ?? {};
  const annotations: Record<string, string> = { ...before };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!annotationsNotCopied.has(name)) annotations[name] = value;
  }
  if (revisionOf(set) < revision) {
    const old = before[revisionAnnotation];
    annotations[revisionAnnotation] = String(revision);
    if (old !== undefined) {
      const history = (before[revisionHistoryAnnotation] ?? '').split(',').filter((each) => each !== '');
      if (!history.includes(old)) annotations[revisionHistoryAnnotation] = [...history, old].join(',');
    }
  }
  const minReadySeconds = deployment['spec'].minReadySeconds ?? 0;
  const isSame = isEqualJson(annotations, before) && (set['spec'].minReadySeconds ?? 0) === minReadySeconds;
  if (isSame) return undefined;
  return { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set['spec'], minReadySeconds } };
}

/** The ReplicaSet of the current template. Its name follows from the template, so making it twice is one. */
export function newReplicaSet(deployment: KubeObject, oldSets: readonly KubeObject[], revision: number): JsonObject {
  const template = deployment['spec'].template as JsonObject;
  const hash = hashJson(template, String(deployment['status']?.collisionCount ?? ''));
  const withHash = (labels: Record<string, string> | undefined) => ({ ...labels, [hashLabel]: hash });
  const annotations = Object.fromEntries(
    Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !annotationsNotCopied.has(name)),
  );
  const { minReadySeconds } = deployment['spec'];
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name.slice(0, 253 - maxNameLength)}-${hash}`,
      namespace: deployment.metadata.namespace,
      labels: withHash(template['metadata']?.labels),
      annotations: { ...annotations, ...sizeAnnotations(deployment), [revisionAnnotation]: String(revision) },
      ownerReferences: [ownerReferenceTo(deployment)],
    },
    spec: {
      replicas: newSetReplicas(deployment, undefined, oldSets),
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: {
        ...deployment['spec'].selector,
        matchLabels: withHash(deployment['spec'].selector?.matchLabels),
      },
      template: { ...template, metadata: { ...template['metadata'], labels: withHash(template['metadata']?.labels) } },
    },
  };
}

/** Old sets beyond revisionHistoryLimit, once the rollout is complete. */
function cleanUp(deployment: KubeObject, oldSets: readonly KubeObject[], status: JsonObject): DeploymentAction[] {
  const wanted = wantedOf(deployment);
  const isComplete =
    status['updatedReplicas'] === wanted && status['replicas'] === wanted && status['availableReplicas'] === wanted;
  const limit: number = deployment['spec'].revisionHistoryLimit ?? 10;
  if (!isComplete) return [];
  const idle = oldSets.filter(
    (set) =>
      wantedOf(set) === 0 &&
      (set['status']?.replicas ?? 0) === 0 &&
      (set['status']?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0) &&
      set.metadata.deletionTimestamp === undefined,
  );
  return idle
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, idle.length - limit))
    .map((set) => ({ kind: 'delete', set }));
}
