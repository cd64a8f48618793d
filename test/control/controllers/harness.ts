/**
 * The controllers and the scheduler over a real API server and a real etcd, each under the identity that it has in a
 * cluster. The kubelet is played here: bound pods become Running and Ready, deleted pods go.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { timeFromMs } from '../../../src/control/api/time-text.ts';
import {
  type ApiClient,
  createApiClient,
  EventRecorder,
  InformerFactory,
  isNotFound,
  keyOf,
  loadKubeconfig,
  resources,
} from '../../../src/control/client/index.ts';
import {
  type ControllerSettings,
  chooseControllers,
  createControllers,
} from '../../../src/control/controllers/index.ts';
import { createScheduler } from '../../../src/control/scheduler/index.ts';
import { env, startEtcd, startServer } from '../apiserver/harness.ts';
import type { Log } from '../../../src/env/log.ts';

export const settings: ControllerSettings = {
  clusterCidr: '10.244.0.0/16',
  nodeCidrMaskSize: 24,
  rootCa: 'the root certificate',
  nodeMonitorPeriodMs: 200,
  nodeMonitorGracePeriodMs: 1500,
  nodeStartupGracePeriodMs: 3000,
  nodeEvictionRate: 100,
  secondaryNodeEvictionRate: 100,
  unhealthyZoneThreshold: 0.55,
  largeClusterSizeThreshold: 50,
  terminatedPodGcThreshold: 100,
};

export interface TestCluster {
  readonly admin: ApiClient;
  readonly problems: string[];
  /** What the played kubelet does with a pod that is bound; by default it runs and is ready. */
  onPod: (pod: KubeObject) => JsonObject | undefined;
  addNode(name: string): Promise<void>;
  /** The node stops sending heartbeats, and its pods are not removed any more. */
  silence(name: string): void;
  stop(): Promise<void>;
}

/** A log that keeps what went wrong, for messages of failed tests. */
function collectingLog(problems: string[]): Log {
  const keep = (level: string) => (message: string, fields?: object) => {
    if (problems.length < 200) problems.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  };
  const log: Log = { debug() {}, info() {}, warn: keep('warn'), error: keep('error'), with: () => log };
  return log;
}

export async function startCluster(): Promise<TestCluster> {
  const etcd = await startEtcd();
  const server = await startServer(etcd);
  const stop = new AbortController();
  const problems: string[] = [];
  const log = collectingLog(problems);
  const clients: ApiClient[] = [];
  const clientOf = async (name: string, organizations: readonly string[]): Promise<ApiClient> => {
    const path = join(etcd.directory, `${name.replaceAll(':', '-')}.kubeconfig`);
    await server.kubeconfig(path, name, organizations);
    const config = loadKubeconfig(await readFile(path, 'utf8'));
    const client = createApiClient({ ...config, userAgent: 'test', clock: env.clock });
    clients.push(client);
    return client;
  };
  const admin = await clientOf('kubernetes-admin', ['system:masters']);
  const parts = async (name: string) => {
    const client = await clientOf(name, []);
    const world = { ...env, log, client };
    return {
      ...world,
      informers: new InformerFactory(world),
      events: new EventRecorder({ ...world, component: name }),
    };
  };
  const manager = await parts('system:kube-controller-manager');
  const runControllers = createControllers({ ...manager, settings }, chooseControllers(['*']));
  const placing = await parts('system:kube-scheduler');
  const scheduler = createScheduler(placing);
  for (const { informers } of [manager, placing]) informers.start(stop.signal);
  await manager.informers.waitForSync(stop.signal);
  await placing.informers.waitForSync(stop.signal);
  const running = [runControllers(stop.signal), scheduler.run(stop.signal)];
  for (const each of running) each.catch((error) => problems.push(`stopped: ${error.stack}`));

  const silent = new Set<string>();
  const nodes = new Set<string>();
  let busy: Promise<unknown> = Promise.resolve();
  const cluster: TestCluster = {
    admin,
    problems,
    onPod: () => ready(),
    addNode: async (name) => {
      nodes.add(name);
      await admin.create(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
      await heartbeat(admin, name);
    },
    silence: (name) => silent.add(name),
    stop: async () => {
      stop.abort();
      cancelBeats();
      await Promise.all(running);
      await busy;
      for (const client of clients) client.close();
      await server.stop();
      await etcd.stop();
    },
  };
  const cancelBeats = env.clock.every(300, () => {
    for (const name of nodes) {
      if (!silent.has(name)) busy = Promise.all([busy, heartbeat(admin, name).catch(() => undefined)]);
    }
  });
  // The kubelet of every node.
  const kubelet = new InformerFactory({ ...env, log, client: admin });
  kubelet.informer(resources.pods).onChange((_key, _before, pod) => {
    const node = pod?.['spec'].nodeName;
    if (pod === undefined || !node || silent.has(node) || !nodes.has(node)) return;
    busy = Promise.all([busy, playKubelet(admin, pod, cluster.onPod).catch((error) => problems.push(String(error)))]);
  });
  kubelet.start(stop.signal);
  return cluster;
}

export const ready = (): JsonObject => ({
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timeFromMs(env.clock.wallMs()) }],
});

