/**
 * A cluster on this machine: starts and stops its hosts. All state is in files, so every method works on a cluster that
 * another process started.
 */
import { sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../env/files.ts';
import { type Credentials, ensureCredentials } from './credentials.ts';
import { ensureImages, importImages } from './images.ts';
import { killContainers, removeCgroups, unmountBelow } from './leftovers.ts';
import { ensureNetwork, insideNamespace, removeNetwork } from './network.ts';
import {
  cgroupRoot,
  containerdCommand,
  containerdConfig,
  containerdConfigPath,
  containerdSocket,
  nodeArgs,
  serverArgs,
} from './node-parts.ts';
import { type ClusterPlan, type Host, mastersOf } from './plan.ts';
import { ProcessTable } from './process-table.ts';

/** The store hands over, the API server lets its requests end, then the supervisor leaves. */
const masterGraceMs = 20_000;
const nodeGraceMs = 8_000;
const containerdReadyMs = 20_000;

export class Cluster {
  readonly plan: ClusterPlan;
  readonly processes: ProcessTable;
  readonly #env: Env;
  /** The launcher that runs `keelson`. */
  readonly #program: string;

  constructor(env: Env, program: string, plan: ClusterPlan) {
    this.#env = env;
    this.#program = program;
    this.plan = plan;
    this.processes = new ProcessTable(env, plan.directory);
  }

  static async load(env: Env, program: string, directory: string): Promise<Cluster | undefined> {
    const path = `${directory}/cluster.json`;
    const text = await readTextIfAny(env.disk, path);
    if (text === undefined) return undefined;
    let plan: ClusterPlan;
    try {
      plan = JSON.parse(text) as ClusterPlan;
    } catch (error) {
      throw new KeelsonError('BAD_PLAN', `read ${path}: not JSON: restore it, or start over with --fresh`, {
        cause: error,
      });
    }
    if (plan.formatVersion !== 1) {
      throw new KeelsonError(
        'NEWER_PLAN',
        `read ${path}: format version ${String(plan.formatVersion)}, this Keelson knows 1: use the newer Keelson that wrote it`,
      );
    }
    return new Cluster(env, program, plan);
  }

  async save(): Promise<void> {
    await this.#env.disk.makeDirectory(this.plan.directory);
    await writeFileAtomic(
      this.#env.disk,
      `${this.plan.directory}/cluster.json`,
      `${JSON.stringify(this.plan, null, 2)}\n`,
    );
  }

  async prepare(): Promise<Credentials> {
    await ensureNetwork(this.#env, this.plan);
    const credentials = await ensureCredentials(this.#env, this.plan);
    await ensureImages(this.#env, `${this.plan.directory}/images`);
    return credentials;
  }

  host(name: string): Host {
    const host = this.plan.hosts.find((candidate) => candidate.name === name);
    if (host === undefined) {
      throw new KeelsonError(
        'NO_SUCH_HOST',
        `${name} is not a host of this cluster: it has ${this.plan.hosts.map((each) => each.name).join(', ')}`,
      );
    }
    return host;
  }

  async startMaster(host: Host): Promise<void> {
    if (await this.processes.running(host.name)) return;
    await this.#env.disk.makeDirectory(`${host.directory}/logs`);
    // Children of a master that was killed must not hold its ports and its data.
    await this.processes.stop(host.name, 0);
    const command = insideNamespace(host, [this.#program, ...serverArgs(this.plan, host)]);
    await this.processes.start(host.name, command, `${host.directory}/logs/server.log`);
  }

  async startNode(host: Host): Promise<void> {
    const agent = agentName(host);
    const runtime = `${agent}-containerd`;
    const cniBinDirectory = (await this.#env.disk.exists('/usr/lib/cni/bridge')) ? '/usr/lib/cni' : '/opt/cni/bin';
    for (const directory of ['logs', 'containerd', 'cni/net.d', 'kubelet', 'pod-logs'])
      await this.#env.disk.makeDirectory(`${host.directory}/${directory}`);
    if (!(await this.processes.running(runtime))) {
      await writeFileAtomic(this.#env.disk, containerdConfigPath(host), containerdConfig(host, cniBinDirectory));
      await this.processes.start(
        runtime,
        insideNamespace(host, containerdCommand(host)),
        `${host.directory}/logs/containerd.log`,
      );
      await this.#waitForContainerd(host);
      await importImages(this.#env, containerdSocket(host), [
        `${this.plan.directory}/images/pause.tar`,
        `${this.plan.directory}/images/demo.tar`,
      ]);
    }
    if (!(await this.processes.running(agent))) {
      await this.processes.stop(agent, 0);
      await this.processes.start(
        agent,
        insideNamespace(host, [this.#program, ...nodeArgs(this.plan, host, cniBinDirectory)]),
        `${host.directory}/logs/node.log`,
      );
    }
  }

  async startBalancer(): Promise<void> {
    if (await this.processes.running('balancer')) return;
    const backends = mastersOf(this.plan).map((host) => `${host.address}:6443`);
    await this.#env.disk.makeDirectory(`${this.plan.directory}/logs`);
    await this.processes.start(
      'balancer',
      [this.#program, 'balancer', `--listen=127.0.0.1:${this.plan.apiPort}`, `--backends=${backends.join(',')}`],
      `${this.plan.directory}/logs/balancer.log`,
    );
  }

  /** Stops a host's processes; `kill` gives them no time, as a power cut would. */
  async stopHost(host: Host, kill: boolean): Promise<void> {
    if (host.runsNode) {
      const agent = agentName(host);
      await this.processes.stop(agent, kill ? 0 : nodeGraceMs);
      await killContainers(this.#env, cgroupRoot(this.plan, host), containerdSocket(host));
      await this.processes.stop(`${agent}-containerd`, kill ? 0 : nodeGraceMs);
      await unmountBelow(this.#env, host.directory);
      await removeCgroups(this.#env, cgroupRoot(this.plan, host));
    }
    if (host.role === 'master') await this.processes.stop(host.name, kill ? 0 : masterGraceMs);
  }

  /** Stops everything and leaves nothing on the machine but the files below the cluster's directory. */
  async down(progress: (message: string) => void): Promise<void> {
    const nodes = this.plan.hosts.filter((host) => host.runsNode);
    progress(`stopping ${nodes.length} node(s)`);
    await Promise.all(nodes.map((host) => this.stopHost({ ...host, role: 'node' }, false)));
    progress(`stopping ${mastersOf(this.plan).length} master(s)`);
    await this.processes.stop('balancer', 2_000);
    await Promise.all(mastersOf(this.plan).map((host) => this.stopHost({ ...host, runsNode: false }, false)));
    await removeCgroups(this.#env, `/keelson-${this.plan.id}`);
    await removeNetwork(this.#env, this.plan);
  }

  async #waitForContainerd(host: Host): Promise<void> {
    const end = this.#env.clock.monotonicMs() + containerdReadyMs;
    for (;;) {
      const result = await this.#env.processes.run('ctr', ['--address', containerdSocket(host), 'version'], {
        timeoutMs: 5_000,
      });
      if (result.exitCode === 0) return;
      if (this.#env.clock.monotonicMs() > end) {
        throw new KeelsonError(
          'CONTAINERD_NOT_READY',
          `start containerd of ${host.name}: no answer on ${containerdSocket(host)} within ${containerdReadyMs / 1000} s: see ${host.directory}/logs/containerd.log`,
        );
      }
      await sleep(this.#env.clock, 100);
    }
  }
}

/** A master's node agent is a process beside the master's own. */
function agentName(host: Host): string {
  return host.name.startsWith('m') ? `${host.name}-node` : host.name;
}
