/** What is damaged is told, and never taken for a torn end; what is torn is cut, and told too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { KeelsonError } from '../../../src/env/errors.ts';
import type { ConfState, Entry, Index, PersistToken, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { createWal, openWal, walIdentity } from '../../../src/raft/wal/open-wal.ts';
import { encodeSegmentHeader } from '../../../src/raft/wal/payload.ts';
import { readWal, type WalItem } from '../../../src/raft/wal/read-wal.ts';
import { framedBytes, frameRecord, recordHeadBytes, recordTypes } from '../../../src/raft/wal/record.ts';
import { segmentName, walFormatVersion } from '../../../src/raft/wal/segment.ts';
import type { OpenedWal, Wal, WalOptions } from '../../../src/raft/wal/wal.ts';
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

function append(wal: Wal, token: number, index: number, term = 1, bytes = 200) {
  const { data, kind } = entry(index, bytes);
  const state = { ...hardState, term: term as Term };
  const entries: Entry[] = [{ term: term as Term, index: index as Index, kind, data }];
  return wal.append({ token: token as PersistToken, hardState: state, entries, mustSync: true });
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

/** Another process that opens what the first left behind, after a clean close or a kill. */
const reopen = (disk: SimDisk, extra: Partial<WalOptions> = {}) =>
  openWal({ ...options(disk.crash('kept')), ...extra });
const indexes = (opened: OpenedWal) => opened.restored.entries.map(({ index }) => index);
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

async function recordOf(disk: SimDisk, position: number): Promise<{ segment: string; offset: number }> {
  const records = (await itemsOf(disk)).filter((item) => item.kind === 'record' && item.type === 'batch');
  return records[position] as { segment: string; offset: number };
}

const inPayload = recordHeadBytes + 40;

test('a damaged entry in the middle is told, what is before it is kept, and every start says so until it is there again', async () => {
  const { disk } = await logOf(10);
  const fifth = await recordOf(disk, 4);
  disk.corrupt(fifth.segment, fifth.offset + inPayload);
  const life = disk.crash('kept');
  const opened = await openWal(options(life));
  assert.deepEqual(indexes(opened), upTo(4));
  assert.deepEqual([opened.lost?.from, opened.lost?.upTo], [5, 10]);
  assert.match(opened.damage[0] ?? '', new RegExp(`${fifth.segment} is damaged at offset ${fifth.offset} .*checksum`));
  assert.deepEqual([opened.restored.lostUpTo, opened.restored.lostTerm], [10, 1]);
  assert.ok(
    life.files().some(({ path }) => path.endsWith('.wal.broken')),
    'the damaged segment is kept for inspection',
  );
  await write(opened.wal, 5, 7);
  await opened.wal.close();
  const second = await openWal(options(life));
  assert.deepEqual([second.lost, second.damage, second.restored.lostUpTo], [undefined, [], 10]);
  for (let index = 8; index <= 10; index++) await append(second.wal, index - 7, index);
  await second.wal.close();
  const third = await openWal(options(life));
  assert.equal(third.restored.lostUpTo, undefined, 'the log reaches as far again');
  assert.deepEqual(indexes(third), upTo(10));
});

test('what is missing stays known over segment cuts, and an entry of a later term ends it', async () => {
  const { disk } = await logOf(10);
  const third = await recordOf(disk, 2);
  disk.corrupt(third.segment, third.offset + inPayload);
  const life = disk.crash('kept');
  const opened = await openWal(options(life, 1000));
  for (let index = 3; index <= 8; index++) await append(opened.wal, index, index);
  assert.ok(opened.wal.stats().segments > 1);
  await opened.wal.close();
  const second = await openWal(options(life, 1000));
  assert.equal(second.restored.lostUpTo, 10);
  await append(second.wal, 1, 9, 2);
  await second.wal.close();
  assert.equal((await openWal(options(life, 1000))).restored.lostUpTo, undefined);
});

