/**
 * From records back to state: pure. Feeds on the segments in order and ends with hard state, entries and the snapshots
 * that count.
 *
 * Damage leaves a hole. What stood in it is only known in outline, so of the entries before it those are kept that no
 * record in the hole can have replaced; what follows it is kept apart, until a record shows that nothing was in between:
 *
 *   entries before ─▶ │ hole │ ─▶ entries after            entries = the part before, after = the part behind the hole
 *
 * Without a hole, a gap or a step back in term is refused, because no Ready ever asks for it.
 */
import { assert, present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Entry, HardState, Index, ReplicaId, Term } from '../core/types.ts';
import {
  type Batch,
  type ConfMark,
  decodeBatch,
  decodeConfMark,
  decodeSnapshotMark,
  type LostEntries,
  type SegmentHeader,
  type SnapshotMark,
} from './payload.ts';
import { type RecordHead, recordTypes, type WalRecord } from './record.ts';
import { type Damage, describeDamage } from './segment.ts';

/** Entries with consecutive indexes. */
export interface Run {
  readonly startIndex: Index;
  readonly entries: readonly Entry[];
}

/** No entry takes less in a record: term, kind and length of the data are a byte each. */
const entryBytesMin = 3;

export class Replay {
  hardState: HardState;
  /** False while something after the last readable head may have held another term or vote. */
  isHardStateKnown = true;
  /** Newest first, at most two. */
  marks: readonly SnapshotMark[];
  confMarks: readonly ConfMark[];
  /** Contiguous; the first one has `startIndex`. */
  entries: Entry[] = [];
  startIndex: Index;
  lost: LostEntries | undefined;
  /** Behind the hole; undefined when there is no hole. */
  after: { startIndex: Index; entries: Entry[] } | undefined;
  /** Where the log ended at least, hole or not, as far as it is known. */
  knownLastIndex: Index;

  constructor(header: SegmentHeader) {
    this.hardState = header.hardState;
    this.marks = header.marks;
    this.confMarks = header.confMarks;
    this.startIndex = header.firstIndex;
    this.lost = header.lost;
    this.knownLastIndex = (header.firstIndex - 1) as Index;
    assert(this.marks.length > 0, 'a segment header names the snapshot its log begins after');
    // What was released before this segment is not a hole; what a mark needs of it is found out when one is chosen.
  }

  /** Of the part before the hole. */
  get lastIndex(): Index {
    return (this.startIndex + this.entries.length - 1) as Index;
  }

  /** The header of a later segment: after a hole, all that it says is news. */
  header(header: SegmentHeader): void {
    if (!this.after) return;
    this.hardState = header.hardState;
    this.isHardStateKnown = true;
    this.marks = header.marks;
    this.confMarks = header.confMarks;
    this.lost = header.lost;
    this.#logEndsAt((header.firstIndex - 1) as Index);
  }

  record(record: WalRecord, path: string): void {
    const where = `${path} at offset ${record.offset}`;
    if (this.after) this.#factsOf(record);
    switch (record.type) {
      case recordTypes.batch:
        this.#batch(decodeBatch(record.payload), where);
        break;
      case recordTypes.snapshotMark:
        this.#mark({ meta: decodeSnapshotMark(record.payload), isReceived: false });
        break;
      case recordTypes.confMark:
        this.confMarks = [...this.confMarks, decodeConfMark(record.payload)];
        break;
      default:
        throw gap(`${where} has a record of type ${record.type}, which does not belong into a segment`);
    }
    if (this.after) return this.#logEndsAt(record.lastIndex as Index);
    if (this.lastIndex !== record.lastIndex) throw gap(`${where} ends at ${record.lastIndex}, not ${this.lastIndex}`);
    this.knownLastIndex = record.lastIndex as Index;
  }

  /** A place that cannot be read. */
  damage(damage: Damage): void {
    const { head, next } = damage;
    const isHarmless = head !== undefined && head.type !== recordTypes.batch;
    if (isHarmless) {
      // A mark: without it an older snapshot is begun from, or a membership entry is decided on once more.
      this.#factsOf(head);
      return;
    }
    this.#keepOnly(this.#trustedUpTo(head, next));
    this.after = { startIndex: 0 as Index, entries: [] };
    if (head) {
      this.#factsOf(head);
      this.#logEndsAt(head.lastIndex as Index);
      return;
    }
    this.isHardStateKnown = false;
    this.knownLastIndex = (this.knownLastIndex + Math.floor(damage.bytes / entryBytesMin)) as Index;
  }

  /** For the first segment that can be read, when there were others before it. */
  holeBefore(): void {
    assert(this.entries.length === 0, 'nothing was read yet');
    this.after ??= { startIndex: this.startIndex, entries: [] };
  }

