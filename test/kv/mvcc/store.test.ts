import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RangeRequest } from '../../../src/kv/api.ts';
import { revisionRowsFrom, revisionRowsTo } from '../../../src/kv/mvcc/revision.ts';
import { describeKv, rangeRequest, text } from '../apply/requests.ts';
import { TestStore } from './store.ts';

function keys(store: TestStore, request: RangeRequest): string {
  const result = store.store.range(request);
  if (typeof result === 'string') return result;
  return `${result.kvs.map((kv) => text(kv.key)).join(' ')}${result.more ? ' …' : ''} #${result.count}`.trim();
}

async function rowCount(store: TestStore): Promise<number> {
  let count = 0;
  for await (const _ of store.backend.scan(revisionRowsFrom, revisionRowsTo)) count += 1;
  return count;
}

/** a: created 2, modified 6, version 3. b: 3, 3, 1. c: 4, 7, 2. d: 8, 8, 1. Values fall. */
function fourKeys(): TestStore {
  const store = new TestStore();
  store.write('a=0', 'b=3', 'c=0', 'a=0', 'a=4', 'c=2', 'd=1');
  return store;
}

test('a range answers as etcd does', () => {
  const store = fourKeys();
  const all = (more: Partial<RangeRequest>) => keys(store, rangeRequest('a', 'z', more));
  const table: readonly (readonly [Partial<RangeRequest>, string])[] = [
    [{}, 'a b c d #4'],
    [{ limit: 2 }, 'a b … #4'],
    [{ limit: 4 }, 'a b c d #4'],
    [{ countOnly: true }, '#4'],
    [{ countOnly: true, limit: 1 }, '#4'],
    [{ sortOrder: 'descend' }, 'd c b a #4'],
    [{ sortOrder: 'descend', limit: 1 }, 'd … #4'],
    [{ sortTarget: 'mod', sortOrder: 'ascend' }, 'b a c d #4'],
    [{ sortTarget: 'mod', sortOrder: 'descend' }, 'd c a b #4'],
    [{ sortTarget: 'create', sortOrder: 'ascend', limit: 2 }, 'a b … #4'],
    [{ sortTarget: 'version', sortOrder: 'ascend' }, 'b d c a #4'],
    [{ sortTarget: 'value', sortOrder: 'ascend' }, 'd c b a #4'],
    // Without an order a limit cuts the keys first: only a, b and c are looked at, then sorted, then cut.
    [{ sortTarget: 'value', limit: 2 }, 'c b … #4'],
    [{ sortTarget: 'value' }, 'd c b a #4'],
    [{ minModRevision: 6 }, 'a c d #4'],
    [{ maxModRevision: 6 }, 'a b #4'],
    [{ minCreateRevision: 3, maxCreateRevision: 4 }, 'b c #4'],
    [{ minModRevision: 6, limit: 2 }, 'a c … #4'],
    [{ minModRevision: 6, limit: 3 }, 'a c d #4'],
    [{ revision: 3 }, 'a b #2'],
    [{ revision: 1 }, '#0'],
    [{ revision: 8 }, 'a b c d #4'],
    [{ revision: 9 }, 'futureRevision'],
  ];
  for (const [request, wanted] of table) assert.equal(all(request), wanted, JSON.stringify(request));
  assert.equal(keys(store, rangeRequest('b')), 'b #1');
  assert.equal(keys(store, rangeRequest('bb')), '#0');
  assert.equal(keys(store, rangeRequest('c', '\0')), 'c d #2');
  assert.equal(keys(store, rangeRequest('c', 'a')), '#0');
});

test('keysOnly leaves the value out, but not out of the sorting', () => {
  const store = fourKeys();
  const result = store.store.range(
    rangeRequest('a', 'z', { keysOnly: true, sortTarget: 'value', sortOrder: 'descend' }),
  );
  assert.ok(typeof result !== 'string');
  assert.deepEqual(result.kvs.map(describeKv), ['a= c2 m6 v3', 'b= c3 m3 v1', 'c= c4 m7 v2', 'd= c8 m8 v1']);
});

test('an old revision reads as it was', () => {
  const store = new TestStore();
  store.write('a=1', 'a=2 b=1', '-a', 'a=3');
  const at = (revision: number) => {
    const result = store.store.range(rangeRequest('a', 'c', { revision }));
    assert.ok(typeof result !== 'string');
    return result.kvs.map(describeKv).join(', ');
  };
  assert.equal(at(2), 'a=1 c2 m2 v1');
  assert.equal(at(3), 'a=2 c2 m3 v2, b=1 c3 m3 v1');
  assert.equal(at(4), 'b=1 c3 m3 v1');
  assert.equal(at(5), 'a=3 c5 m5 v1, b=1 c3 m3 v1');
});

test('inside a transaction reads see its writes, and the old head when asked for', () => {
  const store = new TestStore();
  store.write('a=1 b=1');
  const txn = store.store.begin();
  assert.equal(txn.revision(), 2);
  txn.put(Buffer.from('a'), Buffer.from('2'), 0n);
  txn.deleteRange(Buffer.from('b'), Buffer.from(''));
  assert.equal(txn.revision(), 3);
  const read = (revision: number) => {
    const result = txn.range(rangeRequest('a', 'z', { revision }));
    return typeof result === 'string' ? result : result.kvs.map(describeKv).join(', ');
  };
  assert.equal(read(0), 'a=2 c2 m3 v2');
  assert.equal(read(3), 'a=2 c2 m3 v2');
  assert.equal(read(2), 'a=1 c2 m2 v1, b=1 c2 m2 v1');
  assert.equal(read(4), 'futureRevision');
  assert.equal(txn.end(), 3);
});

