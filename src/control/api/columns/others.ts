/** The columns of leases, endpoint slices, roles, networking, storage and the remaining kinds. */
import { formatLabelSelector, selectorFromObject } from '../selectors.ts';
import type { JsonObject, KubeObject } from '../contract.ts';
import { shorten } from './cluster.ts';
import { ageOf, type Columns, createdAtColumns, define } from './define.ts';
import { humanDuration } from './text.ts';

function slicePorts(slice: KubeObject): string {
  const ports: JsonObject[] = slice['ports'] ?? [];
  if (ports.length === 0) return '<unset>';
  return shorten(ports.map((port) => (port['port'] === undefined ? '*' : String(port['port']))));
}

function sliceEndpoints(slice: KubeObject): string {
  const addresses: string[] = (slice['endpoints'] ?? []).flatMap((endpoint: JsonObject) => endpoint['addresses'] ?? []);
  return addresses.length === 0 ? '<unset>' : shorten(addresses);
}

function bindingCells(binding: KubeObject, nowMs: number): readonly unknown[] {
  const subjects: JsonObject[] = binding['subjects'] ?? [];
  const named = (kind: string) => subjects.filter((subject) => subject['kind'] === kind);
  return [
    binding.metadata.name,
    `${binding['roleRef']?.kind}/${binding['roleRef']?.name}`,
    ageOf(binding, nowMs),
    named('User')
      .map((subject) => subject['name'])
      .join(', '),
    named('Group')
      .map((subject) => subject['name'])
      .join(', '),
    named('ServiceAccount')
      .map((subject) => `${subject['namespace']}/${subject['name']}`)
      .join(', '),
  ];
}

const bindingColumns = define(['Name', 'Role', 'Age', 'Users!', 'Groups!', 'ServiceAccounts!'], bindingCells);

function ingressHosts(ingress: KubeObject): string {
  const hosts: string[] = (ingress['spec']?.rules ?? []).map((rule: JsonObject) => rule['host']).filter(Boolean);
  return hosts.length === 0 ? '*' : shorten(hosts);
}

function ingressAddress(ingress: KubeObject): string {
  const list: JsonObject[] = ingress['status']?.loadBalancer?.ingress ?? [];
  return list.map((item) => item['ip'] || item['hostname'] || '').join(',');
}

function requestStatus(request: KubeObject): string {
  const types: string[] = (request['status']?.conditions ?? []).map((item: JsonObject) => item['type']);
  const words: string[] = [];
  if (types.includes('Denied')) words.push('Denied');
  else words.push(types.includes('Approved') ? 'Approved' : 'Pending');
  if (types.includes('Failed')) words.push('Failed');
  if (request['status']?.certificate) words.push('Issued');
  return words.join(',');
}

function requestDuration(request: KubeObject): string {
  const seconds = request['spec']?.expirationSeconds;
  return typeof seconds === 'number' ? humanDuration(seconds * 1000) : '<none>';
}

function policySelector(policy: KubeObject): string {
  return formatLabelSelector(selectorFromObject(policy['spec']?.podSelector ?? {})) || '<none>';
}

function serviceOfApi(service: KubeObject): string {
  const reference = service['spec']?.service;
  return reference ? `${reference.namespace}/${reference.name}` : 'Local';
}

function isAvailable(service: KubeObject): string {
  const condition = (service['status']?.conditions ?? []).find((item: JsonObject) => item['type'] === 'Available');
  if (condition === undefined) return 'Unknown';
  return condition.status === 'True' || !condition.reason
    ? condition.status
    : `${condition.status} (${condition.reason})`;
}

function counted(name: string, path: (object: KubeObject) => unknown[] | undefined): Columns {
  return define(['Name', `${name}:integer`, 'Age'], (object, nowMs) => [
    object.metadata.name,
    (path(object) ?? []).length,
    ageOf(object, nowMs),
  ]);
}

function named(name: string, value: (object: KubeObject) => unknown): Columns {
  return define(['Name', name, 'Age'], (object, nowMs) => [
    object.metadata.name,
    value(object) ?? '',
    ageOf(object, nowMs),
  ]);
}

const webhookColumns = counted('Webhooks', (object) => object['webhooks']);

