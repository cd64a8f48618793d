/**
 * The hosts' network: namespaces, a bridge, and a link from the machine itself. Everything carries the cluster's id in
 * its name; `removeNetwork` takes away exactly that. No rule or route of the machine is changed but the LAN's own.
 */
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import type { RunOptions } from '../env/process.ts';
import { type ClusterPlan, type Host, hostInterface, lanNamespace } from './plan.ts';

type NetworkEnv = Pick<Env, 'processes' | 'disk'>;

/** No `ip` call takes longer than this unless the kernel is stuck. */
const commandTimeoutMs = 20_000;

async function ip(env: NetworkEnv, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await env.processes.run('ip', args, { timeoutMs: commandTimeoutMs, ...options });
  if (result.exitCode !== 0) {
    throw new KeelsonError(
      'NETWORK_SETUP_FAILED',
      `ip ${args.join(' ')}: ${result.stderr.trim() || `exit code ${result.exitCode}`}`,
    );
  }
  return result.stdout;
}

export async function listNamespaces(env: NetworkEnv): Promise<readonly string[]> {
  const directory = '/var/run/netns';
  return (await env.disk.exists(directory)) ? env.disk.list(directory) : [];
}

/** First three octets of a /24 that no route of the machine overlaps. */
export async function chooseSubnet(env: NetworkEnv): Promise<string> {
  const routes = JSON.parse((await ip(env, ['-j', '-4', 'route', 'show', 'table', 'all'])) || '[]') as readonly {
    dst?: string;
  }[];
  const taken = routes
    .map((route) => route.dst ?? '')
    .filter((destination) => destination !== 'default' && destination !== '');
  for (let octet = 0; octet < 256; octet++) {
    const candidate = `10.89.${octet}`;
    if (!taken.some((destination) => overlaps(destination, candidate))) return candidate;
  }
  throw new KeelsonError(
    'NO_FREE_SUBNET',
    'choose a network for the hosts: all of 10.89.0.0/16 is in use on this machine: give one with --subnet 192.168.50',
  );
}

/** Whether a route's destination and the /24 `prefix`.0 share an address. */
export function overlaps(destination: string, prefix: string): boolean {
  const [address, length = '32'] = destination.split('/');
  const number = (text: string) => text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const bits = Math.min(Number(length), 24);
  const unit = 2 ** (32 - bits);
  return Math.floor(number(address as string) / unit) === Math.floor(number(`${prefix}.0`) / unit);
}

/** Makes what is missing; what is there already is left alone, so that a start after a crash works. */
export async function ensureNetwork(env: NetworkEnv, plan: ClusterPlan): Promise<void> {
  const existing = new Set(await listNamespaces(env));
  const lan = lanNamespace(plan);
  if (!existing.has(lan)) {
    await ip(env, ['netns', 'add', lan]);
    await batch(env, lan, [
      'link set lo up',
      // No spanning tree, no snooping: ports forward at once.
      'link add lan type bridge forward_delay 0 stp_state 0 mcast_snooping 0',
      'link set lan up',
    ]);
    await ip(env, ['link', 'add', hostInterface(plan), 'type', 'veth', 'peer', 'name', 'host', 'netns', lan]);
    await ip(env, ['addr', 'add', `${plan.subnet}.1/24`, 'dev', hostInterface(plan)]);
    await ip(env, ['link', 'set', hostInterface(plan), 'up']);
    await batch(env, lan, ['link set host master lan', 'link set host up']);
  }
  for (const host of plan.hosts) {
    if (existing.has(host.namespace)) continue;
    await ip(env, ['netns', 'add', host.namespace]);
    await ip(env, [
      '-n',
      lan,
      'link',
      'add',
      host.name,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      host.namespace,
    ]);
    await batch(env, lan, [`link set ${host.name} master lan`, `link set ${host.name} up`]);
    await batch(env, host.namespace, ['link set lo up', `addr add ${host.address}/24 dev eth0`, 'link set eth0 up']);
  }
}

async function batch(env: NetworkEnv, namespace: string, commands: readonly string[]): Promise<void> {
  await ip(env, ['-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** Removes every namespace of the cluster; interfaces and nftables tables in them go with them. */
export async function removeNetwork(env: NetworkEnv, plan: ClusterPlan): Promise<void> {
  for (const namespace of await listNamespaces(env)) {
    if (namespace.startsWith(`keelson-${plan.id}-`)) await ip(env, ['netns', 'delete', namespace]);
  }
  // The machine's end goes with its peer, but only when the kernel gets round to it; ask for it now.
  await env.processes.run('ip', ['link', 'delete', hostInterface(plan)], { timeoutMs: commandTimeoutMs });
}

/** The command line that runs `command` inside a host's network. Only the network differs: /sys keeps its cgroups. */
export function insideNamespace(host: Pick<Host, 'namespace'>, command: readonly string[]): readonly string[] {
  return ['nsenter', `--net=/var/run/netns/${host.namespace}`, '--', ...command];
}
