import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../src/control/api/contract.ts';
import { type CacheEvent, ResourceCache, type StoredObject } from '../../../src/control/storage/index.ts';

function stored(key: string, revision: number): StoredObject {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: key, resourceVersion: String(revision) } };
  return { key, revision, object: object as KubeObject };
}

function put(cache: ResourceCache, key: string, revision: number): void {
  cache.apply(key, revision, stored(key, revision));
}

const keys = (items: readonly StoredObject[]) => items.map((item) => item.key);

test('objects are listed in the order of the store, by namespace and after a key', () => {
  const cache = new ResourceCache('configmaps');
  cache.reset(
    ['b/z', 'a/y', 'a-b/x', 'a/x', 'a/x-1'].map((key, index) => stored(key, index + 1)),
    10,
  );
  assert.deepEqual(keys(cache.list()), ['a-b/x', 'a/x', 'a/x-1', 'a/y', 'b/z']);
  assert.deepEqual(keys(cache.list({ namespace: 'a' })), ['a/x', 'a/x-1', 'a/y']);
  assert.deepEqual(keys(cache.list({ namespace: 'a', after: 'a/x' })), ['a/x-1', 'a/y']);
  assert.deepEqual(keys(cache.list({ after: 'a/y' })), ['b/z']);
});

test('a listener sees each event once, with the state before it', () => {
  const cache = new ResourceCache('configmaps');
  cache.reset([stored('a', 3)], 5);
  const events: CacheEvent[] = [];
  cache.listen({ event: (event) => events.push(event), reset: () => assert.fail('no reset') });
  put(cache, 'a', 6);
  put(cache, 'b', 7);
  cache.apply('a', 8, undefined);
  cache.apply('never', 9, undefined);
  assert.deepEqual(
    events.map((event) => [event.type, event.current.key, event.revision, event.previous?.revision]),
    [
      ['put', 'a', 6, 3],
      ['put', 'b', 7, undefined],
      ['delete', 'a', 8, 6],
    ],
  );
  assert.equal(events[2]?.current.object.metadata.resourceVersion, '8');
  assert.equal(events[2]?.previous?.object.metadata.resourceVersion, '6', 'the state before is left as it was');
});

test('events of the snapshot itself are not told again', () => {
  const cache = new ResourceCache('configmaps');
  cache.reset([stored('a', 5)], 5);
  put(cache, 'a', 5);
  assert.deepEqual(cache.eventsAfter(5), []);
});

test('the window gives every event after a revision, or says that it cannot', () => {
  const cache = new ResourceCache('configmaps');
  cache.reset([], 1);
  for (let revision = 2; revision <= 6000; revision++) put(cache, `k${revision % 7}`, revision);
  assert.equal(cache.eventsAfter(10), 'expired');
  const recent = cache.eventsAfter(5990);
  assert.notEqual(recent, 'expired');
  assert.deepEqual(
    (recent as readonly CacheEvent[]).map((event) => event.revision),
    Array.from({ length: 10 }, (_, index) => 5991 + index),
  );
  // The oldest revision that is not refused must give all that follow it.
  let oldest = 6000;
  while (cache.eventsAfter(oldest - 1) !== 'expired') oldest--;
  assert.equal((cache.eventsAfter(oldest) as readonly CacheEvent[]).length, 6000 - oldest);
});

test('a reset ends watches and keeps the encoded forms of what did not change', () => {
  const cache = new ResourceCache('configmaps');
  cache.reset([stored('a', 2), stored('b', 3)], 4);
  let resets = 0;
  cache.listen({ event: () => assert.fail('no event'), reset: () => resets++ });
  let made = 0;
  const encode = () => cache.get('a')?.form('json', () => new Uint8Array([++made]));
  encode();
  cache.reset([stored('a', 2), stored('b', 9)], 10);
  encode();
  assert.equal(made, 1);
  assert.equal(resets, 1);
  assert.equal(cache.watchers, 0);
  assert.equal(cache.eventsAfter(9), 'expired');
});

test('events out of order are a broken invariant', () => {
  const cache = new ResourceCache('configmaps');
  cache.reset([], 1);
  put(cache, 'a', 5);
  assert.throws(() => put(cache, 'b', 4), /came after/);
});

test('large objects shorten the window, so that it cannot hold gigabytes', () => {
  const cache = new ResourceCache('secrets');
  cache.reset([], 1);
  const megabyte = 1024 * 1024;
  for (let revision = 2; revision <= 1001; revision++) cache.apply('big', revision, stored('big', revision), megabyte);
  assert.equal(cache.eventsAfter(500), 'expired');
  const kept = cache.eventsAfter(1001 - 60);
  assert.ok(kept !== 'expired');
  assert.equal(kept.length, 60);
  let oldest = 1001;
  while (cache.eventsAfter(oldest - 1) !== 'expired') oldest--;
  assert.ok((cache.eventsAfter(oldest) as readonly CacheEvent[]).length <= 80, 'at most a quarter above 64 MB');
});
