/**
 * Keeps child processes running: one that ends is started again after a pause that grows while it keeps failing. Stopped
 * in reverse order, each given time to hand over what it holds.
 */
import { type Cancel, sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import type { ChildProcess } from '../env/process.ts';

export interface SupervisedProcess {
  readonly name: string;
  readonly command: readonly string[];
  readonly logFile: string;
}

const restartDelayMinMs = 500;
const restartDelayMaxMs = 10_000;
/** A process that ran this long is taken for healthy: its next restart is quick again. */
const healthyAfterMs = 30_000;

export class Supervisor {
  readonly #env: Pick<Env, 'clock' | 'processes' | 'log'>;
  readonly #graceMs: number;
  readonly #children: { process: SupervisedProcess; child: ChildProcess | undefined; restart: Cancel | undefined }[] =
    [];
  #stopping = false;

  /** `graceMs`: how long one process may take to stop before it is killed. */
  constructor(env: Pick<Env, 'clock' | 'processes' | 'log'>, graceMs: number) {
    this.#env = env;
    this.#graceMs = graceMs;
  }

  add(process: SupervisedProcess): void {
    this.#children.push({ process, child: undefined, restart: undefined });
    this.#run(this.#children.length - 1, restartDelayMinMs);
  }

  #run(position: number, delayMs: number): void {
    const slot = this.#children[position];
    if (slot === undefined || this.#stopping) return;
    const [program, ...args] = slot.process.command as [string, ...string[]];
    const startedMs = this.#env.clock.monotonicMs();
    const child = this.#env.processes.spawn(program, args, { logFile: slot.process.logFile });
    slot.child = child;
    slot.restart = undefined;
    this.#env.log.info('started', { component: slot.process.name, pid: child.pid });
    void child.exited.then(({ code, signal }) => {
      slot.child = undefined;
      if (this.#stopping) return;
      const ranMs = this.#env.clock.monotonicMs() - startedMs;
      const next = ranMs >= healthyAfterMs ? restartDelayMinMs : Math.min(delayMs * 2, restartDelayMaxMs);
      this.#env.log.warn('a component ended; it is started again', {
        component: slot.process.name,
        code,
        signal,
        logFile: slot.process.logFile,
        delayMs: next,
      });
      slot.restart = this.#env.clock.after(next, () => this.#run(position, next));
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const slot of [...this.#children].reverse()) {
      slot.restart?.();
      const child = slot.child;
      if (child === undefined) continue;
      child.kill('SIGTERM');
      const patience = new AbortController();
      const ended = await Promise.race([
        child.exited.then(() => true),
        sleep(this.#env.clock, this.#graceMs, patience.signal).then(
          () => false,
          () => true,
        ),
      ]);
      patience.abort();
      if (!ended) {
        this.#env.log.warn('a component did not stop in time; it is killed', {
          component: slot.process.name,
          graceMs: this.#graceMs,
        });
        child.kill('SIGKILL');
        await child.exited;
      }
    }
  }
}
