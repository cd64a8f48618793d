/**
 * The loop of every controller: keys come in, workers reconcile them, failures are tried again with back-off.
 *
 * Promises: while `run` runs, each enqueued key is reconciled at least once after it was enqueued, never twice at the
 * same time; when it starts, every key of `keys()` is reconciled. Outside of `run` nothing is kept: a standby's memory
 * does not grow. The caller's `reconcile` reads state, not events, and returns when to look again.
 */
import type { Clock } from '../../env/clock.ts';
import { InvariantViolation } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import { isConflict, isNotFound } from './api-error.ts';
import { KeyQueue } from './work-queue.ts';

export interface ReconcileResult {
  readonly requeueAfterMs?: number;
}

export interface ReconcileLoopOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly workers: number;
  /** Every key there is, for the start of a run. */
  readonly keys: () => Iterable<string>;
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult | void>;
  /** Forgets what an earlier run remembered. */
  readonly reset?: () => void;
  readonly onReconciled?: (name: string, isSuccess: boolean) => void;
}

export class ReconcileLoop {
  readonly name: string;
  readonly #options: ReconcileLoopOptions;
  #queue: KeyQueue | undefined;

  constructor(options: ReconcileLoopOptions) {
    this.#options = options;
    this.name = options.name;
  }

  enqueue(key: string): void {
    this.#queue?.add(key);
  }

  enqueueAfter(key: string, delayMs: number): void {
    this.#queue?.addAfter(key, delayMs);
  }

  /** Works until `signal` aborts and every reconcile has returned. Rejects when an invariant broke. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, workers, keys, reset } = this.#options;
    if (signal.aborted) return;
    reset?.();
    const queue = new KeyQueue(clock, random);
    this.#queue = queue;
    const onAbort = () => queue.close();
    signal.addEventListener('abort', onAbort, { once: true });
    for (const key of keys()) queue.add(key);
    try {
      await Promise.all(Array.from({ length: workers }, () => this.#work(queue, signal)));
    } finally {
      signal.removeEventListener('abort', onAbort);
      queue.close();
      this.#queue = undefined;
    }
  }

  async #work(queue: KeyQueue, signal: AbortSignal): Promise<void> {
    const { name, log, reconcile, onReconciled } = this.#options;
    for (let key = await queue.next(); key !== undefined; key = await queue.next()) {
      try {
        const result = await reconcile(key, signal);
        queue.forget(key);
        if (result?.requeueAfterMs !== undefined) queue.addAfter(key, result.requeueAfterMs);
        onReconciled?.(name, true);
      } catch (error) {
        if (error instanceof InvariantViolation) throw error;
        onReconciled?.(name, false);
        if (!signal.aborted) {
          // A conflict or a missing object only says that our copy was old; the newer one is on its way.
          const fields = { controller: name, key, error: errorText(error) };
          if (isConflict(error) || isNotFound(error)) log.debug('object changed meanwhile, trying again', fields);
          else if (error instanceof TypeError || error instanceof RangeError) {
            log.error('reconcile failed by a bug, trying again', { ...fields, stack: error.stack });
          } else log.warn('reconcile failed, trying again', fields);
          queue.addRateLimited(key);
        }
      } finally {
        queue.done(key);
      }
    }
  }
}
