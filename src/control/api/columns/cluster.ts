/** The columns of nodes, namespaces, services and other kinds of the core group. */
import type { JsonObject, KubeObject } from '../contract.ts';
import { age, formatLabels } from './text.ts';
import { ageOf, type Columns, createdAtColumns, define } from './define.ts';

const none = '<none>';
const rolePrefix = 'node-role.kubernetes.io/';

function nodeStatus(node: KubeObject): string {
  const ready = (node['status']?.conditions ?? []).find((item: JsonObject) => item['type'] === 'Ready');
  const word = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return node['spec']?.unschedulable ? `${word},SchedulingDisabled` : word;
}

function nodeRoles(node: KubeObject): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return roles.size === 0 ? none : [...roles].sort().join(',');
}

function nodeAddress(node: KubeObject, type: string): string {
  const found = (node['status']?.addresses ?? []).find((item: JsonObject) => item['type'] === type);
  return found?.address ?? none;
}

function externalIps(service: KubeObject): string {
  const fixed: string[] = service['spec']?.externalIPs ?? [];
  switch (service['spec']?.type) {
    case 'LoadBalancer': {
      const ingress: JsonObject[] = service['status']?.loadBalancer?.ingress ?? [];
      const given = ingress.map((item) => item['ip'] || item['hostname']).filter(Boolean);
      return [...given, ...fixed].join(',') || '<pending>';
    }
    case 'ExternalName':
      return service['spec']?.externalName ?? none;
    default:
      return fixed.join(',') || none;
  }
}

function servicePorts(service: KubeObject): string {
  const ports: JsonObject[] = service['spec']?.ports ?? [];
  const texts = ports.map(
    (port) => `${port['port']}${port['nodePort'] ? `:${port['nodePort']}` : ''}/${port['protocol'] ?? 'TCP'}`,
  );
  return texts.join(',') || none;
}

/** Addresses beyond this many are counted instead of shown. */
const addressesShownMax = 3;

export function shorten(items: readonly string[]): string {
  if (items.length === 0) return none;
  const shown = items.slice(0, addressesShownMax).join(',');
  return items.length > addressesShownMax ? `${shown} + ${items.length - addressesShownMax} more...` : shown;
}

function endpointAddresses(endpoints: KubeObject): string {
  const all: string[] = [];
  for (const subset of endpoints['subsets'] ?? []) {
    for (const address of subset.addresses ?? []) {
      if ((subset.ports ?? []).length === 0) all.push(address.ip);
      for (const port of subset.ports ?? []) {
        all.push(address.ip.includes(':') ? `[${address.ip}]:${port.port}` : `${address.ip}:${port.port}`);
      }
    }
  }
  return shorten(all);
}

function eventCells(event: KubeObject, nowMs: number): readonly unknown[] {
  const object: JsonObject = event['involvedObject'] ?? event['regarding'] ?? {};
  const source: JsonObject = event['source'] ?? event['deprecatedSource'] ?? {};
  const component = source['component'] || event['reportingComponent'] || event['reportingController'] || '';
  const host = source['host'] || event['reportingInstance'] || '';
  const first = event['firstTimestamp'] || event['deprecatedFirstTimestamp'] || event['eventTime'];
  const last =
    event['series']?.lastObservedTime ||
    event['lastTimestamp'] ||
    event['deprecatedLastTimestamp'] ||
    event['eventTime'];
  const kind = String(object['kind'] ?? '').toLowerCase();
  return [
    age(last, nowMs),
    event['type'] ?? '',
    event['reason'] ?? '',
    object['name'] ? `${kind}/${object['name']}` : kind,
    object['fieldPath'] ?? '',
    host === '' ? component : `${component}, ${host}`,
    String(event['message'] ?? event['note'] ?? '').trim(),
    age(first, nowMs),
    event['series']?.count || event['count'] || event['deprecatedCount'] || 1,
    event.metadata.name,
  ];
}

const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

function shortModes(modes: readonly string[] | null | undefined): string {
  return (modes ?? []).map((mode) => accessModes[mode] ?? mode).join(',');
}

function quotaText(hard: JsonObject, used: JsonObject, isLimit: boolean): string {
  const names = Object.keys(hard).sort();
  const chosen = names.filter((name) => name.startsWith('limits.') === isLimit);
  return chosen.map((name) => `${name}: ${used[name] ?? '0'}/${hard[name]}`).join(', ');
}

const count = (value: JsonObject | null | undefined) => Object.keys(value ?? {}).length;

const eventColumns = define(
  ['Last Seen', 'Type', 'Reason', 'Object', 'Subobject!', 'Source!', 'Message', 'First Seen!', 'Count!', 'Name!'],
  eventCells,
);