export const otherColumns: Readonly<Record<string, Columns>> = {
  'coordination.k8s.io/leases': named('Holder', (lease) => lease['spec']?.holderIdentity),
  'discovery.k8s.io/endpointslices': define(['Name', 'AddressType', 'Ports', 'Endpoints', 'Age'], (slice, nowMs) => [
    slice.metadata.name,
    slice['addressType'] ?? '',
    slicePorts(slice),
    sliceEndpoints(slice),
    ageOf(slice, nowMs),
  ]),
  'rbac.authorization.k8s.io/roles': createdAtColumns,
  'rbac.authorization.k8s.io/clusterroles': createdAtColumns,
  'rbac.authorization.k8s.io/rolebindings': bindingColumns,
  'rbac.authorization.k8s.io/clusterrolebindings': bindingColumns,
  'networking.k8s.io/networkpolicies': named('Pod-Selector', policySelector),
  'networking.k8s.io/ingresses': define(['Name', 'Class', 'Hosts', 'Address', 'Ports', 'Age'], (ingress, nowMs) => [
    ingress.metadata.name,
    ingress['spec']?.ingressClassName ?? '<none>',
    ingressHosts(ingress),
    ingressAddress(ingress),
    (ingress['spec']?.tls ?? []).length > 0 ? '80, 443' : '80',
    ageOf(ingress, nowMs),
  ]),
  'networking.k8s.io/ingressclasses': define(['Name', 'Controller', 'Parameters', 'Age'], (object, nowMs) => {
    const parameters = object['spec']?.parameters;
    const group = parameters?.apiGroup ? `.${parameters.apiGroup}` : '';
    return [
      object.metadata.name,
      object['spec']?.controller ?? '',
      parameters ? `${parameters.kind}${group}/${parameters.name}` : '<none>',
      ageOf(object, nowMs),
    ];
  }),
  'networking.k8s.io/ipaddresses': define(['Name', 'ParentRef'], (object) => {
    const parent: JsonObject = object['spec']?.parentRef ?? {};
    const parts = [parent['group'], parent['resource'], parent['namespace'], parent['name']];
    return [object.metadata.name, parts.filter(Boolean).join('/')];
  }),
  'networking.k8s.io/servicecidrs': named('CIDRs', (object) => (object['spec']?.cidrs ?? []).join(',')),
  'storage.k8s.io/storageclasses': define(
    ['Name', 'Provisioner', 'ReclaimPolicy', 'VolumeBindingMode', 'AllowVolumeExpansion', 'Age'],
    (object, nowMs) => {
      const isDefault = object.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true';
      return [
        isDefault ? `${object.metadata.name} (default)` : object.metadata.name,
        object['provisioner'] ?? '',
        object['reclaimPolicy'] ?? 'Delete',
        object['volumeBindingMode'] ?? '<unset>',
        object['allowVolumeExpansion'] === true,
        ageOf(object, nowMs),
      ];
    },
  ),
  'storage.k8s.io/volumeattachments': define(
    ['Name', 'Attacher:string:name', 'PV', 'Node', 'Attached:boolean', 'Age'],
    (object, nowMs) => [
      object.metadata.name,
      object['spec']?.attacher ?? '',
      object['spec']?.source?.persistentVolumeName ?? '',
      object['spec']?.nodeName ?? '',
      object['status']?.attached === true,
      ageOf(object, nowMs),
    ],
  ),
  'storage.k8s.io/csidrivers': define(
    [
      'Name',
      'AttachRequired:boolean',
      'PodInfoOnMount:boolean',
      'StorageCapacity:boolean',
      'TokenRequests',
      'RequiresRepublish:boolean',
      'Modes',
      'Age',
    ],
    (object, nowMs) => {
      const spec: JsonObject = object['spec'] ?? {};
      const audiences: string[] = (spec['tokenRequests'] ?? []).map((item: JsonObject) => item['audience']);
      return [
        object.metadata.name,
        spec['attachRequired'] !== false,
        spec['podInfoOnMount'] === true,
        spec['storageCapacity'] === true,
        audiences.join(',') || '<unset>',
        spec['requiresRepublish'] === true,
        (spec['volumeLifecycleModes'] ?? []).join(',') || '<none>',
        ageOf(object, nowMs),
      ];
    },
  ),
  'storage.k8s.io/csinodes': counted('Drivers', (object) => object['spec']?.drivers),
  'storage.k8s.io/csistoragecapacities': createdAtColumns,
  'storage.k8s.io/volumeattributesclasses': named('DriverName', (object) => object['driverName']),
  'scheduling.k8s.io/priorityclasses': define(
    ['Name', 'Value:integer', 'Global-Default:boolean', 'Age', 'PreemptionPolicy'],
    (object, nowMs) => [
      object.metadata.name,
      object['value'] ?? 0,
      object['globalDefault'] === true,
      ageOf(object, nowMs),
      object['preemptionPolicy'] ?? '',
    ],
  ),
  'node.k8s.io/runtimeclasses': named('Handler', (object) => object['handler']),
  'certificates.k8s.io/certificatesigningrequests': define(
    ['Name', 'Age', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'],
    (object, nowMs) => [
      object.metadata.name,
      ageOf(object, nowMs),
      object['spec']?.signerName || '<none>',
      object['spec']?.username ?? '',
      requestDuration(object),
      requestStatus(object),
    ],
  ),
  'autoscaling/horizontalpodautoscalers': define(
    ['Name', 'Reference', 'Targets', 'MinPods', 'MaxPods', 'Replicas', 'Age'],
    (object, nowMs) => {
      const target: JsonObject = object['spec']?.scaleTargetRef ?? {};
      const wanted = object['spec']?.targetCPUUtilizationPercentage;
      const current = object['status']?.currentCPUUtilizationPercentage;
      return [
        object.metadata.name,
        `${target['kind']}/${target['name']}`,
        wanted === undefined ? '<none>' : `cpu: ${current === undefined ? '<unknown>' : `${current}%`}/${wanted}%`,
        String(object['spec']?.minReplicas ?? '<unset>'),
        object['spec']?.maxReplicas ?? 0,
        object['status']?.currentReplicas ?? 0,
        ageOf(object, nowMs),
      ];
    },
  ),
  'flowcontrol.apiserver.k8s.io/flowschemas': define(
    ['Name', 'PriorityLevel', 'MatchingPrecedence', 'DistinguisherMethod', 'Age', 'MissingPL'],
    (object, nowMs) => {
      const missing = (object['status']?.conditions ?? []).find((item: JsonObject) => item['type'] === 'Dangling');
      return [
        object.metadata.name,
        object['spec']?.priorityLevelConfiguration?.name || '<none>',
        object['spec']?.matchingPrecedence ?? 0,
        object['spec']?.distinguisherMethod?.type ?? '<none>',
        ageOf(object, nowMs),
        missing?.status ?? '?',
      ];
    },
  ),
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations': define(
    ['Name', 'Type', 'NominalConcurrencyShares', 'Queues', 'HandSize', 'QueueLengthLimit', 'Age'],
    (object, nowMs) => {
      const { limited } = object['spec'] ?? {};
      const queuing = limited?.limitResponse?.queuing;
      return [
        object.metadata.name,
        object['spec']?.type ?? '',
        limited?.nominalConcurrencyShares ?? '<none>',
        queuing?.queues ?? '<none>',
        queuing?.handSize ?? '<none>',
        queuing?.queueLengthLimit ?? '<none>',
        ageOf(object, nowMs),
      ];
    },
  ),
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': webhookColumns,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': webhookColumns,
  'admissionregistration.k8s.io/validatingadmissionpolicies': define(
    ['Name', 'Validations:integer', 'ParamKind', 'Age'],
    (object, nowMs) => {
      const kind = object['spec']?.paramKind;
      return [
        object.metadata.name,
        (object['spec']?.validations ?? []).length,
        kind ? `${kind.apiVersion}/${kind.kind}` : '<unset>',
        ageOf(object, nowMs),
      ];
    },
  ),
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': define(
    ['Name', 'PolicyName', 'ParamRef', 'Age'],
    (object, nowMs) => {
      const reference = object['spec']?.paramRef;
      const namespace = reference?.namespace ? `${reference.namespace}/` : '*/';
      return [
        object.metadata.name,
        object['spec']?.policyName ?? '',
        reference ? `${namespace}${reference.name ?? '*'}` : '<unset>',
        ageOf(object, nowMs),
      ];
    },
  ),
  'apiregistration.k8s.io/apiservices': define(['Name', 'Service', 'Available', 'Age'], (object, nowMs) => [
    object.metadata.name,
    serviceOfApi(object),
    isAvailable(object),
    ageOf(object, nowMs),
  ]),
};
