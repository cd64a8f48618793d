/**
 * Where a Service's traffic may go, as EndpointSlices and as the legacy Endpoints object. Pure.
 *
 * Promises: a slice has at most 100 endpoints and one list of ports; an endpoint stays in the slice that it is in, so
 * that one pod's change rewrites one slice; the same input gives no changes once it is carried out.
 */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { isEqualJson, isFinished, isPodReady, isTerminating, ownerReferenceTo } from './shared-plan.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const managedBy = 'endpointslice-controller.k8s.io';
const headlessLabel = 'service.kubernetes.io/headless';
export const endpointsPerSliceMax = 100;
/** Endpoints objects are cut there, and say so, as upstream's are. */
const legacyAddressesMax = 1000;

export interface SlicePlan {
  readonly create: readonly JsonObject[];
  readonly update: readonly KubeObject[];
  readonly delete: readonly KubeObject[];
}

type Family = 'IPv4' | 'IPv6';

const familyOf = (address: string): Family => (address.includes(':') ? 'IPv6' : 'IPv4');

function addressOf(pod: KubeObject, family: Family): string | undefined {
  const listed = (pod['status']?.podIPs ?? []).map((each: JsonObject) => each['ip'] as string);
  const all: string[] = listed.length > 0 ? listed : pod['status']?.podIP ? [pod['status'].podIP] : [];
  return all.find((address) => familyOf(address) === family);
}

/** The pod's ports for the Service's ports; one that the pod does not have is left out. */
export function resolvePorts(service: KubeObject, pod: KubeObject): JsonObject[] {
  return ((service['spec'].ports ?? []) as JsonObject[]).flatMap((port) => {
    const protocol = port['protocol'] ?? 'TCP';
    const number = targetPort(port, pod, protocol);
    if (number === undefined) return [];
    const { appProtocol } = port;
    return [
      { name: port['name'] ?? '', port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) },
    ];
  });
}

function targetPort(port: JsonObject, pod: KubeObject, protocol: string): number | undefined {
  const target = port['targetPort'] ?? port['port'];
  if (typeof target === 'number') return target === 0 ? port['port'] : target;
  const sidecars = (pod['spec'].initContainers ?? []).filter((each: JsonObject) => each['restartPolicy'] === 'Always');
  for (const container of [...(pod['spec'].containers ?? []), ...sidecars] as JsonObject[]) {
    for (const each of (container['ports'] ?? []) as JsonObject[]) {
      if (each['name'] === target && (each['protocol'] ?? 'TCP') === protocol) return each['containerPort'];
    }
  }
  return undefined;
}