test('a damaged head hides neither what comes after it nor which vote is the newest', async () => {
  const { disk, opened } = await logOf(9);
  const voted = { term: 7 as Term, vote: 3 as ReplicaId, commit: 0 as Index };
  await opened.wal.append({ token: 99 as PersistToken, hardState: voted, entries: [], mustSync: true });
  const ninth = await recordOf(disk, 8);
  for (const byte of [0, 9, 10, 50]) disk.corrupt(ninth.segment, ninth.offset + byte);
  const again = await reopen(disk);
  assert.deepEqual([again.restored.hardState.term, again.restored.hardState.vote], [7, 3]);
  // The term changed after the hole: a later leader may have replaced what was not committed, so only that is trusted.
  assert.deepEqual([indexes(again), again.lost?.from, again.lost?.upTo], [[], 1, 9]);
});

test('entries before a hole are kept when no other leader can have replaced them in it', async () => {
  const { disk } = await logOf(9);
  const sixth = await recordOf(disk, 5);
  disk.corrupt(sixth.segment, sixth.offset + 9);
  const again = await reopen(disk);
  assert.deepEqual([indexes(again), again.lost?.from, again.lost?.upTo], [upTo(5), 6, 9]);
});

test('a damaged record without entries loses none', async () => {
  const { disk, opened } = await logOf(5);
  const voted = { ...hardState, term: 2 as Term };
  await opened.wal.append({ token: 50 as PersistToken, hardState: voted, entries: [], mustSync: true });
  await append(opened.wal, 51, 6, 2);
  const vote = await recordOf(disk, 5);
  disk.corrupt(vote.segment, vote.offset + recordHeadBytes);
  const again = await reopen(disk);
  assert.deepEqual([indexes(again), again.lost, again.damage.length], [upTo(6), undefined, 1]);
  assert.equal(again.restored.hardState.term, 2);
});

test('damage in a segment before the last is no torn end, its last record included', async () => {
  for (const record of [4, 2]) {
    const { disk } = await logOf(20, 1000);
    const [, second] = segments(disk);
    const records = (await itemsOf(disk)).filter((item) => item.kind === 'record' && item.segment === second?.path);
    const damaged = records[records.length - record] as { offset: number };
    disk.corrupt(second?.path ?? '', damaged.offset + inPayload);
    const again = await reopen(disk);
    assert.equal(again.cutBytes, 0);
    assert.deepEqual([again.damage.length, again.lost?.upTo], [1, 20]);
    assert.deepEqual(indexes(again), upTo((again.lost?.from ?? 0) - 1));
  }
});

test('a segment that is missing in the middle, at the beginning or cut short is told', async () => {
  const middle = await logOf(20, 1000);
  const [first, second] = segments(middle.disk);
  await middle.disk.remove(second?.path ?? '');
  const again = await reopen(middle.disk);
  assert.match(again.damage[0] ?? '', /number 2 is damaged at offset 0 .*: it is missing/);
  assert.deepEqual([indexes(again), again.lost?.upTo], [upTo((again.lost?.from ?? 0) - 1), 20]);
  assert.ok((again.lost?.from ?? 0) > 1);

  const headless = await logOf(20, 1000);
  await headless.disk.remove(first?.path ?? '');
  const rest = await reopen(headless.disk);
  assert.deepEqual([indexes(rest), rest.lost?.from, rest.lost?.upTo], [[], 1, 20]);

  const shortened = await logOf(20, 1000);
  const records = (await itemsOf(shortened.disk)).filter(
    (item) => item.kind === 'record' && item.segment === first?.path,
  );
  const file = await shortened.disk.open(first?.path ?? '', 'open');
  await file.truncate((records.at(-1) as { offset: number }).offset);
  assert.match((await reopen(shortened.disk)).damage[0] ?? '', /does not follow the segment before/);
});

test('without its last segment a member may have forgotten a vote: it is refused, and nothing is touched', async () => {
  const { disk } = await logOf(20, 1000);
  const last = segments(disk).at(-1);
  await disk.remove(last?.path ?? '');
  const life = disk.crash('kept');
  const before = life.files();
  await assert.rejects(openWal(options(life)), withCode('WAL_VOTE_LOST', /could elect a second leader.*--rejoin/));
  assert.deepEqual(life.files(), before);
});