  /** Up to which entry no record in the hole can have replaced anything. */
  #trustedUpTo(head: RecordHead | undefined, next: Damage['next']): number {
    // A batch that appends says what it replaced; one without entries can have replaced all by a received snapshot.
    if (head && head.firstIndex > 0) return head.firstIndex - 1;
    if (head && head.lastIndex === this.lastIndex) return this.lastIndex;
    // Once entries of the current term are at the end, the leader of this term has nothing to replace.
    const lastTerm = this.entries[this.entries.length - 1]?.term;
    const term = head?.term ?? next?.term;
    if (lastTerm !== undefined && lastTerm === this.hardState.term && lastTerm === term) return this.lastIndex;
    return this.hardState.commit;
  }

  #keepOnly(upTo: number): void {
    const count = upTo - this.startIndex + 1;
    if (count < this.entries.length) this.entries.length = Math.max(0, count);
  }

  /** Term and vote in a readable head are those after everything before it. */
  #factsOf(head: RecordHead): void {
    const { term, vote } = head;
    if (term < this.hardState.term) throw gap(`offset ${head.offset} goes back from term ${this.hardState.term}`);
    this.hardState = { term: term as Term, vote: vote as ReplicaId, commit: this.hardState.commit };
    this.isHardStateKnown = true;
  }

  /** A received snapshot or a shortened log in the hole. */
  #logEndsAt(lastIndex: Index): void {
    this.knownLastIndex = lastIndex;
    this.#keepOnly(lastIndex);
    const after = present(this.after, 'a hole');
    if (after.entries.length > 0) after.entries.length = Math.max(0, lastIndex - after.startIndex + 1);
  }

  #mark(mark: SnapshotMark): void {
    this.marks = addMark(this.marks, mark);
    this.confMarks = trimConfMarks(this.confMarks, this.marks);
  }

  #batch(batch: Batch, where: string): void {
    if (batch.hardState.term < this.hardState.term) {
      throw gap(`${where} goes back from term ${this.hardState.term} to ${batch.hardState.term}`);
    }
    this.hardState = batch.hardState;
    this.isHardStateKnown = true;
    if (batch.snapshot) {
      this.#mark({ meta: batch.snapshot, isReceived: true });
      this.entries = [];
      this.startIndex = (batch.snapshot.index + 1) as Index;
      this.after = undefined;
      this.lost = stillLost(this.lost, batch.snapshot);
    }
    const first = batch.entries[0];
    if (!first) return;
    this.lost = stillLost(this.lost, present(batch.entries[batch.entries.length - 1], 'an entry'));
    if (first.index <= this.lastIndex + 1 || !this.after) {
      this.#append(first.index, batch.entries, where);
      this.after = undefined;
      return;
    }
    const { after } = this;
    const isFirst = after.entries.length === 0 || first.index < after.startIndex;
    if (isFirst || first.index > after.startIndex + after.entries.length) {
      this.after = { startIndex: first.index, entries: [...batch.entries] };
      return;
    }
    after.entries.length = first.index - after.startIndex;
    after.entries.push(...batch.entries);
  }

  #append(first: Index, entries: readonly Entry[], where: string): void {
    if (first > this.lastIndex + 1) {
      throw gap(`${where} has entry ${first}, but the log before it ends at ${this.lastIndex}`);
    }
    if (first < this.startIndex) {
      // Older segments are gone; what they held from here on is replaced.
      this.entries = [];
      this.startIndex = first;
    } else {
      this.entries.length = first - this.startIndex;
    }
    this.entries.push(...entries);
    const last = present(this.entries[this.entries.length - 1], 'an entry');
    assert(last.index === this.lastIndex, 'entries are contiguous');
  }
}

/** What is still missing once the log equals a leader's up to `last`. As the core's loss.ts, which this must agree with. */
export function stillLost(
  lost: LostEntries | undefined,
  last: { readonly index: Index; readonly term: Term },
): LostEntries | undefined {
  if (lost === undefined || last.index >= lost.upTo || last.term > lost.term) return undefined;
  return lost;
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

/** Damage that stands in the way of everything: what cannot be told from a bug is not repaired. */
export function hopeless(damage: Damage): KeelsonError {
  return gap(`${describeDamage(damage)}, and nothing that can be read is left`);
}

function gap(text: string): KeelsonError {
  return new KeelsonError(
    'WAL_CORRUPT',
    `open log: ${text}. Keep this directory for inspection, remove this member from the cluster and add it again with ` +
      'an empty data directory; if it is the only member, restore the latest backup',
  );
}
