/** The node's DNS: a picture of the cluster's names kept up to date, and the server that answers from it. */
import { Counter, type Registry } from 'prom-client';
import { type InformerFactory, resources } from '../../control/client/index.ts';
import type { Env } from '../../env/env.ts';
import { readTextIfAny } from '../../env/files.ts';
import { DnsServer } from './server.ts';
import { Zone } from './zone.ts';

export interface DnsOptions {
  readonly env: Pick<Env, 'clock' | 'disk' | 'log'>;
  /** Started by the caller after this call. */
  readonly informers: InformerFactory;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly domain: string;
  readonly registry: Registry;
}

/** Upstreams asked for names outside the cluster, as the C library would. */
const upstreamsMax = 3;

export async function startDns(options: DnsOptions): Promise<{ stop(): Promise<void> }> {
  const { env, informers } = options;
  const services = informers.informer(resources.services);
  const slices = informers.informer(resources.endpointSlices);
  const queries = new Counter({
    name: 'keelson_dns_queries_total',
    help: 'DNS queries by transport.',
    labelNames: ['transport'],
    registers: [options.registry],
  });
  let zone: Zone | undefined;
  const invalidate = () => {
    zone = undefined;
  };
  services.onChange(invalidate);
  slices.onChange(invalidate);
  const server = new DnsServer({
    addresses: options.addresses,
    port: options.port,
    upstreams: await upstreamsOf(env, options.addresses),
    // Built when asked: a burst of changes costs one build.
    zone: () => {
      zone ??= new Zone(options.domain, services.list(), slices.list());
      return zone;
    },
    clock: env.clock,
    log: env.log,
    onQuery: (transport) => queries.inc({ transport }),
  });
  await server.listen();
  return { stop: () => server.close() };
}

async function upstreamsOf(env: Pick<Env, 'disk'>, own: readonly string[]): Promise<readonly string[]> {
  const text = (await readTextIfAny(env.disk, '/etc/resolv.conf')) ?? '';
  const found = [...text.matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)/gm)].map((match) => match[1] as string);
  // A resolver on the machine's loopback is not there in the node's network, and asking ourselves would never end.
  return found.filter((address) => !address.startsWith('127.') && !own.includes(address)).slice(0, upstreamsMax);
}