test('the only voter refuses to go on without what it acknowledged, says what is lost, and obeys when told to', async () => {
  const disk = new SimDisk({ random: seededRandom('alone') });
  const alone = { ...confState, voters: [1 as ReplicaId] };
  const { wal } = await createWal(options(disk), identity, { confState: alone });
  await write(wal, 1, 10);
  const fifth = await recordOf(disk, 4);
  disk.corrupt(fifth.segment, fifth.offset + inPayload);
  const life = disk.crash('kept');
  const before = life.files();
  await assert.rejects(
    openWal(options(life)),
    withCode('WAL_ENTRIES_LOST', new RegExp(`entries 5 to 10 are lost: segment ${fifth.segment} .*--accept-loss`)),
  );
  assert.deepEqual(life.files(), before, 'nothing is touched');
  const accepted = await openWal({ ...options(life), acceptLoss: true });
  assert.deepEqual([indexes(accepted), accepted.lost?.from, accepted.restored.lostUpTo], [upTo(4), 5, undefined]);
  await write(accepted.wal, 5, 6);
  await accepted.wal.close();
  const again = await openWal(options(life));
  assert.deepEqual([indexes(again), again.lost], [upTo(6), undefined]);
});

test('what the state machine holds is not lost: the log begins after it', async () => {
  for (const voters of [[1], [1, 2, 3]]) {
    const disk = new SimDisk({ random: seededRandom('state') });
    const members = { ...confState, voters: voters as ReplicaId[] };
    const { wal } = await createWal(options(disk), identity, { confState: members });
    await write(wal, 1, 10);
    const fifth = await recordOf(disk, 4);
    disk.corrupt(fifth.segment, fifth.offset + inPayload);
    const life = disk.crash('kept');
    async function* snapshot() {
      yield new Uint8Array([7, 7, 7]);
    }
    const again = await openWal({ ...options(life), state: { index: 8 as Index, snapshot } });
    assert.deepEqual([again.lost, again.restored.lostUpTo, again.damage.length], [undefined, undefined, 1]);
    assert.deepEqual(again.restored.snapshot, { index: 8, term: 1, confState: members });
    assert.deepEqual(indexes(again), [9, 10]);
    const reader = await again.wal.openSnapshot(again.restored.snapshot);
    for await (const chunk of reader.chunks()) assert.deepEqual([...chunk], [7, 7, 7]);
    await again.wal.close();
    assert.equal((await openWal(options(life))).restored.snapshot.index, 8);
  }
});

test('a membership change may have fallen into the hole: the state says whether it did', async () => {
  for (const isSame of [true, false]) {
    const disk = new SimDisk({ random: seededRandom('state') });
    const { wal } = await createWal(options(disk), identity, { confState });
    await write(wal, 1, 10);
    const fifth = await recordOf(disk, 4);
    disk.corrupt(fifth.segment, fifth.offset + inPayload);
    const asked: ConfState[] = [];
    const holdsMembership = (known: ConfState) => {
      asked.push(known);
      return isSame;
    };
    async function* snapshot() {
      yield new Uint8Array([7]);
    }
    const again = await openWal({
      ...options(disk.crash('kept')),
      state: { index: 8 as Index, snapshot, holdsMembership },
    });
    assert.deepEqual(asked, [confState]);
    if (isSame) assert.deepEqual([again.restored.snapshot.index, again.restored.lostUpTo], [8, undefined]);
    // Without a membership the state is nothing to begin with: the leader sends what is gone.
    else assert.deepEqual([indexes(again), again.restored.lostUpTo], [upTo(4), 10]);
  }
});

test('a state that was stopped at the end of the log bridges a damaged end too, when the term there is certain', async () => {
  async function* snapshot() {
    yield new Uint8Array([7]);
  }
  const state = { index: 10 as Index, snapshot };
  const { disk } = await logOf(10);
  const last = await recordOf(disk, 9);
  disk.corrupt(last.segment, last.offset + inPayload);
  const again = await reopen(disk, { state });
  assert.deepEqual([again.lost, again.restored.snapshot.index, again.restored.snapshot.term], [undefined, 10, 1]);

  const other = await logOf(9);
  await append(other.opened.wal, 10, 10, 2);
  const changed = await recordOf(other.disk, 9);
  other.disk.corrupt(changed.segment, changed.offset + inPayload);
  const unsure = await reopen(other.disk, { state });
  assert.deepEqual([unsure.lost?.from, indexes(unsure)], [10, upTo(9)]);
});

