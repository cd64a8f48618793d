/**
 * Watchers: who has seen what.
 *
 * A watcher is in one of four states.
 *
 *     synced     everything up to the head was handed over; it sits in the index and gets events as they are written
 *     unsynced   it is behind and is being handed history, batch by batch, inside `watch` or `resume`
 *     paused     its sink said stop; nothing is queued for it, only `next` is remembered, and history is the queue
 *     over       cancelled, or its place in history was compacted away
 *
 *     watch → unsynced → synced ⇄ paused → (resume) → unsynced        any → over
 *
 * A batch ends with a whole revision, so a pause never splits one. Memory per watcher is one batch at most.
 *
 * Several revisions may be published before they are delivered, together, by `flush`. Synced watchers that want the same
 * form a group (watcher-group.ts): a write costs as much for a thousand of them as for one until it is delivered, and
 * nothing for the groups of other keys. Watchers that see the same events are given the same array.
 */
import { assert } from '../../env/assert.ts';
import type { KeyValue, KvEvent, WatchRequest } from '../api.ts';
import type { Watcher, WatchSink } from './contract.ts';
import type { Change } from './change.ts';
import { EventList } from './event-list.ts';
import type { KeyEntry, KeptRevision } from './key-index.ts';
import { rangeContains } from './key-range.ts';
import { StoreWatcher, type WatcherOwner } from './store-watcher.ts';
import { WatcherGroup } from './watcher-group.ts';
import { WatcherIndex } from './watcher-index.ts';

/**
 * A catch-up batch ends with the revision that reaches one of these: enough to amortise the call, little to hold. Unlike
 * events at the head, a thousand slow watchers share none of it.
 */
const batchEventsMax = 1000;
const batchBytesMax = 256 * 1024;

/** What the hub sees of the store. */
export interface WatchSource {
  /** Head revision. */
  revision(): number;
  compactRevision(): number;
  /** The keys that a revision from 1 on, between compactRevision and head, wrote, in order. */
  writesAt(main: number): readonly KeyEntry[];
  load(entry: KeyEntry, found: { readonly main: number; readonly sub: number }): KeyValue;
}

type Group = WatcherGroup<StoreWatcher>;

export class WatchHub implements WatcherOwner {
  readonly #source: WatchSource;
  /** Of the synced watchers; none is empty. */
  readonly #groups = new WatcherIndex<Group>();
  readonly #all = new Set<StoreWatcher>();
  #synced = 0;
  #eventsSent = 0;
  /** Groups with something published and not delivered; bounded by the watchers. */
  #due: Group[] = [];
  #dueWatchers = 0;
  #noEvents = EventList.empty();

  constructor(source: WatchSource) {
    this.#source = source;
  }

  size(): number {
    return this.#all.size;
  }

  /** Watchers that have not been handed everything up to the head. */
  slow(): number {
    return this.#all.size - this.#synced;
  }

  /** Handed over since the start. */
  eventsSent(): number {
    return this.#eventsSent;
  }

  /** Hands over what there is since the start revision before it returns. */
  watch(request: WatchRequest, sink: WatchSink): Watcher {
    assert(request.startRevision >= 0, () => `a watch cannot start at ${request.startRevision}`);
    this.flush();
    const watcher = new StoreWatcher(this, request, sink);
    watcher.next = request.startRevision === 0 ? this.#source.revision() + 1 : request.startRevision;
    this.#all.add(watcher);
    this.catchUp(watcher);
    return watcher;
  }

