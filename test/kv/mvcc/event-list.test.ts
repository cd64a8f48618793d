import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvEvent, WatchRequest } from '../../../src/kv/api.ts';
import { EventList } from '../../../src/kv/mvcc/event-list.ts';
import { bytes } from '../apply/requests.ts';
import { TestStore } from './store.ts';

const event = (key: string): KvEvent => ({
  type: 'put',
  kv: { key: bytes(key), value: bytes(''), createRevision: 2, modRevision: 2, version: 1, lease: 0n },
});

function watchRequest(key: string, more: Partial<WatchRequest> = {}): WatchRequest {
  const base = { rangeEnd: bytes(''), startRevision: 0, prevKv: false, noPut: false, noDelete: false };
  return { key: bytes(key), ...base, ...more };
}

/** Takes down the very arrays that come. */
class Arrays {
  readonly arrays: (readonly KvEvent[])[] = [];
  events(events: readonly KvEvent[]): boolean {
    this.arrays.push(events);
    return true;
  }
  compacted(): void {}
}

test('lists of the same events are the same list, and others are not', () => {
  const [a, b, c] = [event('a'), event('b'), event('c')];
  const empty = EventList.empty();
  const first = empty.and(a).and(b);
  assert.equal(empty.and(a).and(b), first);
  assert.deepEqual(first.toArray(), [a, b]);
  assert.equal(first.toArray(), first.toArray());
  assert.deepEqual(empty.and(a).and(c).toArray(), [a, c]);
  assert.deepEqual(first.toArray(), [a, b]);
});

test('watchers that see the same get the same array, with the previous value or without', () => {
  const store = new TestStore();
  store.write('k=1');
  const sinks = Array.from({ length: 4 }, () => new Arrays());
  sinks.forEach((sink, position) => {
    store.store.watch(watchRequest('k', { prevKv: position >= 2 }), sink);
  });
  store.write('k=2');
  const [one, two, three, four] = sinks.map((sink) => sink.arrays[0]);
  assert.equal(one, two);
  assert.equal(three, four);
  assert.notEqual(one, three);
  assert.equal(three?.[0]?.prevKv?.modRevision, 2);
});

test('events that are held come together, in order, each watcher getting its own', () => {
  const store = new TestStore();
  const [onA, onAll] = [new Arrays(), new Arrays()];
  store.store.watch(watchRequest('a'), onA);
  store.store.watch(watchRequest('a', { rangeEnd: bytes('z') }), onAll);
  store.store.holdEvents();
  store.write('a=1', 'b=1', 'a=2 b=2', '-a');
  assert.deepEqual([onA.arrays.length, onAll.arrays.length], [0, 0]);
  store.store.releaseEvents();
  const revisions = (arrays: readonly (readonly KvEvent[])[]) =>
    arrays.map((each) => each.map((one) => one.kv.modRevision));
  assert.deepEqual(revisions(onA.arrays), [[2, 4, 5]]);
  assert.deepEqual(revisions(onAll.arrays), [[2, 3, 4, 4, 5]]);
});

test('a watch that begins while events are held gets its own beginning, and nothing twice', () => {
  const store = new TestStore();
  const [early, late] = [new Arrays(), new Arrays()];
  store.store.watch(watchRequest('a'), early);
  store.store.holdEvents();
  store.write('a=1');
  store.store.watch(watchRequest('a', { startRevision: 2 }), late);
  store.write('a=2');
  store.store.releaseEvents();
  const seen = (sink: Arrays) => sink.arrays.flat().map((one) => one.kv.modRevision);
  assert.deepEqual(seen(early), [2, 3]);
  assert.deepEqual(seen(late), [2, 3]);
});
