/**
 * The backend in memory: for tests, for the simulator, and as the picture of what level.ts must do. Nothing survives the
 * process; `sync` has nothing to wait for. Values are kept as they are handed over, so the caller must not change them.
 */
import { assert } from '../../env/assert.ts';
import { toBytes, toText } from './bytes.ts';
import type { OrderedMap } from './btree.ts';
import { orderedMap } from './btree.ts';
import type { Backend, BackendWrite } from './contract.ts';

/** An empty backend in memory. */
export function createMemoryBackend(): Backend {
  return new MemoryBackend();
}

class MemoryBackend implements Backend {
  #rows: OrderedMap<Uint8Array> = orderedMap();
  #bytes = 0;
  #closed = false;

  get(key: Uint8Array): Uint8Array | undefined {
    assert(!this.#closed, 'the memory backend is read after close');
    return this.#rows.get(toText(key));
  }

  scan(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    assert(!this.#closed, 'the memory backend is scanned after close');
    return rowsBetween(this.#rows.clone(), toText(from), toText(to));
  }

  write(batch: readonly BackendWrite[]): void {
    assert(!this.#closed, 'the memory backend is written after close');
    for (const write of batch) {
      const key = toText(write.key);
      const previous = this.#rows.get(key);
      if (previous !== undefined) this.#bytes -= key.length + previous.length;
      if (write.type === 'put') {
        this.#rows.set(key, write.value);
        this.#bytes += key.length + write.value.length;
      } else {
        this.#rows.delete(key);
      }
    }
    assert(this.#bytes >= 0, () => `the memory backend counts ${this.#bytes} bytes`);
  }

  async sync(): Promise<void> {
    assert(!this.#closed, 'the memory backend is synced after close');
  }

  bytesOnDisk(): number {
    return this.#bytes;
  }

  pendingBytes(): number {
    return 0;
  }

  async compactRange(): Promise<void> {
    assert(!this.#closed, 'the memory backend is compacted after close');
  }

  async clear(): Promise<void> {
    assert(!this.#closed, 'the memory backend is cleared after close');
    this.#rows = orderedMap();
    this.#bytes = 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/** The rows of a frozen copy. The copy is taken by the caller, at the call: a generator's body starts only with its first pull. */
async function* rowsBetween(
  rows: OrderedMap<Uint8Array>,
  from: string,
  to: string,
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for (const [key, value] of rows.entries(from)) {
    if (key >= to) return;
    yield [toBytes(key), value];
  }
}