  /** Takes down the writes of the new head revision for the synced watchers of their keys; `flush` delivers. */
  publish(main: number, changes: readonly Change[]): void {
    assert(main === this.#source.revision(), 'only the head revision is published');
    if (this.#synced === 0) return;
    for (const change of changes) {
      assert(change.main === main, 'the changes of one revision are published together');
      this.#groups.forEach(change.entry.key, (group) => {
        if (!group.publish(change, this.#noEvents)) return;
        this.#due.push(group);
        this.#dueWatchers += group.size;
      });
    }
  }

  /** Watchers that something is published for and not delivered. */
  dueWatchers(): number {
    return this.#dueWatchers;
  }

  /** Delivers everything published. */
  flush(): void {
    if (this.#due.length === 0) return;
    const due = this.#due;
    this.#due = [];
    this.#dueWatchers = 0;
    this.#noEvents = EventList.empty();
    for (const group of due) this.#flushGroup(group);
  }

  #flushGroup(group: Group): void {
    const { from, events } = group.takeDue();
    const head = this.#source.revision();
    assert(from <= head, 'what is due was published');
    group.forEach((watcher) => {
      // An earlier sink may have cancelled this one.
      if (watcher.state !== 'synced') return;
      const { next } = watcher;
      // It may begin in the future, or have joined later and have the first ones from history.
      const wanted = next <= from ? events : events.filter(({ kv }) => kv.modRevision >= next);
      if (wanted.length === 0) return;
      watcher.next = head + 1;
      if (!this.#deliver(watcher, wanted)) this.#pause(watcher);
    });
  }

  /** Before the store's content is replaced: every synced watcher takes down its place in history. */
  hold(): void {
    this.flush();
    for (const watcher of this.#all) {
      if (watcher.state === 'synced') this.#unsync(watcher);
    }
  }

  /** After it: every watcher goes on from its place, or is over if that is compacted now. */
  reevaluate(): void {
    // A copy, because a sink may add watchers; it may also have cancelled or resumed one that comes later.
    for (const watcher of Array.from(this.#all)) {
      if (watcher.state === 'unsynced') this.catchUp(watcher);
      else if (watcher.state === 'paused' && watcher.next < this.#source.compactRevision()) this.#expire(watcher);
    }
  }

  /** Hands history over until the watcher is synced, paused or over. */
  catchUp(watcher: StoreWatcher): void {
    while (watcher.state === 'unsynced') {
      if (watcher.next < this.#source.compactRevision()) return this.#expire(watcher);
      if (watcher.next > this.#source.revision()) {
        return this.#sync(watcher);
      }
      const events = this.#nextBatch(watcher);
      if (events.length > 0 && !this.#deliver(watcher, events)) this.#pause(watcher);
    }
  }

  cancel(watcher: StoreWatcher): void {
    if (watcher.state === 'over') return;
    if (watcher.state === 'synced') this.#leaveGroup(watcher);
    watcher.state = 'over';
    const wasThere = this.#all.delete(watcher);
    assert(wasThere, 'a watcher that is not over is known');
  }

  head(): number {
    return this.#source.revision();
  }

  #expire(watcher: StoreWatcher): void {
    this.cancel(watcher);
    watcher.sink.compacted(this.#source.compactRevision());
  }

  /** False when the sink wants no more for now. A `resume` from inside the sink outweighs that. */
  #deliver(watcher: StoreWatcher, events: readonly KvEvent[]): boolean {
    assert(!watcher.isDelivering, 'a sink is not called from inside itself');
    assert(events.length > 0, 'a sink is called with events');
    this.#eventsSent += events.length;
    watcher.isDelivering = true;
    watcher.resumeRequested = false;
    const accepted = watcher.sink.events(events, this.#source.revision());
    watcher.isDelivering = false;
    return accepted || watcher.resumeRequested;
  }

  #pause(watcher: StoreWatcher): void {
    if (watcher.state === 'over') return;
    if (watcher.state === 'synced') this.#unsync(watcher);
    watcher.state = 'paused';
  }

  #sync(watcher: StoreWatcher): void {
    const { wishes } = watcher;
    let group = this.#groups.at(wishes.range)?.find((other) => other.isFor(wishes));
    if (group === undefined) {
      group = new WatcherGroup<StoreWatcher>(wishes);
      this.#groups.add(group);
    }
    group.add(watcher);
    watcher.group = group;
    watcher.wishes = group.wishes;
    watcher.state = 'synced';
    this.#synced++;
  }

  #leaveGroup(watcher: StoreWatcher): void {
    const { group } = watcher;
    assert(group !== undefined, 'a synced watcher is in a group');
    group.remove(watcher);
    if (group.size === 0) this.#groups.remove(group);
    watcher.group = undefined;
    this.#synced--;
    assert(this.#synced >= 0, 'no more watchers leave than were synced');
  }

  #unsync(watcher: StoreWatcher): void {
    this.#leaveGroup(watcher);
    // A synced watcher's `next` is only kept up to date when it gets an event; what came since did not concern it.
    watcher.next = Math.max(watcher.next, this.#source.revision() + 1);
    watcher.state = 'unsynced';
  }

  #nextBatch(watcher: StoreWatcher): KvEvent[] {
    const events: KvEvent[] = [];
    let bytes = 0;
    const head = this.#source.revision();
    assert(watcher.next <= head, 'a batch begins at or below the head');
    while (watcher.next <= head && events.length < batchEventsMax && bytes < batchBytesMax) {
      const main = watcher.next;
      for (const entry of this.#source.writesAt(main)) {
        if (!rangeContains(watcher.range, entry.key)) continue;
        const event = this.#eventAt(watcher, entry, main);
        if (event === undefined) continue;
        events.push(event);
        bytes += event.kv.key.length + event.kv.value.length + (event.prevKv?.value.length ?? 0);
      }
      watcher.next = main + 1;
    }
    return events;
  }

  #eventAt(watcher: StoreWatcher, entry: KeyEntry, main: number): KvEvent | undefined {
    const write: KeptRevision | undefined = entry.writeAt(main);
    assert(write !== undefined, () => `history says that revision ${main} wrote a key with ${entry.describe()}`);
    const type = write.isTombstone ? 'delete' : 'put';
    if (!watcher.wants(type)) return undefined;
    const kv = this.#source.load(entry, write);
    const previous = watcher.wishes.prevKv ? this.#previous(entry, main) : undefined;
    return previous === undefined ? { type, kv } : { type, kv, prevKv: previous };
  }

  /** The version that a reader just before `main` saw; absent when that revision is compacted. */
  #previous(entry: KeyEntry, main: number): KeyValue | undefined {
    if (main - 1 < this.#source.compactRevision() || main === 1) return undefined;
    const found = entry.find(main - 1);
    return found === undefined ? undefined : this.#source.load(entry, found);
  }
}
