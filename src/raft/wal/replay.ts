/**
 * From records back to state: pure. Feeds on the segments in order and ends with hard state, entries and the snapshots
 * that count. A gap, a step back in term or a change of what was committed is damage, because no Ready ever asks for it.
 */
import { assert, present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Entry, HardState, Index } from '../core/types.ts';
import {
  type Batch,
  type ConfMark,
  decodeBatch,
  decodeConfMark,
  decodeSnapshotMark,
  type SegmentHeader,
  type SnapshotMark,
} from './payload.ts';
import { recordTypes, type WalRecord } from './record.ts';

export class Replay {
  hardState: HardState;
  /** Newest first, at most two. */
  marks: readonly SnapshotMark[];
  confMarks: readonly ConfMark[];
  /** Contiguous; the first one has `startIndex`. */
  entries: Entry[] = [];
  startIndex: Index;

  constructor(header: SegmentHeader) {
    this.hardState = header.hardState;
    this.marks = header.marks;
    this.confMarks = header.confMarks;
    this.startIndex = header.firstIndex;
    assert(this.marks.length > 0, 'a segment header names the snapshot its log begins after');
  }

  get lastIndex(): Index {
    return (this.startIndex + this.entries.length - 1) as Index;
  }

  record(record: WalRecord, path: string): void {
    const where = `${path} at offset ${record.offset}`;
    switch (record.type) {
      case recordTypes.batch:
        this.#batch(decodeBatch(record.payload), where);
        return;
      case recordTypes.snapshotMark:
        this.marks = addMark(this.marks, { meta: decodeSnapshotMark(record.payload), isReceived: false });
        this.confMarks = trimConfMarks(this.confMarks, this.marks);
        return;
      case recordTypes.confMark:
        this.confMarks = [...this.confMarks, decodeConfMark(record.payload)];
        return;
      default:
        throw gap(`${where} has a record of type ${record.type}, which does not belong into a segment`);
    }
  }

  #batch(batch: Batch, where: string): void {
    if (batch.hardState.term < this.hardState.term) {
      throw gap(`${where} goes back from term ${this.hardState.term} to ${batch.hardState.term}`);
    }
    this.hardState = batch.hardState;
    if (batch.snapshot) {
      this.marks = addMark(this.marks, { meta: batch.snapshot, isReceived: true });
      this.confMarks = trimConfMarks(this.confMarks, this.marks);
      this.entries = [];
      this.startIndex = (batch.snapshot.index + 1) as Index;
    }
    const first = batch.entries[0];
    if (!first) return;
    if (first.index > this.lastIndex + 1) {
      throw gap(`${where} has entry ${first.index}, but the log before it ends at ${this.lastIndex}`);
    }
    if (first.index < this.startIndex) {
      // Older segments are gone; what they held from here on is replaced.
      this.entries = [];
      this.startIndex = first.index;
    } else {
      this.entries.length = first.index - this.startIndex;
    }
    this.entries.push(...batch.entries);
    assert(
      present(this.entries[this.entries.length - 1], 'an entry').index === this.lastIndex,
      'entries are contiguous',
    );
  }
}

/** The marks after one more: two are kept, and none before one that was received. */
export function addMark(marks: readonly SnapshotMark[], mark: SnapshotMark): readonly SnapshotMark[] {
  const newest = present(marks[0], 'a mark');
  assert(mark.meta.index >= newest.meta.index, () => `snapshots advance: ${newest.meta.index} to ${mark.meta.index}`);
  if (mark.isReceived) return [mark];
  if (mark.meta.index === newest.meta.index) return marks;
  return [mark, newest];
}

/** Outcomes at or before the oldest snapshot are part of its membership. */
export function trimConfMarks(confMarks: readonly ConfMark[], marks: readonly SnapshotMark[]): readonly ConfMark[] {
  const oldest = present(marks[marks.length - 1], 'a mark').meta.index;
  return confMarks.filter((mark) => mark.index > oldest);
}

function gap(text: string): KeelsonError {
  return new KeelsonError(
    'WAL_CORRUPT',
    `open log: ${text}. Keep this directory for inspection, remove this member from the cluster and add it again with ` +
      'an empty data directory; if it is the only member, restore the latest backup',
  );
}
