/** Watchers that want the same, and those that want nothing of what is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KeyRange, keyRange, prefixEnd } from '../../../src/kv/mvcc/key-range.ts';
import { WatcherGroup, type Wishes } from '../../../src/kv/mvcc/watcher-group.ts';
import { WatcherIndex } from '../../../src/kv/mvcc/watcher-index.ts';
import { bytes, watchRequest } from '../apply/requests.ts';
import { TestStore, watch } from './store.ts';

const manyWatchers = 10_000;
const wishes: Wishes = { range: keyRange(bytes('a'), bytes('')), prevKv: false, noPut: false, noDelete: false };

test('a group calls those that were members when it began, whoever leaves and joins meanwhile', () => {
  const group = new WatcherGroup<{ wishes: Wishes; place: number; name: string }>(wishes);
  const make = (name: string) => ({ wishes, place: -1, name });
  const members = ['a', 'b', 'c', 'd'].map(make);
  for (const member of members) group.add(member);
  const visited: string[] = [];
  group.forEach((member) => {
    visited.push(member.name);
    if (member.name === 'a') group.remove(member);
    if (member.name === 'b') group.add(make('e'));
  });
  assert.deepEqual(visited, ['a', 'b', 'c', 'd']);
  visited.length = 0;
  group.forEach((member) => visited.push(member.name));
  assert.deepEqual(visited.toSorted(), ['b', 'c', 'd', 'e']);
  assert.equal(group.size, 4);
});

test('a watch that catches up while others wait for the same write is not told twice', () => {
  const store = new TestStore();
  const slow = watch(store, watchRequest('a'));
  const other = watch(store, watchRequest('a'));
  slow.notebook.accepts = false;
  store.write('a=1');
  slow.notebook.accepts = true;
  store.store.holdEvents();
  store.write('a=2');
  // Until here from history; the write below comes to both alike.
  slow.watcher.resume();
  store.write('a=3');
  store.store.releaseEvents();
  assert.deepEqual(other.notebook.calls, ['put a=1@2', 'put a=2@3, put a=3@4']);
  assert.deepEqual(slow.notebook.calls, ['put a=1@2', 'put a=2@3', 'put a=3@4']);
});

test('a watch from the future is in one group with those of now, and gets its own beginning', () => {
  const store = new TestStore();
  const [now, later] = [watch(store, watchRequest('a')), watch(store, { ...watchRequest('a'), startRevision: 4 })];
  store.store.holdEvents();
  store.write('a=1', 'a=2', 'a=3');
  store.store.releaseEvents();
  assert.deepEqual(now.notebook.calls, ['put a=1@2, put a=2@3, put a=3@4']);
  assert.deepEqual(later.notebook.calls, ['put a=3@4']);
});

test('when one of a thousand watchers of a key stops reading, the others go on', () => {
  const store = new TestStore();
  const watches = Array.from({ length: 1000 }, () => watch(store, watchRequest('a')));
  const [slow] = watches;
  assert.ok(slow);
  slow.notebook.accepts = false;
  store.write('a=1', 'a=2');
  assert.equal(store.store.stats().slowWatchers, 1);
  assert.deepEqual(new Set(watches.slice(1).map(({ notebook }) => notebook.calls.join('; '))).size, 1);
  assert.deepEqual(watches[1]?.notebook.calls, ['put a=1@2', 'put a=2@3']);
  slow.notebook.accepts = true;
  slow.watcher.resume();
  assert.deepEqual(slow.notebook.calls, ['put a=1@2', 'put a=2@3']);
  for (const { watcher } of watches) watcher.cancel();
  store.write('a=3');
  assert.deepEqual([store.store.stats().watchers, store.store.stats().slowWatchers], [0, 0]);
});

test('a write looks at none of ten thousand watchers of other keys and prefixes, and at few of as many intervals', () => {
  let looks = 0;
  const index = new WatcherIndex<{ readonly range: KeyRange }>();
  const counted = (range: KeyRange) => ({
    get range() {
      looks++;
      return range;
    },
  });
  const name = (number: number) => `pods/${String(number).padStart(6, '0')}`;
  const add = (key: string, end: string) => index.add(counted(keyRange(bytes(key), Buffer.from(end, 'latin1'))));
  for (let number = 0; number < manyWatchers; number++) {
    add(name(number), '');
    add(`${name(number)}/`, prefixEnd(`${name(number)}/`) as string);
  }
  looks = 0;
  index.forEach('pods/other', () => assert.fail('nobody watches it'));
  assert.equal(looks, 0);
  index.forEach(`${name(7)}/status`, () => looks++);
  assert.equal(looks, 1, 'the one of its prefix');

  for (let number = 0; number < manyWatchers; number++) add(`${name(number)}-a`, `${name(number)}-c`);
  index.forEach('pods/other', () => assert.fail('nobody watches it'));
  looks = 0;
  let found = 0;
  index.forEach(`${name(7)}-b`, () => found++);
  assert.equal(found, 1);
  assert.ok(looks <= 2 * Math.log2(manyWatchers), `${looks} looks`);
});

test('what is written under ten thousand watchers that want something else is due for none of them', () => {
  const store = new TestStore();
  const watches = Array.from({ length: manyWatchers }, (_, number) =>
    watch(store, number % 2 === 0 ? watchRequest(`other/${number}`) : { ...watchRequest('a'), noPut: true }),
  );
  store.store.holdEvents();
  store.write('a=1', 'b=1');
  assert.ok(!store.store.hasUnpublished());
  store.store.releaseEvents();
  assert.ok(watches.every(({ notebook }) => notebook.calls.length === 0));
});