test('the last group, written whole and changed since, counts as acknowledged; one that lacks a sector was torn', async () => {
  const whole = await logOf(10);
  const last = await recordOf(whole.disk, 9);
  whole.disk.corrupt(last.segment, last.offset + inPayload);
  const damaged = await reopen(whole.disk);
  assert.deepEqual([damaged.cutBytes, damaged.lost?.from, damaged.lost?.upTo], [0, 10, 10]);

  const { disk, opened } = await logOf(9);
  const large = append(opened.wal, 10, 10, 1, 2000);
  await large;
  const tenth = await recordOf(disk, 9);
  const file = await disk.open(tenth.segment, 'open');
  await file.write(Math.ceil((tenth.offset + 512) / 512) * 512, [new Uint8Array(512)]);
  const damage = (await itemsOf(disk)).find((item) => item.kind === 'damage');
  assert.equal(damage?.kind === 'damage' && damage.isTornTail, true);
  const torn = await reopen(disk);
  assert.ok(torn.cutBytes > 2000);
  assert.deepEqual([indexes(torn), torn.lost], [upTo(9), undefined]);
  await append(torn.wal, 1, 10);
  await torn.wal.close();
});

test('a last record whose head is gone may have been a vote', async () => {
  const { disk } = await logOf(10);
  const last = await recordOf(disk, 9);
  disk.corrupt(last.segment, last.offset + 33);
  await assert.rejects(reopen(disk), withCode('WAL_VOTE_LOST'));
});

test('zeros after the last record are space that was made ahead, not a torn end', async () => {
  const { disk, opened } = await logOf(3);
  await opened.wal.close();
  const [segment] = segments(disk);
  const file = await disk.open(segment?.path ?? '', 'open');
  await file.write(segment?.sizeBytes ?? 0, [new Uint8Array(4096)]);
  const again = await openWal(options(disk));
  assert.equal(again.cutBytes, 0);
  assert.equal(again.restored.entries.length, 3);
});

test('a sector that the disk cannot read is damage like any other', async () => {
  const { disk } = await logOf(60);
  const record = await recordOf(disk, 30);
  let reads = 0;
  const life = disk.crash('kept', {
    onOperation: ({ kind, path }) => {
      if (path !== record.segment) return undefined;
      if (kind === 'readFile') return { kind: 'error', code: 'EIO' };
      // The second page of the file.
      if (kind === 'read' && ++reads === 2) return { kind: 'error', code: 'EIO' };
      return undefined;
    },
  });
  const again = await openWal(options(life));
  assert.equal(again.lost?.upTo, 60);
  assert.deepEqual(indexes(again), upTo((again.lost?.from ?? 0) - 1));
  assert.ok((again.lost?.from ?? 0) > 5);
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
    isNewBeginning: false,
  });
  const place = { offset: 0, previousCrc: 0, groupStart: 0, groupEnd: framedBytes(payload.length) };
  const framed = frameRecord(recordTypes.segmentHeader, payload, place);
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

test('a damaged snapshot that came from the leader is asked for again: the member begins with nothing', async () => {
  const { disk, opened } = await logOf(3);
  await snapshotAt(opened.wal, 50, 'received');
  const meta = { index: 50 as Index, term: 1 as Term, confState };
  await opened.wal.append({ token: 100 as PersistToken, entries: [], snapshot: meta, mustSync: true });
  const file = disk.files().find(({ path }) => path.endsWith('.snap'));
  disk.corrupt(file?.path ?? '', 2000);
  const again = await reopen(disk);
  assert.deepEqual([again.hasNoState, again.restored.snapshot.index, indexes(again)], [true, 0, []]);
  assert.deepEqual([again.restored.lostUpTo, again.restored.hardState.term], [50, 1]);
  assert.match(again.lost?.reason ?? '', /checksum/);
});

test('a damaged snapshot is made again from a state machine that holds as much', async () => {
  const { disk, opened } = await logOf(3);
  await snapshotAt(opened.wal, 50, 'received');
  const meta = { index: 50 as Index, term: 1 as Term, confState };
  await opened.wal.append({ token: 100 as PersistToken, entries: [], snapshot: meta, mustSync: true });
  await append(opened.wal, 101, 51);
  const file = disk.files().find(({ path }) => path.endsWith('.snap'));
  disk.corrupt(file?.path ?? '', 2000);
  async function* snapshot() {
    yield new Uint8Array(5);
  }
  const again = await reopen(disk, { state: { index: 50 as Index, snapshot } });
  assert.deepEqual([again.lost, again.restored.snapshot.index, indexes(again)], [undefined, 50, [51]]);
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
