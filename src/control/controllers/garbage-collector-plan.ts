/** What the garbage collector does with one object, given what is known of its owners and dependents. Pure. */
import type { KubeObject, OwnerReference } from '../api/contract.ts';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/** `present`; `absent` (no object with that uid, as the server itself said); `waiting`: being deleted in the foreground. */
export type OwnerState = 'present' | 'absent' | 'waiting';

export type GarbageAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'delete'; readonly propagationPolicy: 'Background' | 'Foreground' | 'Orphan' }
  /** Keep the object but forget owners that are gone. */
  | { readonly kind: 'dropOwners'; readonly ownerReferences: readonly OwnerReference[] }
  | { readonly kind: 'removeFinalizer'; readonly finalizer: string }
  | { readonly kind: 'deleteDependents'; readonly dependents: readonly KubeObject[] }
  | { readonly kind: 'orphanDependents'; readonly dependents: readonly KubeObject[] };

/**
 * `ownerStates` follows metadata.ownerReferences. An object goes only when every owner is absent, or waits for it.
 */
export function planGarbage(
  object: KubeObject,
  ownerStates: readonly OwnerState[],
  dependents: readonly KubeObject[],
): GarbageAction {
  const finalizers = object.metadata.finalizers ?? [];
  if (object.metadata.deletionTimestamp !== undefined) {
    if (finalizers.includes(orphanFinalizer)) {
      const { uid } = object.metadata;
      const owned = dependents.filter((each) => each.metadata.ownerReferences?.some((owner) => owner.uid === uid));
      if (owned.length > 0) return { kind: 'orphanDependents', dependents: owned };
      return { kind: 'removeFinalizer', finalizer: orphanFinalizer };
    }
    if (finalizers.includes(foregroundFinalizer)) {
      const standing = dependents.filter((each) => each.metadata.deletionTimestamp === undefined);
      if (standing.length > 0) return { kind: 'deleteDependents', dependents: standing };
      const isBlocked = dependents.some((each) =>
        each.metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid && owner.blockOwnerDeletion),
      );
      return isBlocked ? { kind: 'none' } : { kind: 'removeFinalizer', finalizer: foregroundFinalizer };
    }
    return { kind: 'none' };
  }
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0) return { kind: 'none' };
  if (owners.some((_, index) => ownerStates[index] === 'present')) {
    const kept = owners.filter((_, index) => ownerStates[index] === 'present');
    return kept.length === owners.length ? { kind: 'none' } : { kind: 'dropOwners', ownerReferences: kept };
  }
  const isAwaited = owners.some((_, index) => ownerStates[index] === 'waiting');
  if (isAwaited && dependents.length > 0) return { kind: 'delete', propagationPolicy: 'Foreground' };
  if (finalizers.includes(orphanFinalizer)) return { kind: 'delete', propagationPolicy: 'Orphan' };
  if (finalizers.includes(foregroundFinalizer)) return { kind: 'delete', propagationPolicy: 'Foreground' };
  return { kind: 'delete', propagationPolicy: 'Background' };
}
