/**
 * What a deletion does to an object: gone at once, or marked and waiting for its grace and its finalizers. Decisions on
 * the object alone; the registry carries them out.
 */
import { fail } from './errors.ts';
import { isEqualJson, type JsonObject, type KubeObject, type ResourceSchema, timeFromMs } from './kinds.ts';
import { strategyOf } from './strategies.ts';

/** True when nothing keeps a deleted object any more. */
export function isFinished(resource: ResourceSchema, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (deletionTimestamp === undefined || (finalizers ?? []).length > 0) return false;
  if ((deletionGracePeriodSeconds ?? 0) > 0) return false;
  return !(strategyOf(resource).mustStay?.(object) ?? false);
}

/** Throws a Status when the object is not the one that was meant. */
export function checkPreconditions(
  resource: ResourceSchema,
  name: string,
  object: KubeObject,
  preconditions: { readonly uid?: string; readonly resourceVersion?: string },
): void {
  const { uid, resourceVersion } = preconditions;
  if (uid !== undefined && uid !== object.metadata.uid) {
    throw fail.preconditionFailed(resource, name, 'UID', uid, object.metadata.uid);
  }
  if (resourceVersion !== undefined && resourceVersion !== object.metadata.resourceVersion) {
    throw fail.preconditionFailed(resource, name, 'ResourceVersion', resourceVersion, object.metadata.resourceVersion);
  }
}

/** Decides what a deletion does to `object` and changes it so. */
export function planDeletion(
  resource: ResourceSchema,
  object: KubeObject,
  deleteOptions: JsonObject,
  wallMs: number,
): 'gone' | 'marked' | 'unchanged' {
  const strategy = strategyOf(resource);
  const { metadata } = object;
  const before = structuredClone(object);
  applyPropagation(object, deleteOptions);
  const grace = strategy.gracePeriodSeconds?.(object, deleteOptions) ?? 0;
  const isFirst = metadata.deletionTimestamp === undefined;
  if (isFirst) {
    metadata.deletionTimestamp = timeFromMs(wallMs + grace * 1000);
    metadata.deletionGracePeriodSeconds = grace;
    if (metadata.generation !== undefined && metadata.generation > 0) metadata.generation++;
    strategy.markDeleted?.(object);
  } else if (grace < (metadata.deletionGracePeriodSeconds ?? 0)) {
    // A deletion can be hastened, never put off.
    metadata.deletionTimestamp = timeFromMs(wallMs + grace * 1000);
    metadata.deletionGracePeriodSeconds = grace;
  }
  if (isFinished(resource, object)) return 'gone';
  return isEqualJson(before, object) ? 'unchanged' : 'marked';
}

/** Foreground and orphan deletion are finalizers that the garbage collector takes off. */
function applyPropagation(object: KubeObject, deleteOptions: JsonObject): void {
  const policy =
    deleteOptions['propagationPolicy'] ??
    (deleteOptions['orphanDependents'] === undefined
      ? undefined
      : deleteOptions['orphanDependents']
        ? 'Orphan'
        : 'Background');
  if (policy === undefined) return;
  const kept = (object.metadata.finalizers ?? []).filter((item) => item !== 'orphan' && item !== 'foregroundDeletion');
  if (policy === 'Orphan') kept.push('orphan');
  if (policy === 'Foreground') kept.push('foregroundDeletion');
  if (kept.length === 0) delete object.metadata.finalizers;
  else object.metadata.finalizers = kept;
}
