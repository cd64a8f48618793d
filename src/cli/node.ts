/**
 * `keelson node`: the kubelet, the service proxy and the cluster DNS of one node. SIGTERM stops the agent and leaves the
 * containers running; the next agent takes them over.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import packageJson from '../../package.json' with { type: 'json' };
import { createApiClient, InformerFactory, readKubeconfig } from '../control/client/index.ts';
import type { Env } from '../env/env.ts';
import { realEnv } from '../env/real.ts';
import { GrpcCri } from '../node/cri/grpc-cri.ts';
import { imageArchitecture } from '../node/cri/oci-image.ts';
import { startDns } from '../node/dns/index.ts';
import { NodeAccess } from '../node/kubelet/access.ts';
import { createHandlerNetwork } from '../node/kubelet/handler-network-adapter.ts';
import { Kubelet } from '../node/kubelet/kubelet.ts';
import { rotateLogs } from '../node/kubelet/log-rotation.ts';
import { readHostDns, readMachine } from '../node/kubelet/machine.ts';
import { KubeletMetrics } from '../node/kubelet/metrics.ts';
import { type NodeIdentity, parseTaint, type Taint } from '../node/kubelet/node-object.ts';
import { startPlainServer } from '../node/kubelet/plain-http-adapter.ts';
import { startKubeletServer } from '../node/kubelet/server.ts';
import { startNodeNetwork } from '../node/net/index.ts';
import { realHostFiles } from '../node/volumes/host-files.ts';
import { readCertificateFile, readServingFiles, type ServingFiles } from './certificates.ts';
import { logLevelOf } from './component-check.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { checkPorts } from './listen-check.ts';
import { type NodeFlagValues, nodeFlags } from './node-flags.ts';
import { untilStopSignal } from './runtime.ts';

const summary = 'Runs a node: the kubelet, the service proxy and the cluster DNS.';
/** What this agent does the work of. */
const kubeletVersion = 'v1.34.1';
const dnsPort = 53;

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(flagHelp('keelson node [flags]', summary, nodeFlags));
    return 0;
  }
  const { values } = parseFlags(nodeFlags, { command: 'node', args });
  if (values['cgroup-driver'] !== 'cgroupfs') {
    throw new UsageError(`keelson node: --cgroup-driver ${values['cgroup-driver']} is not supported: want cgroupfs`);
  }
  return serve(realEnv(logLevelOf('node', values['log-level'])), values);
}

async function serve(env: Env, flags: NodeFlagValues): Promise<number> {
  const stopped = new AbortController();
  const { signal } = stopped;
  const stopSignal = untilStopSignal();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const identity = nodeIdentity(flags);
  const { nodeName, nodeIp } = identity;
  const kubeconfig = await readKubeconfig(env.disk, flags.kubeconfig, flags.servers);
  const certificates = await checkBeforeStart(env, flags);
  await realHostFiles.makeDirectory(flags['root-dir'], 0o750);
  const userAgent = `keelson-node/${packageJson.version}`;
  const client = createApiClient({ ...kubeconfig, userAgent, clock: env.clock });
  const leaseClient = createApiClient({ ...kubeconfig, userAgent: `${userAgent} lease`, clock: env.clock });
  const informers = new InformerFactory({ client, clock: env.clock, random: env.random, log: env.log });
  const cri = new GrpcCri({ endpoint: flags['container-runtime-endpoint'], nowMs: env.clock.wallMs });

  const network = await startNodeNetwork({
    env,
    informers,
    nodeName,
    nodeIp,
    clusterCidr: flags['cluster-cidr'],
    serviceCidr: flags['service-cluster-ip-range'],
    cniConfDirectory: flags['cni-conf-dir'],
    cniDataDirectory: `${flags['root-dir']}/cni-addresses`,
    ownAddresses: flags['cluster-dns'],
    registry,
  });
  const dns = await startDns({
    env,
    informers,
    addresses: flags['cluster-dns'],
    port: dnsPort,
    domain: flags['cluster-domain'],
    registry,
  });
  const readFacts = () => readMachine(env.disk, realHostFiles, flags['root-dir'], imageArchitecture(process.arch));
  const kubelet = new Kubelet(
    {
      env,
      client,
      leaseClient,
      informers,
      cri,
      files: realHostFiles,
      network: createHandlerNetwork(env.clock),
      identity,
      settings: {
        cgroupRoot: flags['cgroup-root'],
        podLogDirectory: flags['pod-log-dir'],
        clusterDns: flags['cluster-dns'],
        clusterDomain: flags['cluster-domain'],
        hostDns: await readHostDns(env.disk),
      },
      rootDirectory: flags['root-dir'],
      machine: readFacts,
      statusPeriodMs: flags['node-status-update-frequency'],
      metrics: new KubeletMetrics(registry, nodeName),
      signal,
    },
    await readFacts(),
  );
  const servers = await startServers(env, flags, {
    certificates,
    cri,
    client,
    kubelet,
    registry,
    missing: () => network.missing(),
  });
  informers.start(signal);
  const running = Promise.all([
    kubelet.run(),
    rotateLogs({ cri, disk: env.disk, clock: env.clock, log: env.log, signal }),
  ]);
  env.log.info('node agent started', { node: nodeName, address: nodeIp, port: flags.port });

  // A part that ends by itself is a bug, and the process must not go on without it.
  const ended = running.then(() => 'ended' as const);
  const reason = await Promise.race([stopSignal, ended]);
  env.log.info('node agent stops; its containers go on', { node: nodeName, reason });
  stopped.abort(new Error('the node agent stops'));
  await Promise.all([...servers.map((server) => server.close()), dns.stop(), network.stop()]);
  // Calls that are under way end with their clients; nobody waits for a server that does not answer.
  client.close();
  leaseClient.close();
  cri.close();
  await running.catch((error) => {
    if (!signal.aborted) throw error;
  });
  return reason === 'ended' ? 1 : 0;
}

