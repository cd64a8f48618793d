/**
 * The store's current revision by a linearizable read, shared by everyone who asks at the same time: a caller gets the
 * answer of a read that was sent after it asked, so a consistent list costs the store one small read per round trip
 * however many clients list at once.
 */
import type { KvClient } from '../../kv/index.ts';
import { bytesOf } from './keys.ts';

// Counting one key that never exists is the cheapest read whose answer carries the revision.
const probeKey = bytesOf('/registry/.revision');

export class RevisionReader {
  readonly #kv: KvClient;
  readonly #timeoutMs: number;
  #running: Promise<number> | undefined;
  #next: Promise<number> | undefined;
  constructor(kv: KvClient, timeoutMs: number) {
    this.#kv = kv;
    this.#timeoutMs = timeoutMs;
  }

  current(): Promise<number> {
    if (this.#running === undefined) return this.#send();
    // The one under way may have been answered by the store already; only the one after it is new enough.
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#send();
      });
    return this.#next;
  }

  #send(): Promise<number> {
    const sent = this.#kv
      .range({ key: probeKey, countOnly: true }, { timeoutMs: this.#timeoutMs })
      .then((result) => result.revision)
      .finally(() => {
        if (this.#running === sent) this.#running = undefined;
      });
    this.#running = sent;
    return sent;
  }
}
