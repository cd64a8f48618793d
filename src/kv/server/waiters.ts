/**
 * Who waits for which proposal. A waiter is settled exactly once: by its entry being applied, by an entry of a newer
 * term being applied first (its own was lost with the old leader, or is still under way: the outcome is unknown), by
 * its time being up, or by the member stopping.
 *
 * One timer serves all: it runs while anybody waits and looks at those who came first, as their time is up first.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import type { KvErrorCode } from '../api.ts';
import { KvError } from '../errors.ts';

interface Waiter<T> {
  /** Term in which the proposal was accepted; undefined until it was. */
  term: number | undefined;
  readonly resolve: (value: T) => void;
  readonly reject: (error: KvError) => void;
  readonly untilMs: number;
}

export class Waiters<T> {
  readonly #clock: Clock;
  /** In the order of coming. */
  readonly #waiting = new Map<number, Waiter<T>>();
  #cancelSweep: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Rejects with `timeout` after `timeoutMs`. */
  add(requestId: number, timeoutMs: number): Promise<T> {
    assert(!this.#waiting.has(requestId), () => `request id ${requestId} is given once`);
    return new Promise<T>((resolve, reject) => {
      const untilMs = this.#clock.monotonicMs() + timeoutMs;
      this.#waiting.set(requestId, { term: undefined, resolve, reject, untilMs });
      this.#cancelSweep ??= this.#clock.after(timeoutMs, () => this.#sweep());
    });
  }

  accepted(requestId: number, term: number): void {
    const waiter = this.#waiting.get(requestId);
    if (waiter) waiter.term = term;
  }

  has(requestId: number): boolean {
    return this.#waiting.has(requestId);
  }

  complete(requestId: number, value: T): void {
    const waiter = this.#take(requestId);
    waiter?.resolve(value);
  }

  fail(requestId: number, code: KvErrorCode): void {
    const waiter = this.#take(requestId);
    waiter?.reject(new KvError(code));
  }

  /** An entry of `term` is being applied: what was accepted in an older term and is not here by now is lost or late. */
  failOlderThan(term: number, code: KvErrorCode): void {
    for (const [requestId, waiter] of this.#waiting) {
      if (waiter.term !== undefined && waiter.term < term) this.fail(requestId, code);
    }
  }

  failAll(code: KvErrorCode): void {
    for (const requestId of this.#waiting.keys()) this.fail(requestId, code);
    assert(this.#waiting.size === 0, 'nobody waits after everybody was told');
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  #take(requestId: number): Waiter<T> | undefined {
    const waiter = this.#waiting.get(requestId);
    if (!waiter) return undefined;
    this.#waiting.delete(requestId);
    return waiter;
  }

  /** Fails everybody whose time is up, then waits for whoever came first of the rest. */
  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [requestId, { untilMs }] of this.#waiting) {
      if (untilMs > nowMs) {
        // Whole milliseconds: what is left may be too little for the clock to move on.
        this.#cancelSweep = this.#clock.after(Math.ceil(untilMs - nowMs), () => this.#sweep());
        return;
      }
      this.fail(requestId, 'timeout');
    }
  }
}
