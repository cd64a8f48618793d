/**
 * Which processes belong to a world, as files: `run/NAME.json`. A process id alone may have been given to somebody else
 * since, so its start time stands beside it, and its command line must name the world's directory: only a process with all
 * three is ever signalled.
 */
import type { Env } from '../../src/env/env.ts';
import { readTextIfAny, writeFileAtomic } from '../../src/env/files.ts';

type RecordEnv = Pick<Env, 'disk' | 'processes'>;

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

/** Undefined when there is no such process, or only its remains that wait for their parent. */
export async function identify(env: RecordEnv, pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readTextIfAny(env.disk, `/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The program's name stands in brackets and may hold anything; the fields that count come after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[19] === undefined ? undefined : { pid, startTime: fields[19] };
}

export async function isRunning(env: RecordEnv, process: ProcessIdentity): Promise<boolean> {
  return (await identify(env, process.pid))?.startTime === process.startTime;
}

export async function recordProcess(env: RecordEnv, directory: string, name: string, pid: number): Promise<void> {
  const identity = await identify(env, pid);
  // One that has ended already needs no record.
  if (identity === undefined) return;
  await env.disk.makeDirectory(`${directory}/run`);
  await writeFileAtomic(env.disk, `${directory}/run/${name}.json`, `${JSON.stringify(identity)}\n`);
}

/** Those that run now. */
export async function recordedProcesses(env: RecordEnv, directory: string): Promise<readonly ProcessIdentity[]> {
  const run = `${directory}/run`;
  if (!(await env.disk.exists(run))) return [];
  const found: ProcessIdentity[] = [];
  for (const file of await env.disk.list(run)) {
    const text = file.endsWith('.json') ? await readTextIfAny(env.disk, `${run}/${file}`) : undefined;
    const record = text === undefined ? undefined : parseIdentity(text);
    if (record === undefined || !(await isRunning(env, record))) continue;
    const commandLine = (await readTextIfAny(env.disk, `/proc/${record.pid}/cmdline`)) ?? '';
    if (commandLine.includes(`${directory}/`)) found.push(record);
  }
  return found;
}

/** Undefined for anything that is not one. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { pid, startTime } = (value ?? {}) as Partial<ProcessIdentity>;
  // 0 and 1 are no process of ours, and negative ones are groups.
  if (!Number.isSafeInteger(pid) || (pid as number) <= 1 || typeof startTime !== 'string') return undefined;
  return { pid: pid as number, startTime };
}
