/**
 * Linearizable read points, shared: the reads of one turn of the event loop share a round of ReadIndex, and reads that arrive
 * while one is under way all wait for the next round, never for the one that began before them.
 */
import { assert } from '../../env/assert.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { RaftNode } from '../../raft/index.ts';
import { KvError } from '../errors.ts';
import { retryEveryMs } from './retry.ts';
import type { StoreTimings } from './timings.ts';

interface Round {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function newRound(): Round {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // A round whose readers have all gone away fails unheard.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

export class LinearizableReader {
  readonly #clock: Clock;
  readonly #raft: () => RaftNode | undefined;
  readonly #timeoutMs: number;
  readonly #timings: StoreTimings | undefined;
  #next: Round | undefined;
  #isRunning = false;
  #isStopped = false;

  constructor(clock: Clock, raft: () => RaftNode | undefined, timeoutMs: number, timings?: StoreTimings) {
    this.#timings = timings;
    this.#clock = clock;
    this.#raft = raft;
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves when the state holds everything that had been committed anywhere when this was called. */
  point(): Promise<void> {
    if (this.#isStopped) return Promise.reject(new KvError('stopped'));
    this.#next ??= newRound();
    const { promise } = this.#next;
    if (!this.#isRunning) {
      this.#isRunning = true;
      // What else is asked in this turn shares the round, instead of waiting for it and the next one.
      queueMicrotask(() => void this.#run());
    }
    return promise;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #run(): Promise<void> {
    assert(this.#isRunning, 'rounds run while reads wait, one at a time');
    while (this.#next) {
      const round = this.#next;
      this.#next = undefined;
      const startedMs = this.#clock.monotonicMs();
      let hasFailed = false;
      try {
        await this.#ask();
        round.resolve();
      } catch (error) {
        hasFailed = true;
        round.reject(error);
      }
      this.#timings?.readIndexed((this.#clock.monotonicMs() - startedMs) / 1000, hasFailed);
    }
    this.#isRunning = false;
  }

  async #ask(): Promise<void> {
    const abort = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => abort.abort(new KvError('timeout')));
    try {
      for (;;) {
        try {
          const raft = this.#raft();
          if (!raft) throw new KeelsonError('NO_LEADER', 'read: Raft does not run yet');
          await raft.readIndex(abort.signal);
          return;
        } catch (error) {
          abort.signal.throwIfAborted();
          if (this.#isStopped) throw new KvError('stopped');
          if (!(error instanceof KeelsonError)) throw error;
          if (error.code === 'STOPPED') throw new KvError('stopped', { cause: error });
          if (error.code !== 'NO_LEADER' && error.code !== 'LEADER_CHANGED') throw error;
          // A read harms nobody when it is asked again; the next leader is a moment away.
          await sleep(this.#clock, retryEveryMs(this.#timeoutMs), abort.signal);
        }
      }
    } finally {
      cancel();
    }
  }
}
