/**
 * Making and opening a data directory's log.
 *
 * Opening decides what of the last segment's end is torn (cut, and told) and what is damage (refused, never cut), picks
 * the newest whole snapshot that counts, and syncs what it found before anybody relies on it: after a killed process
 * the page cache can show records that a power loss would still take away.
 */
import { assert, present } from '../../env/assert.ts';
import type { Disk, DiskFile } from '../../env/disk.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { ConfState, Index, ReplicaId, Term } from '../core/types.ts';
import { Replay } from './replay.ts';
import type { SnapshotMark } from './payload.ts';
import { createSegment, SegmentedWal } from './segmented-wal.ts';
import { corruptError, parseSegmentName, readSegment, segmentName, walFormatVersion } from './segment.ts';
import type { SegmentContent, SegmentName } from './segment.ts';
import { snapshotName, verifySnapshotFile, writeError } from './snapshot-file.ts';
import type { OpenedWal, WalBeginning, WalIdentity, WalOptions } from './wal.ts';

const nobody: ConfState = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** The identity of data written by this version. */
export function walIdentity(clusterId: string, memberId: string): WalIdentity {
  assert(/^[0-9a-f]{16}$/.test(clusterId), () => `a cluster id is 16 hex digits, not ${JSON.stringify(clusterId)}`);
  assert(/^[0-9a-f]{16}$/.test(memberId), () => `a member id is 16 hex digits, not ${JSON.stringify(memberId)}`);
  return { formatVersion: walFormatVersion, clusterId, memberId };
}

/** Whether `directory` holds a log. One whose making was cut off does not count: nobody has relied on it. */
export async function walExists(disk: Disk, directory: string): Promise<boolean> {
  const path = `${directory}/wal`;
  if (!(await disk.exists(path))) return false;
  return (await disk.list(path)).some((name) => parseSegmentName(name) !== undefined);
}

/** Makes a new log and opens it. Rejects with `WAL_EXISTS` when there is one. */
export async function createWal(
  options: WalOptions,
  identity: WalIdentity,
  beginning: WalBeginning = {},
): Promise<OpenedWal> {
  const { disk, directory } = options;
  assert(identity.formatVersion === walFormatVersion, 'new data has the current format version');
  if (await walExists(disk, directory)) {
    throw new KeelsonError(
      'WAL_EXISTS',
      `make log in ${directory}: there is one already. Start the member from it, or give an empty data directory`,
    );
  }
  try {
    await makeDirectoryDurable(disk, directory);
    await makeDirectoryDurable(disk, `${directory}/wal`);
    await makeDirectoryDurable(disk, `${directory}/snap`);
    await removeTemporary(disk, `${directory}/wal`);
    const name = segmentName(1, 1 as Index);
    const meta = { index: 0 as Index, term: 0 as Term, confState: beginning.confState ?? nobody };
    const created = await createSegment(options, name, {
      identity,
      previousSegmentCrc: 0,
      hardState: { term: 0 as Term, vote: 0 as ReplicaId, commit: 0 as Index },
      marks: [{ meta, isReceived: false }],
      confMarks: [],
    });
    await created.file.close();
  } catch (error) {
    throw writeError(`make log in ${directory}`, error);
  }
  return openWal(options, identity);
}

/**
 * Opens an existing log. `expected` is what the caller knows about who it belongs to. Rejects with `WAL_MISSING`,
 * `WAL_CORRUPT`, `DATA_NEWER_VERSION` or `DATA_OTHER_CLUSTER`.
 */
export async function openWal(
  options: WalOptions,
  expected: Partial<Pick<WalIdentity, 'clusterId' | 'memberId'>> = {},
): Promise<OpenedWal> {
  const { disk, directory } = options;
  if (!(await walExists(disk, directory))) {
    throw new KeelsonError('WAL_MISSING', `open log in ${directory}: there is none`);
  }
  await makeDirectoryDurable(disk, `${directory}/snap`);
  await removeTemporary(disk, `${directory}/wal`);
  await removeTemporary(disk, `${directory}/snap`);
  const names = await segmentNames(options);
  const { replay, last, lastBytes } = await replaySegments(options, names, expected);
  const lastName = present(names[names.length - 1], 'a segment');
  const file = await settleTail(options, lastName, last, lastBytes);
  const { mark, setAside } = await chooseSnapshot(options, replay);
  const start = mark.meta.index + 1;
  if (replay.entries.length > 0 && replay.startIndex > start) {
    throw corruptError(lastName.name, last.endOffset, `entries ${start} to ${replay.startIndex - 1} are missing`);
  }
  const entries = replay.entries.slice(Math.max(0, start - replay.startIndex));
  assert(entries.length === 0 || entries[0]?.index === start, 'entries begin right after the snapshot');
  const { hardState } = replay;
  const commit = Math.max(hardState.commit, mark.meta.index) as Index;
  const lastIndex = Math.max(replay.lastIndex, mark.meta.index) as Index;
  const state = { hardState: { ...hardState, commit }, lastIndex, marks: replay.marks, confMarks: replay.confMarks };
  const identity = last.header.identity;
  const position = { ...state, identity, segments: [...names], file, offset: last.endOffset, lastCrc: last.lastCrc };
  return {
    wal: new SegmentedWal(options, position),
    identity,
    restored: { hardState: state.hardState, snapshot: mark.meta, entries },
    confMarks: replay.confMarks.filter((conf) => conf.index > mark.meta.index && conf.index <= lastIndex),
    cutBytes: lastBytes.length - last.endOffset,
    setAside,
  };
}

