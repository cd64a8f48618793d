/** A clock for tests that stands still until it is told to go on. */
import type { Clock } from '../../src/env/clock.ts';

/** Time goes on in one step: whatever is due by then runs once. */
export class StepClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }
  every(periodMs: number, callback: () => void): () => void {
    let cancel = (): void => undefined;
    const arm = () => {
      cancel = this.after(periodMs, () => {
        arm();
        callback();
      });
    };
    arm();
    return () => cancel();
  }
  /** Timers that have not run and were not cancelled. */
  get pending(): number {
    return this.#timers.length;
  }
  step(byMs: number): void {
    this.#nowMs += byMs;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { callback } of due) callback();
  }
}
