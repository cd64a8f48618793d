/**
 * The agent: watches the pods bound to this node and runs one worker for each; relists the runtime every second and
 * wakes the workers whose pods changed; cleans up what no pod accounts for; keeps the Node and its Lease.
 *
 * Promises: nothing is stopped before the list of pods is known from the API server, so an agent that starts while it
 * cannot be reached leaves the containers alone. Aborting the signal stops the agent and leaves the containers running.
 */
import type { KubeObject } from '../../control/api/contract.ts';
import {
  type ApiClient,
  EventRecorder,
  type Informer,
  type InformerFactory,
  resources,
} from '../../control/client/index.ts';
import type { Env } from '../../env/env.ts';
import { pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Container, Cri, PodSandbox } from '../cri/cri.ts';
import type { HostFiles } from '../volumes/host-files.ts';
import { ObjectCache } from '../volumes/object-cache.ts';
import { TokenManager } from '../volumes/token-manager.ts';
import { VolumeManager } from '../volumes/volume-manager.ts';
import { removeCgroup } from './cgroups.ts';
import { labels, type NodeSettings } from './container-config.ts';
import type { HandlerNetwork } from './handler-network.ts';
import { runHandler } from './handlers.ts';
import { ImageManager } from './images.ts';
import { orphanPod, podSignatures } from './inspect.ts';
import type { KubeletMetrics } from './metrics.ts';
import { keepNodeLease } from './node-lease.ts';
import type { MachineFacts, NodeIdentity } from './node-object.ts';
import { NodeRegistration } from './node-registration.ts';
import { PodWorker } from './pod-worker.ts';
import { ProbeManager } from './probes.ts';
import { podCgroupParent } from './resources.ts';
import { StatusManager } from './status-manager.ts';
import type { SyncWorld } from './sync-pod.ts';

export interface KubeletOptions {
  readonly env: Env;
  readonly client: ApiClient;
  /** For the heartbeat alone. */
  readonly leaseClient: ApiClient;
  /** Shared with the service proxy and DNS; the caller starts it. */
  readonly informers: InformerFactory;
  readonly cri: Cri;
  readonly files: HostFiles;
  readonly network: HandlerNetwork;
  readonly identity: NodeIdentity;
  readonly settings: NodeSettings;
  readonly rootDirectory: string;
  readonly machine: () => Promise<MachineFacts>;
  readonly statusPeriodMs: number;
  readonly metrics: KubeletMetrics;
  readonly signal: AbortSignal;
}

const relistPeriodMs = 1000;
const housekeepingPeriodMs = 60_000;
// The runtime counts as healthy when it answered a relist within this time.
const relistFreshMs = 180_000;

