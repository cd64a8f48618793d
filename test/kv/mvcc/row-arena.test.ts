import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { rangeRequest } from '../../../src/kv/api.ts';
import { Store } from '../../../src/kv/mvcc/store.ts';
import { RowArena, type RowOwner } from '../../../src/kv/mvcc/row-arena.ts';

const owner = (): RowOwner => ({ slab: undefined, slabAt: 0 });

test('rows lie one after another, and a slab whose rows have died is forgotten', () => {
  const arena = new RowArena();
  const owners = Array.from({ length: 40 }, owner);
  for (const each of owners) arena.reserve(each, 60_000);
  assert.equal(arena.slabs(), 3);
  assert.deepEqual([owners[1]?.slab, owners[1]?.slabAt], [owners[0]?.slab, 60_000]);
  for (const each of owners.slice(0, 17)) arena.release(each.slab as never, 60_000);
  assert.equal(arena.slabs(), 2);
  assert.equal(arena.liveBytes(), 23 * 60_000);
});

test('a large row has a slab of its own', () => {
  const arena = new RowArena();
  const [small, large] = [owner(), owner()];
  arena.reserve(small, 100);
  arena.reserve(large, 1_500_000);
  assert.notEqual(small.slab, large.slab);
  arena.release(large.slab as never, 1_500_000);
  assert.equal(arena.slabs(), 1);
});

test('memory follows what lives, although a few keys are kept among many that are written again and again', () => {
  const backend = createMemoryBackend();
  const store = new Store({ backend, commit: () => undefined });
  const value = Buffer.alloc(1000, 'v');
  const write = (key: string, content: Uint8Array) => {
    const txn = store.begin();
    txn.put(Buffer.from(key), content, 0n);
    txn.end();
  };
  for (let round = 0; round < 20_000; round++) {
    write(`hot-${round % 10}`, value);
    if (round % 100 === 0) write(`cold-${round}`, Buffer.from(`kept ${round}`));
  }
  assert.ok(store.memory().slabs <= 3, `${store.memory().slabs} slabs for ${store.memory().liveBytes} bytes`);
  const result = store.range(rangeRequest({ key: Buffer.from('cold-'), rangeEnd: Buffer.from('cold.') }));
  assert.ok(typeof result !== 'string');
  assert.equal(result.count, 200);
  for (const { key, value: kept } of result.kvs) {
    assert.equal(Buffer.from(kept).toString(), `kept ${Buffer.from(key).toString().slice('cold-'.length)}`);
  }
});

test('whatever is written and deleted, every live key reads as last written, and views taken before stay right', () => {
  const write = fc.record({ key: fc.nat(8), size: fc.oneof(fc.nat(70_000), fc.nat(300)), isDelete: fc.boolean() });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 120 }), (writes) => {
      const store = new Store({ backend: createMemoryBackend(), commit: () => undefined });
      const model = new Map<string, Buffer>();
      const seen: (readonly [Uint8Array, Buffer])[] = [];
      writes.forEach(({ key, size, isDelete }, round) => {
        const name = `key-${key}`;
        const content = Buffer.alloc(size, round % 256);
        const txn = store.begin();
        if (isDelete) txn.deleteRange(Buffer.from(name), Buffer.alloc(0));
        else txn.put(Buffer.from(name), content, 0n);
        txn.end();
        if (isDelete) model.delete(name);
        else model.set(name, content);
        const head = store.head(Buffer.from(name));
        if (head) seen.push([head.value, content]);
      });
      for (const [name, content] of model) {
        assert.ok(Buffer.from(store.head(Buffer.from(name))?.value ?? []).equals(content), name);
      }
      for (const [view, content] of seen) assert.ok(Buffer.compare(view, content) === 0);
      assert.equal(store.stats().keys, model.size);
    }),
    { numRuns: 50 },
  );
});
