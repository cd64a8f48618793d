/** `keelson up`: a whole highly available cluster on this machine, each master and node in a network of its own. */
import { createServer } from 'node:net';
import { Cluster } from '../cluster/cluster.ts';
import { chooseSubnet } from '../cluster/network.ts';
import { checkChoices, evenMastersExplanation, makePlan, mastersOf } from '../cluster/plan.ts';
import { nodesMissing, storeMissing, storeStatus, waitUntil } from '../cluster/readiness.ts';
import { etcdEnvironment, prometheusConfig, summary } from '../cluster/summary.ts';
import { sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { writeFileAtomic } from '../env/files.ts';
import { realEnv } from '../env/real.ts';
import { adminApi, adminStore } from './cluster-clients.ts';
import { type FlagValues, flagHelp, parseFlags, UsageError } from './flags.ts';
import { keelsonProgram, repositoryFile, untilStopSignal } from './runtime.ts';
import { absoluteDirectory, clusterId, upFlags } from './up-flags.ts';

type UpValues = FlagValues<typeof upFlags>;

/** A start takes 10 to 20 s on two cores; a machine under load gets time. */
const readyLimitMs = 120_000;

function progress(message: string): void {
  process.stdout.write(`keelson: ${message}\n`);
}

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp(
        'keelson up [flags]',
        'Starts a highly available cluster on this machine and stays until Ctrl-C, which stops it.',
        upFlags,
      ),
    );
    return 0;
  }
  const { values, given } = parseFlags(upFlags, { command: 'up', args });
  const explanation = evenMastersExplanation(values.masters);
  if (explanation !== undefined && !values['allow-even-masters']) throw new UsageError(`keelson up: ${explanation}`);
  if (process.getuid?.() !== 0)
    throw new KeelsonError(
      'NEEDS_ROOT',
      'needs root to make network namespaces and run containers: run it again as root',
    );
  const env = realEnv('warn');
  const cluster = await openCluster(env, values, given);
  const stopped = untilStopSignal();
  const abort = new AbortController();
  void stopped.then(() => abort.abort(new KeelsonError('INTERRUPTED', 'interrupted')));
  try {
    await bringUp(env, cluster, abort.signal);
  } catch (error) {
    progress('the start failed; stopping what was started');
    await cluster.down(progress);
    throw error;
  }
  if (values.detach) {
    progress(
      `running in the background; stop it with: ${keelsonProgram} down${values.dir === upFlags.dir.default ? '' : ` --dir ${values.dir}`}`,
    );
    return 0;
  }
  progress('Ctrl-C stops the cluster and keeps its data');
  await watchProcesses(env, cluster, abort.signal);
  await cluster.down(progress);
  progress('stopped; nothing of it runs any more. npm start goes on with the same data');
  return 0;
}

async function openCluster(env: Env, values: UpValues, given: ReadonlySet<string>): Promise<Cluster> {
  const directory = absoluteDirectory(values.dir);
  let cluster = await Cluster.load(env, keelsonProgram, directory);
  if (cluster !== undefined && values.fresh) {
    progress(`deleting the cluster in ${directory}`);
    await cluster.down(progress);
    await env.disk.remove(directory);
    cluster = undefined;
  }
  if (cluster !== undefined) {
    checkChoices(cluster.plan, {
      ...(given.has('masters') ? { masters: values.masters } : {}),
      ...(given.has('nodes') ? { nodes: values.nodes } : {}),
      ...(given.has('masters-run-nodes') ? { mastersRunNodes: values['masters-run-nodes'] } : {}),
    });
    const wanted = given.has('api-port') && values['api-port'] !== 0 ? values['api-port'] : cluster.plan.apiPort;
    if (!(await cluster.processes.running('balancer'))) {
      cluster = new Cluster(env, keelsonProgram, { ...cluster.plan, apiPort: await choosePort(wanted) });
      await cluster.save();
    }
    progress(`going on with the cluster in ${directory}`);
    return cluster;
  }
  if (await env.disk.exists(directory)) {
    const names = await env.disk.list(directory);
    if (names.length > 0) {
      throw new KeelsonError(
        'NOT_A_CLUSTER',
        `${directory} exists and holds no cluster (it holds ${names.slice(0, 3).join(', ')}): name another directory with --dir`,
      );
    }
  }
  if (values.subnet !== undefined && !/^\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(values.subnet)) {
    throw new UsageError(`keelson up: --subnet ${JSON.stringify(values.subnet)} is not three octets such as 10.89.7`);
  }
  const plan = makePlan({
    id: clusterId(directory),
    directory,
    subnet: values.subnet ?? (await chooseSubnet(env)),
    apiPort: await choosePort(values['api-port']),
    choices: {
      masters: values.masters,
      nodes: values.nodes,
      mastersRunNodes: values['masters-run-nodes'],
      nodeMonitorPeriodMs: values['node-monitor-period'],
      nodeMonitorGraceMs: values['node-monitor-grace-period'],
      tolerationSeconds: values['default-toleration-seconds'],
    },
  });
  const created = new Cluster(env, keelsonProgram, plan);
  await created.save();
  return created;
}

