/** From the store to etcd's buckets and back: nothing is lost, and what is damaged is refused, not loaded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeelsonError } from '../../../src/env/errors.ts';
import { rangeRequest } from '../../../src/kv/api.ts';
import type { KvState } from '../../../src/kv/apply/index.ts';
import { createKvState } from '../../../src/kv/apply/index.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { openBolt } from '../../../src/kv/bbolt/reader.ts';
import { eachRow } from '../../../src/kv/backend/row-blocks.ts';
import { createBoltWriter } from '../../../src/kv/bbolt/writer.ts';
import { decodeKeyValue, encodeEtcdRevision, encodeKeyValue } from '../../../src/kv/snapshot/etcd-messages.ts';
import { examineEtcd } from '../../../src/kv/snapshot/from-etcd.ts';
import { MemoryFile } from '../bbolt/memory-file.ts';
import { op } from '../apply/requests.ts';
import { fromEtcd, randomOf, randomState, toEtcd } from './states.ts';

/** Everything that a reader sees, at every revision that can still be read. */
function view(kv: KvState): object {
  const history: Record<number, unknown> = {};
  const all = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
  for (let at = Math.max(1, kv.compactRevision()); at <= kv.revision(); at++) {
    const result = kv.range(rangeRequest({ ...all, revision: at }));
    history[at] = typeof result === 'string' ? result : result.kvs.map((each) => ({ ...each, key: `${each.key}` }));
  }
  const leases = [...kv.leases().all()].map((lease) => ({ ...lease, keys: [...lease.keys].sort() }));
  leases.sort((a, b) => Number(a.id - b.id));
  return { revision: kv.revision(), compacted: kv.compactRevision(), history, leases, members: [...kv.members()] };
}

test('an empty store goes to etcd and back', async () => {
  const kv = createKvState({ backend: createMemoryBackend() });
  const back = await fromEtcd(await toEtcd(kv));
  assert.equal(back.revision(), 1);
  assert.deepEqual([...back.leases().all()], []);
});

test('random stores go to etcd and back, revision by revision, and go on from there', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const kv = randomState(seed, 10 + seed * 3);
    const before = view(kv);
    const back = await fromEtcd(await toEtcd(kv));
    assert.deepEqual(view(back), before, `seed ${seed}`);
    const twice = await fromEtcd(await toEtcd(back));
    assert.deepEqual(view(twice), before, `seed ${seed}, twice`);
    while (back.cleanStep());
    const { revision } = back.apply(2, { requestId: 0, op: op.put('new', 'value') });
    assert.equal(revision, kv.revision() + 1);
    assert.equal(back.apply(3, { requestId: 0, op: { kind: 'compact', revision } }).ok, true);
    while (back.cleanStep());
  }
});

test('users, roles and the switch come back as they were', async () => {
  const kv = createKvState({ backend: createMemoryBackend() });
  const changes = [
    { kind: 'userAdd', name: 'root', passwordHash: '$2a$10$hash', hasNoPassword: false },
    { kind: 'userAdd', name: 'by-certificate', passwordHash: '', hasNoPassword: true },
    { kind: 'roleAdd', role: 'root' },
    { kind: 'roleAdd', role: 'reader' },
    { kind: 'roleGrantPermission', role: 'reader', permission: { type: 'read', key: 'a\u00ff', rangeEnd: '\0' } },
    { kind: 'roleGrantPermission', role: 'reader', permission: { type: 'readWrite', key: 'b', rangeEnd: '' } },
    { kind: 'userGrantRole', name: 'by-certificate', role: 'reader' },
    { kind: 'userGrantRole', name: 'root', role: 'root' },
    { kind: 'enable' },
  ] as const;
  for (const [position, change] of changes.entries()) {
    const result = kv.apply(position + 1, { requestId: 0, op: { kind: 'auth', change }, caller: 'member' });
    assert.ok(result.ok, `${change.kind}: ${JSON.stringify(result)}`);
  }
  const authRows = async (state: KvState) => {
    const rows: string[] = [];
    for await (const block of state.rowBlocks()) {
      eachRow(block, (key, value) => {
        if ('eou'.includes(String.fromCharCode(key[0] ?? 0))) rows.push(`${key} ${value}`);
      });
    }
    return rows;
  };
  const before = await authRows(kv);
  assert.equal(before.length, 5);
  assert.deepEqual(await authRows(await fromEtcd(await toEtcd(kv))), before);
});

