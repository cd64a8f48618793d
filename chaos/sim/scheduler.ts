/**
 * Simulated time: a heap of callbacks by (time, sequence). One event at a time; after each one every promise that can
 * settle does, before the next. Same seed, same order.
 */
import { assert } from '../../src/env/assert.ts';
import type { Cancel, Clock } from '../../src/env/clock.ts';
import { settle } from './settle.ts';

interface Timer {
  readonly atUs: number;
  readonly sequence: number;
  callback: (() => void) | undefined;
}

export class Scheduler {
  /** Microseconds since the world began: whole numbers, so that no sum depends on rounding. */
  nowUs = 0;
  events = 0;
  readonly #heap: Timer[] = [];
  #sequence = 0;

  at(atUs: number, callback: () => void): Cancel {
    assert(
      Number.isSafeInteger(atUs) && atUs >= this.nowUs,
      () => `an event lies in the future: ${atUs} >= ${this.nowUs}`,
    );
    const timer: Timer = { atUs, sequence: this.#sequence++, callback };
    this.#push(timer);
    return () => {
      timer.callback = undefined;
    };
  }

  afterMs(delayMs: number, callback: () => void): Cancel {
    return this.at(this.nowUs + Math.max(0, Math.round(delayMs * 1000)), callback);
  }

  /** Runs the next event that lies at or before `untilUs`; false when there is none. */
  async step(untilUs: number): Promise<boolean> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atUs > untilUs) {
        this.nowUs = untilUs;
        return false;
      }
      this.#pop();
      if (next.callback === undefined) continue;
      this.nowUs = next.atUs;
      this.events += 1;
      next.callback();
      await settle();
      return true;
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(timer, heap[parent] as Timer)) break;
      heap[index] = heap[parent] as Timer;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Timer, heap[child] as Timer)) child += 1;
      if (!isBefore(heap[child] as Timer, last)) break;
      heap[index] = heap[child] as Timer;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence);
}

/**
 * One process's clock. `kill` silences it for ever: a process that is gone has no timers. While paused, its timers do
 * not fire; those that came due fire together at the end, as after SIGCONT, while its monotonic clock has gone on. Its rate
 * may change while it runs: timers that were set before keep the time they were set for.
 */
export class ProcessClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #ownRate: number;
  /** Runs this much faster than true time; 0: it stands still, and timers take as long as they would by true time. */
  #rate: number;
  /** What it showed when its rate last changed, and when that was. */
  #baseMs: number;
  #baseUs: number;
  #wallOffsetMs: number;
  #isDead = false;
  #paused: (() => void)[] | undefined;

  constructor(scheduler: Scheduler, options: { readonly rate: number; readonly wallOffsetMs: number }) {
    assert(options.rate > 0, 'clocks go forward');
    this.#scheduler = scheduler;
    this.#ownRate = options.rate;
    this.#rate = options.rate;
    this.#baseUs = scheduler.nowUs;
    this.#baseMs = (scheduler.nowUs / 1000) * options.rate;
    this.#wallOffsetMs = options.wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#baseMs + ((this.#scheduler.nowUs - this.#baseUs) / 1000) * this.#rate;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#wallOffsetMs + Math.floor(this.#scheduler.nowUs / 1000);
  }

  setRate(rate: number): void {
    assert(rate >= 0, 'clocks do not go back');
    this.#baseMs = this.monotonicMs();
    this.#baseUs = this.#scheduler.nowUs;
    this.#rate = rate;
  }

  /** As it ran from the start. */
  restoreRate(): void {
    if (this.#rate !== this.#ownRate) this.setRate(this.#ownRate);
  }

  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  after(delayMs: number, callback: () => void): Cancel {
    let isCancelled = false;
    // A timer that came due in a pause waits for its end, and can be cancelled until it runs, as in Node.js.
    const cancel = this.#scheduler.afterMs(delayMs / (this.#rate || 1), () => {
      this.run(() => {
        if (!isCancelled) callback();
      });
    });
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  every(periodMs: number, callback: () => void): Cancel {
    let cancel: Cancel = () => undefined;
    const next = () => {
      cancel = this.after(periodMs, () => {
        next();
        callback();
      });
    };
    next();
    return () => cancel();
  }

  /** Runs `callback` as this process would: not when it is dead, later when it is paused. */
  run(callback: () => void): void {
    if (this.#isDead) return;
    if (this.#paused !== undefined) this.#paused.push(callback);
    else callback();
  }

  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  pause(): void {
    this.#paused ??= [];
  }

  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const callback of waiting) this.run(callback);
  }

  kill(): void {
    this.#isDead = true;
  }
}
