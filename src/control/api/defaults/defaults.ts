/** Upstream's defaults that are more than a constant at a field, per resource. */
import { canonicalObject } from '../canonical.ts';
import type { JsonObject, KubeObject, ResourceSchema } from '../contract.ts';
import { messageNamed } from '../schema/messages.ts';
import { defaultPod } from './pod.ts';
import { defaultEndpoints, defaultEndpointSlice, defaultNetworkPolicy, defaultService } from './services.ts';
import { setDefault } from './set-default.ts';
import {
  defaultCronJob,
  defaultDaemonSet,
  defaultDeployment,
  defaultJob,
  defaultPodTemplate,
  defaultReplicaSet,
  defaultReplicationController,
  defaultStatefulSet,
} from './workloads.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

function defaultNamespace(object: JsonObject): void {
  const metadata: JsonObject = (object['metadata'] ??= {});
  // Selectors find namespaces by name through this label. A name that is still to be generated has to wait.
  if (metadata['name']) (metadata['labels'] ??= {})['kubernetes.io/metadata.name'] = metadata['name'];
}

function defaultNode(object: JsonObject): void {
  const { status } = object;
  if (!status?.capacity) return;
  status.allocatable ??= {};
  for (const [name, value] of Object.entries(status.capacity)) status.allocatable[name] ??= value;
}

function defaultSecret(object: JsonObject): void {
  setDefault(object, 'type', 'Opaque');
  if (!object['stringData']) return;
  const data: JsonObject = (object['data'] ??= {});
  for (const [key, text] of Object.entries(object['stringData']))
    data[key] = Buffer.from(String(text)).toString('base64');
  delete object['stringData'];
}

function defaultRoleBinding(object: JsonObject): void {
  if (object['roleRef']) setDefault(object['roleRef'], 'apiGroup', rbacGroup);
  for (const subject of object['subjects'] ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') setDefault(subject, 'apiGroup', rbacGroup);
  }
}

function defaultPersistentVolume(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  setDefault((object['status'] ??= {}), 'phase', 'Pending');
  setDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain');
  setDefault(spec, 'volumeMode', 'Filesystem');
  if (spec['hostPath']) setDefault(spec['hostPath'], 'type', '', { isPointer: true });
}

function defaultPersistentVolumeClaim(object: JsonObject): void {
  setDefault((object['status'] ??= {}), 'phase', 'Pending');
  setDefault((object['spec'] ??= {}), 'volumeMode', 'Filesystem');
}

function defaultStorageClass(object: JsonObject): void {
  setDefault(object, 'reclaimPolicy', 'Delete');
  setDefault(object, 'volumeBindingMode', 'Immediate');
}

function defaultCsiDriver(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  setDefault(spec, 'attachRequired', true);
  setDefault(spec, 'podInfoOnMount', false);
  setDefault(spec, 'storageCapacity', false);
  setDefault(spec, 'fsGroupPolicy', 'ReadWriteOnceWithFSType');
  if ((spec['volumeLifecycleModes'] ?? []).length === 0) spec['volumeLifecycleModes'] = ['Persistent'];
  setDefault(spec, 'requiresRepublish', false);
}

function defaultPriorityClass(object: JsonObject): void {
  setDefault(object, 'preemptionPolicy', 'PreemptLowerPriority');
}

function defaultAutoscaler(object: JsonObject): void {
  setDefault((object['spec'] ??= {}), 'minReplicas', 1);
}

const byResource: Readonly<Record<string, (object: KubeObject) => void>> = {
  '/pods': defaultPod,
  '/podtemplates': defaultPodTemplate,
  '/replicationcontrollers': defaultReplicationController,
  '/services': defaultService,
  '/endpoints': defaultEndpoints,
  '/namespaces': defaultNamespace,
  '/nodes': defaultNode,
  '/secrets': defaultSecret,
  '/persistentvolumes': defaultPersistentVolume,
  '/persistentvolumeclaims': defaultPersistentVolumeClaim,
  'apps/deployments': defaultDeployment,
  'apps/replicasets': defaultReplicaSet,
  'apps/statefulsets': defaultStatefulSet,
  'apps/daemonsets': defaultDaemonSet,
  'batch/jobs': defaultJob,
  'batch/cronjobs': defaultCronJob,
  'autoscaling/horizontalpodautoscalers': defaultAutoscaler,
  'discovery.k8s.io/endpointslices': defaultEndpointSlice,
  'networking.k8s.io/networkpolicies': defaultNetworkPolicy,
  'rbac.authorization.k8s.io/rolebindings': defaultRoleBinding,
  'rbac.authorization.k8s.io/clusterrolebindings': defaultRoleBinding,
  'scheduling.k8s.io/priorityclasses': defaultPriorityClass,
  'storage.k8s.io/storageclasses': defaultStorageClass,
  'storage.k8s.io/csidrivers': defaultCsiDriver,
};

export function defaulterOf(group: string, resource: string): ((object: KubeObject) => void) | undefined {
  return byResource[`${group}/${resource}`];
}

/** Fills in what the client left out. Changes `object`, which is in canonical form afterwards. */
export function applyDefaults(object: KubeObject, resource: ResourceSchema): void {
  resource.applyDefaults?.(object);
  const canonical = canonicalObject(object, messageNamed(resource.message));
  for (const name of Object.keys(object)) delete object[name];
  Object.assign(object, canonical);
}