interface ServedCertificates extends ServingFiles {
  readonly clientCa: Uint8Array;
}

/** What can be known to be wrong is told before the machine's network and files are touched. */
async function checkBeforeStart(env: Env, flags: NodeFlagValues): Promise<ServedCertificates> {
  const file = (flag: 'tls-cert-file' | 'tls-private-key-file' | 'client-ca-file') => ({ flag, path: flags[flag] });
  const serving = await readServingFiles(env.disk, file('tls-cert-file'), file('tls-private-key-file'));
  const clientCa = await readCertificateFile(env.disk, file('client-ca-file'));
  const host = flags['bind-address'];
  await checkPorts(
    (['port', 'metrics-port', 'healthz-port'] as const).map((flag) => ({ flag, host, port: flags[flag] })),
  );
  return { ...serving, clientCa };
}

interface ServedParts {
  readonly certificates: ServedCertificates;
  readonly cri: GrpcCri;
  readonly client: ReturnType<typeof createApiClient>;
  readonly kubelet: Kubelet;
  readonly registry: Registry;
  readonly missing: () => string | undefined;
}

async function startServers(
  env: Env,
  flags: NodeFlagValues,
  { certificates, cri, client, kubelet, registry, missing }: ServedParts,
): Promise<readonly { close(): Promise<void> }[]> {
  const access = new NodeAccess(client, env.clock, flags['node-name']);
  const api = await startKubeletServer({
    address: flags['bind-address'],
    port: flags.port,
    ...certificates,
    env,
    cri,
    registry,
    nodeName: flags['node-name'],
    pods: () => kubelet.pods(),
    unhealthy: () => (kubelet.isHealthy() ? undefined : 'the container runtime does not answer'),
    mayCall: (caller, method, subresource) => access.mayCall(caller, method, subresource),
    callerOfToken: (token) => access.callerOfToken(token),
  });
  const metrics = await startPlainServer(flags['bind-address'], flags['metrics-port'], async (path) =>
    path === '/metrics'
      ? { status: 200, contentType: registry.contentType, body: await registry.metrics() }
      : undefined,
  );
  const health = await startPlainServer(flags['bind-address'], flags['healthz-port'], async (path) => {
    if (path !== '/healthz' && path !== '/livez') return undefined;
    const problem = path === '/livez' ? undefined : missing();
    return { status: problem === undefined ? 200 : 503, contentType: 'text/plain', body: `${problem ?? 'ok'}\n` };
  });
  return [api, metrics, health];
}

function nodeIdentity(flags: NodeFlagValues): NodeIdentity {
  const labels: Record<string, string> = {};
  for (const text of flags['node-labels']) {
    const [key, value] = text.split(/=(.*)/s);
    if (!key)
      throw new UsageError(`keelson node: invalid label ${JSON.stringify(text)} in --node-labels: want key=value`);
    labels[key] = value ?? '';
  }
  const taints: Taint[] = flags['register-with-taints'].map((text) => {
    const taint = parseTaint(text);
    if (taint !== undefined) return taint;
    throw new UsageError(
      `keelson node: invalid taint ${JSON.stringify(text)} in --register-with-taints: want key=value:Effect`,
    );
  });
  return {
    nodeName: flags['node-name'],
    nodeIp: flags['node-ip'],
    labels,
    taints,
    kubeletPort: flags.port,
    kubeletVersion,
    podsMax: flags['max-pods'],
  };
}