export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #workers = new Map<string, PodWorker>();
  readonly #pods: Informer;
  readonly #probes: ProbeManager;
  readonly #statuses: StatusManager;
  readonly #volumes: VolumeManager;
  readonly #registration: NodeRegistration;
  readonly #sync: SyncWorld;
  #signatures: ReadonlyMap<string, string> = new Map();
  #relistedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: KubeletOptions, machine: MachineFacts) {
    this.#options = options;
    const { env, client, cri, files, informers, identity, metrics, signal } = options;
    const events = new EventRecorder({ ...env, client, component: 'kubelet', host: identity.nodeName });
    const objects = new ObjectCache(client, env.clock);
    const tokens = new TokenManager(client, env.clock, env.log);
    this.#volumes = new VolumeManager({
      rootDirectory: options.rootDirectory,
      files,
      processes: env.processes,
      objects,
      tokens,
      log: env.log,
    });
    const handlers = { cri, network: options.network, clock: env.clock };
    this.#pods = informers.informer(resources.pods, { fieldSelector: `spec.nodeName=${identity.nodeName}` });
    const services = informers.informer(resources.services);
    services.addIndex('namespace', (service) => [service.metadata.namespace ?? '']);
    this.#probes = new ProbeManager({
      clock: env.clock,
      events,
      run: (target, probe, seconds) => runHandler(handlers, target, probe, seconds),
      onChange: (uid) => this.#workers.get(uid)?.wake(),
      onResult: (kind, isSuccess) => metrics.probe(kind, isSuccess),
    });
    this.#statuses = new StatusManager({ client, clock: env.clock, log: env.log, signal });
    this.#registration = new NodeRegistration({
      client,
      cri,
      clock: env.clock,
      log: env.log,
      identity,
      machine: options.machine,
      statusPeriodMs: options.statusPeriodMs,
      signal,
    });
    this.#sync = {
      cri,
      clock: env.clock,
      log: env.log,
      files,
      volumes: this.#volumes,
      objects,
      images: new ImageManager(cri, env.clock),
      events,
      settings: options.settings,
      hostIps: [identity.nodeIp],
      capacity: { cpuMilli: machine.cpuCount * 1000, memoryBytes: machine.memoryBytes },
      removeCgroup: (pod) => removeCgroup(files, podCgroupParent(options.settings.cgroupRoot, pod)),
      services: (namespace) => serviceEnvironment(services, namespace),
      runHandler: (target, handler, seconds) => runHandler(handlers, target, handler, seconds),
    };
  }

  /** The Node as last seen; its `spec.podCIDR` is there once the control plane has chosen it. */
  get node(): KubeObject | undefined {
    return this.#registration.node;
  }

  /** Every pod this agent works on. */
  pods(): readonly KubeObject[] {
    return [...this.#workers.values()].map((worker) => worker.pod);
  }

  findPod(namespace: string, name: string): KubeObject | undefined {
    return this.pods().find((pod) => pod.metadata.namespace === namespace && pod.metadata.name === name);
  }

  isHealthy(): boolean {
    return this.#options.env.clock.monotonicMs() - this.#relistedAtMs < relistFreshMs;
  }

  /** Runs until the signal aborts. */
  async run(): Promise<void> {
    const { env, leaseClient, identity, signal, metrics, informers } = this.#options;
    await this.#registration.register();
    const loops = [
      this.#registration.run(),
      keepNodeLease({
        client: leaseClient,
        clock: env.clock,
        log: env.log,
        nodeName: identity.nodeName,
        node: () => this.#registration.node,
        signal,
        onRenewed: () => metrics.leaseRenewed(env.clock.wallMs()),
      }),
    ];
    this.#pods.onChange((_key, before, after) => this.#podChanged(before, after));
    await informers.waitForSync(signal).catch(() => undefined);
    if (!signal.aborted) {
      for (const pod of this.#pods.list()) this.#podChanged(undefined, pod);
      loops.push(this.#relistLoop(), this.#housekeepingLoop());
    }
    await Promise.all(loops);
    this.#probes.stop();
  }

  #podChanged(before: KubeObject | undefined, after: KubeObject | undefined): void {
    if (after === undefined) {
      if (before !== undefined) this.#workers.get(before.metadata.uid)?.removed();
      return;
    }
    if (before !== undefined && before.metadata.uid !== after.metadata.uid) {
      // The name went to another pod while we were not looking.
      this.#workers.get(before.metadata.uid)?.removed();
    }
    const worker = this.#workers.get(after.metadata.uid);
    if (worker === undefined) this.#startWorker(after, false);
    else worker.update(after);
  }

  #startWorker(pod: KubeObject, isOrphan: boolean): void {
    const { env, client, metrics, signal } = this.#options;
    const worker = new PodWorker(
      {
        sync: this.#sync,
        client,
        statuses: this.#statuses,
        probes: this.#probes,
        onStarted: (started) => metrics.podStarted(started, env.clock.wallMs()),
        onDone: (uid) => this.#workers.delete(uid),
      },
      pod,
      isOrphan,
    );
    this.#workers.set(worker.uid, worker);
    void worker.run(signal);
  }

  async #relistLoop(): Promise<void> {
    const { env, signal, metrics } = this.#options;
    while (!signal.aborted) {
      const beganAtMs = env.clock.monotonicMs();
      try {
        await this.#relist();
        this.#relistedAtMs = env.clock.monotonicMs();
        metrics.relisted((this.#relistedAtMs - beganAtMs) / 1000);
      } catch (error) {
        env.log.warn('runtime not listed', { error: errorText(error) });
      }
      await pause(env.clock, relistPeriodMs, signal);
    }
  }

  async #relist(): Promise<void> {
    const { cri, metrics } = this.#options;
    const [sandboxes, containers] = await Promise.all([cri.listPodSandboxes(), cri.listContainers()]);
    const signatures = podSignatures(sandboxes, containers);
    for (const uid of new Set([...signatures.keys(), ...this.#signatures.keys()])) {
      if (signatures.get(uid) !== this.#signatures.get(uid)) this.#workers.get(uid)?.wake();
    }
    this.#signatures = signatures;
    for (const sandbox of sandboxes) {
      const uid = sandbox.labels[labels.podUid];
      // Sandboxes without our labels belong to somebody else.
      if (uid !== undefined && !this.#workers.has(uid)) this.#startWorker(orphanPod(sandbox), true);
    }
    metrics.counts(countRunning(sandboxes, containers));
  }

  async #housekeepingLoop(): Promise<void> {
    const { env, signal } = this.#options;
    while (!signal.aborted) {
      try {
        for (const uid of await this.#volumes.podUids()) {
          if (!this.#workers.has(uid) && !this.#signatures.has(uid)) await this.#volumes.tearDown(uid);
        }
      } catch (error) {
        env.log.warn('left-over volumes not removed', { error: errorText(error) });
      }
      await pause(env.clock, housekeepingPeriodMs, signal);
    }
  }
}

function serviceEnvironment(services: Informer, namespace: string): KubeObject[] {
  const own = services.byIndex('namespace', namespace);
  const master = services.get('default/kubernetes');
  return namespace === 'default' || master === undefined ? [...own] : [...own, master];
}

export interface RunningCounts {
  readonly pods: number;
  readonly containers: Readonly<Record<string, number>>;
}

function countRunning(sandboxes: readonly PodSandbox[], containers: readonly Container[]): RunningCounts {
  const states: Record<string, number> = { created: 0, running: 0, exited: 0, unknown: 0 };
  for (const container of containers) states[container.state] = (states[container.state] ?? 0) + 1;
  return { pods: sandboxes.filter((sandbox) => sandbox.isReady).length, containers: states };
}
