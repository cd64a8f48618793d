/** What is due later, all of which can be called off at once; and failures of what nobody waits for, kept for whoever asks. */
import { assert } from '../../src/env/assert.ts';
import type { Cancel, Clock } from '../../src/env/clock.ts';

export class Later {
  readonly #clock: Clock;
  readonly #timers = new Set<Cancel>();
  #calledOff = new AbortController();
  #failure: { readonly error: unknown } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Aborted when everything that is due is called off: for loops. */
  get signal(): AbortSignal {
    return this.#calledOff.signal;
  }

  /** Runs once, after `delayMs`, unless it is called off. */
  after(delayMs: number, action: () => Promise<void> | void): Cancel {
    const cancelTimer = this.#clock.after(Math.max(delayMs, 0), () => {
      this.#timers.delete(cancel);
      this.background(action);
    });
    const cancel = () => {
      cancelTimer();
      this.#timers.delete(cancel);
    };
    this.#timers.add(cancel);
    return cancel;
  }

  background(action: () => Promise<void> | void): void {
    const work = async () => action();
    work().catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  callOff(): void {
    this.#calledOff.abort();
    this.#calledOff = new AbortController();
    for (const cancel of this.#timers) cancel();
    assert(this.#timers.size === 0, 'nothing is due any more');
  }

  /** Throws the first thing that failed while nobody waited for it. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
