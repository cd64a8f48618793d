/**
 * Runs a task whenever it was asked to since the last run: one at a time, never more often than `intervalMs`, again after
 * a growing pause when it failed. Many requests in a burst become one run.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';

export interface SyncLoopOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
  readonly task: () => Promise<void>;
}

const retryMinMs = 500;
const retryMaxMs = 30_000;

export class SyncLoop {
  readonly #options: SyncLoopOptions;
  #isWanted = false;
  #running: Promise<void> | undefined;
  #timer: Cancel | undefined;
  #failures = 0;
  #isStopped = false;

  constructor(options: SyncLoopOptions) {
    assert(options.intervalMs > 0, 'an interval is positive');
    this.#options = options;
  }

  /** True when the last run succeeded and nothing has been asked for since. */
  isSettled(): boolean {
    return !this.#isWanted && this.#running === undefined && this.#failures === 0;
  }

  request(): void {
    this.#isWanted = true;
    if (this.#timer === undefined && this.#running === undefined) this.#schedule(this.#options.intervalMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.();
    await this.#running;
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#running = this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isWanted = false;
    try {
      await this.#options.task();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#isWanted = true;
      this.#options.log.warn(`${this.#options.name} failed; it is tried again`, {
        error: errorText(error),
        failures: this.#failures,
      });
    }
    this.#running = undefined;
    if (this.#isWanted)
      this.#schedule(
        this.#failures === 0 ? this.#options.intervalMs : Math.min(retryMinMs * 2 ** (this.#failures - 1), retryMaxMs),
      );
  }
}
