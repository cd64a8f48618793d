import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InternalOp } from '../../../src/kv/api.ts';
import type { KvState } from '../../../src/kv/apply/contract.ts';
import { createKvState, openKvState } from '../../../src/kv/apply/state.ts';
import type { Backend, BackendWrite } from '../../../src/kv/backend/contract.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { Notebook } from '../mvcc/store.ts';
import { Applier, bytes, listed, op, rangeRequest, watchRequest } from './requests.ts';

const member = { id: 1, name: '', peerUrls: ['http://a:2380'], clientUrls: [], isLearner: false };

/** A state with a little of everything. */
function filled(backend: Backend): Applier {
  const store = new Applier(createKvState({ backend }));
  const { state } = store;
  state.setMember(member);
  state.setMember({ ...member, id: 2, isLearner: true });
  state.skip(1);
  state.changeMember(2, { kind: 'remove', id: 2 });
  store.ok({ kind: 'memberAttributes', memberId: 1, name: 'one', clientUrls: ['http://a:2379'] });
  store.ok({ kind: 'clusterVersion', version: '3.6.0' });
  store.ok(op.grant(-5n, 30));
  store.ok(op.grant(6n, 60));
  store.ok({
    kind: 'leaseCheckpoint',
    remaining: [
      [-5n, 17],
      [404n, 3],
    ],
  });
  for (const key of ['a', 'b', 'a', 'c', 'a']) store.ok(op.put(key, `${key}!`, { lease: -5n }));
  store.ok(op.del('b'));
  store.ok(op.compact(4));
  store.ok({ kind: 'alarm', action: 'activate', memberId: 1, alarm: 'noSpace' });
  return store;
}

/** Everything that a reader can see. */
function picture(state: KvState): unknown {
  return {
    index: state.consistentIndex(),
    revision: state.revision(),
    compactRevision: state.compactRevision(),
    hash: state.hashKv(0),
    head: listed(state, rangeRequest('\0', '\0')),
    before: listed(state, rangeRequest('\0', '\0', { revision: 4 })),
    leases: [...state.leases().all()]
      .map((lease) => ({ ...lease, keys: [...lease.keys].sort() }))
      .sort((a, b) => a.ttlSeconds - b.ttlSeconds),
    members: [...state.members().values()],
    removed: [...state.removedMembers()],
    alarms: state.alarms(),
    version: state.clusterVersion(),
    bytes: state.stats().bytesInUse,
  };
}

