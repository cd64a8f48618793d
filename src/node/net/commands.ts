/** `ip`, `nft` and /proc/sys, with errors that say what was tried. They act on the network namespace of this process. */
import { DiskError } from '../../env/disk.ts';
import type { Env } from '../../env/env.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Route } from './routes-plan.ts';

type CommandEnv = Pick<Env, 'disk' | 'processes'>;

const timeoutMs = 20_000;
/** Marks routes as ours among those of other programs (see `ip route`, `proto`). */
export const podRouteProtocol = 155;
const serviceRouteProtocol = 156;

async function command(env: CommandEnv, program: string, args: readonly string[], input?: string): Promise<string> {
  const result = await env.processes.run(program, args, { timeoutMs, ...(input === undefined ? {} : { input }) });
  if (result.exitCode !== 0) {
    throw new KeelsonError(
      'COMMAND_FAILED',
      `${program} ${args.join(' ')}: ${result.stderr.trim() || `exit code ${result.exitCode}`}`,
    );
  }
  return result.stdout;
}

/** False when the kernel does not have the setting. */
export async function setKernelSetting(env: CommandEnv, name: string, value: string): Promise<boolean> {
  const path = `/proc/sys/${name.replaceAll('.', '/')}`;
  try {
    const file = await env.disk.open(path, 'open');
    await file.write(0, [new TextEncoder().encode(`${value}\n`)]);
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return false;
    throw error;
  }
}

export async function presentPodRoutes(env: CommandEnv): Promise<readonly Route[]> {
  const text = await command(env, 'ip', ['-j', '-4', 'route', 'show', 'proto', String(podRouteProtocol)]);
  const routes = JSON.parse(text === '' ? '[]' : text) as readonly { dst: string; gateway?: string }[];
  return routes.map((route) => ({ destination: route.dst, via: route.gateway ?? '' }));
}

export async function runIpBatch(env: CommandEnv, lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await command(env, 'ip', ['-batch', '-'], `${lines.join('\n')}\n`);
}

export async function applyNftables(env: CommandEnv, script: string): Promise<void> {
  await command(env, 'nft', ['-f', '-'], script);
}

/** The interface that carries `address`. */
async function interfaceOf(env: CommandEnv, address: string): Promise<string> {
  const links = JSON.parse(await command(env, 'ip', ['-j', '-4', 'addr', 'show'])) as readonly {
    ifname: string;
    addr_info: readonly { local?: string }[];
  }[];
  const found = links.find((link) => link.addr_info.some((info) => info.local === address));
  if (found === undefined) {
    throw new KeelsonError(
      'NO_SUCH_ADDRESS',
      `find the interface with --node-ip ${address}: no interface has it: give the node's own address`,
    );
  }
  return found.ifname;
}

/**
 * A way towards Services for programs on the node itself: the kernel looks for a route before the address is translated,
 * and a node need not have a default route.
 */
export async function ensureServiceRoute(env: CommandEnv, serviceCidr: string, nodeIp: string): Promise<void> {
  const device = await interfaceOf(env, nodeIp);
  await runIpBatch(env, [`route replace ${serviceCidr} dev ${device} src ${nodeIp} proto ${serviceRouteProtocol}`]);
}

/** Puts an address that only this node answers onto its loopback. */
export async function ensureOwnAddress(env: CommandEnv, address: string): Promise<void> {
  await runIpBatch(env, [`addr replace ${address}/32 dev lo`]);
}
