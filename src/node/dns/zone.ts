/**
 * Names of Services and pods: pure. Kubernetes objects in, answers to questions out.
 *
 *   SERVICE.NAMESPACE.svc.DOMAIN            A: the cluster address, or every ready endpoint of a headless Service
 *   HOST.SERVICE.NAMESPACE.svc.DOMAIN       A: one endpoint of a headless Service, by host name or address with dashes
 *   _PORT._PROTOCOL.SERVICE.NAMESPACE.svc.… SRV
 *   A-B-C-D.NAMESPACE.pod.DOMAIN            A: the address itself
 *   D.C.B.A.in-addr.arpa                    PTR
 *
 * Meaning of the parts follows the Kubernetes DNS specification 1.1.
 */
import type { KubeObject } from '../../control/api/contract.ts';

export type Answer =
  | { readonly name: string; readonly type: 'A'; readonly ttl: number; readonly data: string }
  | { readonly name: string; readonly type: 'CNAME' | 'PTR'; readonly ttl: number; readonly data: string }
  | { readonly name: string; readonly type: 'TXT'; readonly ttl: number; readonly data: string }
  | {
      readonly name: string;
      readonly type: 'SRV';
      readonly ttl: number;
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    };

export type Resolution =
  | { readonly kind: 'answers'; readonly answers: readonly Answer[]; readonly additionals: readonly Answer[] }
  /** The name exists, but not with this type. */
  | { readonly kind: 'noData' }
  | { readonly kind: 'noSuchName' }
  /** Not ours: ask somebody else. */
  | { readonly kind: 'forward' };

/** Short: a Service's endpoints change with every deployment. */
const ttlSeconds = 5;

interface HeadlessEndpoint {
  readonly host: string;
  readonly address: string;
  readonly isReady: boolean;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

interface ServiceEntry {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly externalName: string | undefined;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  readonly endpoints: readonly HeadlessEndpoint[];
}

/** An immutable picture of the cluster's names. Built anew when Services or EndpointSlices change. */
export class Zone {
  readonly domain: string;
  readonly #services = new Map<string, ServiceEntry>();
  readonly #namespaces = new Set<string>();
  readonly #reverse = new Map<string, string>();

  constructor(domain: string, services: readonly KubeObject[], slices: readonly KubeObject[]) {
    this.domain = domain;
    const slicesOf = new Map<string, KubeObject[]>();
    for (const slice of slices) {
      const key = `${slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''}.${slice.metadata.namespace ?? ''}`;
      slicesOf.set(key, [...(slicesOf.get(key) ?? []), slice]);
    }
    for (const service of services) {
      const key = `${service.metadata.name}.${service.metadata.namespace ?? ''}`;
      const entry = serviceEntry(service, slicesOf.get(key) ?? []);
      this.#services.set(key, entry);
      this.#namespaces.add(service.metadata.namespace ?? '');
      const name = `${key}.svc.${domain}`;
      for (const address of entry.addresses) this.#reverse.set(address, name);
      for (const endpoint of entry.endpoints)
        if (!this.#reverse.has(endpoint.address)) this.#reverse.set(endpoint.address, `${endpoint.host}.${name}`);
    }
  }

  resolve(question: string, type: string): Resolution {
    const name = question.toLowerCase().replace(/\.$/, '');
    if (name.endsWith('.in-addr.arpa')) return this.#resolveReverse(name, type);
    if (name !== this.domain && !name.endsWith(`.${this.domain}`)) return { kind: 'forward' };
    const labels = name
      .slice(0, -this.domain.length)
      .split('.')
      .filter((label) => label !== '');
    if (labels.length === 0) return { kind: 'noData' };
    const kind = labels.pop();
    if (kind === 'dns-version' && labels.length === 0) {
      return type === 'TXT' ? answers([{ name, type: 'TXT', ttl: ttlSeconds, data: '1.1.0' }]) : { kind: 'noData' };
    }
    if (kind === 'pod') return this.#resolvePod(name, labels, type);
    if (kind === 'svc') return this.#resolveService(name, labels, type);
    return { kind: 'noSuchName' };
  }

  #resolveReverse(name: string, type: string): Resolution {
    const octets = name.slice(0, -'.in-addr.arpa'.length).split('.');
    const target = octets.length === 4 ? this.#reverse.get(octets.reverse().join('.')) : undefined;
    if (target === undefined) return { kind: 'forward' };
    return type === 'PTR' ? answers([{ name, type: 'PTR', ttl: ttlSeconds, data: target }]) : { kind: 'noData' };
  }

  #resolvePod(name: string, labels: readonly string[], type: string): Resolution {
    if (labels.length < 2) return { kind: 'noData' };
    const [dashed] = labels as [string];
    if (labels.length !== 2 || !/^\d{1,3}(-\d{1,3}){3}$/.test(dashed)) return { kind: 'noSuchName' };
    return type === 'A'
      ? answers([{ name, type: 'A', ttl: ttlSeconds, data: dashed.replaceAll('-', '.') }])
      : { kind: 'noData' };
  }

