/** EndpointSlice and Endpoints controllers: tell the proxies and DNS which pods a Service has. */
import type { KubeObject } from '../api/contract.ts';
import { matchesLabelSelector, selectorFromObject } from '../api/index.ts';
import { isAlreadyExists, keyOf, ReconcileLoop, resources, type SharedInformer } from '../client/index.ts';
import {
  type Controller,
  type ControllerContext,
  deleteObject,
  PendingChanges,
  unsettledRetryMs,
} from './controller.ts';
import { managedBy, managedByLabel, planEndpoints, planEndpointSlices, serviceNameLabel } from './endpoints-plan.ts';
import { isEqualJson, ownerReferenceTo } from './shared-plan.ts';

const workers = 5;
const byService = 'service';
const byNamespace = 'namespace';

function selectedPods(service: KubeObject, pods: SharedInformer): KubeObject[] {
  const selector = selectorFromObject({ matchLabels: service['spec'].selector });
  return pods
    .byIndex(byNamespace, service.metadata.namespace ?? '')
    .filter((pod) => matchesLabelSelector(selector, pod.metadata.labels));
}

const hasSelector = (service: KubeObject): boolean =>
  Object.keys(service['spec'].selector ?? {}).length > 0 && service['spec'].type !== 'ExternalName';

/** Enqueues the Services that select, or selected, a pod that changed. */
function onPodChange(services: SharedInformer, pods: SharedInformer, enqueue: (key: string) => void): void {
  pods.addIndex(byNamespace, (pod) => [pod.metadata.namespace ?? '']);
  services.addIndex(byNamespace, (service) => [service.metadata.namespace ?? '']);
  pods.onChange((_key, before, after) => {
    const namespace = (after ?? before)?.metadata.namespace ?? '';
    for (const service of services.byIndex(byNamespace, namespace)) {
      if (!hasSelector(service)) continue;
      const selector = selectorFromObject({ matchLabels: service['spec'].selector });
      const isConcerned = [before, after].some(
        (pod) => pod !== undefined && matchesLabelSelector(selector, pod.metadata.labels),
      );
      if (isConcerned) enqueue(keyOf(service));
    }
  });
}

export function createEndpointSliceController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const services = informers.informer(resources.services);
  const pods = informers.informer(resources.pods);
  const nodes = informers.informer(resources.nodes);
  const slices = informers.informer(resources.endpointSlices);
  slices.addIndex(byService, (slice) => [
    slice.metadata.labels?.[managedByLabel] === managedBy
      ? `${slice.metadata.namespace}/${slice.metadata.labels[serviceNameLabel]}`
      : '',
  ]);
  const pending = new PendingChanges(clock);
  const zoneOf = (name: string) => nodes.get(name)?.metadata.labels?.['topology.kubernetes.io/zone'];

  const loop = new ReconcileLoop({
    ...context,
    name: 'endpointslice',
    workers,
    keys: () => services.list().map(keyOf),
    reset: () => pending.clear(),
    reconcile: async (key) => {
      if (!pending.isSettled(key)) return { requeueAfterMs: unsettledRetryMs };
      const service = services.get(key);
      const existing = slices.byIndex(byService, key);
      if (service === undefined || !hasSelector(service) || service.metadata.deletionTimestamp !== undefined) {
        // The garbage collector takes a deleted Service's slices; a Service that lost its selector keeps none of ours.
        if (service !== undefined)
          for (const slice of existing) await deleteObject(client, resources.endpointSlices, slice);
        return;
      }
      const plan = planEndpointSlices(service, selectedPods(service, pods), existing, zoneOf);
      for (const slice of plan.create) {
        pending.expectWritten(key, slices, await client.create(resources.endpointSlices, slice));
      }
      for (const slice of plan.update) {
        pending.expectWritten(key, slices, await client.update(resources.endpointSlices, slice));
      }
      for (const slice of plan.delete) {
        await deleteObject(client, resources.endpointSlices, slice);
        pending.expectDeleted(key, slices, slice);
      }
      return undefined;
    },
  });
  services.onChange((key) => loop.enqueue(key));
  slices.onChange((_key, before, after) => {
    const slice = after ?? before;
    const name = slice?.metadata.labels?.[serviceNameLabel];
    if (name !== undefined) loop.enqueue(`${slice?.metadata.namespace}/${name}`);
  });
  onPodChange(services, pods, (key) => loop.enqueue(key));
  return { name: 'endpointslice', run: (signal) => loop.run(signal) };
}

export function createEndpointsController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const services = informers.informer(resources.services);
  const pods = informers.informer(resources.pods);
  const endpoints = informers.informer(resources.endpoints);
  const pending = new PendingChanges(clock);
  const loop = new ReconcileLoop({
    ...context,
    name: 'endpoints',
    workers,
    keys: () => services.list().map(keyOf),
    reset: () => pending.clear(),
    reconcile: async (key) => {
      if (!pending.isSettled(key)) return { requeueAfterMs: unsettledRetryMs };
      const service = services.get(key);
      if (service === undefined || !hasSelector(service) || service.metadata.deletionTimestamp !== undefined) return;
      const subsets = planEndpoints(service, selectedPods(service, pods));
      const now = endpoints.get(key);
      if (now !== undefined && isEqualJson(now['subsets'] ?? [], subsets)) return;
      if (now !== undefined) {
        pending.expectWritten(key, endpoints, await client.update(resources.endpoints, { ...now, subsets }));
        return;
      }
      const { name, namespace, labels } = service.metadata;
      const body = {
        apiVersion: 'v1',
        kind: 'Endpoints',
        metadata: {
          name,
          namespace,
          labels: { ...labels, 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' },
          ownerReferences: [ownerReferenceTo(service)],
        },
        subsets,
      };
      try {
        pending.expectWritten(key, endpoints, await client.create(resources.endpoints, body));
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        return { requeueAfterMs: unsettledRetryMs };
      }
      return;
    },
  });
  services.onChange((key) => loop.enqueue(key));
  endpoints.onChange((key) => loop.enqueue(key));
  onPodChange(services, pods, (key) => loop.enqueue(key));
  return { name: 'endpoints', run: (signal) => loop.run(signal) };
}