/** Binds the port for a moment: `port` itself, or a free one for 0. Undefined when another program has it. */
async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}

async function choosePort(wanted: number): Promise<number> {
  const port = await tryPort(wanted);
  if (port !== undefined) return port;
  throw new KeelsonError(
    'PORT_IN_USE',
    `127.0.0.1:${wanted}, where kubectl is to reach the API, is in use by another program: stop that, or choose another port with --api-port (0 takes a free one)`,
  );
}

async function bringUp(env: Env, cluster: Cluster, signal: AbortSignal): Promise<void> {
  const { plan } = cluster;
  const startedMs = env.clock.monotonicMs();
  progress(`preparing ${plan.directory} and the network ${plan.subnet}.0/24`);
  const credentials = await cluster.prepare();
  await writeFileAtomic(env.disk, `${plan.directory}/etcd.env`, etcdEnvironment(plan));
  const template = new TextDecoder().decode(await env.disk.readFile(repositoryFile('examples/prometheus.yml')));
  await writeFileAtomic(env.disk, `${plan.directory}/prometheus.yml`, prometheusConfig(plan, template));
  await cluster.startBalancer();
  const masters = mastersOf(plan);
  progress(`starting ${masters.length} master(s): ${masters.map((host) => `${host.name} ${host.address}`).join(', ')}`);
  for (const host of masters) await cluster.startMaster(host);
  const nodes = plan.hosts.filter((host) => host.runsNode);
  progress(`starting ${nodes.length} node(s): ${nodes.map((host) => `${host.name} ${host.address}`).join(', ')}`);
  await Promise.all(nodes.map((host) => cluster.startNode(host)));
  const advice = `look into the logs below ${plan.directory}/masters/*/logs and ${plan.directory}/nodes/*/logs`;
  const store = adminStore(env, plan, credentials);
  // Through the balancer, as kubectl will.
  const api = adminApi(env, plan, credentials, [`https://127.0.0.1:${plan.apiPort}`]);
  try {
    progress('waiting for the store to elect a leader');
    const limits = { limitMs: readyLimitMs, signal, advice };
    await waitUntil(env, { what: 'the store', ...limits }, async () => storeMissing(await storeStatus(plan, store)));
    progress('waiting for the API');
    await waitUntil(env, { what: 'the API', ...limits }, async () => {
      await api.raw('/readyz', { timeoutMs: 2_000 });
      return undefined;
    });
    progress('waiting for the nodes to be Ready');
    await waitUntil(env, { what: 'the nodes', ...limits }, () =>
      nodesMissing(
        api,
        nodes.map((host) => host.name),
      ),
    );
  } finally {
    store.close();
    api.close();
  }
  progress(`ready after ${((env.clock.monotonicMs() - startedMs) / 1000).toFixed(1)} s`);
  process.stdout.write(summary(plan, { directory: plan.directory, program: keelsonProgram }));
}

/** Says when a host's process ends or comes back, until the signal. */
async function watchProcesses(env: Env, cluster: Cluster, signal: AbortSignal): Promise<void> {
  const names = new Set((await cluster.processes.records()).map((record) => record.name));
  const lost = new Set<string>();
  while (!signal.aborted) {
    for (const name of names) {
      const running = (await cluster.processes.running(name)) !== undefined;
      if (!running && !lost.has(name)) {
        lost.add(name);
        progress(`${name} is not running any more; start it again with: ${keelsonProgram} start ${name.split('-')[0]}`);
      } else if (running && lost.delete(name)) progress(`${name} is back`);
    }
    await sleep(env.clock, 1_000, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