  #resolveService(name: string, labels: readonly string[], type: string): Resolution {
    const [namespace, service, ...rest] = [...labels].reverse();
    // The names above a service exist, so that a resolver does not give up on what is below them.
    if (namespace === undefined) return { kind: 'noData' };
    if (service === undefined) return this.#namespaces.has(namespace) ? { kind: 'noData' } : { kind: 'noSuchName' };
    const entry = this.#services.get(`${service}.${namespace}`);
    if (entry === undefined) return { kind: 'noSuchName' };
    if (rest.length === 0) return resolveEntry(name, entry, type);
    if (rest.length === 1) {
      const endpoints = entry.endpoints.filter((endpoint) => endpoint.host === rest[0]);
      if (endpoints.length === 0) return { kind: 'noSuchName' };
      return type === 'A'
        ? answers(endpoints.map((endpoint) => ({ name, type: 'A' as const, ttl: ttlSeconds, data: endpoint.address })))
        : { kind: 'noData' };
    }
    if (rest.length === 2)
      return resolvePort(
        name,
        entry,
        { protocol: rest[0] as string, port: rest[1] as string },
        { type, domain: this.domain },
      );
    return { kind: 'noSuchName' };
  }
}

function answers(list: readonly Answer[], additionals: readonly Answer[] = []): Resolution {
  return { kind: 'answers', answers: list, additionals };
}

function resolveEntry(name: string, entry: ServiceEntry, type: string): Resolution {
  if (entry.externalName !== undefined)
    return answers([{ name, type: 'CNAME', ttl: ttlSeconds, data: entry.externalName }]);
  const addresses =
    entry.addresses.length > 0
      ? entry.addresses
      : entry.endpoints.filter((endpoint) => endpoint.isReady).map((endpoint) => endpoint.address);
  if (type !== 'A' || addresses.length === 0) return { kind: 'noData' };
  return answers([...new Set(addresses)].map((data) => ({ name, type: 'A', ttl: ttlSeconds, data })));
}

function resolvePort(
  name: string,
  entry: ServiceEntry,
  wanted: { readonly protocol: string; readonly port: string },
  options: { readonly type: string; readonly domain: string },
): Resolution {
  const matches = (port: { readonly name: string; readonly protocol: string }) =>
    `_${port.name}` === wanted.port && `_${port.protocol.toLowerCase()}` === wanted.protocol;
  const base = `${entry.name}.svc.${options.domain}`;
  const found: Answer[] = [];
  const additionals: Answer[] = [];
  const add = (port: number, target: string, address: string | undefined) => {
    found.push({ name, type: 'SRV', ttl: ttlSeconds, data: { priority: 0, weight: 100, port, target } });
    if (address !== undefined) additionals.push({ name: target, type: 'A', ttl: ttlSeconds, data: address });
  };
  if (entry.addresses.length > 0) {
    for (const port of entry.ports.filter(matches)) add(port.port, base, entry.addresses[0]);
  } else {
    for (const endpoint of entry.endpoints.filter((each) => each.isReady)) {
      for (const port of endpoint.ports.filter(matches)) add(port.port, `${endpoint.host}.${base}`, endpoint.address);
    }
  }
  if (found.length === 0) return { kind: 'noSuchName' };
  return options.type === 'SRV' ? answers(found, additionals) : { kind: 'noData' };
}

function serviceEntry(service: KubeObject, slices: readonly KubeObject[]): ServiceEntry {
  const spec = service['spec'] ?? {};
  const isHeadless = spec.clusterIP === 'None';
  const publishNotReady = spec.publishNotReadyAddresses === true;
  const endpoints: HeadlessEndpoint[] = [];
  for (const slice of isHeadless ? slices : []) {
    if (slice['addressType'] !== 'IPv4') continue;
    const ports = ((slice['ports'] ?? []) as { name?: string; protocol?: string; port?: number }[]).map((port) => ({
      name: port.name ?? '',
      protocol: port.protocol ?? 'TCP',
      port: port.port ?? 0,
    }));
    for (const endpoint of (slice['endpoints'] ?? []) as {
      addresses?: string[];
      hostname?: string;
      conditions?: { ready?: boolean };
    }[]) {
      for (const address of endpoint.addresses ?? []) {
        const isReady = publishNotReady || endpoint.conditions?.ready !== false;
        endpoints.push({ host: endpoint.hostname ?? address.replaceAll('.', '-'), address, isReady, ports });
      }
    }
  }
  const addresses =
    isHeadless || !spec.clusterIP ? [] : ((spec.clusterIPs as string[] | undefined) ?? [spec.clusterIP as string]);
  return {
    name: `${service.metadata.name}.${service.metadata.namespace ?? ''}`,
    addresses: addresses.filter((address) => !address.includes(':')),
    externalName: spec.type === 'ExternalName' ? (spec.externalName as string | undefined) : undefined,
    ports: ((spec.ports ?? []) as { name?: string; protocol?: string; port: number }[]).map((port) => ({
      name: port.name ?? '',
      protocol: port.protocol ?? 'TCP',
      port: port.port,
    })),
    endpoints,
  };
}