async function gather(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

test('a restart brings back everything', async () => {
  const backend = createMemoryBackend();
  const store = filled(backend);
  while (store.state.cleanStep());
  const again = await openKvState({ backend });
  assert.deepEqual(picture(again), picture(store.state));
  assert.deepEqual(again.members().get(1), { ...member, name: 'one', clientUrls: ['http://a:2379'] });
});

test('a restart before cleaning goes on cleaning', async () => {
  const backend = createMemoryBackend();
  const store = filled(backend);
  const again = await openKvState({ backend });
  assert.deepEqual(again.hashKv(0), store.state.hashKv(0));
  const before = backend.bytesOnDisk();
  while (again.cleanStep());
  assert.ok(backend.bytesOnDisk() < before);
  while (store.state.cleanStep());
  assert.deepEqual(picture(again), picture(store.state));
});

test('a snapshot is of the moment of the call, and a restore from it equals that moment', async () => {
  const store = filled(createMemoryBackend());
  const then = picture(store.state);
  const index = store.state.consistentIndex();
  const stream = store.state.snapshot();
  store.ok(op.del('\0', '\0'));
  store.ok(op.revoke(6n));
  const other = createKvState({ backend: createMemoryBackend() });
  other.skip(1);
  await other.restore(index, stream);
  while (other.cleanStep());
  const { bytes: _, ...rest } = picture(other) as Record<string, unknown>;
  const { bytes: __, ...wanted } = then as Record<string, unknown>;
  assert.deepEqual(rest, wanted);
  assert.equal(other.durableIndex(), index);
});

test('a restored state is what a restart finds', async () => {
  const content = await gather(filled(createMemoryBackend()).state.snapshot());
  const backend = createMemoryBackend();
  const other = new Applier(createKvState({ backend }));
  other.ok(op.put('old', '1'));
  await other.state.restore(100, once(content));
  assert.equal(listed(other.state, rangeRequest('old')), '#0');
  assert.deepEqual(picture(await openKvState({ backend })), picture(other.state));
  assert.equal(other.state.consistentIndex(), 100);
});

test('an empty state can be handed over too', async () => {
  const other = createKvState({ backend: createMemoryBackend() });
  await other.restore(7, createKvState({ backend: createMemoryBackend() }).snapshot());
  assert.equal(other.revision(), 1);
  assert.equal(other.consistentIndex(), 7);
});

test('readers see the old state until a snapshot is whole, and go on with it when it is damaged', async () => {
  const content = await gather(filled(createMemoryBackend()).state.snapshot());
  const damages: readonly Buffer[] = [
    content.subarray(0, content.length - 1),
    content.subarray(0, 40),
    Buffer.concat([content, Buffer.from('x')]),
    Buffer.from(content.map((byte, at) => (at === 60 ? byte ^ 1 : byte))),
    Buffer.from('something else entirely'),
    Buffer.alloc(0),
  ];
  const store = new Applier(createKvState({ backend: createMemoryBackend() }));
  store.ok(op.put('mine', '1'));
  const before = picture(store.state);
  for (const damaged of damages) {
    await assert.rejects(store.state.restore(50, once(damaged)), { code: 'SNAPSHOT_CORRUPT' });
    assert.deepEqual(picture(store.state), before);
  }
  store.ok(op.put('mine', '2'));
});

test('a restore that was cut short is cleared away at the next start', async () => {
  const backend = createMemoryBackend();
  filled(backend);
  // What is there while the rows of a snapshot come in: some of them, and not the row that says how far they go.
  backend.write([{ type: 'delete', key: bytes('a') }]);
  const state = await openKvState({ backend });
  assert.equal(state.consistentIndex(), 0);
  assert.equal(state.revision(), 1);
  assert.equal(listed(state, rangeRequest('\0', '\0')), '#0');
  assert.equal(state.members().size, 0);
});

test('watches live through a restore: each goes on where it was, or is over if that was compacted', async () => {
  const leader = new Applier(createKvState({ backend: createMemoryBackend() }));
  const follower = new Applier(createKvState({ backend: createMemoryBackend() }));
  for (const store of [leader, follower]) store.ok(op.put('a', '1'));
  const synced = new Notebook();
  follower.state.watch(watchRequest('a'), synced);
  const future = new Notebook();
  follower.state.watch(watchRequest('a', '', { startRevision: 5 }), future);
  const paused = new Notebook();
  paused.accepts = false;
  const pausedWatcher = follower.state.watch(watchRequest('a', '', { startRevision: 2 }), paused);
  for (const value of ['2', '3', '4']) leader.ok(op.put('a', value));
  await follower.state.restore(leader.state.consistentIndex(), leader.state.snapshot());
  assert.deepEqual(synced.calls, ['put a=2@3, put a=3@4, put a=4@5']);
  assert.deepEqual(future.calls, ['put a=4@5']);
  leader.ok(op.put('a', '5'));
  leader.ok(op.compact(6));
  await follower.state.restore(leader.state.consistentIndex(), leader.state.snapshot());
  assert.deepEqual(synced.calls.slice(1), ['put a=5@6']);
  assert.deepEqual(paused.calls, ['put a=1@2', 'compacted at 6']);
  pausedWatcher.resume();
  follower.ok(op.put('a', '6'));
  assert.equal(synced.calls.at(-1), 'put a=6@7');
  assert.equal(future.calls.at(-1), 'put a=6@7');
});

test('the durable index follows a sync, and one begins by itself after some entries', async () => {
  const base = createMemoryBackend();
  let release: () => void = () => {};
  let syncs = 0;
  const backend: Backend = Object.assign(Object.create(base) as Backend, {
    get: base.get.bind(base),
    write: base.write.bind(base),
    sync: () => {
      syncs += 1;
      return new Promise<void>((done) => {
        release = done;
      });
    },
  });
  const store = new Applier(createKvState({ backend, syncEntries: 10 }));
  for (let index = 0; index < 9; index++) store.ok(op.put('a'));
  assert.equal(syncs, 0);
  for (let index = 0; index < 20; index++) store.ok(op.put('a'));
  assert.equal(syncs, 1, 'one at a time');
  assert.equal(store.state.durableIndex(), 0);
  const wanted = store.state.sync();
  release();
  await wanted;
  assert.equal(store.state.durableIndex(), 29);
});

test('entries are applied in order, each once', () => {
  const store = new Applier(createKvState({ backend: createMemoryBackend() }));
  const put: InternalOp = op.put('a');
  store.state.apply(5, { requestId: 0, op: put });
  assert.throws(() => store.state.apply(5, { requestId: 0, op: put }), /entry 5 is applied after 5/);
  assert.throws(() => store.state.skip(4), /entry 4 is applied after 5/);
  assert.throws(() => createKvState({ backend: filledBackend() }), /openKvState opens a used one/);
});

function filledBackend(): Backend {
  const backend = createMemoryBackend();
  filled(backend);
  return backend;
}

test('a membership change and the index of its entry are one step on disk', async () => {
  const backend = createMemoryBackend();
  const batches: (readonly BackendWrite[])[] = [];
  const write = backend.write.bind(backend);
  backend.write = (batch: readonly BackendWrite[]) => {
    batches.push(batch);
    write(batch);
  };
  const state = createKvState({ backend });
  state.setMember(member);
  state.skip(1);
  state.changeMember(2, { kind: 'set', member: { ...member, id: 2, isLearner: true } });
  state.changeMember(3, { kind: 'remove', id: 1 });
  // Whatever was written last before a crash: the table is as the entries up to the index made it.
  for (let kept = 1; kept <= batches.length; kept += 1) {
    const survived = createMemoryBackend();
    for (const batch of batches.slice(0, kept)) survived.write(batch);
    const restarted = await openKvState({ backend: survived });
    const index = restarted.consistentIndex();
    assert.equal(restarted.members().has(2), index >= 2, `after ${kept} batches, at ${index}`);
    assert.equal(restarted.removedMembers().has(1), index >= 3, `after ${kept} batches, at ${index}`);
  }
});