test('data that holds nothing of its compacted revision is loaded, read, watched and compacted on', async () => {
  const kv = createKvState({ backend: createMemoryBackend() });
  const ops = [op.put('a', '1'), op.put('b', '1'), op.del('a'), op.put('b', '2')];
  for (const [position, each] of ops.entries()) kv.apply(position + 1, { requestId: 0, op: each });
  const file = new MemoryFile();
  const writer = createBoltWriter(file);
  writer.beginBucket('key');
  // As etcd leaves it after a compaction at 4, where `a` was deleted.
  for (const [main, value, version] of [
    [3, '1', 1],
    [5, '2', 2],
  ] as const) {
    const kvs = { key: Buffer.from('b'), value: Buffer.from(value), lease: 0n };
    const row = encodeKeyValue({ ...kvs, createRevision: 3, modRevision: main, version });
    writer.add(encodeEtcdRevision(main, 0, false), row);
  }
  writer.endBucket();
  writer.beginBucket('meta');
  writer.add(Buffer.from('finishedCompactRev'), encodeEtcdRevision(4, 0, false));
  writer.endBucket();
  await writer.finish();
  const back = await fromEtcd(file);
  assert.equal(back.revision(), 5);
  assert.equal(back.compactRevision(), 4);
  const seen: number[] = [];
  const request = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0), startRevision: 4 };
  const filters = { prevKv: true, noPut: false, noDelete: false };
  back.watch(
    { ...request, ...filters },
    {
      events: (events) => {
        seen.push(...events.map((event) => event.kv.modRevision));
        return true;
      },
      compacted: () => assert.fail('revision 4 can be watched'),
    },
  );
  assert.deepEqual(seen, [5]);
  while (back.cleanStep());
  assert.equal(back.apply(2, { requestId: 0, op: { kind: 'compact', revision: 5 } }).ok, true);
  while (back.cleanStep());
  assert.equal(back.stats().keys, 1);
});

test('a revision that is missing, or a life that contradicts itself, is told', async () => {
  const make = async (rows: readonly (readonly [main: number, created: number, version: number])[]) => {
    const file = new MemoryFile();
    const writer = createBoltWriter(file);
    writer.beginBucket('key');
    for (const [main, createRevision, version] of rows) {
      const kv = {
        key: Buffer.from('k'),
        value: Buffer.from('v'),
        lease: 0n,
        createRevision,
        modRevision: main,
        version,
      };
      writer.add(encodeEtcdRevision(main, 0, false), encodeKeyValue(kv));
    }
    writer.endBucket();
    writer.beginBucket('meta');
    writer.endBucket();
    await writer.finish();
    return examineEtcd(await openBolt(file));
  };
  assert.equal(
    (
      await make([
        [2, 2, 1],
        [3, 2, 2],
      ])
    ).revision,
    3,
  );
  await assert.rejects(
    make([
      [2, 2, 1],
      [4, 2, 2],
    ]),
    { code: 'SNAPSHOT_CORRUPT', message: /revision 3 is missing/ },
  );
  await assert.rejects(
    make([
      [2, 2, 1],
      [3, 3, 1],
    ]),
    { message: /after version 1 of one created at 2/ },
  );
  await assert.rejects(make([[2, 1, 5]]), { message: /of which nothing is there/ });
});

test('a file without etcd’s buckets is refused', async () => {
  const file = new MemoryFile();
  const writer = createBoltWriter(file);
  writer.beginBucket('other');
  writer.endBucket();
  await writer.finish();
  await assert.rejects(async () => examineEtcd(await openBolt(file)), {
    message: /no buckets key and meta, but other/,
  });
});

test('mutated snapshots are refused with a clear error, or give a state that loads and can be used', async () => {
  let refused = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    const file = await toEtcd(randomState(1 + (seed % 7), 60));
    for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
      const at = 3 * 4096 + Math.floor(random() * (file.bytes.length - 3 * 4096));
      // Most of a page of few entries is empty: damage goes where something stands.
      let place = at;
      while (place < file.bytes.length - 1 && file.bytes[place] === 0) place += 1;
      file.bytes[place] = Math.floor(random() * 256);
    }
    try {
      const kv = await fromEtcd(file);
      while (kv.cleanStep());
      kv.apply(2, { requestId: 0, op: op.put('new', 'value') });
      view(kv);
    } catch (error) {
      assert.ok(error instanceof KeelsonError, `seed ${seed}: ${(error as Error).stack}`);
      assert.match(error.code, /^(BOLT_DAMAGED|SNAPSHOT_CORRUPT)$/);
      refused += 1;
    }
  }
  assert.ok(refused > 50, `${refused} of 300 were refused`);
});

test('random bytes as a key’s message are decoded or refused', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = randomOf(seed);
    const bytes = Uint8Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256));
    try {
      decodeKeyValue(bytes);
    } catch (error) {
      assert.ok(error instanceof KeelsonError && error.code === 'SNAPSHOT_CORRUPT', `seed ${seed}: ${String(error)}`);
    }
  }
});