async function removeTemporary(disk: Disk, path: string): Promise<void> {
  for (const name of await disk.list(path)) if (name.endsWith('.tmp')) await disk.remove(`${path}/${name}`);
  await disk.syncDirectory(path);
}

async function segmentNames(options: WalOptions): Promise<readonly SegmentName[]> {
  const names = (await options.disk.list(`${options.directory}/wal`)).map(parseSegmentName);
  const segments = names.filter((name) => name !== undefined).sort((a, b) => a.sequence - b.sequence);
  const first = present(segments[0], 'a segment');
  segments.forEach((segment, position) => {
    if (segment.sequence === first.sequence + position) return;
    throw corruptError(segment.name, 0, `segment ${first.sequence + position} before it is missing`);
  });
  return segments;
}

async function replaySegments(
  options: WalOptions,
  names: readonly SegmentName[],
  expected: Partial<Pick<WalIdentity, 'clusterId' | 'memberId'>>,
): Promise<{ readonly replay: Replay; readonly last: SegmentContent; readonly lastBytes: Buffer }> {
  let replay: Replay | undefined;
  let last: SegmentContent | undefined;
  let lastBytes: Buffer = Buffer.alloc(0);
  for (const [position, name] of names.entries()) {
    const path = `${options.directory}/wal/${name.name}`;
    const read = await options.disk.readFile(path);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    const content = readSegment(path, bytes);
    checkIdentity(path, content.header.identity, last ? last.header.identity : expected);
    if (content.header.sequence !== name.sequence || content.header.firstIndex !== name.firstIndex) {
      throw corruptError(path, 0, 'name and header differ');
    }
    if (last && content.header.previousSegmentCrc !== last.lastCrc) {
      throw corruptError(path, 0, 'it does not follow the segment before it, whose end is missing or damaged');
    }
    const { broken } = content;
    if (broken && (broken.witness || position < names.length - 1)) {
      throw corruptError(path, broken.offset, broken.reason);
    }
    replay ??= new Replay(content.header);
    for (const record of content.records) replay.record(record, path);
    last = content;
    lastBytes = bytes;
  }
  return { replay: present(replay, 'a segment'), last: present(last, 'a segment'), lastBytes };
}

function checkIdentity(
  path: string,
  found: WalIdentity,
  expected: Partial<Pick<WalIdentity, 'clusterId' | 'memberId'>>,
): void {
  const isSame = (key: 'clusterId' | 'memberId') => expected[key] === undefined || expected[key] === found[key];
  if (isSame('clusterId') && isSame('memberId')) return;
  throw new KeelsonError(
    'DATA_OTHER_CLUSTER',
    `open log: ${path} belongs to member ${found.memberId} of cluster ${found.clusterId}, not to member ` +
      `${expected.memberId ?? found.memberId} of cluster ${expected.clusterId ?? found.clusterId}: check the data directory`,
  );
}

/**
 * Cuts a torn tail and makes what was read durable. The last group is written again first: when its sync failed in an
 * earlier life, its pages may be readable and yet count as clean, so that another sync alone would not write them.
 */
async function settleTail(
  options: WalOptions,
  name: SegmentName,
  content: SegmentContent,
  bytes: Buffer,
): Promise<DiskFile> {
  const path = `${options.directory}/wal/${name.name}`;
  try {
    const file = await options.disk.open(path, 'open');
    const { lastGroupStart, endOffset } = content;
    assert(endOffset <= bytes.length && lastGroupStart < endOffset, 'records end inside the file');
    if (endOffset < bytes.length) await file.truncate(endOffset);
    await file.write(lastGroupStart, [bytes.subarray(lastGroupStart, endOffset)]);
    await file.dataSync();
    await options.disk.syncDirectory(`${options.directory}/wal`);
    return file;
  } catch (error) {
    throw writeError(`open log segment ${path}`, error);
  }
}

/** The newest whole snapshot that counts. Damaged newer ones are set aside when the log leads past them. */
async function chooseSnapshot(
  options: WalOptions,
  replay: Replay,
): Promise<{ readonly mark: SnapshotMark; readonly setAside: OpenedWal['setAside'] }> {
  const { disk, directory } = options;
  const setAside: { path: string; reason: string }[] = [];
  for (const [position, mark] of replay.marks.entries()) {
    const { index } = mark.meta;
    if (index === 0) return settle(mark, replay, position, setAside);
    const reason = await verifySnapshotFile(disk, `${directory}/snap`, mark.meta);
    if (reason === undefined) return settle(mark, replay, position, setAside);
    const path = `${directory}/snap/${snapshotName(mark.meta)}`;
    const isLast = position === replay.marks.length - 1;
    if (isLast || mark.isReceived) {
      throw new KeelsonError(
        'SNAPSHOT_CORRUPT',
        `open ${directory}: ${reason}. No older snapshot with the entries after it is left: remove this member from ` +
          'the cluster and add it again with an empty data directory; if it is the only member, restore the latest backup',
      );
    }
    if (await disk.exists(path)) await disk.rename(path, `${path}.broken`);
    setAside.push({ path, reason });
  }
  throw new KeelsonError('WAL_CORRUPT', `open ${directory}: the log names no snapshot to begin after`);
}

function settle(mark: SnapshotMark, replay: Replay, position: number, setAside: OpenedWal['setAside']) {
  // What was set aside does not count any more; a new snapshot at the same index may take its place.
  replay.marks = replay.marks.slice(position);
  assert(replay.marks[0] === mark, 'the chosen snapshot is the newest that counts');
  return { mark, setAside };
}
