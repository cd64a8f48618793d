/**
 * Reading a log without changing anything: for `keelson store verify` and `dump`, and to learn whose data it is.
 * Damage is told as one more item instead of ending the reading with an error.
 */
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { newestSequence } from './newest.ts';
import { decodeBatch, decodeConfMark, decodeSnapshotMark } from './payload.ts';
import { readBytes } from './read-bytes.ts';
import { recordTypes, type WalRecord } from './record.ts';
import { parseSegmentName, readSegment } from './segment.ts';
import { parseSnapshotName, verifySnapshotFile } from './snapshot-file.ts';
import type { WalIdentity } from './wal.ts';

export type WalItem =
  | {
      readonly kind: 'record';
      readonly segment: string;
      readonly offset: number;
      readonly type: string;
      /** One line for people. */
      readonly text: string;
      /** Only on segment headers. */
      readonly identity?: WalIdentity;
    }
  | { readonly kind: 'snapshot'; readonly path: string; readonly text: string; readonly isWhole: boolean }
  | {
      readonly kind: 'damage';
      readonly segment: string;
      readonly offset: number;
      readonly reason: string;
      /** A torn end, which the next start cuts; anything else is repaired from peers, or keeps a single member from starting. */
      readonly isTornTail: boolean;
    };

/** Everything in the log of `directory`, in order, then the snapshot files. */
export async function* readWal(disk: Disk, directory: string): AsyncGenerator<WalItem> {
  if (!(await disk.exists(`${directory}/wal`))) return;
  const names = (await disk.list(`${directory}/wal`)).map(parseSegmentName).filter((name) => name !== undefined);
  const newest = Math.max(await newestSequence(disk, directory), names.at(-1)?.sequence ?? 0);
  let previousCrc: number | undefined;
  for (let sequence = names[0]?.sequence ?? newest; sequence > 0 && sequence <= newest; sequence++) {
    const name = names.find((candidate) => candidate.sequence === sequence);
    const path = `${directory}/wal/${name?.name ?? `number ${sequence}`}`;
    if (!name) {
      yield { kind: 'damage', segment: path, offset: 0, reason: 'it is missing', isTornTail: false };
      previousCrc = undefined;
      continue;
    }
    previousCrc = yield* readOne(path, await readBytes(disk, path), sequence === newest, previousCrc);
  }
  if (!(await disk.exists(`${directory}/snap`))) return;
  for (const name of await disk.list(`${directory}/snap`)) {
    const id = parseSnapshotName(name);
    if (!id) continue;
    const reason = await verifySnapshotFile(disk, `${directory}/snap`, id);
    const text = reason ?? `snapshot at index ${id.index} term ${id.term}`;
    yield { kind: 'snapshot', path: `${directory}/snap/${name}`, text, isWhole: reason === undefined };
  }
}

/** Returns the checksum that the next segment has to follow. */
function* readOne(
  segment: string,
  bytes: Buffer,
  isLast: boolean,
  previousCrc: number | undefined,
): Generator<WalItem, number | undefined> {
  try {
    const { header, items, torn, lastCrc } = readSegment(segment, bytes, isLast);
    if (header) {
      const isFollowing =
        previousCrc === undefined || header.isNewBeginning || header.previousSegmentCrc === previousCrc;
      const reason = 'it does not follow the segment before it, whose end is missing or damaged';
      if (!isFollowing) yield { kind: 'damage', segment, offset: 0, reason, isTornTail: false };
      const text = `segment ${header.sequence} from index ${header.firstIndex}, term ${header.hardState.term}`;
      yield { kind: 'record', segment, offset: 0, type: 'header', text, identity: header.identity };
    }
    for (const item of items) {
      if (item.kind === 'damage') {
        const { offset, reason } = item.damage;
        yield { kind: 'damage', segment, offset, reason, isTornTail: false };
      } else {
        yield { kind: 'record', segment, offset: item.record.offset, ...describeRecord(item.record) };
      }
    }
    if (torn) yield { kind: 'damage', segment, offset: torn.offset, reason: torn.reason, isTornTail: true };
    return lastCrc;
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    yield { kind: 'damage', segment, offset: 0, reason: errorText(error), isTornTail: false };
    return undefined;
  }
}

function describeRecord(record: WalRecord): { readonly type: string; readonly text: string } {
  switch (record.type) {
    case recordTypes.batch: {
      const { hardState, entries, snapshot } = decodeBatch(record.payload);
      const first = entries[0];
      const range = first ? `entries ${first.index} to ${first.index + entries.length - 1}` : 'no entries';
      const received = snapshot ? `, received snapshot ${snapshot.index}` : '';
      const state = `term ${hardState.term} vote ${hardState.vote} commit ${hardState.commit}`;
      return { type: 'batch', text: `${state}, ${range}${received}` };
    }
    case recordTypes.snapshotMark: {
      const { index, term } = decodeSnapshotMark(record.payload);
      return { type: 'snapshotMark', text: `snapshot at index ${index} term ${term}` };
    }
    case recordTypes.confMark: {
      const { index, confState } = decodeConfMark(record.payload);
      return { type: 'confMark', text: `membership after ${index}: ${JSON.stringify(confState)}` };
    }
    default:
      return { type: String(record.type), text: 'a record that does not belong into a segment' };
  }
}
