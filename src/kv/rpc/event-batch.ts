/**
 * The events that one batch of writes brought, as answers to all watches that are told of them: what they have in common
 * is made and encoded once. The hub gives the same array to all watchers that see the same (mvcc/event-list.ts).
 */
import { assert } from '../../env/assert.ts';
import type { SharedAnswer, SharedMessage } from '../../rpc/shared-message.ts';
import type { KvEvent } from '../api.ts';
import type { KvServer } from '../server/contract.ts';
import { headerOf } from './call.ts';
import { encodeWatchResponse } from './codec-answers.ts';
import { WatchIdMessage } from './codec-shared.ts';
import { toWireEvents } from './codec-values.ts';
import type { Out, WireEvent, WireHeader, WireWatchResponse } from './wire.ts';

export class EventBatch implements SharedAnswer<Out<WireWatchResponse>> {
  readonly revision: number;
  /** What the events take on the wire, generously. */
  readonly bytes: number;
  readonly #header: Out<WireHeader>;
  readonly #events: readonly Out<WireEvent>[];
  #encoded: SharedMessage | undefined = undefined;

  constructor(header: Out<WireHeader>, revision: number, events: readonly KvEvent[]) {
    assert(events.length > 0, 'a batch is of events, not of none');
    this.revision = revision;
    this.#header = header;
    this.#events = toWireEvents(events);
    this.bytes = events.reduce((sum, event) => sum + bytesOfEvent(event), 0);
  }

  of(watchId: number): Out<WireWatchResponse> {
    return { header: this.#header, watchId, events: this.#events };
  }

  encoded(): SharedMessage {
    this.#encoded ??= new WatchIdMessage(encodeWatchResponse({ header: this.#header, events: this.#events }));
    return this.#encoded;
  }
}

/** What an event takes on the wire beyond its bytes, generously. */
const eventOverheadBytes = 64;

export function bytesOfEvent({ kv, prevKv }: KvEvent): number {
  const previous = prevKv ? prevKv.key.length + prevKv.value.length : 0;
  return kv.key.length + kv.value.length + previous + eventOverheadBytes;
}

/** For all watches of a server. */
export class EventBatches {
  readonly #server: KvServer;
  /** Most often the next watcher is told of the same. Held until other events come: one batch at most. */
  #lastEvents: readonly KvEvent[] | undefined = undefined;
  #last: EventBatch | undefined = undefined;
  /** For watchers of different ranges in turns, some of which see the same. */
  readonly #byEvents = new WeakMap<readonly KvEvent[], EventBatch>();

  constructor(server: KvServer) {
    this.#server = server;
  }

  /** `revision`: the store's when these events are handed over. */
  of(events: readonly KvEvent[], revision: number): EventBatch {
    if (this.#last !== undefined && this.#lastEvents === events && this.#last.revision === revision) return this.#last;
    let batch = this.#byEvents.get(events);
    if (batch === undefined || batch.revision !== revision) {
      batch = new EventBatch(headerOf(this.#server, revision), revision, events);
      this.#byEvents.set(events, batch);
    }
    this.#lastEvents = events;
    this.#last = batch;
    return batch;
  }
}
