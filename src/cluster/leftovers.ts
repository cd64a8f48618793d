/**
 * What a node leaves on the machine beyond its own processes: containers with their shims, mounts, cgroups. Removed by
 * looking at what is really there, so that it works after any crash, and only below the node's own directories.
 */
import { sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { readTextIfAny } from '../env/files.ts';

type HostEnv = Pick<Env, 'clock' | 'disk' | 'processes'>;

/** Controllers' hierarchies on cgroup v1; on v2 the root is the only one. */
async function cgroupHierarchies(env: HostEnv): Promise<readonly string[]> {
  const root = '/sys/fs/cgroup';
  const names = (await env.disk.exists(root)) ? await env.disk.list(root) : [];
  return names.includes('cgroup.procs') ? [root] : names.map((name) => `${root}/${name}`);
}

async function processesBelow(env: HostEnv, directory: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const cgroup of await cgroupsBelow(env, directory)) {
    const text = await readTextIfAny(env.disk, `${cgroup}/cgroup.procs`);
    for (const line of (text ?? '').split('\n')) if (line !== '') found.push(Number(line));
  }
  return found;
}

/** The cgroup and all below it, children first. */
async function cgroupsBelow(env: HostEnv, directory: string): Promise<readonly string[]> {
  if (!(await env.disk.exists(directory))) return [];
  const result = await env.processes.run('find', [directory, '-depth', '-type', 'd']);
  return result.stdout.split('\n').filter((line) => line !== '');
}

/** Processes whose command line names `text`: containerd's shims carry their socket's path. */
async function processesNaming(env: HostEnv, text: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await env.disk.list('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const commandLine = await readTextIfAny(env.disk, `/proc/${name}/cmdline`);
    const words = (commandLine ?? '').split('\0');
    if (words[0]?.includes('containerd-shim') && words.some((word) => word === text)) found.push(Number(name));
  }
  return found;
}

/** Ends every container of a node and its shims. */
export async function killContainers(env: HostEnv, cgroupRoot: string, socket: string): Promise<void> {
  const end = env.clock.monotonicMs() + 10_000;
  for (;;) {
    // Shims first: one that lives would report its container's end to a containerd that is gone, and linger.
    const pids = new Set(await processesNaming(env, socket));
    for (const hierarchy of await cgroupHierarchies(env)) {
      for (const pid of await processesBelow(env, `${hierarchy}${cgroupRoot}`)) pids.add(pid);
    }
    if (pids.size === 0) return;
    for (const pid of pids) env.processes.signal(pid, 'SIGKILL');
    if (env.clock.monotonicMs() > end) {
      throw new KeelsonError(
        'CONTAINERS_LEFT',
        `end the containers below ${cgroupRoot}: processes ${[...pids].join(', ')} do not go away: look at them with ps`,
      );
    }
    await sleep(env.clock, 100);
  }
}

/** Unmounts everything below `directory`, the deepest first. */
export async function unmountBelow(env: HostEnv, directory: string): Promise<void> {
  const table = (await readTextIfAny(env.disk, '/proc/self/mountinfo')) ?? '';
  const points = table
    .split('\n')
    // Spaces and the like are written as octal escapes.
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, code: string) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    )
    .filter((point) => point.startsWith(`${directory}/`));
  for (const point of points.sort((a, b) => b.length - a.length)) {
    const result = await env.processes.run('umount', ['--lazy', point], { timeoutMs: 10_000 });
    if (result.exitCode !== 0 && !/not mounted|no mount point/.test(result.stderr)) {
      throw new KeelsonError('UNMOUNT_FAILED', `umount ${point}: ${result.stderr.trim()}`);
    }
  }
}

export async function removeCgroups(env: HostEnv, cgroupRoot: string): Promise<void> {
  const end = env.clock.monotonicMs() + 10_000;
  for (const hierarchy of await cgroupHierarchies(env)) {
    for (;;) {
      const cgroups = await cgroupsBelow(env, `${hierarchy}${cgroupRoot}`);
      if (cgroups.length === 0) break;
      const result = await env.processes.run('rmdir', cgroups);
      if (result.exitCode === 0) break;
      // The kernel takes a moment to let go of a cgroup whose last process has just ended.
      if (env.clock.monotonicMs() > end)
        throw new KeelsonError('CGROUP_LEFT', `remove ${hierarchy}${cgroupRoot}: ${result.stderr.trim()}`);
      await sleep(env.clock, 100);
    }
  }
}
