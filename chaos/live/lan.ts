/**
 * The network of a live world: a namespace for the bridge, one for each member, and a link from the machine itself, from
 * where clients come. Everything is named after the world's id, and `removeLan` takes away exactly that.
 */
import { listNamespaces } from '../../src/cluster/network.ts';
import type { Env } from '../../src/env/env.ts';
import { command, unfit } from './machine.ts';
import { type NetRules, netRulesText, openNet } from './net-rules.ts';
import { hostInterface, namespacePrefix, type WorldPlan } from './world-plan.ts';

type LanEnv = Pick<Env, 'processes' | 'disk'>;

/** The command line that runs `words` in the network of a namespace. It becomes that program: the process id is its own. */
export function inside(namespace: string, words: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--net=/var/run/netns/${namespace}`, '--', ...words];
}

export async function makeLan(env: LanEnv, plan: WorldPlan): Promise<void> {
  const { lanNamespace: lan, hostInterface: host } = plan;
  try {
    await command(env, ['ip', 'netns', 'add', lan]);
    await batch(env, lan, [
      'link set lo up',
      // No spanning tree, no snooping: ports forward at once.
      'link add lan type bridge forward_delay 0 stp_state 0 mcast_snooping 0',
      ...plan.members.map(({ face }) => `addr add ${face}/24 dev lan`),
      'link set lan up',
    ]);
    await command(env, ['ip', 'link', 'add', host, 'type', 'veth', 'peer', 'name', 'host', 'netns', lan]);
  } catch (error) {
    throw unfit(`network namespaces, bridges or veth links that work (${String(error)})`, error);
  }
  await command(env, ['ip', 'addr', 'add', `${plan.hostAddress}/24`, 'dev', host]);
  await command(env, ['ip', 'link', 'set', host, 'up']);
  await batch(env, lan, ['link set host master lan', 'link set host up']);
  for (const { name, namespace, address } of plan.members) {
    await command(env, ['ip', 'netns', 'add', namespace]);
    await batch(env, lan, [
      `link add ${name} type veth peer name eth0 netns ${namespace}`,
      `link set ${name} master lan`,
      `link set ${name} up`,
    ]);
    await batch(env, namespace, ['link set lo up', `addr add ${address}/24 dev eth0`, 'link set eth0 up']);
  }
  try {
    // With a loss, so that a kernel that cannot draw numbers is found out now and not in the middle of a scenario.
    await applyRules(env, plan, { ...openNet, loss: 0.5 });
    await applyRules(env, plan, openNet);
  } catch (error) {
    throw unfit(`nftables on bridges, with numgen (${String(error)})`, error);
  }
}

async function batch(env: LanEnv, namespace: string, commands: readonly string[]): Promise<void> {
  await command(env, ['ip', '-n', namespace, '-batch', '-'], `${commands.join('\n')}\n`);
}

/** All at once, or nothing. */
export async function applyRules(env: LanEnv, plan: WorldPlan, rules: NetRules): Promise<void> {
  await command(env, inside(plan.lanNamespace, ['nft', '-f', '-']), netRulesText(plan, rules));
}

export async function namespacesOf(env: LanEnv, id: string): Promise<readonly string[]> {
  return (await listNamespaces(env)).filter((name) => name.startsWith(namespacePrefix(id)));
}

/** Links and rules in a namespace go with it. Fine when some of it, or all, is gone already. */
export async function removeLan(env: LanEnv, id: string): Promise<void> {
  for (const namespace of await namespacesOf(env, id)) await command(env, ['ip', 'netns', 'delete', namespace]);
  // The machine's end goes with its peer, but only when the kernel gets round to it; ask for it now.
  await env.processes.run('ip', ['link', 'delete', hostInterface(id)], { timeoutMs: 20_000 });
}
