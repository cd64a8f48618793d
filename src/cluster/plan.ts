/**
 * What a cluster on one machine consists of: pure data, derived from a few choices and kept in `cluster.json`, so that
 * the next start finds the same hosts at the same addresses.
 *
 * Every host is a network namespace with one address on a LAN (a bridge in a namespace of its own):
 *
 *   host 10.x.y.1 ── bridge ──┬── m1 10.x.y.11   m2 10.x.y.12   …
 *                             └── n1 10.x.y.101  n2 10.x.y.102  …
 */
import { assert } from '../env/assert.ts';
import { KeelsonError } from '../env/errors.ts';

export interface ClusterChoices {
  readonly masters: number;
  readonly nodes: number;
  /** Run a node agent beside every master too, tainted NoSchedule. */
  readonly mastersRunNodes: boolean;
  readonly nodeMonitorPeriodMs: number;
  readonly nodeMonitorGraceMs: number;
  readonly tolerationSeconds: number;
}

export interface Host {
  /** `m1`, `n1`: also the Node's name and the bridge port's. */
  readonly name: string;
  readonly role: 'master' | 'node';
  readonly address: string;
  /** Name under /var/run/netns. */
  readonly namespace: string;
  readonly directory: string;
  readonly runsNode: boolean;
}

export interface ClusterPlan {
  readonly formatVersion: 1;
  /** Six hex digits; part of every name on the machine that belongs to the cluster. */
  readonly id: string;
  readonly directory: string;
  /** First three octets of the LAN. */
  readonly subnet: string;
  /** On 127.0.0.1: where the balancer listens for kubectl. */
  readonly apiPort: number;
  readonly choices: ClusterChoices;
  readonly hosts: readonly Host[];
}

export const podCidr = '10.244.0.0/16';
export const serviceCidr = '10.96.0.0/16';
export const apiServiceAddress = '10.96.0.1';
export const dnsServiceAddress = '10.96.0.10';
export const clusterDomain = 'cluster.local';
export const pauseImage = 'keelson.local/pause:1';
export const demoImage = 'keelson.local/demo:1';

/** Addresses .11 and .101 on leave room for this many of each; more would not fit one machine anyway. */
export const mastersMax = 7;
export const nodesMax = 50;

export function makePlan(options: {
  readonly id: string;
  readonly directory: string;
  readonly subnet: string;
  readonly apiPort: number;
  readonly choices: ClusterChoices;
}): ClusterPlan {
  const { id, directory, subnet, apiPort, choices } = options;
  assert(/^[0-9a-f]{6}$/.test(id), 'a cluster id is six hex digits');
  assert(choices.masters >= 1 && choices.masters <= mastersMax, 'the number of masters was checked');
  assert(choices.nodes >= 0 && choices.nodes <= nodesMax, 'the number of nodes was checked');
  const host = (role: Host['role'], number: number): Host => {
    const name = `${role === 'master' ? 'm' : 'n'}${number}`;
    return {
      name,
      role,
      address: `${subnet}.${(role === 'master' ? 10 : 100) + number}`,
      namespace: `keelson-${id}-${name}`,
      directory: `${directory}/${role}s/${name}`,
      runsNode: role === 'node' || choices.mastersRunNodes,
    };
  };
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  return {
    formatVersion: 1,
    id,
    directory,
    subnet,
    apiPort,
    choices,
    hosts: [
      ...numbers(choices.masters).map((number) => host('master', number)),
      ...numbers(choices.nodes).map((number) => host('node', number)),
    ],
  };
}

export function mastersOf(plan: ClusterPlan): readonly Host[] {
  return plan.hosts.filter((host) => host.role === 'master');
}

export function lanNamespace(plan: ClusterPlan): string {
  return `keelson-${plan.id}-lan`;
}

/** The machine's own end of the LAN; interface names hold 15 characters. */
export function hostInterface(plan: ClusterPlan): string {
  return `keel${plan.id}`;
}

export function apiServers(plan: ClusterPlan): readonly string[] {
  return mastersOf(plan).map((host) => `https://${host.address}:6443`);
}

export function storeEndpoints(plan: ClusterPlan): readonly string[] {
  return mastersOf(plan).map((host) => `https://${host.address}:2379`);
}

/** Where Prometheus finds each component. */
export function metricsTargets(plan: ClusterPlan): readonly { readonly component: string; readonly url: string }[] {
  const masters = mastersOf(plan).flatMap((host) => [
    { component: 'store', url: `http://${host.address}:2381/metrics` },
    { component: 'apiserver', url: `https://${host.address}:6443/metrics` },
    { component: 'controller-manager', url: `https://${host.address}:10257/metrics` },
    { component: 'scheduler', url: `https://${host.address}:10259/metrics` },
  ]);
  const nodes = plan.hosts
    .filter((host) => host.runsNode)
    .map((host) => ({ component: 'node', url: `https://${host.address}:10250/metrics` }));
  return [...masters, ...nodes];
}

/** Why an even number of masters buys nothing, or undefined for an odd one. */
export function evenMastersExplanation(masters: number): string | undefined {
  if (masters % 2 === 1) return undefined;
  const quorum = masters / 2 + 1;
  const spare = masters - quorum;
  const fewerSpare = masters - 1 - masters / 2;
  return (
    `${masters} masters: an even number does not help. The store takes writes while a majority of its members is up: ` +
    `of ${masters} that is ${quorum}, so it survives the loss of ${spare}, the same as ${masters - 1} would (${fewerSpare}), ` +
    `with one more machine that can fail and one more disk to wait for; and a network split into halves stops both. ` +
    `Use --masters ${masters - 1} or --masters ${masters + 1}, or add --allow-even-masters to go on with ${masters}.`
  );
}

/** Compares what `up` was asked for with what the directory holds; throws one clear error when they contradict. */
export function checkChoices(
  plan: ClusterPlan,
  wanted: Partial<Pick<ClusterChoices, 'masters' | 'nodes' | 'mastersRunNodes'>>,
): void {
  for (const key of ['masters', 'nodes', 'mastersRunNodes'] as const) {
    const value = wanted[key];
    if (value !== undefined && value !== plan.choices[key]) {
      throw new KeelsonError(
        'OTHER_CLUSTER_SHAPE',
        `${plan.directory} holds a cluster with ${key} ${plan.choices[key]}, not ${value}: start without the flag to go on with it, ` +
          'with --fresh to delete it and start over, or with --dir for another directory beside it',
      );
    }
  }
}
