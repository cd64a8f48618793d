/** Fields that clients may select by, beyond metadata.name and metadata.namespace, as upstream allows per kind. */
import type { KubeObject, ResourceSchema } from '../contract.ts';

type Selectable = ResourceSchema['selectableFields'];

/** Reads `status.phase` and the like; what is absent counts as the empty string. */
function at(path: string): (object: KubeObject) => string {
  const names = path.split('.');
  return (object) => {
    // biome-ignore lint: the shape of an arbitrary object is known only to its schema
    let value: any = object;
    for (const name of names) value = value?.[name];
    return value === undefined || value === null ? '' : String(value);
  };
}

function fields(...paths: string[]): Selectable {
  return Object.fromEntries(paths.map((path) => [path, at(path)]));
}

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

const byResource: Readonly<Record<string, Selectable>> = {
  '/pods': {
    ...fields(
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'status.phase',
      'status.nominatedNodeName',
    ),
    'spec.hostNetwork': (pod) => String(pod['spec']?.hostNetwork ?? false),
    'status.podIP': at('status.podIP'),
    'status.podIPs': (pod) => (pod['status']?.podIPs ?? []).map((address: { ip: string }) => address.ip).join(','),
  },
  '/nodes': { 'spec.unschedulable': (node) => String(node['spec']?.unschedulable ?? false) },
  '/namespaces': fields('status.phase'),
  '/services': fields('spec.clusterIP', 'spec.type'),
  '/secrets': fields('type'),
  '/events': {
    ...fields(...involved.map((name) => `involvedObject.${name}`), 'reason', 'reportingComponent', 'type'),
    source: (event) => event['source']?.component || event['reportingComponent'] || '',
  },
  'events.k8s.io/events': {
    ...fields(...involved.map((name) => `regarding.${name}`), 'reason', 'reportingController', 'type'),
  },
  '/replicationcontrollers': { 'status.replicas': (object) => String(object['status']?.replicas ?? 0) },
  'apps/replicasets': { 'status.replicas': (object) => String(object['status']?.replicas ?? 0) },
  'batch/jobs': { 'status.successful': (job) => String(job['status']?.succeeded ?? 0) },
  'certificates.k8s.io/certificatesigningrequests': fields('spec.signerName'),
};

export function selectableFieldsOf(group: string, resource: string): Selectable {
  return byResource[`${group}/${resource}`] ?? {};
}
