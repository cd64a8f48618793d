/**
 * Writes what is left of a damaged log anew: the snapshot it begins after (when only the state machine has it), then one
 * segment that says all and makes those before it useless, which are kept as `*.broken` for inspection. Until that segment
 * has its name, the next start finds the damage as it was; after it, only what was written here.
 */
import { assert } from '../../env/assert.ts';
import type { Entry, Index } from '../core/types.ts';
import { createSegment } from './create-segment.ts';
import { writeNewest } from './newest.ts';
import { isOnlyVoter, type Repair } from './repair.ts';
import { type Replay, stillLost } from './replay.ts';
import { type SegmentName, segmentName } from './segment.ts';
import type { WalPosition } from './segmented-wal.ts';
import { createSnapshotFile, snapshotName, writeError } from './snapshot-file.ts';
import type { WalIdentity, WalOptions } from './wal.ts';

/** Of one record: what a Ready hands over at most is far less, and a record is held in memory whole. */
const recordBytesAbout = 4 * 1024 * 1024;

export interface RebuildInput {
  readonly identity: WalIdentity;
  readonly replay: Replay;
  readonly plan: Repair;
  readonly lastSequence: number;
  /** Every segment there is. */
  readonly names: readonly SegmentName[];
}

export async function rebuild(options: WalOptions, input: RebuildInput): Promise<WalPosition> {
  const { disk, directory } = options;
  const { identity, replay, plan } = input;
  const { meta } = plan.base;
  try {
    if (plan.baseIs === 'state') await writeBase(options, input);
    const lastIndex = (meta.index + plan.entries.length) as Index;
    const commit = Math.min(lastIndex, Math.max(replay.hardState.commit, meta.index)) as Index;
    const lost = lostAfter(input);
    const state = {
      identity,
      hardState: { ...replay.hardState, commit },
      marks: [plan.base],
      confMarks: replay.confMarks.filter(({ index }) => index > meta.index && index <= lastIndex),
      ...(lost && { lost }),
    };
    const name = segmentName(input.lastSequence + 1, (meta.index + 1) as Index);
    const header = { ...state, previousSegmentCrc: 0, isNewBeginning: true };
    const created = await createSegment(options, name, header, inRecords(plan.entries));
    await writeNewest(disk, directory, name.sequence);
    await removeSuperseded(options, input.names, [name]);
    return { ...state, lastIndex, segments: [name], ...created };
  } catch (error) {
    throw writeError(`write the log in ${directory} anew`, error);
  }
}

/** Segments that a new beginning made useless, which a crash may have kept from being set aside. */
export async function removeSuperseded(
  { disk, directory }: WalOptions,
  names: readonly SegmentName[],
  inUse: readonly SegmentName[],
): Promise<void> {
  const superseded = names.filter(({ name }) => !inUse.some((used) => used.name === name));
  for (const { name } of superseded) await disk.rename(`${directory}/wal/${name}`, `${directory}/wal/${name}.broken`);
  if (superseded.length > 0) await disk.syncDirectory(`${directory}/wal`);
}

async function writeBase({ disk, directory, state }: WalOptions, { identity, plan }: RebuildInput): Promise<void> {
  const { meta } = plan.base;
  assert(state !== undefined && state.index === meta.index, 'the state machine is where the log is to begin');
  const path = `${directory}/snap/${snapshotName(meta)}`;
  // One that is there is damaged, or it would have been chosen.
  if (await disk.exists(path)) await disk.remove(path);
  const onDurable = () => Promise.resolve();
  const writer = await createSnapshotFile({
    disk,
    directory: `${directory}/snap`,
    identity,
    meta,
    attempt: 0,
    onDurable,
  });
  for await (const chunk of state.snapshot()) await writer.write(chunk);
  await writer.finish();
}

/** What others may have counted on and must not be led to miss; nobody counted on a member that is alone. */
function lostAfter({ replay, plan, identity }: RebuildInput): Replay['lost'] {
  if (isOnlyVoter(replay, Number.parseInt(identity.memberId, 16))) return undefined;
  const { term } = replay.hardState;
  if (plan.lost) return { upTo: Math.max(plan.lost.upTo, replay.lost?.upTo ?? 0) as Index, term };
  return stillLost(replay.lost, plan.entries.at(-1) ?? plan.base.meta);
}

function inRecords(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const records: Entry[][] = [];
  let bytes = recordBytesAbout;
  for (const entry of entries) {
    if (bytes >= recordBytesAbout) {
      records.push([]);
      bytes = 0;
    }
    records[records.length - 1]?.push(entry);
    bytes += entry.data.length;
  }
  return records;
}
