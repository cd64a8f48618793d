/**
 * The log while it is open: group commit, segment cuts, snapshots, release.
 *
 *   append ─▶ queue ─┐                       (one writer; everything that arrives while a sync runs is the next group)
 *   append ─▶ queue ─┴─▶ write group ─▶ dataSync ─▶ resolve all ─▶ maybe cut
 *
 * After a failed write or sync the log is poisoned: every append rejects with the same error and nothing is written any
 * more, because a retried sync would say that lost pages are durable.
 */
import { assert, present } from '../../env/assert.ts';
import type { DiskFile } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { HardState, Index, Persist, SnapshotMeta, Term } from '../core/types.ts';
import { type Durable, mintDurable } from './durable.ts';
import { allocatedFor, createSegment } from './create-segment.ts';
import { writeNewest } from './newest.ts';
import { type ConfMark, encodeBatch, encodeConfMark, encodeSnapshotMark } from './payload.ts';
import type { LostEntries, SnapshotMark } from './payload.ts';
import { framedBytes, frameRecord, type RecordType, recordTypes } from './record.ts';
import { addMark, stillLost, trimConfMarks } from './replay.ts';
import { type SegmentName, segmentName } from './segment.ts';
import { createSnapshotFile, isDiskFull, openSnapshotFile, parseSnapshotName, writeError } from './snapshot-file.ts';
import type { SnapshotOrigin, SnapshotReader, SnapshotWriter, Wal, WalIdentity, WalOptions, WalStats } from './wal.ts';

/** What the log says after a record. Immutable: each pending record carries the state it leads to. */
interface LogState {
  readonly hardState: HardState;
  readonly lastIndex: Index;
  /** Newest first, at most two. */
  readonly marks: readonly SnapshotMark[];
  readonly confMarks: readonly ConfMark[];
  readonly lost?: LostEntries;
}

interface PendingRecord {
  readonly type: RecordType;
  readonly payload: Uint8Array;
  /** Of its entries; 0 = none. */
  readonly firstIndex: number;
}

interface Pending {
  /** Absent: nothing of its own to write, only an answer in order. */
  readonly record: PendingRecord | undefined;
  readonly after: LogState;
  readonly resolve: () => void;
  readonly reject: (error: KeelsonError) => void;
}

/** Where the log stands: what `openWal` found or `createWal` made. */
export interface WalPosition extends LogState {
  readonly identity: WalIdentity;
  readonly segments: SegmentName[];
  readonly file: DiskFile;
  readonly offset: number;
  readonly lastCrc: number;
  /** Length of the file; what follows `offset` is zeros. */
  readonly allocatedBytes: number;
}

export class SegmentedWal implements Wal {
  readonly #options: WalOptions;
  readonly #identity: WalIdentity;
  readonly #segments: SegmentName[];
  #file: DiskFile;
  #offset: number;
  #lastCrc: number;
  /** Invariant: #offset <= #allocatedBytes whenever no group is being written. */
  #allocatedBytes: number;
  /** After everything that was handed over. */
  #state: LogState;
  /** After everything that is durable: all that a new segment's header may say, and all that others may rely on. */
  #durable: LogState;
  /** Bounded by the core: it hands out no more than its window of uncommitted bytes before something is durable. */
  #queue: Pending[] = [];
  #isWriting = false;
  #releasing: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();
  #failure: KeelsonError | undefined;
  #isClosed = false;
  #hasUnwrittenCommit = false;
  #lastToken = 0;
  #syncs = 0;
  #bytes = 0;
  #snapshotAttempts = 0;

  constructor(options: WalOptions, position: WalPosition) {
    assert(options.segmentBytes > 0 && options.segmentBytes <= 2 ** 31, 'a segment is at most 2 GiB');
    assert(position.segments.length > 0 && position.marks.length > 0, 'a log has a segment and a beginning');
    this.#options = options;
    this.#identity = position.identity;
    this.#segments = position.segments;
    this.#file = position.file;
    this.#offset = position.offset;
    this.#lastCrc = position.lastCrc;
    this.#allocatedBytes = position.allocatedBytes;
    const { hardState, lastIndex, marks, confMarks, lost } = position;
    this.#state = { hardState, lastIndex, marks, confMarks, ...(lost && { lost }) };
    this.#durable = this.#state;
  }

