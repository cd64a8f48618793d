/**
 * The processes of a cluster on one machine, as files: `run/NAME.json` says which process group runs NAME. A process id
 * alone may have been given to somebody else since, so the start time of the process stands beside it, and only a
 * process with both is ever signalled.
 */
import { sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../env/files.ts';

type TableEnv = Pick<Env, 'clock' | 'disk' | 'processes'>;

export interface ProcessRecord {
  readonly name: string;
  /** Also the process group's id. */
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

/** How often a process that was asked to stop is looked at. */
const pollMs = 50;

export class ProcessTable {
  readonly #env: TableEnv;
  readonly #directory: string;

  constructor(env: TableEnv, clusterDirectory: string) {
    this.#env = env;
    this.#directory = `${clusterDirectory}/run`;
  }

  /** Starts `command` in a process group of its own, with its output appended to `logFile`. */
  async start(name: string, command: readonly string[], logFile: string): Promise<ProcessRecord> {
    await this.#env.disk.makeDirectory(this.#directory);
    const [program, ...args] = command as [string, ...string[]];
    const child = this.#env.processes.spawn(program, args, { detached: true, logFile });
    const startTime = child.pid > 0 ? await this.#startTime(child.pid) : undefined;
    if (startTime === undefined) {
      throw new KeelsonError('START_FAILED', `start ${name} (${command.join(' ')}): it ended at once: see ${logFile}`);
    }
    const record = { name, pid: child.pid, startTime };
    await writeFileAtomic(this.#env.disk, `${this.#directory}/${name}.json`, `${JSON.stringify(record)}\n`);
    await writeFileAtomic(this.#env.disk, `${this.#directory}/${name}.pid`, `${child.pid}\n`);
    return record;
  }

  async records(): Promise<readonly ProcessRecord[]> {
    if (!(await this.#env.disk.exists(this.#directory))) return [];
    const records: ProcessRecord[] = [];
    for (const file of await this.#env.disk.list(this.#directory)) {
      const text = file.endsWith('.json')
        ? await readTextIfAny(this.#env.disk, `${this.#directory}/${file}`)
        : undefined;
      if (text !== undefined) records.push(JSON.parse(text) as ProcessRecord);
    }
    return records;
  }

  async running(name: string): Promise<ProcessRecord | undefined> {
    const text = await readTextIfAny(this.#env.disk, `${this.#directory}/${name}.json`);
    if (text === undefined) return undefined;
    const record = JSON.parse(text) as ProcessRecord;
    return (await this.isRunning(record)) ? record : undefined;
  }

  async isRunning(record: ProcessRecord): Promise<boolean> {
    return (await this.#startTime(record.pid)) === record.startTime;
  }

  /** Asks the group to end, makes it end after `graceMs`, and forgets it. Fine when it is gone already. */
  async stop(name: string, graceMs: number): Promise<void> {
    const record = await this.running(name);
    if (record !== undefined) {
      if (graceMs > 0) {
        this.#env.processes.signal(record.pid, 'SIGTERM');
        await this.#waitUntilGone(record, graceMs);
      }
      // The rest of the group, or all of it: no member outlives a stop.
      this.#env.processes.signal(-record.pid, 'SIGKILL');
      await this.#waitUntilGone(record, 5_000);
    } else {
      await this.#killOrphans(name);
    }
    await this.forget(name);
  }

  async forget(name: string): Promise<void> {
    for (const suffix of ['json', 'pid']) {
      const path = `${this.#directory}/${name}.${suffix}`;
      if (await this.#env.disk.exists(path)) await this.#env.disk.remove(path);
    }
  }

  /** Ends what is left of a group whose leader was killed alone. Its members name the cluster's directory. */
  async #killOrphans(name: string): Promise<void> {
    const text = await readTextIfAny(this.#env.disk, `${this.#directory}/${name}.json`);
    if (text === undefined) return;
    const { pid: group } = JSON.parse(text) as ProcessRecord;
    const clusterDirectory = this.#directory.slice(0, -'/run'.length);
    for (const entry of await this.#env.disk.list('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const stat = await readTextIfAny(this.#env.disk, `/proc/${entry}/stat`);
      if (stat === undefined || stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2] !== String(group)) continue;
      const commandLine = (await readTextIfAny(this.#env.disk, `/proc/${entry}/cmdline`)) ?? '';
      if (commandLine.includes(`${clusterDirectory}/`)) this.#env.processes.signal(Number(entry), 'SIGKILL');
    }
  }

  async #waitUntilGone(record: ProcessRecord, limitMs: number): Promise<void> {
    const end = this.#env.clock.monotonicMs() + limitMs;
    while ((await this.isRunning(record)) && this.#env.clock.monotonicMs() < end) await sleep(this.#env.clock, pollMs);
  }

  /** Undefined when there is no such process, or only its remains that wait for their parent. */
  async #startTime(pid: number): Promise<string | undefined> {
    const stat = await readTextIfAny(this.#env.disk, `/proc/${pid}/stat`);
    if (stat === undefined) return undefined;
    // The program's name stands in brackets and may hold anything; the fields that count come after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  }
}