function endpointOf(service: KubeObject, pod: KubeObject, address: string, zone: string | undefined): JsonObject {
  const serving = isPodReady(pod);
  const terminating = isTerminating(pod);
  const publishAll = service['spec'].publishNotReadyAddresses === true;
  const { hostname, subdomain, nodeName } = pod['spec'];
  return {
    addresses: [address],
    conditions: { ready: publishAll || (serving && !terminating), serving, terminating },
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
    ...(nodeName ? { nodeName } : {}),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** `pods`: those the Service selects. `slices`: those this controller made for it. */
export function planEndpointSlices(
  service: KubeObject,
  pods: readonly KubeObject[],
  slices: readonly KubeObject[],
  zoneOf: (nodeName: string) => string | undefined,
): SlicePlan {
  const create: JsonObject[] = [];
  const update: KubeObject[] = [];
  const left = new Set(slices);
  const families: Family[] = service['spec'].ipFamilies ?? ['IPv4'];
  for (const family of families) {
    const groups = new Map<string, { readonly ports: JsonObject[]; readonly endpoints: Map<string, JsonObject> }>();
    for (const pod of pods) {
      const address = addressOf(pod, family);
      if (address === undefined || isFinished(pod)) continue;
      const ports = resolvePorts(service, pod);
      const key = JSON.stringify(ports);
      const group = groups.get(key) ?? { ports, endpoints: new Map() };
      groups.set(key, group);
      group.endpoints.set(pod.metadata.uid, endpointOf(service, pod, address, zoneOf(pod['spec'].nodeName ?? '')));
    }
    // A Service without pods keeps one empty slice, so that it can be told from one nobody looked at.
    if (groups.size === 0) groups.set('', { ports: [], endpoints: new Map() });
    for (const { ports, endpoints } of groups.values()) {
      fillSlices({ service, family, ports, endpoints, left, create, update });
    }
  }
  return { create, update, delete: [...left] };
}

interface Filling {
  readonly service: KubeObject;
  readonly family: Family;
  readonly ports: readonly JsonObject[];
  readonly endpoints: Map<string, JsonObject>;
  readonly left: Set<KubeObject>;
  readonly create: JsonObject[];
  readonly update: KubeObject[];
}

function fillSlices({ service, family, ports, endpoints, left, create, update }: Filling): void {
  const existing = [...left].filter(
    (slice) => slice['addressType'] === family && isEqualJson(slice['ports'] ?? [], ports),
  );
  const waiting = new Map(endpoints);
  const contents = existing.map((slice) => {
    const kept: JsonObject[] = [];
    for (const endpoint of (slice['endpoints'] ?? []) as JsonObject[]) {
      const uid = endpoint['targetRef']?.uid;
      const wanted = waiting.get(uid);
      if (wanted === undefined || kept.length >= endpointsPerSliceMax) continue;
      waiting.delete(uid);
      kept.push(wanted);
    }
    return { slice, kept };
  });
  const rest = [...waiting.values()];
  for (const content of contents) content.kept.push(...rest.splice(0, endpointsPerSliceMax - content.kept.length));
  let isFirst = true;
  for (const { slice, kept } of contents) {
    // Slices that ran empty go, but for one.
    if (kept.length === 0 && !(isFirst && endpoints.size === 0)) continue;
    isFirst = false;
    left.delete(slice);
    const labels = { ...slice.metadata.labels, ...sliceLabels(service) };
    if (!isEqualJson(slice['endpoints'] ?? [], kept) || !isEqualJson(labels, slice.metadata.labels)) {
      update.push({ ...slice, metadata: { ...slice.metadata, labels }, endpoints: kept });
    }
  }
  while (rest.length > 0 || (isFirst && endpoints.size === 0)) {
    isFirst = false;
    create.push({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        generateName: `${service.metadata.name}-`,
        namespace: service.metadata.namespace,
        labels: sliceLabels(service),
        ownerReferences: [ownerReferenceTo(service)],
      },
      addressType: family,
      endpoints: rest.splice(0, endpointsPerSliceMax),
      ports: [...ports],
    });
  }
}

function sliceLabels(service: KubeObject): Record<string, string> {
  return {
    ...service.metadata.labels,
    [serviceNameLabel]: service.metadata.name,
    [managedByLabel]: managedBy,
    ...(service['spec'].clusterIP === 'None' ? { [headlessLabel]: '' } : {}),
  };
}

/** The legacy Endpoints object's subsets: addresses with the same ports together, ready ones apart. */
export function planEndpoints(service: KubeObject, pods: readonly KubeObject[]): JsonObject[] {
  const family: Family = (service['spec'].ipFamilies ?? ['IPv4'])[0];
  const publishAll = service['spec'].publishNotReadyAddresses === true;
  const groups = new Map<string, { ports: JsonObject[]; addresses: JsonObject[]; notReadyAddresses: JsonObject[] }>();
  let count = 0;
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const ip = addressOf(pod, family);
    if (ip === undefined || isFinished(pod) || (isTerminating(pod) && !publishAll)) continue;
    if (++count > legacyAddressesMax) break;
    const ports = resolvePorts(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, addresses: [], notReadyAddresses: [] };
    groups.set(key, group);
    const { hostname, subdomain, nodeName } = pod['spec'];
    const address = {
      ip,
      ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
      ...(nodeName ? { nodeName } : {}),
      targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
    };
    if (publishAll || isPodReady(pod)) group.addresses.push(address);
    else group.notReadyAddresses.push(address);
  }
  return [...groups.values()].map(({ ports, addresses, notReadyAddresses }) => ({
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }),
    ...(ports.length === 0
      ? {}
      : { ports: ports.map(({ name, ...port }) => (name === '' ? port : { name, ...port })) }),
  }));
}