test('compaction refuses what is compacted or not yet written, and reads below it', () => {
  const store = new TestStore();
  store.write('a=1', 'a=2', 'a=3');
  assert.equal(store.store.compact(5), 'futureRevision');
  assert.equal(store.store.compact(3), undefined);
  assert.equal(store.store.compact(3), 'compacted');
  assert.equal(store.store.compact(2), 'compacted');
  assert.equal(keys(store, rangeRequest('a', '', { revision: 2 })), 'compacted');
  assert.equal(keys(store, rangeRequest('a', '', { revision: 3 })), 'a #1');
  assert.equal(store.store.hashKv(2), 'compacted');
  assert.equal(store.store.hashKv(9), 'futureRevision');
});

test('cleaning forgets exactly what was compacted, in the backend and in the count of bytes', async () => {
  const store = new TestStore();
  store.write('a=1', 'a=2', 'b=1', '-b', 'a=3', 'c=1');
  assert.equal(await rowCount(store), 6);
  const before = store.store.stats().bytesInUse;
  assert.equal(before, store.store.stats().bytesOnDisk);
  store.store.compact(5);
  const hash = store.store.hashKv(0);
  store.clean();
  // a=2 is the latest at 5, the tombstone of b is at 5, a=3 and c=1 are above.
  assert.equal(await rowCount(store), 4);
  assert.deepEqual(store.store.hashKv(0), hash);
  assert.equal(store.store.stats().bytesInUse, store.store.stats().bytesOnDisk);
  store.store.compact(6);
  store.clean();
  assert.equal(await rowCount(store), 2);
  assert.ok(store.store.stats().bytesInUse < before);
  assert.equal(store.store.stats().keys, 2);
});

test('cleaning goes in bounded slices, and a compaction in between takes the rest over', async () => {
  const store = new TestStore();
  const wide = (value: string) => Array.from({ length: 5000 }, (_, index) => `k${index}=${value}`).join(' ');
  const gone = Array.from({ length: 5000 }, (_, index) => `-k${index}`).join(' ');
  store.write(wide('1'), wide('2'), gone, 'z=1', 'z=2');
  store.store.compact(4);
  let steps = 0;
  // Up to the middle of revision 4, whose tombstones stay for now.
  for (; steps < 6; steps++) assert.ok(store.store.cleanStep());
  store.store.compact(5);
  while (store.store.cleanStep()) steps += 1;
  assert.ok(steps > 7, `${steps} steps`);
  assert.equal(await rowCount(store), 2);
  assert.equal(store.store.stats().bytesInUse, store.store.stats().bytesOnDisk);
});

test('the hash tells values, revisions and the compacted part apart, and repeats', () => {
  const hash = (...revisions: readonly string[]) => {
    const store = new TestStore();
    store.write(...revisions);
    const result = store.store.hashKv(0);
    assert.ok(typeof result !== 'string');
    return result.hash;
  };
  const hashes = [hash('a=1'), hash('a=2'), hash('a=1', 'a=1'), hash('a=1 b=1'), hash('a=1', 'b=1'), hash('a=1', '-a')];
  assert.equal(new Set(hashes).size, hashes.length);
  assert.equal(hash('a=1', 'b=1'), hash('a=1', 'b=1'));
});

test('a hash at an old revision is that which the store had then', () => {
  const store = new TestStore();
  store.write('a=1', 'b=1');
  const then = store.store.hashKv(0);
  store.write('a=2', '-b');
  assert.deepEqual(store.store.hashKv(3), then);
});

test('a hash in slices is of what there was when it began, whatever is written, deleted and compacted meanwhile', async () => {
  const test = new TestStore();
  const { store } = test;
  for (let key = 0; key < 10_000; key++) test.write(`k${key}=v`);
  const whole = store.hashKv(0);
  const task = store.beginHash(0);
  assert.ok(typeof task !== 'string');
  let slices = 0;
  for (let done = task.step(); ; done = task.step()) {
    if (done !== undefined) {
      assert.deepEqual(done, whole);
      break;
    }
    slices += 1;
    test.write(`-k${9_999 - slices}`, `k${slices}=w`, `new${slices}=w`);
    store.compact(store.revision());
    assert.ok(store.cleanStep(), 'cleaning waits for the hash');
  }
  assert.ok(slices > 1, `${slices} slices`);
  task.end();
  while (store.cleanStep());
  assert.notDeepEqual(store.hashKv(0), whole);
});

test('a store that was never compacted takes revision 0 once, as etcd does', () => {
  const { store } = new TestStore();
  assert.equal(store.compact(-1), 'compacted');
  assert.equal(store.wasCompacted(), false);
  assert.equal(store.compact(0), undefined);
  assert.equal(store.compact(0), 'compacted');
  assert.equal(store.wasCompacted(), true);
  assert.equal(store.compact(1), undefined);
  assert.equal(store.compact(0), 'compacted');
});