export const clusterColumns: Readonly<Record<string, Columns>> = {
  '/nodes': define(
    [
      'Name',
      'Status',
      'Roles',
      'Age',
      'Version',
      'Internal-IP!',
      'External-IP!',
      'OS-Image!',
      'Kernel-Version!',
      'Container-Runtime!',
    ],
    (node, nowMs) => {
      const info: JsonObject = node['status']?.nodeInfo ?? {};
      return [
        node.metadata.name,
        nodeStatus(node),
        nodeRoles(node),
        ageOf(node, nowMs),
        info['kubeletVersion'] ?? '',
        nodeAddress(node, 'InternalIP'),
        nodeAddress(node, 'ExternalIP'),
        info['osImage'] || '<unknown>',
        info['kernelVersion'] || '<unknown>',
        info['containerRuntimeVersion'] || '<unknown>',
      ];
    },
  ),
  '/namespaces': define(['Name', 'Status', 'Age'], (object, nowMs) => [
    object.metadata.name,
    object['status']?.phase ?? '',
    ageOf(object, nowMs),
  ]),
  '/services': define(
    ['Name', 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age', 'Selector!'],
    (service, nowMs) => [
      service.metadata.name,
      service['spec']?.type ?? '',
      service['spec']?.clusterIPs?.[0] || service['spec']?.clusterIP || none,
      externalIps(service),
      servicePorts(service),
      ageOf(service, nowMs),
      formatLabels(service['spec']?.selector),
    ],
  ),
  '/endpoints': define(['Name', 'Endpoints', 'Age'], (object, nowMs) => [
    object.metadata.name,
    endpointAddresses(object),
    ageOf(object, nowMs),
  ]),
  '/configmaps': define(['Name', 'Data', 'Age'], (object, nowMs) => [
    object.metadata.name,
    count(object['data']) + count(object['binaryData']),
    ageOf(object, nowMs),
  ]),
  '/secrets': define(['Name', 'Type', 'Data', 'Age'], (object, nowMs) => [
    object.metadata.name,
    object['type'] ?? '',
    count(object['data']),
    ageOf(object, nowMs),
  ]),
  '/serviceaccounts': define(['Name', 'Secrets', 'Age'], (object, nowMs) => [
    object.metadata.name,
    (object['secrets'] ?? []).length,
    ageOf(object, nowMs),
  ]),
  '/events': eventColumns,
  'events.k8s.io/events': eventColumns,
  '/persistentvolumes': define(
    [
      'Name',
      'Capacity',
      'Access Modes',
      'Reclaim Policy',
      'Status',
      'Claim',
      'StorageClass',
      'VolumeAttributesClass',
      'Reason',
      'Age',
      'VolumeMode!',
    ],
    (volume, nowMs) => {
      const { claimRef } = volume['spec'] ?? {};
      return [
        volume.metadata.name,
        volume['spec']?.capacity?.storage ?? '',
        shortModes(volume['spec']?.accessModes),
        volume['spec']?.persistentVolumeReclaimPolicy ?? '',
        volume.metadata.deletionTimestamp ? 'Terminating' : (volume['status']?.phase ?? ''),
        claimRef ? `${claimRef.namespace}/${claimRef.name}` : '',
        volume['spec']?.storageClassName ?? '',
        volume['spec']?.volumeAttributesClassName || '<unset>',
        volume['status']?.reason ?? '',
        ageOf(volume, nowMs),
        volume['spec']?.volumeMode ?? '<unset>',
      ];
    },
  ),
  '/persistentvolumeclaims': define(
    [
      'Name',
      'Status',
      'Volume',
      'Capacity',
      'Access Modes',
      'StorageClass',
      'VolumeAttributesClass',
      'Age',
      'VolumeMode!',
    ],
    (claim, nowMs) => {
      const isBound = Boolean(claim['spec']?.volumeName);
      return [
        claim.metadata.name,
        claim.metadata.deletionTimestamp ? 'Terminating' : (claim['status']?.phase ?? ''),
        claim['spec']?.volumeName ?? '',
        isBound ? (claim['status']?.capacity?.storage ?? '') : '',
        isBound ? shortModes(claim['status']?.accessModes) : '',
        claim['spec']?.storageClassName ?? '',
        claim['spec']?.volumeAttributesClassName || '<unset>',
        ageOf(claim, nowMs),
        claim['spec']?.volumeMode ?? '<unset>',
      ];
    },
  ),
  '/resourcequotas': define(['Name', 'Request', 'Limit', 'Age'], (quota, nowMs) => {
    const hard: JsonObject = quota['status']?.hard ?? {};
    const used: JsonObject = quota['status']?.used ?? {};
    return [quota.metadata.name, quotaText(hard, used, false), quotaText(hard, used, true), ageOf(quota, nowMs)];
  }),
  '/limitranges': createdAtColumns,
};