let addresses = 1;

async function playKubelet(
  admin: ApiClient,
  pod: KubeObject,
  onPod: (pod: KubeObject) => JsonObject | undefined,
): Promise<void> {
  const { namespace = '', name, uid, deletionTimestamp } = pod.metadata;
  try {
    if (deletionTimestamp !== undefined) {
      return await admin.delete(resources.pods, namespace, name, { gracePeriodSeconds: 0, preconditions: { uid } });
    }
    if (pod['status']?.podIP) return;
    const status = onPod(pod);
    if (status === undefined) return;
    const podIP = `10.244.9.${addresses++ % 250}`;
    const conditions = [...(pod['status']?.conditions ?? []), ...(status['conditions'] ?? [])];
    await admin.update(
      resources.pods,
      { ...pod, status: { ...pod['status'], ...status, conditions, podIP, podIPs: [{ ip: podIP }] } },
      { subresource: 'status' },
    );
  } catch (error) {
    const reason = (error as { reason?: string }).reason;
    if (reason !== 'NotFound' && reason !== 'Conflict') throw error;
  }
}

async function heartbeat(admin: ApiClient, name: string): Promise<void> {
  const lastHeartbeatTime = new Date(env.clock.wallMs()).toISOString();
  const conditions = [
    {
      type: 'Ready',
      status: 'True',
      reason: 'KubeletReady',
      message: '',
      lastHeartbeatTime,
      lastTransitionTime: lastHeartbeatTime,
    },
  ];
  const amounts = { cpu: '4', memory: '8Gi', pods: '110', 'ephemeral-storage': '10Gi' };
  await admin.patch(
    resources.nodes,
    '',
    name,
    { type: 'strategic', body: { status: { conditions, capacity: amounts, allocatable: amounts } } },
    { subresource: 'status' },
  );
}

/** Asks again until `look` gives a value; fails after `timeoutMs` with what went wrong meanwhile. */
export async function eventually<T>(
  cluster: TestCluster,
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 15_000,
): Promise<T> {
  const giveUp = performance.now() + timeoutMs;
  let failure: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > giveUp) {
      assert.fail(`not in time: ${what} ${failure ?? ''}\n${cluster.problems.slice(-15).join('\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The object, or undefined when it is not there. */
export async function maybe(client: ApiClient, ...args: Parameters<ApiClient['get']>): Promise<KubeObject | undefined> {
  try {
    return await client.get(...args);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export async function namesOf(client: ApiClient, ...args: Parameters<ApiClient['list']>): Promise<string[]> {
  return (await client.list(...args)).items.map(keyOf).sort();
}

/** A Deployment of `replicas` pods of one container. */
export function deployment(
  namespace: string,
  name: string,
  replicas: number,
  image = 'example.com/image:1',
): JsonObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'main', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
      },
    },
  };
}
