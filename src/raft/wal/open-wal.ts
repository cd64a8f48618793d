/**
 * Making and opening a data directory's log.
 *
 * Opening cuts what a crash left of a group that was never durable (and tells), picks the newest whole snapshot that
 * counts, and syncs what it found before anybody relies on it: after a killed process the page cache can show records that
 * a power loss would still take away. Anything else that cannot be read is damage: what is left is written anew
 * (rebuild.ts), and what is lost is told in OpenedWal.lost.
 */
import { assert, present } from '../../env/assert.ts';
import type { Disk, DiskFile } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import type { Entry, Index, ReplicaId, Term } from '../core/types.ts';
import { createSegment } from './create-segment.ts';
import { findLog, type FoundLog, segmentNames } from './find-log.ts';
import { newestName, writeNewest } from './newest.ts';
import type { SnapshotMark } from './payload.ts';
import { rebuild, removeSuperseded } from './rebuild.ts';
import { isOnlyVoter, nobody, planRepair, type Repair } from './repair.ts';
import { hopeless, type Replay } from './replay.ts';
import {
  describeDamage,
  parseSegmentName,
  type SegmentContent,
  type SegmentName,
  segmentName,
  walFormatVersion,
} from './segment.ts';
import { SegmentedWal } from './segmented-wal.ts';
import { snapshotName, verifySnapshotFile, writeError } from './snapshot-file.ts';
import type { OpenedWal, WalBeginning, WalIdentity, WalOptions } from './wal.ts';

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
  // The note of the newest one is made after the first segment: alone it says that they were there and are gone.
  return (await disk.list(path)).some((name) => name === newestName || parseSegmentName(name) !== undefined);
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
      isNewBeginning: false,
    });
    await created.file.close();
    await writeNewest(disk, directory, 1);
  } catch (error) {
    throw writeError(`make log in ${directory}`, error);
  }
  return openWal(options, identity);
}

/**
 * Opens an existing log. `expected` is what the caller knows about who it belongs to. Rejects with `WAL_MISSING`,
 * `DATA_NEWER_VERSION`, `DATA_OTHER_CLUSTER`, and for damage that must not be gone over with `WAL_CORRUPT` (nothing left),
 * `WAL_VOTE_LOST` or `WAL_ENTRIES_LOST`, nothing touched.
 */
export async function openWal(
  options: WalOptions,
  expected: Partial<Pick<WalIdentity, 'clusterId' | 'memberId'>> = {},
): Promise<OpenedWal> {
  const { disk, directory } = options;
  if (!(await walExists(disk, directory))) {
    throw new KeelsonError('WAL_MISSING', `open log in ${directory}: there is none`);
  }
  const names = await segmentNames(options);
  if (names.length === 0) {
    throw hopeless({ path: `${directory}/wal`, offset: 0, bytes: 0, reason: 'all segments are missing' });
  }
  const found = await findLog(options, names, expected);
  const { replay, identity } = found;
  const { mark, setAside } = await chooseSnapshot(options, replay);
  const plan = planRepair({
    replay,
    mark,
    stateIndex: options.state?.index,
    holdsMembership: options.state?.holdsMembership,
    memberId: Number.parseInt(identity.memberId, 16),
  });
  const damage = found.damage.map(describeDamage);
  const reasons = [...damage, ...setAside.map(({ reason }) => reason)];
  if (plan.lost && reasons.length === 0) reasons.push('segments with the entries after the snapshot are missing');
  const reason = reasons.join('; ');
  const isWhole = found.damage.length === 0 && !plan.lost && plan.baseIs === 'file';
  if (!isWhole) refuseUnlessSafe(options, found, plan, reason);
  await makeDirectoryDurable(disk, `${directory}/snap`);
  await removeTemporary(disk, `${directory}/wal`);
  await removeTemporary(disk, `${directory}/snap`);
  for (const { path } of setAside) if (await disk.exists(path)) await disk.rename(path, `${path}.broken`);
  const position = isWhole
    ? await settle(options, found, present(mark, 'a whole snapshot'))
    : await rebuild(options, { ...found, plan });
  const { hardState, lastIndex, confMarks, lost } = position;
  return {
    wal: new SegmentedWal(options, position),
    identity,
    restored: {
      hardState,
      snapshot: plan.base.meta,
      entries: plan.entries.map(ownMemory),
      ...(lost && { lostUpTo: lost.upTo, lostTerm: lost.term }),
    },
    confMarks: confMarks.filter((conf) => conf.index > plan.base.meta.index && conf.index <= lastIndex),
    cutBytes: found.last?.torn?.bytes ?? 0,
    setAside,
    damage,
    ...(plan.lost && { lost: { ...plan.lost, reason } }),
    hasNoState: plan.baseIs === 'nothing',
  };
}

