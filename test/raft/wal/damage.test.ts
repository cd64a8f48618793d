/** What is damaged is told, and never taken for a torn end; what is torn is cut, and told too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { KeelsonError } from '../../../src/env/errors.ts';
import type { Entry, Index, PersistToken, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { createWal, openWal, walIdentity } from '../../../src/raft/wal/open-wal.ts';
import { encodeSegmentHeader } from '../../../src/raft/wal/payload.ts';
import { readWal, type WalItem } from '../../../src/raft/wal/read-wal.ts';
import { frameRecord, recordTypes } from '../../../src/raft/wal/record.ts';
import { segmentName, walFormatVersion } from '../../../src/raft/wal/segment.ts';
import type { OpenedWal, Wal } from '../../../src/raft/wal/wal.ts';
import { confState } from '../../contract/wal-workload.ts';

const identity = walIdentity('00000000000000aa', '0000000000000001');
const directory = '/data';
const options = (disk: SimDisk, segmentBytes = 1 << 20) => ({ disk, directory, segmentBytes });
const hardState = { term: 1 as Term, vote: 1 as ReplicaId, commit: 0 as Index };

const entry = (index: number, bytes = 200): Entry => ({
  term: 1 as Term,
  index: index as Index,
  kind: 'normal',
  data: new Uint8Array(bytes).fill(index),
});

async function write(wal: Wal, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index++) {
    await wal.append({ token: index as PersistToken, hardState, entries: [entry(index)], mustSync: true });
  }
}

async function logOf(entries: number, segmentBytes?: number): Promise<{ disk: SimDisk; opened: OpenedWal }> {
  const disk = new SimDisk({ random: seededRandom('damage') });
  const opened = await createWal(options(disk, segmentBytes), identity, { confState });
  await write(opened.wal, 1, entries);
  return { disk, opened };
}

const segments = (disk: SimDisk) => disk.files().filter(({ path }) => path.endsWith('.wal'));
const withCode = (code: string, text?: RegExp) => (error: unknown) => {
  assert.equal((error as KeelsonError).code, code, String(error));
  if (text) assert.match((error as Error).message, text);
  return true;
};

async function itemsOf(disk: SimDisk): Promise<WalItem[]> {
  const items: WalItem[] = [];
  for await (const item of readWal(disk, directory)) items.push(item);
  return items;
}

test('damage before the end of the last segment is refused with segment, offset and what to do', async () => {
  const { disk } = await logOf(10);
  const [segment] = segments(disk);
  const records = (await itemsOf(disk)).filter((item) => item.kind === 'record');
  const third = records[3];
  disk.corrupt(segment?.path ?? '', (third?.offset ?? 0) + 60);
  const expected = new RegExp(
    `${segment?.path} is damaged at offset ${third?.offset}: the checksum.*remove this member`,
  );
  await assert.rejects(openWal(options(disk.crash('kept'))), withCode('WAL_CORRUPT', expected));
});

test('a damaged length cannot hide what comes after it', async () => {
  const { disk } = await logOf(10);
  const [segment] = segments(disk);
  const records = (await itemsOf(disk)).filter((item) => item.kind === 'record');
  for (const byte of [4, 5, 6, 7]) disk.corrupt(segment?.path ?? '', (records[5]?.offset ?? 0) + byte);
  await assert.rejects(openWal(options(disk.crash('kept'))), withCode('WAL_CORRUPT'));
});

test('damage in a segment before the last is refused, its last record included', async () => {
  for (const fromEnd of [100, 1]) {
    const { disk } = await logOf(20, 1000);
    const [, second] = segments(disk);
    disk.corrupt(second?.path ?? '', (second?.sizeBytes ?? 0) - fromEnd * 8);
    await assert.rejects(openWal(options(disk.crash('kept'))), withCode('WAL_CORRUPT'));
  }
});

test('a segment that is missing in the middle or at the cut is refused', async () => {
  const middle = await logOf(20, 1000);
  await middle.disk.remove(segments(middle.disk)[1]?.path ?? '');
  await assert.rejects(openWal(options(middle.disk)), withCode('WAL_CORRUPT', /segment 2 before it is missing/));
  const shortened = await logOf(20, 1000);
  const first = segments(shortened.disk)[0];
  const file = await shortened.disk.open(first?.path ?? '', 'open');
  const records = (await itemsOf(shortened.disk)).filter(
    (item) => item.kind === 'record' && item.segment === first?.path,
  );
  await file.truncate((records.at(-1) as { offset: number }).offset);
  await assert.rejects(openWal(options(shortened.disk)), withCode('WAL_CORRUPT', /does not follow the segment before/));
});

test('a broken last record with nothing after it is cut and counted, and the log goes on', async () => {
  const { disk } = await logOf(10);
  const [segment] = segments(disk);
  disk.corrupt(segment?.path ?? '', (segment?.sizeBytes ?? 0) - 9);
  const damage = (await itemsOf(disk)).find((item) => item.kind === 'damage');
  assert.equal(damage?.kind === 'damage' && damage.isTornTail, true);
  const opened = await openWal(options(disk.crash('kept')));
  assert.ok(opened.cutBytes > 200);
  assert.equal(opened.restored.entries.length, 9);
  await write(opened.wal, 10, 12);
  await opened.wal.close();
});

test('zeros after the last record, as a crash leaves them, are a torn end', async () => {
  const { disk, opened } = await logOf(3);
  await opened.wal.close();
  const [segment] = segments(disk);
  const file = await disk.open(segment?.path ?? '', 'open');
  await file.write(segment?.sizeBytes ?? 0, [new Uint8Array(4096)]);
  const again = await openWal(options(disk));
  assert.equal(again.cutBytes, 4096);
  assert.equal(again.restored.entries.length, 3);
});

test('data of another cluster or another member is refused by name', async () => {
  const { disk, opened } = await logOf(1);
  await opened.wal.close();
  const other = { clusterId: '00000000000000bb' };
  await assert.rejects(
    openWal(options(disk), other),
    withCode('DATA_OTHER_CLUSTER', /of cluster 00000000000000aa, not .* of cluster 00000000000000bb/),
  );
  await assert.rejects(openWal(options(disk), { memberId: '0000000000000009' }), withCode('DATA_OTHER_CLUSTER'));
  await assert.rejects(createWal(options(disk), identity), withCode('WAL_EXISTS'));
  await assert.rejects(openWal({ ...options(disk), directory: '/elsewhere' }), withCode('WAL_MISSING'));
});

test('data of a newer version is refused, and says so', async () => {
  const disk = new SimDisk({ random: seededRandom('newer') });
  await disk.makeDirectory('/data/wal');
  const payload = encodeSegmentHeader({
    identity: { ...identity, formatVersion: walFormatVersion + 1 },
    sequence: 1,
    firstIndex: 1 as Index,
    previousSegmentCrc: 0,
    hardState,
    marks: [],
    confMarks: [],
  });
  const framed = frameRecord(recordTypes.segmentHeader, payload, { offset: 0, previousCrc: 0, groupStart: 0 });
  const file = await disk.open(`/data/wal/${segmentName(1, 1 as Index).name}`, 'create');
  await file.write(0, framed.chunks);
  await assert.rejects(openWal(options(disk)), withCode('DATA_NEWER_VERSION', /start the newer Keelson/));
});

async function snapshotAt(wal: Wal, index: number, origin: 'local' | 'received'): Promise<void> {
  const writer = await wal.createSnapshot({ index: index as Index, term: 1 as Term, confState }, origin);
  await writer.write(new Uint8Array(5000).fill(index));
  await writer.finish();
}

test('a damaged newest snapshot is set aside: the one before and the log after it take its place', async () => {
  const { disk, opened } = await logOf(10, 1000);
  await snapshotAt(opened.wal, 4, 'local');
  await opened.wal.release(4 as Index);
  await write(opened.wal, 11, 20);
  await snapshotAt(opened.wal, 15, 'local');
  await opened.wal.release(15 as Index);
  const newest = disk.files().find(({ path }) => path.includes('000000000000000f-'));
  disk.corrupt(newest?.path ?? '', 3000);
  const again = await openWal(options(disk.crash('kept')));
  assert.equal(again.restored.snapshot.index, 4);
  assert.deepEqual(
    again.restored.entries.map(({ index }) => index),
    Array.from({ length: 16 }, (_, at) => at + 5),
  );
  assert.equal(again.setAside.length, 1);
  assert.match(again.setAside[0]?.reason ?? '', /checksum/);
  // The next snapshot at the same place counts again.
  await snapshotAt(again.wal, 15, 'local');
  assert.equal(again.wal.latestSnapshot().index, 15);
});

test('a damaged snapshot that came from the leader cannot be made up for', async () => {
  const { disk, opened } = await logOf(3);
  await snapshotAt(opened.wal, 50, 'received');
  const meta = { index: 50 as Index, term: 1 as Term, confState };
  await opened.wal.append({ token: 100 as PersistToken, entries: [], snapshot: meta, mustSync: true });
  const file = disk.files().find(({ path }) => path.endsWith('.snap'));
  disk.corrupt(file?.path ?? '', 2000);
  await assert.rejects(openWal(options(disk.crash('kept'))), withCode('SNAPSHOT_CORRUPT', /restore the latest backup/));
});

test('a snapshot is read with its checksums: damage that happened later does not pass', async () => {
  const { disk, opened } = await logOf(3);
  await snapshotAt(opened.wal, 2, 'local');
  const file = disk.files().find(({ path }) => path.endsWith('.snap'));
  disk.corrupt(file?.path ?? '', 2000);
  const reader = await opened.wal.openSnapshot({ index: 2 as Index, term: 1 as Term });
  const readAll = async () => {
    for await (const chunk of reader.chunks()) assert.ok(chunk.length > 0);
  };
  await assert.rejects(readAll(), withCode('SNAPSHOT_CORRUPT'));
  await assert.rejects(opened.wal.openSnapshot({ index: 3 as Index, term: 1 as Term }), withCode('SNAPSHOT_MISSING'));
});

test('everything in a log can be read without opening it', async () => {
  const { disk, opened } = await logOf(3, 700);
  await opened.wal.appendConfMark({ index: 3 as Index, confState });
  await snapshotAt(opened.wal, 2, 'local');
  const items = await itemsOf(disk);
  const types = items.map((item) => (item.kind === 'record' ? item.type : item.kind));
  assert.deepEqual([...new Set(types)].sort(), ['batch', 'confMark', 'header', 'snapshot', 'snapshotMark']);
  const first = items[0];
  assert.deepEqual(first?.kind === 'record' && first.identity, identity);
});
