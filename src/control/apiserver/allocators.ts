/**
 * Service addresses and node ports, unique over all API servers: taking one is creating its key in the store, which only
 * one of them can. An address is an IPAddress object, as upstream keeps it; a port is an internal record.
 *
 * A reservation whose service was never stored is found by `sweep` and given back.
 */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import type { ObjectStorage, WatchCache } from '../storage/index.ts';
import { type KubeObject, timeFromMs } from './kinds.ts';

export const nodePortPrefix = 'ranges/servicenodeports';

/** A record younger than this may belong to a service that is just being written. */
const sweepAgeMs = 120_000;

export interface Owner {
  readonly namespace: string;
  readonly name: string;
}

export type Allocation = 'taken' | 'allocated' | 'outOfRange';

interface AllocatorOptions {
  readonly storage: ObjectStorage;
  readonly cache: WatchCache;
  readonly clock: Clock;
  readonly random: Random;
}

function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const bytes = match.slice(1).map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

export interface Ipv4Range {
  readonly text: string;
  readonly base: number;
  readonly size: number;
}

/** Undefined when `text` is not an IPv4 range of 4 to 2^20 addresses. */
export function parseIpv4Range(text: string): Ipv4Range | undefined {
  const [address = '', bitsText = ''] = text.split('/');
  const base = parseIpv4(address);
  const bits = Number(bitsText);
  if (base === undefined || !/^\d+$/.test(bitsText) || bits < 12 || bits > 30) return undefined;
  const size = 2 ** (32 - bits);
  return base % size === 0 ? { text, base, size } : undefined;
}

export class ServiceIpAllocator {
  readonly #options: AllocatorOptions;
  readonly range: Ipv4Range;
  constructor(range: Ipv4Range, options: AllocatorOptions) {
    this.range = range;
    this.#options = options;
  }

  /** The address of the `kubernetes` Service: the first of the range. */
  get first(): string {
    return formatIpv4(this.range.base + 1);
  }

  async allocate(address: string, owner: Owner): Promise<Allocation> {
    const value = parseIpv4(address);
    if (value === undefined || value <= this.range.base || value >= this.range.base + this.range.size - 1) {
      return 'outOfRange';
    }
    const { storage, random, clock } = this.#options;
    const object: KubeObject = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IPAddress',
      metadata: {
        name: address,
        uid: random.uuid(),
        resourceVersion: '',
        creationTimestamp: timeFromMs(clock.wallMs()),
        labels: {
          'ipaddress.kubernetes.io/ip-family': 'IPv4',
          'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
        },
      },
      spec: { parentRef: { resource: 'services', namespace: owner.namespace, name: owner.name } },
    };
    const created = await storage.create({ storagePrefix: 'ipaddresses', key: address }, object);
    return created === 'exists' ? 'taken' : 'allocated';
  }

  /** A free address; undefined when the range is used up. */
  async allocateNext(owner: Owner): Promise<string | undefined> {
    // The lower part is kept for addresses that people choose, as upstream does.
    const reserved = Math.min(256, Math.max(16, Math.floor(this.range.size / 16)));
    const first = this.range.size > 2 * reserved ? reserved : 1;
    const usable = this.range.size - 1;
    const offset = this.#options.random.integer(0, usable - 1);
    const used = this.#options.cache.resource('ipaddresses');
    for (const lowest of [first, 1]) {
      const span = usable - lowest;
      for (let step = 0; step < span; step++) {
        const address = formatIpv4(this.range.base + lowest + ((offset + step) % span));
        if (used.get(address) !== undefined) continue;
        if ((await this.allocate(address, owner)) === 'allocated') return address;
      }
    }
    return undefined;
  }

  async release(address: string, owner: Owner): Promise<void> {
    await this.#options.storage.update({ storagePrefix: 'ipaddresses', key: address }, (current) => {
      const parent = current['spec']?.parentRef;
      return parent?.name === owner.name && parent?.namespace === owner.namespace
        ? { kind: 'delete' }
        : { kind: 'none' };
    });
  }

  /** Gives back addresses whose service is gone or uses another one. */
  async sweep(): Promise<number> {
    const { cache, storage, clock } = this.#options;
    let released = 0;
    for (const { object } of cache.resource('ipaddresses').list()) {
      const parent = object['spec']?.parentRef;
      const isOld = clock.wallMs() - Date.parse(object.metadata.creationTimestamp) > sweepAgeMs;
      if (parent?.resource !== 'services' || !isOld) continue;
      const key = `${parent.namespace}/${parent.name}`;
      const uses = (service: KubeObject | undefined) =>
        [service?.['spec']?.clusterIP, ...(service?.['spec']?.clusterIPs ?? [])].includes(object.metadata.name);
      if (uses(cache.resource('services/specs').get(key)?.object)) continue;
      if (uses((await storage.get({ storagePrefix: 'services/specs', key }))?.object)) continue;
      await this.release(object.metadata.name, parent);
      released++;
    }
    return released;
  }
}

