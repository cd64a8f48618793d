/**
 * Who leads an election, told again with every change: the leader's key and each value it proclaims, then the next leader's.
 * A client that reads slowly is told of every value all the same, later.
 */
import { assert } from '../../env/assert.ts';
import type { Bytes, KeyValue, KvEvent } from '../api.ts';
import type { Watcher } from '../mvcc/contract.ts';
import type { KvServer } from '../server/contract.ts';
import { headerOf } from './call.ts';
import { copied, toWireKeyValue } from './codec-values.ts';
import type { RequestSink } from '../../rpc/service.ts';
import type { FaceStream } from './stream.ts';
import { keyWatch, prefixEndOf, prefixOf, Turns } from './turns.ts';

export function observeElection(server: KvServer, answers: FaceStream<object>): RequestSink<{ readonly name: Bytes }> {
  let observer: Observer | undefined;
  return {
    request: (message) => {
      assert(!observer, 'one request is observed');
      observer = new Observer(server, answers, prefixOf(copied(message.name)));
      observer.look();
    },
    ended: () => undefined,
    drained: () => observer?.drained(),
    gone: () => observer?.close(),
  };
}

class Observer {
  readonly #server: KvServer;
  readonly #answers: FaceStream<object>;
  readonly #prefix: Bytes;
  readonly #turns: Turns;
  #watcher: Watcher | undefined;
  #isClosed = false;
  #isFull = false;

  constructor(server: KvServer, answers: FaceStream<object>, prefix: Bytes) {
    this.#server = server;
    this.#answers = answers;
    this.#prefix = prefix;
    this.#turns = new Turns(server, answers.call);
  }

  /** Finds the leader and follows it; without one, waits for one. */
  look(): void {
    this.#stopWatching();
    this.#find().catch((error: unknown) => this.#answers.fail(error));
  }

  drained(): void {
    this.#isFull = false;
    this.#watcher?.resume();
  }

  close(): void {
    this.#isClosed = true;
    this.#stopWatching();
  }

  async #find(): Promise<void> {
    const { kv, revision } = await this.#turns.oldest(this.#prefix);
    if (kv) {
      this.#tell(kv, revision);
      return this.#follow(kv.key, revision + 1);
    }
    await this.#watch(this.#prefix, prefixEndOf(this.#prefix), revision + 1, (event) => {
      if (event.type !== 'put') return true;
      this.#tell(event.kv, event.kv.modRevision);
      this.#stopWatching();
      this.#follow(event.kv.key, event.kv.modRevision + 1).catch((error: unknown) => this.#answers.fail(error));
      return false;
    });
  }

  async #follow(key: Bytes, startRevision: number): Promise<void> {
    await this.#watch(key, undefined, startRevision, (event, revision) => {
      if (event.type === 'put') {
        this.#tell(event.kv, revision);
        return true;
      }
      this.look();
      return false;
    });
  }

  /** `take` says whether this watch goes on. */
  async #watch(
    key: Bytes,
    rangeEnd: Bytes | undefined,
    startRevision: number,
    take: (event: KvEvent, revision: number) => boolean,
  ): Promise<void> {
    let isDone = false;
    const request = { ...keyWatch(key, startRevision), ...(rangeEnd ? { rangeEnd } : {}) };
    const watcher = await this.#turns.watch(request, {
      events: (events, revision) => {
        for (const event of events) {
          if (isDone) break;
          isDone = !take(event, revision);
        }
        return isDone || !this.#isFull;
      },
      compacted: () => {
        isDone = true;
        this.look();
      },
    });
    // What it was begun for may have come, or the client gone, before it was returned.
    if (isDone || this.#isClosed) watcher.cancel();
    else this.#watcher = watcher;
  }

  #tell(kv: KeyValue, revision: number): void {
    this.#isFull = !this.#answers.write({ header: headerOf(this.#server, revision), kv: toWireKeyValue(kv) });
  }

  #stopWatching(): void {
    this.#watcher?.cancel();
    this.#watcher = undefined;
  }
}