  append(persist: Persist): Promise<Durable> {
    const { entries, snapshot, token } = persist;
    assert(token > this.#lastToken, () => `tokens grow: ${this.#lastToken} to ${token}`);
    this.#lastToken = token;
    const before = this.#state.hardState;
    const hardState = persist.hardState ?? before;
    assertHardStateFollows(before, hardState);
    const isVoteChanged = hardState.term !== before.term || hardState.vote !== before.vote;
    this.#state = { ...this.#state, hardState };
    if (entries.length === 0 && !snapshot && !isVoteChanged && !persist.mustSync) {
      // Only `commit` moved. It is a hint, so it rides on the next record; the proof holds once all before it are durable.
      this.#hasUnwrittenCommit = true;
      return this.#enqueue(undefined).then(() => mintDurable(token));
    }
    if (snapshot) this.#mark({ meta: snapshot, isReceived: true });
    const first = entries[0];
    if (first) {
      const { lastIndex } = this.#state;
      assert(first.index <= lastIndex + 1, () => `entry ${first.index} after ${lastIndex} leaves a gap`);
      this.#state = { ...this.#state, lastIndex: (first.index + entries.length - 1) as Index };
      this.#endLossAt(present(entries[entries.length - 1], 'an entry'));
    }
    this.#hasUnwrittenCommit = false;
    const payload = encodeBatch(snapshot ? { hardState, entries, snapshot } : { hardState, entries });
    const record = { type: recordTypes.batch, payload, firstIndex: first?.index ?? 0 };
    return this.#enqueue(record).then(() => mintDurable(token));
  }

  appendConfMark(mark: ConfMark): Promise<void> {
    assert(mark.index <= this.#state.lastIndex, 'a membership entry is in the log before it is applied');
    // A snapshot that was received meanwhile says it all.
    if (mark.index <= present(this.#state.marks[0], 'a mark').meta.index) return this.#enqueue(undefined);
    this.#state = { ...this.#state, confMarks: [...this.#state.confMarks, mark] };
    return this.#enqueue({ type: recordTypes.confMark, payload: encodeConfMark(mark), firstIndex: 0 });
  }

  createSnapshot(meta: SnapshotMeta, origin: SnapshotOrigin): Promise<SnapshotWriter> {
    if (this.#failure) return Promise.reject(this.#failure);
    assert(meta.index >= this.latestSnapshot().index, 'snapshots advance');
    return createSnapshotFile({
      disk: this.#options.disk,
      directory: `${this.#options.directory}/snap`,
      identity: this.#identity,
      meta,
      attempt: ++this.#snapshotAttempts,
      onDurable: async () => {
        const newest = present(this.#state.marks[0], 'a mark').meta.index;
        if (origin === 'received' || meta.index <= newest) return;
        assert(meta.index <= this.#state.lastIndex, 'a snapshot of applied entries lies in the log');
        this.#mark({ meta, isReceived: false });
        await this.#enqueue({ type: recordTypes.snapshotMark, payload: encodeSnapshotMark(meta), firstIndex: 0 });
      },
    });
  }

  openSnapshot(id: Pick<SnapshotMeta, 'index' | 'term'>): Promise<SnapshotReader> {
    return openSnapshotFile(this.#options.disk, `${this.#options.directory}/snap`, id);
  }

  latestSnapshot(): SnapshotMeta {
    return present(this.#durable.marks[0], 'a mark').meta;
  }

  /** One at a time: two that look for what is stale at once, after a snapshot taken and one received, would both remove it. */
  release(upTo: Index): Promise<void> {
    assert(upTo <= this.latestSnapshot().index, () => `nothing covers entries up to ${upTo} but the log`);
    const released = this.#releasing.then(() => this.#release(upTo));
    // Whoever asked is told of a failure; the next one tries by itself.
    this.#releasing = released.catch(() => undefined);
    return released;
  }

  async #release(upTo: Index): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { disk, directory } = this.#options;
    // The older of the two snapshots stays usable: the log is kept from there on.
    const { marks } = this.#durable;
    const oldestKept = present(marks[marks.length - 1], 'a mark').meta.index;
    const keepFrom = Math.min(upTo, oldestKept);
    let isRemoved = false;
    for (;;) {
      const [oldest, next] = this.#segments;
      if (!oldest || !next || next.firstIndex - 1 > keepFrom) break;
      this.#segments.shift();
      await disk.remove(`${directory}/wal/${oldest.name}`);
      isRemoved = true;
    }
    // Oldest first and each directory synced once: a crash leaves a log without a hole.
    if (isRemoved) await disk.syncDirectory(`${directory}/wal`);
    const names = await disk.list(`${directory}/snap`);
    const stale = names.filter((name) => (parseSnapshotName(name)?.index ?? oldestKept) < oldestKept);
    for (const name of stale) await disk.remove(`${directory}/snap/${name}`);
    if (stale.length > 0) await disk.syncDirectory(`${directory}/snap`);
  }

  stats(): WalStats {
    return { syncs: this.#syncs, bytes: this.#bytes, segments: this.#segments.length };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#hasUnwrittenCommit && !this.#failure) {
      const payload = encodeBatch({ hardState: this.#state.hardState, entries: [] });
      void this.#enqueue({ type: recordTypes.batch, payload, firstIndex: 0 }).catch(() => undefined);
    }
    this.#isClosed = true;
    await this.#writing;
    await this.#file.close();
  }

  #mark(mark: SnapshotMark): void {
    const marks = addMark(this.#state.marks, mark);
    const confMarks = trimConfMarks(this.#state.confMarks, marks);
    const lastIndex = mark.isReceived ? mark.meta.index : this.#state.lastIndex;
    this.#state = { ...this.#state, lastIndex, marks, confMarks };
    if (mark.isReceived) this.#endLossAt(mark.meta);
  }

  /** The log equals a leader's up to `last`: what was lost before may be there again. */
  #endLossAt(last: { readonly index: Index; readonly term: Term }): void {
    const { lost, ...state } = this.#state;
    if (lost === undefined || stillLost(lost, last)) return;
    this.#state = state;
  }

  #enqueue(record: PendingRecord | undefined): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#isClosed) return Promise.reject(new KeelsonError('WAL_CLOSED', 'append to the log: it is closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, after: this.#state, resolve, reject });
      if (!this.#isWriting) this.#writing = this.#write();
    });
  }

  async #write(): Promise<void> {
    assert(!this.#isWriting, 'the log has one writer');
    this.#isWriting = true;
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      try {
        await this.#writeGroup(group);
        for (const pending of group) pending.resolve();
        if (this.#offset > this.#options.segmentBytes) await this.#cut();
      } catch (error) {
        this.#fail(writeError(`write log segment ${this.#file.path}`, error), group);
      }
    }
    this.#isWriting = false;
  }

  async #writeGroup(group: readonly Pending[]): Promise<void> {
    const start = this.#offset;
    let groupEnd = start;
    for (const { record } of group) if (record) groupEnd += framedBytes(record.payload.length);
    if (groupEnd === start) return;
    assert(groupEnd < 2 ** 32, 'offsets in a segment fit 32 bits');
    const chunks: Uint8Array[] = [];
    for (const { record, after } of group) {
      if (!record) continue;
      const place = { offset: this.#offset, previousCrc: this.#lastCrc, groupStart: start, groupEnd };
      const { term, vote } = after.hardState;
      const facts = { term, vote, firstIndex: record.firstIndex, lastIndex: after.lastIndex };
      const framed = frameRecord(record.type, record.payload, place, facts);
      for (const chunk of framed.chunks) chunks.push(chunk);
      this.#offset += framed.bytes;
      this.#lastCrc = framed.crc;
    }
    assert(this.#offset === groupEnd, 'a group is as long as its records');
    await this.#withSpace(async () => {
      if (groupEnd > this.#allocatedBytes) {
        const allocated = allocatedFor(groupEnd, this.#options.segmentBytes);
        await this.#file.truncate(allocated);
        this.#allocatedBytes = allocated;
      }
      await this.#file.write(start, chunks);
    });
    await this.#file.dataSync();
    this.#durable = present(group[group.length - 1], 'a record').after;
    this.#syncs += 1;
    this.#bytes += groupEnd - start;
  }

  /** Begins the next segment. Everything before it is durable; what waits in the queue is not in its header. */
  async #cut(): Promise<void> {
    const last = present(this.#segments[this.#segments.length - 1], 'a segment');
    const old = this.#file;
    const { lastIndex, ...state } = this.#durable;
    const name = segmentName(last.sequence + 1, (lastIndex + 1) as Index);
    const header = { ...state, identity: this.#identity, previousSegmentCrc: this.#lastCrc, isNewBeginning: false };
    const created = await this.#withSpace(() => createSegment(this.#options, name, header));
    this.#file = created.file;
    this.#offset = created.offset;
    this.#lastCrc = created.lastCrc;
    this.#allocatedBytes = created.allocatedBytes;
    this.#segments.push(name);
    await this.#withSpace(() => writeNewest(this.#options.disk, this.#options.directory, name.sequence));
    await old.close();
  }

  /** A write that found no space left nothing that counts, and is done again from its beginning; a failed sync never is. */
  async #withSpace<T>(write: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!isDiskFull(error) || !(await this.#options.giveSpace?.())) throw error;
      }
    }
  }

  #fail(error: KeelsonError, group: readonly Pending[]): void {
    this.#failure = error;
    const rejected = [...group, ...this.#queue];
    this.#queue = [];
    for (const pending of rejected) pending.reject(error);
  }
}

function assertHardStateFollows(before: HardState, after: HardState): void {
  assert(after.term >= before.term, () => `a term never goes back: ${before.term} to ${after.term}`);
  const isVoteKept = after.term > before.term || before.vote === 0 || after.vote === before.vote;
  assert(isVoteKept, () => `a vote is not taken back in term ${after.term}: ${before.vote} to ${after.vote}`);
}