export class NodePortAllocator {
  readonly #options: AllocatorOptions;
  readonly first: number;
  readonly last: number;
  constructor(first: number, last: number, options: AllocatorOptions) {
    assert(first > 0 && first <= last && last < 65536, 'the node port range must lie within 1 to 65535');
    this.first = first;
    this.last = last;
    this.#options = options;
  }

  async allocate(port: number, owner: Owner): Promise<Allocation> {
    if (port < this.first || port > this.last) return 'outOfRange';
    const { storage, random, clock } = this.#options;
    const record: KubeObject = {
      apiVersion: 'keelson.internal/v1',
      kind: 'NodePortAllocation',
      metadata: {
        name: String(port),
        uid: random.uuid(),
        resourceVersion: '',
        creationTimestamp: timeFromMs(clock.wallMs()),
      },
      spec: { namespace: owner.namespace, name: owner.name },
    };
    const created = await storage.create({ storagePrefix: nodePortPrefix, key: String(port) }, record);
    return created === 'exists' ? 'taken' : 'allocated';
  }

  async allocateNext(owner: Owner): Promise<number | undefined> {
    const span = this.last - this.first + 1;
    const offset = this.#options.random.integer(0, span - 1);
    const used = this.#options.cache.resource(nodePortPrefix);
    for (let step = 0; step < span; step++) {
      const port = this.first + ((offset + step) % span);
      if (used.get(String(port)) !== undefined) continue;
      if ((await this.allocate(port, owner)) === 'allocated') return port;
    }
    return undefined;
  }

  async release(port: number, owner: Owner): Promise<void> {
    await this.#options.storage.update({ storagePrefix: nodePortPrefix, key: String(port) }, (current) =>
      current['spec']?.name === owner.name && current['spec']?.namespace === owner.namespace
        ? { kind: 'delete' }
        : { kind: 'none' },
    );
  }

  async sweep(): Promise<number> {
    const { cache, storage, clock } = this.#options;
    let released = 0;
    for (const { object } of cache.resource(nodePortPrefix).list()) {
      if (clock.wallMs() - Date.parse(object.metadata.creationTimestamp) <= sweepAgeMs) continue;
      const owner: Owner = object['spec'];
      const key = `${owner.namespace}/${owner.name}`;
      const port = Number(object.metadata.name);
      const uses = (service: KubeObject | undefined) => nodePortsOf(service).includes(port);
      if (uses(cache.resource('services/specs').get(key)?.object)) continue;
      if (uses((await storage.get({ storagePrefix: 'services/specs', key }))?.object)) continue;
      await this.release(port, owner);
      released++;
    }
    return released;
  }
}

/** Node ports that a Service holds, its health check port included. */
export function nodePortsOf(service: KubeObject | undefined): number[] {
  const spec = service?.['spec'];
  const ports: number[] = (spec?.ports ?? []).map((port: { nodePort?: number }) => port.nodePort ?? 0);
  // TCP and UDP of one service may share a number.
  return [...new Set([...ports, spec?.healthCheckNodePort ?? 0])].filter((port) => port > 0);
}
