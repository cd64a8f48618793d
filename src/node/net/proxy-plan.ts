/**
 * From Services and EndpointSlices to what the packet filter must do: pure. One entry per address, protocol and port that
 * somebody may connect to, with the endpoints it leads to.
 *
 * Which endpoints: the ready ones; if there are none, those that are terminating but still serve, so that the last pods
 * of a Service end their work while they are replaced.
 */
import type { KubeObject } from '../../control/api/contract.ts';

export type Protocol = 'tcp' | 'udp' | 'sctp';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface ServicePort {
  /** namespace/name/protocol/port: for people who read the rules. */
  readonly name: string;
  readonly clusterAddresses: readonly string[];
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 = none. */
  readonly nodePort: number;
  readonly endpoints: readonly Endpoint[];
  /** Seconds a client stays with its endpoint; 0 = no affinity. */
  readonly affinitySeconds: number;
}

interface SliceEndpoint {
  readonly addresses?: readonly string[];
  readonly nodeName?: string;
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
}

/** Services that have an address of their own and are not handled by somebody else. */
function isProxied(service: KubeObject): boolean {
  const spec = service['spec'] ?? {};
  if (spec.type === 'ExternalName') return false;
  if (!spec.clusterIP || spec.clusterIP === 'None') return false;
  return service.metadata.labels?.['service.kubernetes.io/service-proxy-name'] === undefined;
}

/** `slices` are those labelled with the Service's name. `nodeName` decides what a Local internalTrafficPolicy keeps. */
function endpointsOf(
  service: KubeObject,
  portName: string,
  protocol: string,
  slices: readonly KubeObject[],
  nodeName: string,
): readonly Endpoint[] {
  const ready: Endpoint[] = [];
  const terminating: Endpoint[] = [];
  const isLocalOnly = service['spec']?.internalTrafficPolicy === 'Local';
  for (const slice of slices) {
    if (slice['addressType'] !== 'IPv4') continue;
    const ports = (slice['ports'] ?? []) as readonly { name?: string; protocol?: string; port?: number }[];
    const port = ports.find((each) => (each.name ?? '') === portName && (each.protocol ?? 'TCP') === protocol)?.port;
    if (port === undefined) continue;
    for (const endpoint of (slice['endpoints'] ?? []) as readonly SliceEndpoint[]) {
      if (isLocalOnly && endpoint.nodeName !== nodeName) continue;
      const isReady = endpoint.conditions?.ready !== false;
      const isServing = endpoint.conditions?.serving ?? isReady;
      for (const address of endpoint.addresses ?? []) {
        if (isReady) ready.push({ address, port });
        else if (isServing && endpoint.conditions?.terminating) terminating.push({ address, port });
      }
    }
  }
  const chosen = ready.length > 0 ? ready : terminating;
  // Two slices may name an endpoint twice while it moves between them.
  const unique = new Map(chosen.map((endpoint) => [`${endpoint.address}:${endpoint.port}`, endpoint]));
  return [...unique.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

const protocols: Readonly<Record<string, Protocol>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

/** Sorted by name, so that equal state gives equal rules. */
export function planServicePorts(
  services: readonly KubeObject[],
  slices: readonly KubeObject[],
  nodeName: string,
): readonly ServicePort[] {
  const byService = new Map<string, KubeObject[]>();
  for (const slice of slices) {
    const name = slice.metadata.labels?.['kubernetes.io/service-name'];
    if (name === undefined) continue;
    const key = `${slice.metadata.namespace ?? ''}/${name}`;
    byService.set(key, [...(byService.get(key) ?? []), slice]);
  }
  const ports: ServicePort[] = [];
  for (const service of services) {
    if (!isProxied(service)) continue;
    const spec = service['spec'];
    const key = `${service.metadata.namespace ?? ''}/${service.metadata.name}`;
    const addresses = ((spec.clusterIPs as string[] | undefined) ?? [spec.clusterIP as string]).filter(
      (address) => !address.includes(':'),
    );
    for (const port of (spec.ports ?? []) as readonly {
      name?: string;
      protocol?: string;
      port: number;
      nodePort?: number;
    }[]) {
      const protocol = protocols[port.protocol ?? 'TCP'];
      if (protocol === undefined) continue;
      ports.push({
        name: `${key}/${protocol}/${port.name ?? port.port}`,
        clusterAddresses: [...addresses, ...((spec.externalIPs as string[] | undefined) ?? [])],
        protocol,
        port: port.port,
        nodePort: port.nodePort ?? 0,
        endpoints: endpointsOf(service, port.name ?? '', port.protocol ?? 'TCP', byService.get(key) ?? [], nodeName),
        affinitySeconds:
          spec.sessionAffinity === 'ClientIP'
            ? ((spec.sessionAffinityConfig?.clientIP?.timeoutSeconds as number | undefined) ?? 10_800)
            : 0,
      });
    }
  }
  return ports.sort((a, b) => (a.name < b.name ? -1 : 1));
}
