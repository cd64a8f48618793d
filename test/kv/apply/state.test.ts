import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKvState, openKvState } from '../../../src/kv/apply/state.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { Applier, compare, describeEvent, describeKv, listed, op, rangeRequest, watchRequest } from './requests.ts';

function fresh(): Applier {
  return new Applier(createKvState({ backend: createMemoryBackend() }));
}

test('an empty store is at revision 1 and each writing request adds one', () => {
  const store = fresh();
  const { state } = store;
  assert.equal(state.revision(), 1);
  assert.equal(store.ok(op.put('a', '1')).revision, 2);
  assert.equal(store.ok(op.del('nothing')).revision, 2);
  assert.equal(store.ok(op.del('a')).revision, 3);
  assert.equal(state.consistentIndex(), 3);
});

test('a put counts versions within one life of the key', () => {
  const store = fresh();
  store.ok(op.put('a', '1'));
  store.ok(op.put('a', '2'));
  assert.equal(listed(store.state, rangeRequest('a')), 'a=2 c2 m3 v2 #1');
  store.ok(op.del('a'));
  assert.equal(listed(store.state, rangeRequest('a')), '#0');
  store.ok(op.put('a', '3'));
  assert.equal(listed(store.state, rangeRequest('a')), 'a=3 c5 m5 v1 #1');
  assert.equal(listed(store.state, rangeRequest('a', '', { revision: 3 })), 'a=2 c2 m3 v2 #1');
  assert.equal(listed(store.state, rangeRequest('a', '', { revision: 4 })), '#0');
  assert.equal(listed(store.state, rangeRequest('a', '', { revision: 6 })), 'futureRevision');
});

test('a watch follows the writes of its keys, from the past and from now on', () => {
  const store = fresh();
  store.ok(op.put('a/1', 'x'));
  store.ok(op.put('b/1', 'x'));
  store.ok(op.del('a/1'));
  const seen: string[] = [];
  const watcher = store.state.watch(watchRequest('a/', 'a0', { startRevision: 2, prevKv: true }), {
    events: (events) => {
      seen.push(...events.map(describeEvent));
      return true;
    },
    compacted: () => assert.fail('nothing is compacted'),
  });
  assert.ok(watcher.isSynced());
  store.ok(op.txn([], [op.put('a/1', 'y'), op.put('a/2', 'z'), op.put('c', '')]));
  assert.deepEqual(seen, ['put a/1=x@2', 'delete a/1@4 (was x)', 'put a/1=y@5', 'put a/2=z@5']);
  watcher.cancel();
  store.ok(op.put('a/1', 'unseen'));
  assert.equal(seen.length, 4);
});

test('a revoked lease takes its keys with it, in key order, in one revision', () => {
  const store = fresh();
  store.ok(op.grant(7n));
  store.ok(op.put('b', '1', { lease: 7n }));
  store.ok(op.put('a', '1', { lease: 7n }));
  const before = store.state.revision();
  const seen: string[] = [];
  store.state.watch(watchRequest('\0', '\0'), {
    events: (events) => seen.push(events.map(describeEvent).join(', ')) > 0,
    compacted: () => {},
  });
  store.ok(op.revoke(7n));
  assert.deepEqual(seen, [`delete a@${before + 1}, delete b@${before + 1}`]);
  assert.equal(store.error(op.revoke(7n)), 'leaseNotFound');
});

test('a transaction compares first, then reads what it has written', () => {
  const store = fresh();
  store.ok(op.put('a', '1'));
  const result = store.ok(
    op.txn(
      [compare('a', 'equal', { kind: 'mod', value: 2 })],
      [
        op.put('b', '2'),
        op.range('a', 'c'),
        op.txn([compare('b', 'equal', { kind: 'version', value: 1 })], [], [op.del('a')]),
      ],
    ),
  );
  assert.ok(result.response.kind === 'txn');
  const { responses } = result.response.response;
  assert.ok(responses[1]?.kind === 'range');
  assert.deepEqual(responses[1].response.kvs.map(describeKv), ['a=1 c2 m2 v1', 'b=2 c3 m3 v1']);
  // The nested comparison was decided before b was written.
  assert.equal(listed(store.state, rangeRequest('a', 'c')), 'b=2 c3 m3 v1 #1');
});

test('a restart finds what was applied', async () => {
  const backend = createMemoryBackend();
  const store = new Applier(createKvState({ backend }));
  store.ok(op.grant(5n, 30));
  for (const key of ['a', 'b', 'a', 'c']) store.ok(op.put(key, key, { lease: 5n }));
  store.ok(op.del('b'));
  store.ok(op.compact(4));
  const again = await openKvState({ backend });
  assert.equal(again.consistentIndex(), store.state.consistentIndex());
  assert.deepEqual(again.hashKv(0), store.state.hashKv(0));
  assert.deepEqual([...(again.leases().get(5n)?.keys ?? [])].sort(), ['a', 'c']);
  assert.equal(listed(again, rangeRequest('a', 'z', { revision: 3 })), 'compacted');
  assert.equal(
    listed(again, rangeRequest('a', 'z', { revision: 4 })),
    listed(store.state, rangeRequest('a', 'z', { revision: 4 })),
  );
});
