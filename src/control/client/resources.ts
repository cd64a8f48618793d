/** The built-in resources that controllers, the scheduler and the node agent talk about, by their plural name. */
import type { GroupVersionResource } from '../api/contract.ts';

const core = (resource: string): GroupVersionResource => ({ group: '', version: 'v1', resource });
const v1 = (group: string, resource: string): GroupVersionResource => ({ group, version: 'v1', resource });

export const resources = {
  pods: core('pods'),
  nodes: core('nodes'),
  services: core('services'),
  endpoints: core('endpoints'),
  namespaces: core('namespaces'),
  configMaps: core('configmaps'),
  secrets: core('secrets'),
  serviceAccounts: core('serviceaccounts'),
  events: core('events'),
  persistentVolumeClaims: core('persistentvolumeclaims'),
  persistentVolumes: core('persistentvolumes'),
  deployments: v1('apps', 'deployments'),
  replicaSets: v1('apps', 'replicasets'),
  daemonSets: v1('apps', 'daemonsets'),
  statefulSets: v1('apps', 'statefulsets'),
  controllerRevisions: v1('apps', 'controllerrevisions'),
  jobs: v1('batch', 'jobs'),
  cronJobs: v1('batch', 'cronjobs'),
  leases: v1('coordination.k8s.io', 'leases'),
  endpointSlices: v1('discovery.k8s.io', 'endpointslices'),
} as const;

/** `deployments.apps`, for messages and for keys of maps. */
export function describeResource(resource: GroupVersionResource): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
}

/** `apps/v1` or `v1`. */
export function apiVersionOf(resource: GroupVersionResource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** Path of a resource's collection, or of one object, or of its subresource. `namespace` is '' for cluster scope. */
export function resourcePath(
  resource: GroupVersionResource,
  namespace: string,
  name?: string,
  subresource?: string,
): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${resource.resource}${object}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** `namespace/name`, or `name` for cluster-scoped objects: how informers and queues name an object. */
export function keyOf(object: { readonly metadata: { readonly namespace?: string; readonly name: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** The other way round; namespace is '' for cluster-scoped keys. */
export function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
