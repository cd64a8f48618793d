/**
 * Linearizable reads that wait: first for their read point from the core, then for the state machine to get there.
 * Reads asked for in the same turn share one read point, so a thousand of them cost one round of heartbeats.
 *
 * Invariant: each waiter is in exactly one batch, and each batch is either waiting (`#next`), asked (`#asked`) or pointed
 * (`#pointed`).
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Index } from '../core/types.ts';

/** A read holds only a promise; more than this many at once means that nothing is applied any more. */
const readsMax = 100_000;

interface Waiter {
  readonly resolve: (index: Index) => void;
  readonly reject: (error: unknown) => void;
}

type Batch = Set<Waiter>;

export class ReadWaiters {
  #next: Batch = new Set();
  readonly #asked = new Map<number, Batch>();
  #pointed: { readonly index: Index; readonly batch: Batch }[] = [];
  /** Unique for ever: a random high part for this life of the process, a counter below. */
  #context: number;
  #count = 0;

  /** `lifeNumber` is random in [0, 2^20). */
  constructor(lifeNumber: number) {
    assert(Number.isInteger(lifeNumber) && lifeNumber >= 0 && lifeNumber < 2 ** 20, 'a life number has 20 bits');
    this.#context = lifeNumber * 2 ** 32;
  }

  add(signal: AbortSignal | undefined): Promise<Index> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#count >= readsMax) {
      return Promise.reject(
        new KeelsonError('TOO_MANY_READS', `read: ${readsMax} reads are waiting already, try again later`),
      );
    }
    return new Promise((resolve, reject) => {
      const batch = this.#next;
      const leave = () => {
        this.#count -= 1;
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        resolve: (index) => {
          leave();
          resolve(index);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = () => {
        if (batch.delete(waiter)) waiter.reject(signal?.reason);
      };
      this.#count += 1;
      batch.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The context to ask the core for; undefined when nobody waits. */
  takeContext(): number | undefined {
    if (this.#next.size === 0) return undefined;
    this.#context += 1;
    assert(Number.isSafeInteger(this.#context), 'contexts do not run out');
    this.#asked.set(this.#context, this.#next);
    this.#next = new Set();
    return this.#context;
  }

  /** The core answered: the batch may be served once `index` is applied. */
  point(context: number, index: Index, applied: Index): void {
    const batch = this.#asked.get(context);
    // An answer to a batch that was dropped meanwhile.
    if (!batch) return;
    this.#asked.delete(context);
    this.#pointed.push({ index, batch });
    this.applied(applied);
  }

  /** Serves what `applied` allows. */
  applied(applied: Index): void {
    if (this.#pointed.length === 0) return;
    const due = this.#pointed.filter(({ index }) => index <= applied);
    if (due.length === 0) return;
    this.#pointed = this.#pointed.filter(({ index }) => index > applied);
    for (const { index, batch } of due) for (const waiter of batch) waiter.resolve(index);
  }

  drop(context: number, error: KeelsonError): void {
    const batch = this.#asked.get(context);
    this.#asked.delete(context);
    for (const waiter of batch ?? []) waiter.reject(error);
  }

  /** Rejects everybody: the member stops. */
  rejectAll(error: KeelsonError): void {
    const batches = [this.#next, ...this.#asked.values(), ...this.#pointed.map(({ batch }) => batch)];
    this.#next = new Set();
    this.#asked.clear();
    this.#pointed = [];
    for (const batch of batches) for (const waiter of batch) waiter.reject(error);
    assert(this.#count >= 0, 'every waiter leaves once');
  }
}
