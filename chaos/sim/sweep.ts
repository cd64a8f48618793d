/**
 * Many worlds, a seed each, in processes of their own (sweep-worker.ts), until they are done, told to stop, or one breaks a
 * promise. What they have done is added up while they run.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Profile } from './plan.ts';
import { merge, newTotals, type Totals } from './totals.ts';

export interface SweepOptions {
  /** Seed of the first world. */
  readonly first: number;
  /** How many; absent: until `stop`. */
  readonly seeds: number | undefined;
  readonly minutes: number | undefined;
  readonly jobs: number;
  readonly profile: Profile;
  /** Whether the story of a failure is made as short as can be. */
  readonly isShrinking: boolean;
}

/** What a worker is given, by its parent. */
export interface WorkerOrder extends Omit<SweepOptions, 'jobs' | 'seeds'> {
  /** It takes every so many seeds. */
  readonly step: number;
  readonly count: number;
}

export type FromWorker =
  | { readonly kind: 'progress'; readonly totals: Totals }
  | { readonly kind: 'failed'; readonly property: string; readonly text: string };

export type ToWorker = { readonly kind: 'order'; readonly order: WorkerOrder } | { readonly kind: 'stop' };

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const workerFile = fileURLToPath(new URL(`./sweep-worker.${extension}`, import.meta.url));

export class Sweep {
  readonly totals = newTotals();
  readonly failures: string[] = [];
  /** Told what has been added to the totals, and of each failure. */
  onProgress: (more: Totals) => void = () => undefined;
  onFailure: (property: string) => void = () => undefined;
  readonly #children: ChildProcess[] = [];

  /** Resolves when every process has ended; a failure in one stops the others. */
  async run({ jobs, seeds, ...shared }: SweepOptions): Promise<void> {
    const ends = Array.from({ length: jobs }, (_, job) => {
      const count = seeds === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil((seeds - job) / jobs);
      return this.#work({ ...shared, first: shared.first + job, step: jobs, count });
    });
    await Promise.all(ends);
  }

  /** Each process finishes the world it is in. */
  stop(): void {
    for (const child of this.#children) if (child.connected) tell(child, { kind: 'stop' });
  }

  #work(order: WorkerOrder): Promise<void> {
    const child = fork(workerFile, { execArgv: ['--disable-warning=ExperimentalWarning'] });
    this.#children.push(child);
    tell(child, { kind: 'order', order });
    return new Promise((resolve) => {
      child.on('message', (message: FromWorker) => {
        if (message.kind === 'progress') {
          merge(this.totals, message.totals);
          return this.onProgress(message.totals);
        }
        this.failures.push(message.text);
        this.onFailure(message.property);
        this.stop();
      });
      child.on('exit', (code, signal) => {
        if (code !== 0 || signal !== null)
          this.failures.push(`FAILED: a simulation process ended with ${signal ?? `code ${code}`} and no verdict`);
        resolve();
      });
    });
  }
}

/** A process that has just ended need not hear it: how it ended is told by its exit. */
function tell(child: ChildProcess, message: ToWorker): void {
  child.send(message, () => undefined);
}
