/** One watcher of the store: what it wants, how far it is. The hub (watch-hub.ts) moves it from state to state. */
import type { KvEvent, WatchRequest } from '../api.ts';
import type { Watcher, WatchSink } from './contract.ts';
import { type KeyRange, keyRange } from './key-range.ts';
import { type GroupMember, type WatcherGroup, type Wishes, wants } from './watcher-group.ts';

/** What a watcher asks of the hub. */
export interface WatcherOwner {
  catchUp(watcher: StoreWatcher): void;
  cancel(watcher: StoreWatcher): void;
  flush(): void;
  head(): number;
}

export class StoreWatcher implements Watcher, GroupMember {
  readonly #owner: WatcherOwner;
  readonly sink: WatchSink;
  /** Those of its group from the moment that it is in one, so that there is one object for many. */
  wishes: Wishes;
  state: 'synced' | 'unsynced' | 'paused' | 'over' = 'unsynced';
  /** Invariant: every wanted event below `next` was handed over. */
  next = 0;
  isDelivering = false;
  resumeRequested = false;
  /** While it is synced. */
  group: WatcherGroup<StoreWatcher> | undefined = undefined;
  place = -1;

  constructor(owner: WatcherOwner, request: WatchRequest, sink: WatchSink) {
    const { prevKv, noPut, noDelete } = request;
    this.#owner = owner;
    this.sink = sink;
    this.wishes = { range: keyRange(request.key, request.rangeEnd), prevKv, noPut, noDelete };
  }

  get range(): KeyRange {
    return this.wishes.range;
  }

  wants(type: KvEvent['type']): boolean {
    return wants(this.wishes, type);
  }

  resume(): void {
    this.resumeRequested = true;
    if (this.state !== 'paused') return;
    this.state = 'unsynced';
    this.#owner.catchUp(this);
  }

  cancel(): void {
    this.#owner.cancel(this);
  }

  isSynced(): boolean {
    this.#owner.flush();
    return this.state === 'synced' || (this.state !== 'over' && this.next > this.#owner.head());
  }
}
