/**
 * The node's network: pod addresses and routes, and the service proxy. What is wanted comes from Nodes, Services and
 * EndpointSlices; it is planned by pure functions and carried out with `ip`, `nft` and a CNI configuration.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type InformerFactory, resources } from '../../control/client/index.ts';
import type { Env } from '../../env/env.ts';
import { readTextIfAny, writeFileAtomic } from '../../env/files.ts';
import { cniConflist } from './cni-conflist.ts';
import {
  applyNftables,
  ensureOwnAddress,
  ensureServiceRoute,
  podRouteProtocol,
  presentPodRoutes,
  runIpBatch,
  setKernelSetting,
} from './commands.ts';
import { nftablesScript } from './nftables-rules.ts';
import { planServicePorts } from './proxy-plan.ts';
import { routeCommands, wantedRoutes } from './routes-plan.ts';
import { SyncLoop } from './sync-loop.ts';

export interface NodeNetworkOptions {
  readonly env: Pick<Env, 'clock' | 'disk' | 'processes' | 'log'>;
  /** Started by the caller after this call. */
  readonly informers: InformerFactory;
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly cniConfDirectory: string;
  readonly cniDataDirectory: string;
  /** Service addresses this node answers itself: cluster DNS. */
  readonly ownAddresses: readonly string[];
  readonly registry: Registry;
}

export interface NodeNetwork {
  /** Undefined when pods can be given addresses and Services are programmed; else what is missing. */
  missing(): string | undefined;
  stop(): Promise<void>;
}

const tableName = 'keelson-proxy';
/** A burst of endpoint changes (a rollout) becomes one transaction; a single change waits no longer than this. */
const proxyIntervalMs = 100;
const routesIntervalMs = 100;

export async function startNodeNetwork(options: NodeNetworkOptions): Promise<NodeNetwork> {
  const { env, informers, registry } = options;
  await setKernelSetting(env, 'net.ipv4.ip_forward', '1');
  const filtersBridges = await setKernelSetting(env, 'net.bridge.bridge-nf-call-iptables', '1');
  await ensureServiceRoute(env, options.serviceCidr, options.nodeIp);
  for (const address of options.ownAddresses) await ensureOwnAddress(env, address);

  const nodes = informers.informer(resources.nodes);
  const services = informers.informer(resources.services);
  const slices = informers.informer(resources.endpointSlices);
  const metrics = proxyMetrics(registry);
  let podCidr: string | undefined;
  let lastScript = '';

  const routes = new SyncLoop({
    name: 'setting pod routes',
    clock: env.clock,
    log: env.log,
    intervalMs: routesIntervalMs,
    task: async () => {
      if (!nodes.hasSynced()) return;
      const own = nodes.get(options.nodeName)?.['spec']?.podCIDR as string | undefined;
      if (own !== undefined && own !== podCidr) {
        await writeConflist(env, options, own);
        podCidr = own;
        if (!filtersBridges) proxy.request();
      }
      await runIpBatch(
        env,
        routeCommands(wantedRoutes(nodes.list(), options.nodeName), await presentPodRoutes(env), podRouteProtocol),
      );
    },
  });
  const proxy = new SyncLoop({
    name: 'programming Services',
    clock: env.clock,
    log: env.log,
    intervalMs: proxyIntervalMs,
    task: async () => {
      // Rules from half a picture would refuse connections to Services that are fine.
      if (!services.hasSynced() || !slices.hasSynced()) return;
      const startedMs = env.clock.monotonicMs();
      const script = nftablesScript(planServicePorts(services.list(), slices.list(), options.nodeName), {
        table: tableName,
        nodeAddress: options.nodeIp,
        clusterCidr: options.clusterCidr,
        serviceCidr: options.serviceCidr,
        ownAddresses: options.ownAddresses,
        masqueradeLocalPods: filtersBridges ? undefined : podCidr,
      });
      if (script === lastScript) return;
      await applyNftables(env, script);
      lastScript = script;
      metrics.duration.observe((env.clock.monotonicMs() - startedMs) / 1000);
      metrics.last.set(env.clock.wallMs() / 1000);
      metrics.total.inc();
    },
  });
  nodes.onChange(() => routes.request());
  services.onChange(() => proxy.request());
  slices.onChange(() => proxy.request());
  // An empty list changes nothing, but rules that refuse unknown Services must be there all the same; and routes that
  // another program took away come back.
  const cancel = env.clock.every(30_000, () => {
    routes.request();
    proxy.request();
  });
  routes.request();
  proxy.request();
  return {
    missing() {
      if (podCidr === undefined) return 'the node has no pod address range yet (Node.spec.podCIDR)';
      return lastScript === '' ? 'the service rules are not there yet' : undefined;
    },
    async stop() {
      cancel();
      await Promise.all([routes.stop(), proxy.stop()]);
    },
  };
}

async function writeConflist(
  env: NodeNetworkOptions['env'],
  options: NodeNetworkOptions,
  podCidr: string,
): Promise<void> {
  await env.disk.makeDirectory(options.cniConfDirectory);
  await env.disk.makeDirectory(options.cniDataDirectory);
  const path = `${options.cniConfDirectory}/10-keelson.conflist`;
  const text = cniConflist({ podCidr, dataDirectory: options.cniDataDirectory });
  if ((await readTextIfAny(env.disk, path)) !== text) await writeFileAtomic(env.disk, path, text);
}

function proxyMetrics(registry: Registry) {
  const registers = [registry];
  return {
    duration: new Histogram({
      name: 'kubeproxy_sync_proxy_rules_duration_seconds',
      help: 'Time one synchronisation of the service rules took.',
      buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
      registers,
    }),
    last: new Gauge({
      name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      help: 'When the service rules were last changed.',
      registers,
    }),
    total: new Counter({
      name: 'keelson_proxy_syncs_total',
      help: 'How often the service rules were changed.',
      registers,
    }),
  };
}
