/**
 * Who waits for which proposal. A waiter is settled exactly once: by its entry being applied, by a snapshot that may hold
 * its entry (the outcome is unknown), by its time being up, or by the member stopping.
 *
 * An entry of a newer term being applied first is news of another kind: a proposal accepted in term T is an entry of term T
 * or none at all (raft/core/proposal.ts), terms never fall along a log, and everything before the applied entry has been
 * applied here. So the proposal's entry, wherever it lies, can never be committed any more, and whoever made it may
 * propose it again. Example: 7 was accepted in term 4 as entry 31; the leader of term 5 never had it and writes its own
 * 31. Once that is applied here, no log with a 31 of term 4 can win an election.
 *
 * One timer serves all: it runs while anybody waits and looks at those who came first, as their time is up first.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import type { KvErrorCode } from '../api.ts';
import { KvError } from '../errors.ts';

interface Waiter<T> {
  /** Term in which the proposal was accepted; undefined while nothing of it is under way: not yet accepted, or lost for certain. */
  term: number | undefined;
  readonly resolve: (value: T) => void;
  readonly reject: (error: KvError) => void;
  readonly untilMs: number;
  /** Absent: it is not to be proposed again. */
  readonly onLost: (() => void) | undefined;
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

  /**
   * Rejects with `timeout` after `timeoutMs`. `onLost` is called when what was accepted is lost for certain: from then on
   * it may be accepted once more. Without it the promise rejects with `leaderChanged`.
   */
  add(requestId: number, timeoutMs: number, onLost?: () => void): Promise<T> {
    assert(!this.#waiting.has(requestId), () => `request id ${requestId} is given once`);
    return new Promise<T>((resolve, reject) => {
      const untilMs = this.#clock.monotonicMs() + timeoutMs;
      this.#waiting.set(requestId, { term: undefined, resolve, reject, untilMs, onLost });
      this.#cancelSweep ??= this.#clock.after(timeoutMs, () => this.#sweep());
    });
  }

  accepted(requestId: number, term: number): void {
    assert(term > 0, () => `request ${requestId} is accepted in a term`);
    const waiter = this.#waiting.get(requestId);
    if (!waiter) return;
    assert(
      waiter.term === undefined,
      () =>
        `request ${requestId} is under way in term ${waiter.term} already, and now in ${term}: it could happen twice`,
    );
    waiter.term = term;
  }

  has(requestId: number): boolean {
    return this.#waiting.has(requestId);
  }

  /** Its entry, of `term`, was applied. */
  complete(requestId: number, term: number, value: T): void {
    const waiter = this.#take(requestId);
    assert(
      waiter === undefined || waiter.term === term,
      () => `request ${requestId}, accepted in term ${waiter?.term}, is an entry of term ${term}`,
    );
    waiter?.resolve(value);
  }

  fail(requestId: number, code: KvErrorCode): void {
    const waiter = this.#take(requestId);
    waiter?.reject(new KvError(code));
  }

  /** An entry of `term` is being applied: what was accepted in an older term and is not here by now never will be. */
  lostBefore(term: number): void {
    for (const [requestId, waiter] of this.#waiting) {
      if (waiter.term === undefined || waiter.term >= term) continue;
      waiter.term = undefined;
      if (waiter.onLost) waiter.onLost();
      else this.fail(requestId, 'leaderChanged');
    }
  }

  /**
   * A snapshot whose last entry is of `term` is about to take the place of the entries before it: what was accepted by then
   * may be in it or not, and will never be told apart. Call before anything newer is applied.
   */
  unsureUpTo(term: number): void {
    for (const [requestId, waiter] of this.#waiting) {
      if (waiter.term !== undefined && waiter.term <= term) this.fail(requestId, 'timeout');
    }
  }

  /** Whether anybody still waits for an entry of a term before `term`. */
  isAnyBefore(term: number): boolean {
    for (const waiter of this.#waiting.values()) if (waiter.term !== undefined && waiter.term < term) return true;
    return false;
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