async function removeTemporary(disk: Disk, path: string): Promise<void> {
  for (const name of await disk.list(path)) if (name.endsWith('.tmp')) await disk.remove(`${path}/${name}`);
  await disk.syncDirectory(path);
}

/** What nobody else can make up for is not gone over without being asked to; nothing has been changed so far. */
function refuseUnlessSafe(options: WalOptions, found: FoundLog, plan: Repair, what: string): void {
  const { replay, identity } = found;
  const isAlone = isOnlyVoter(replay, Number.parseInt(identity.memberId, 16));
  if (!isAlone && !replay.isHardStateKnown) {
    throw new KeelsonError(
      'WAL_VOTE_LOST',
      `open log in ${options.directory}: ${what}. This member’s last vote may have been there, and with another one it ` +
        'could elect a second leader. Keep the directory for inspection, then start it with --rejoin to come back as a new ' +
        'member, or remove it from the cluster and add it again with an empty data directory',
    );
  }
  if (!isAlone || !plan.lost || options.acceptLoss === true) return;
  const { from, upTo } = plan.lost;
  const atMost = replay.isHardStateKnown ? '' : 'at most ';
  throw new KeelsonError(
    'WAL_ENTRIES_LOST',
    `open log in ${options.directory}: ${atMost}entries ${from} to ${upTo} are lost: ${what}. This member is the only ` +
      'voter, so nobody else has them: restore the latest backup, or start once with --accept-loss to go on without them',
  );
}

/** Takes a log without damage as it is. */
async function settle(options: WalOptions, found: FoundLog, mark: SnapshotMark): ReturnType<typeof rebuild> {
  const { replay, identity, segments, names } = found;
  const last = present(found.last, 'the last segment');
  const file = await settleTail(options, present(segments.at(-1), 'a segment'), last, found.lastBytes);
  await removeSuperseded(options, names, segments);
  const commit = Math.max(replay.hardState.commit, mark.meta.index) as Index;
  return {
    identity,
    hardState: { ...replay.hardState, commit },
    lastIndex: Math.max(replay.lastIndex, mark.meta.index) as Index,
    // What was set aside does not count any more; a new snapshot at the same index may take its place.
    marks: replay.marks.slice(replay.marks.indexOf(mark)),
    confMarks: replay.confMarks,
    ...(replay.lost && { lost: replay.lost }),
    segments: [...segments],
    file,
    offset: last.endOffset,
    lastCrc: present(last.lastCrc, 'a last record'),
    allocatedBytes: last.torn ? last.endOffset : found.lastBytes.length,
  };
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
    if (content.torn) await file.truncate(endOffset);
    await file.write(lastGroupStart, [bytes.subarray(lastGroupStart, endOffset)]);
    await file.dataSync();
    await options.disk.syncDirectory(`${options.directory}/wal`);
    return file;
  } catch (error) {
    throw writeError(`open log segment ${path}`, error);
  }
}

/** What a log that is open keeps of its segments must not keep them whole in memory. */
function ownMemory(entry: Entry): Entry {
  return { ...entry, data: Uint8Array.prototype.slice.call(entry.data) };
}

/** The newest whole snapshot that counts, and those before it that are damaged. */
async function chooseSnapshot(
  options: WalOptions,
  replay: Replay,
): Promise<{ readonly mark: SnapshotMark | undefined; readonly setAside: OpenedWal['setAside'] }> {
  const { disk, directory, wholeSnapshot: whole } = options;
  const isWhole = ({ index, term }: SnapshotMark['meta']) =>
    index === 0 || (index === whole?.index && term === whole.term);
  const setAside: { path: string; reason: string }[] = [];
  for (const mark of replay.marks) {
    const reason = isWhole(mark.meta) ? undefined : await verifySnapshotFile(disk, `${directory}/snap`, mark.meta);
    if (reason === undefined) return { mark, setAside };
    setAside.push({ path: `${directory}/snap/${snapshotName(mark.meta)}`, reason });
  }
  return { mark: undefined, setAside };
}
