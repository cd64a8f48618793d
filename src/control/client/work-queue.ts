/**
 * Deduplicating, delaying, rate-limited queue of keys.
 *
 * Promises: a key is handed to one worker at a time; a key added while it is worked on is handed out again afterwards;
 * a key added many times while it waits is handed out once. It holds each key at most once in each of its sets, so its
 * size is bounded by the number of objects. The caller owes `done(key)` after each `next()`.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import type { WorkQueue } from './contract.ts';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** 5 ms doubling: a conflict is tried again at once; a persistent failure costs one call in half a minute. */
const backoffDefault: BackoffOptions = { baseMs: 5, maxMs: 30_000 };

export class KeyQueue implements WorkQueue {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #backoff: BackoffOptions;
  readonly #ready = new Set<string>();
  readonly #working = new Set<string>();
  /** Added again while being worked on. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, { readonly atMs: number; readonly cancel: Cancel }>();
  readonly #failures = new Map<string, number>();
  readonly #waiting: ((key: string | undefined) => void)[] = [];
  #isClosed = false;

  constructor(clock: Clock, random: Random, backoff: BackoffOptions = backoffDefault) {
    this.#clock = clock;
    this.#random = random;
    this.#backoff = backoff;
  }

  add(key: string): void {
    if (this.#isClosed) return;
    if (this.#working.has(key)) {
      this.#dirty.add(key);
      return;
    }
    const waiter = this.#waiting.shift();
    if (waiter === undefined) {
      this.#ready.add(key);
      return;
    }
    assert(this.#ready.size === 0, 'no worker waits while keys are ready');
    this.#working.add(key);
    waiter(key);
  }

  /** Of several delays for one key the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isClosed) return;
    if (delayMs <= 0) return this.add(key);
    const atMs = this.#clock.monotonicMs() + delayMs;
    const before = this.#delayed.get(key);
    if (before !== undefined && before.atMs <= atMs) return;
    before?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { atMs, cancel });
  }

  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const delayMs = Math.min(this.#backoff.baseMs * 2 ** Math.min(failures, 30), this.#backoff.maxMs);
    this.addAfter(key, delayMs * (1 + 0.1 * this.#random.next()));
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  length(): number {
    return this.#ready.size;
  }

  /** The next key, or undefined once the queue is closed. */
  next(): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    for (const key of this.#ready) {
      this.#ready.delete(key);
      this.#working.add(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  done(key: string): void {
    assert(this.#working.delete(key), () => `key ${key} must have been handed out`);
    if (this.#dirty.delete(key)) this.add(key);
  }

  close(): void {
    this.#isClosed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#ready.clear();
    for (const waiter of this.#waiting.splice(0)) waiter(undefined);
  }
}
