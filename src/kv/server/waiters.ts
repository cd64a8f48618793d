/**
 * Who waits for which proposal. A waiter is settled exactly once: by its entry being applied, by an entry of a newer
 * term being applied first (its own was lost with the old leader, or is still under way: the outcome is unknown), by
 * its time being up, or by the member stopping.
 */
import { assert, present } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { KvErrorCode } from '../api.ts';
import { KvError } from '../errors.ts';

interface Waiter<T> {
  /** Term in which the proposal was accepted; undefined until it was. */
  term: number | undefined;
  readonly resolve: (value: T) => void;
  readonly reject: (error: KvError) => void;
  readonly cancelTimer: () => void;
}

export class Waiters<T> {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiter<T>>();

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
      const cancelTimer = this.#clock.after(timeoutMs, () => this.fail(requestId, 'timeout'));
      this.#waiting.set(requestId, { term: undefined, resolve, reject, cancelTimer });
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
  }

  #take(requestId: number): Waiter<T> | undefined {
    const waiter = this.#waiting.get(requestId);
    if (!waiter) return undefined;
    this.#waiting.delete(requestId);
    present(waiter.cancelTimer, 'timer of a waiter')();
    return waiter;
  }
}
