/**
 * Takes a world away by what is really there, so that it works for one that was closed, one that failed halfway, and one
 * whose owner was killed.
 */
import { tmpdir } from 'node:os';
import { unmountBelow } from '../../src/cluster/leftovers.ts';
import { sleep } from '../../src/env/clock.ts';
import type { Env } from '../../src/env/env.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../../src/env/files.ts';
import { realEnv } from '../../src/env/real.ts';
import { namespacesOf, removeLan } from './lan.ts';
import { identify, isRunning, parseIdentity, recordedProcesses } from './process-records.ts';
import { isWorldId, worldDirectory } from './world-plan.ts';

type WorldEnv = Pick<Env, 'clock' | 'disk' | 'processes'>;

/** A killed process is gone within this unless the kernel is stuck. */
const endTimeoutMs = 10_000;

/** Marks the directory as belonging to this process; until then nobody takes it away. */
export async function writeOwner(env: WorldEnv, directory: string): Promise<void> {
  await writeFileAtomic(env.disk, `${directory}/owner.json`, `${JSON.stringify(await identify(env, process.pid))}\n`);
}

/** Removes every world whose owner has gone; resolves with their ids. Worlds that are in use stay as they are. */
export async function removeLeftovers(): Promise<readonly string[]> {
  const env = realEnv('error');
  const removed: string[] = [];
  for (const name of await env.disk.list(tmpdir())) {
    const id = name.replace(/^keelson-chaos-/, '');
    if (id === name || !isWorldId(id)) continue;
    const directory = worldDirectory(tmpdir(), id);
    const text = await readTextIfAny(env.disk, `${directory}/owner.json`);
    // Without one it is being made at this moment, or was left before anything was: there is nothing to take away yet.
    const owner = text === undefined ? undefined : parseIdentity(text);
    if (owner === undefined || (await isRunning(env, owner))) continue;
    await dismantle(env, id, directory);
    removed.push(id);
  }
  return removed;
}

/** Everything of one world: processes, mounts, network, files. Fine when some of it, or all, is gone already. */
export async function dismantle(env: WorldEnv, id: string, directory: string): Promise<void> {
  await thawDisks(env, directory);
  await endProcesses(env, id, directory);
  await unmountBelow(env, directory);
  await removeLan(env, id);
  if (await env.disk.exists(directory)) await env.disk.remove(directory);
}

/** A process that waits for a frozen file system cannot be ended. */
async function thawDisks(env: WorldEnv, directory: string): Promise<void> {
  const mounts = (await readTextIfAny(env.disk, '/proc/self/mounts')) ?? '';
  for (const line of mounts.split('\n')) {
    const point = line.split(' ')[1] ?? '';
    // Fails when it is not frozen: most are not.
    if (point.startsWith(`${directory}/`)) {
      await env.processes.run('fsfreeze', ['--unfreeze', point], { timeoutMs: 20_000 });
    }
  }
}

async function endProcesses(env: WorldEnv, id: string, directory: string): Promise<void> {
  const endMs = env.clock.monotonicMs() + endTimeoutMs;
  for (;;) {
    const pids = new Set((await recordedProcesses(env, directory)).map(({ pid }) => pid));
    // Whoever lives in a namespace of this world was put there by it, recorded or not.
    for (const namespace of await namespacesOf(env, id)) {
      const { stdout } = await env.processes.run('ip', ['netns', 'pids', namespace], { timeoutMs: 20_000 });
      for (const word of stdout.split(/\s+/)) if (/^\d+$/.test(word)) pids.add(Number(word));
    }
    if (pids.size === 0) return;
    for (const pid of pids) env.processes.signal(pid, 'SIGKILL');
    if (env.clock.monotonicMs() > endMs) {
      throw new KeelsonError(
        'CHAOS_PROCESSES_LEFT',
        `end the processes of world ${id}: ${[...pids].join(', ')} do not go away: look at them with ps`,
      );
    }
    await sleep(env.clock, 50);
  }
}
