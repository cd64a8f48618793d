/**
 * The store's backend as a crash leaves it: some prefix of the batches, at least those that were synced. The newest ones
 * may be missing, never one in the middle, as LevelDB promises for unsynced writes of a process that dies.
 */
import { assert } from '../../src/env/assert.ts';
import type { Random } from '../../src/env/random.ts';
import type { Backend, BackendWrite } from '../../src/kv/backend/contract.ts';
import { createMemoryBackend } from '../../src/kv/backend/memory.ts';

type Step = readonly BackendWrite[] | 'clear';

export class SimBackend implements Backend {
  readonly #inner: Backend = createMemoryBackend();
  #steps: Step[];
  #synced: number;

  constructor(steps: readonly Step[] = []) {
    const lastClear = steps.lastIndexOf('clear');
    this.#steps = steps.slice(lastClear + 1);
    this.#synced = this.#steps.length;
    for (const step of this.#steps) if (step !== 'clear') this.#inner.write(step);
  }

  /** What is on disk after a crash. */
  crash(random: Random): SimBackend {
    assert(this.#synced <= this.#steps.length, 'what was synced was written');
    const kept = random.integer(this.#synced, this.#steps.length);
    return new SimBackend(this.#steps.slice(0, kept));
  }

  write(batch: readonly BackendWrite[]): void {
    this.#steps.push(batch);
    this.#inner.write(batch);
  }

  async sync(): Promise<void> {
    const upTo = this.#steps.length;
    await this.#inner.sync();
    this.#synced = Math.max(this.#synced, upTo);
  }

  async clear(): Promise<void> {
    this.#steps.push('clear');
    await this.#inner.clear();
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#inner.get(key);
  }
  scan(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    return this.#inner.scan(from, to);
  }
  bytesOnDisk(): number {
    return this.#inner.bytesOnDisk();
  }
  pendingBytes(): number {
    return this.#inner.pendingBytes();
  }
  compactRange(from: Uint8Array, to: Uint8Array): Promise<void> {
    return this.#inner.compactRange(from, to);
  }
  close(): Promise<void> {
    return this.#inner.close();
  }
}
