/** Snapshots of a store that goes on being written: as of the call, few at a time, and nothing left behind. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Disk } from '../../../src/env/disk.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realDisk } from '../../../src/env/real.ts';
import { createKvState, type KvState } from '../../../src/kv/apply/index.ts';
import type { Backend } from '../../../src/kv/backend/contract.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { openBolt } from '../../../src/kv/bbolt/reader.ts';
import { SnapshotExporter, type StoreSnapshot } from '../../../src/kv/snapshot/exporter.ts';
import { examineEtcd } from '../../../src/kv/snapshot/from-etcd.ts';
import { saveSnapshot } from '../../../src/kv/snapshot/save.ts';
import { op } from '../apply/requests.ts';
import { MemoryFile } from '../bbolt/memory-file.ts';

const position = { term: 1, voters: [1], learners: [] };
let directory: string;
let backend: Backend;
let kv: KvState;
let index = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-exporter-'));
  backend = await openLevelBackend(join(directory, 'kv'), { log: silentLog, onFatal: () => undefined });
  kv = createKvState({ backend });
});

after(async () => {
  await backend.close();
  await rm(directory, { recursive: true, force: true });
});

function write(count: number): void {
  for (let number = 0; number < count; number++) {
    kv.apply(++index, { requestId: 0, op: op.put(`key ${number % 500}`, `value ${index}`.repeat(30)) });
  }
}

async function bytesOf(snapshot: StoreSnapshot): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of snapshot.chunks()) parts.push(part);
  return Buffer.concat(parts);
}

test('a snapshot is as of the call, whatever is written while it is made', async () => {
  write(3_000);
  const exporter = new SnapshotExporter(realDisk, directory);
  const revision = kv.revision();
  const taking = exporter.take(kv, position);
  write(3_000);
  const snapshot = await taking;
  assert.equal(snapshot.revision, revision);
  const bytes = await bytesOf(snapshot);
  await snapshot.close();
  assert.equal(bytes.length, snapshot.bytes + 32);
  const content = bytes.subarray(0, snapshot.bytes);
  assert.ok(createHash('sha256').update(content).digest().equals(bytes.subarray(snapshot.bytes)));
  const examined = await examineEtcd(await openBolt(new MemoryFile(content)));
  assert.deepEqual([examined.revision, examined.keys, examined.rows], [revision, 500, 3_000]);
  assert.deepEqual(await readdir(directory), ['kv'], 'its file had no name');
});

test('a third snapshot at a time is refused, and taken once another is done', async () => {
  const exporter = new SnapshotExporter(realDisk, directory);
  const first = await exporter.take(kv, position);
  const second = await exporter.take(kv, position);
  await assert.rejects(exporter.take(kv, position), { kv: 'tooManyRequests' });
  await first.close();
  const third = await exporter.take(kv, position);
  await Promise.all([second.close(), third.close()]);
});

test('none is taken when that would fill the disk', async () => {
  const full: Disk = { ...realDisk, freeBytes: async () => 300 * 1024 * 1024 };
  const exporter = new SnapshotExporter(full, directory);
  write(300_000 / 500);
  const small = await exporter.take(kv, position);
  await small.close();
  const fuller: Disk = { ...realDisk, freeBytes: async () => 200 * 1024 * 1024 };
  await assert.rejects(new SnapshotExporter(fuller, directory).take(kv, position), { code: 'NO_SPACE' });
});

test('a saved snapshot has its name only when it is whole', async () => {
  const snapshot = await new SnapshotExporter(realDisk, directory).take(kv, position);
  const bytes = await bytesOf(snapshot);
  await snapshot.close();
  const path = join(directory, 'saved');
  const cut = async function* (length: number) {
    for (let at = 0; at < length; at += 10_000) yield bytes.subarray(at, Math.min(at + 10_000, length));
  };
  for (const length of [0, 10, 32, 100_000, bytes.length - 1]) {
    await assert.rejects(saveSnapshot(realDisk, path, cut(length)), { code: 'SNAPSHOT_INCOMPLETE' }, `${length} bytes`);
  }
  assert.ok(!(await readdir(directory)).some((name) => name.startsWith('saved')));
  assert.equal(await saveSnapshot(realDisk, path, cut(bytes.length)), bytes.length);
  assert.ok((await readFile(path)).equals(bytes));
});
