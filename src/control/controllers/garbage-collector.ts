/**
 * Garbage collector: deletes what nobody owns any more, and carries out foreground and orphan deletion.
 *
 * It watches every resource that can be watched and deleted. That an owner is absent is believed only when the server
 * itself says so for the owner's uid: a copy that lags must never cost an object.
 */
import type { GroupVersionResource, KubeObject, OwnerReference } from '../api/contract.ts';
import {
  describeResource,
  isNotFound,
  keyOf,
  ReconcileLoop,
  resources,
  type SharedInformer,
  splitKey,
} from '../client/index.ts';
import { type Controller, type ControllerContext, deleteObject, inParallel } from './controller.ts';
import { type DiscoveredResource, discoverResources } from './discovery.ts';
import { foregroundFinalizer, type OwnerState, planGarbage } from './garbage-collector-plan.ts';

const byOwner = 'ownerUid';
/** Events come and go by the thousand and own nothing; leases are renewed all the time and are owned by nodes only. */
const ignored = new Set(['events', 'events.events.k8s.io']);
const callsMax = 8;

interface Kind {
  readonly resource: DiscoveredResource;
  readonly informer: SharedInformer;
}

export function createGarbageCollector(context: ControllerContext): Controller {
  const { client, informers, log } = context;
  const kinds = new Map<string, Kind>();
  const kindOf = (apiVersion: string, kind: string): Kind | undefined => {
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    return kinds.get(`${group}|${kind}`);
  };
  const keyFor = (kind: Kind, object: KubeObject) => `${kind.resource.group}|${kind.resource.kind}|${keyOf(object)}`;

  const dependentsOf = (owner: KubeObject): KubeObject[] =>
    [...kinds.values()].flatMap(({ informer }) => [...informer.byIndex(byOwner, owner.metadata.uid)]);

  const stateOf = async (object: KubeObject, reference: OwnerReference): Promise<OwnerState> => {
    const kind = kindOf(reference.apiVersion, reference.kind);
    // A kind that is not served (yet, or any more) says nothing about its objects.
    if (kind === undefined) return 'present';
    const namespace = kind.resource.isNamespaced ? (object.metadata.namespace ?? '') : '';
    const key = namespace === '' ? reference.name : `${namespace}/${reference.name}`;
    let owner = kind.informer.get(key);
    if (owner?.metadata.uid !== reference.uid) {
      // A cluster-scoped object cannot be owned by one in a namespace: such a reference is never satisfied upstream
      // either, but deleting for it would be a surprise.
      if (kind.resource.isNamespaced && namespace === '') return 'present';
      try {
        owner = await client.get(kind.resource, namespace, reference.name);
      } catch (error) {
        if (isNotFound(error)) return 'absent';
        throw error;
      }
      if (owner.metadata.uid !== reference.uid) return 'absent';
    }
    const isWaiting =
      owner.metadata.deletionTimestamp !== undefined && owner.metadata.finalizers?.includes(foregroundFinalizer);
    return isWaiting && reference.blockOwnerDeletion !== false ? 'waiting' : 'present';
  };

  const patchOwners = async (
    kind: GroupVersionResource,
    object: KubeObject,
    ownerReferences: readonly OwnerReference[],
  ) => {
    const { namespace = '', name, uid, resourceVersion } = object.metadata;
    const body = { metadata: { uid, resourceVersion, ownerReferences: [...ownerReferences] } };
    try {
      await client.patch(kind, namespace, name, { type: 'merge', body });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };

  const loop = new ReconcileLoop({
    ...context,
    name: 'garbage-collector',
    workers: 8,
    keys: () =>
      [...kinds.values()].flatMap((kind) =>
        kind.informer
          .list()
          .filter(isOfInterest)
          .map((each) => keyFor(kind, each)),
      ),
    reconcile: async (queueKey) => {
      const [group, kindName, ...rest] = queueKey.split('|');
      const kind = kinds.get(`${group}|${kindName}`);
      const object = kind?.informer.get(rest.join('|'));
      if (kind === undefined || object === undefined || !isOfInterest(object)) return;
      const owners = object.metadata.ownerReferences ?? [];
      const isDeleting = object.metadata.deletionTimestamp !== undefined;
      const states = isDeleting ? [] : await Promise.all(owners.map((reference) => stateOf(object, reference)));
      const action = planGarbage(object, states, dependentsOf(object));
      switch (action.kind) {
        case 'none':
          return;
        case 'delete':
          log.info('deleting an object whose owners are gone', {
            resource: describeResource(kind.resource),
            key: keyOf(object),
          });
          return deleteObject(client, kind.resource, object, { propagationPolicy: action.propagationPolicy });
        case 'dropOwners':
          return patchOwners(kind.resource, object, action.ownerReferences);
        case 'deleteDependents':
          return inParallel(action.dependents, callsMax, async (each) => {
            const dependent = kindOf(each.apiVersion, each.kind);
            if (dependent !== undefined) loop.enqueue(keyFor(dependent, each));
          });
        case 'orphanDependents':
          return inParallel(action.dependents, callsMax, async (each) => {
            const dependent = kindOf(each.apiVersion, each.kind);
            const kept = (each.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== object.metadata.uid);
            if (dependent !== undefined) await patchOwners(dependent.resource, each, kept);
          });
        case 'removeFinalizer': {
          const { namespace, name } = splitKey(keyOf(object));
          const finalizers = (object.metadata.finalizers ?? []).filter((each) => each !== action.finalizer);
          const { uid, resourceVersion } = object.metadata;
          const body = { metadata: { uid, resourceVersion, finalizers } };
          try {
            await client.patch(kind.resource, namespace, name, { type: 'merge', body });
          } catch (error) {
            if (!isNotFound(error)) throw error;
          }
        }
      }
    },
  });

  const watch = (kind: Kind): void => {
    kind.informer.onChange((_key, before, after) => {
      const object = after ?? before;
      if (object === undefined) return;
      if (after !== undefined && isOfInterest(after)) loop.enqueue(keyFor(kind, after));
      // A deleted owner concerns its dependents; a deleted or released dependent concerns owners that wait for it.
      if (after === undefined || after.metadata.deletionTimestamp !== undefined) {
        for (const dependent of dependentsOf(object)) {
          const dependentKind = kindOf(dependent.apiVersion, dependent.kind);
          if (dependentKind !== undefined) loop.enqueue(keyFor(dependentKind, dependent));
        }
      }
      for (const reference of before?.metadata.ownerReferences ?? []) {
        const owner = kindOf(reference.apiVersion, reference.kind);
        if (owner === undefined) continue;
        const namespace = owner.resource.isNamespaced ? `${object.metadata.namespace}/` : '';
        loop.enqueue(`${owner.resource.group}|${owner.resource.kind}|${namespace}${reference.name}`);
      }
    });
  };

  const discover = async (signal: AbortSignal): Promise<void> => {
    const { found, failures } = await discoverResources(client);
    if (failures.length > 0) log.warn('some groups cannot be asked for their resources', { failures });
    for (const resource of found) {
      const id = `${resource.group}|${resource.kind}`;
      const isWatchable = ['list', 'watch', 'delete'].every((verb) => resource.verbs.includes(verb));
      if (!isWatchable || kinds.has(id) || ignored.has(describeResource(resource))) continue;
      const { group, version, resource: name } = resource;
      const informer = informers.informer({ group, version, resource: name });
      informer.addIndex(byOwner, (object) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid));
      const kind = { resource, informer };
      kinds.set(id, kind);
      watch(kind);
    }
    await informers.waitForSync(signal);
  };

  // Pods and ReplicaSets are watched anyway; asking for them here keeps them in the first lists.
  informers.informer(resources.pods);
  return {
    name: 'garbage-collector',
    run: async (signal) => {
      try {
        await discover(signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      await loop.run(signal);
    },
  };
}

const isOfInterest = (object: KubeObject): boolean =>
  (object.metadata.ownerReferences ?? []).length > 0 ||
  (object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length > 0);
