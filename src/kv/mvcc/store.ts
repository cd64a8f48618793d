/**
 * The multi-version store: key index, head and history in memory, every kept version in the backend.
 *
 * A write goes into memory at once and, when its transaction ends, to the backend as one batch; then the watchers get it.
 * Reads at the head never leave memory; reads at an older revision find the revision in the key index and get its row
 * from the backend. Compaction only moves a number; `cleanStep` follows with bounded slices of forgetting (cleaner.ts).
 *
 * The caller owes: one transaction at a time, ended before anything else is written; sinks that never write.
 */
import { crc32 } from 'node:zlib';
import { assert, present } from '../../env/assert.ts';
import type { KeyValue, KvErrorCode, LeaseId, RangeRequest, RangeResult, WatchRequest } from '../api.ts';
import { asBuffer, toBytes, toText } from '../backend/bytes.ts';
import type { Backend, BackendWrite } from '../backend/contract.ts';
import { Change, type RowPlace } from './change.ts';
import { Cleaner } from './cleaner.ts';
import type { MvccStore, Watcher, WatchSink, WriteTxn } from './contract.ts';
import { History } from './history.ts';
import { type FoundRevision, KeyEntry } from './key-index.ts';
import { KeyTable } from './key-table.ts';
import { keyRange } from './key-range.ts';
import { selectRange } from './range.ts';
import { decodeRevision, encodeRevision, revisionKeyBytes } from './revision.ts';
import { RowArena, type Slab } from './row-arena.ts';
import {
  countsAt,
  decodeRow,
  decodeRowAt,
  encodeTombstone,
  isTombstone,
  keyTextAt,
  leaseAt,
  putRowBytes,
  writePut,
} from './row.ts';
import { StoreTxn } from './store-txn.ts';
import { WatchHub } from './watch-hub.ts';

/** Not 0, which messages leave out and readers take for no hash at all. */
const hashOfNothing = crc32('key');

export interface StoreOptions {
  readonly backend: Pick<Backend, 'get' | 'write' | 'bytesOnDisk'>;
  /** Takes the rows of an ended transaction to the backend; the owner adds its own rows to the same batch. */
  readonly commit: (rows: readonly BackendWrite[]) => void;
}

/** The revision whose rows are being loaded. */
interface Loading {
  main: number;
  written: KeyEntry[];
}

/** Telling so many takes about as long as everything else that a batch of entries costs. */
const deliveredAtOnceMax = 64;

/** Revision of an empty store; the first write makes it 2. */
export const emptyRevision = 1;

export class Store implements MvccStore {
  readonly #options: StoreOptions;
  readonly #hub: WatchHub;
  readonly #cleaner: Cleaner;
  #table = new KeyTable();
  /** The rows of all live keys. */
  #arena = new RowArena();
  /** Whether events wait for `releaseEvents`. */
  #isHoldingEvents = false;
  #history = new History(emptyRevision + 1);
  #revision = emptyRevision;
  #compactRevision = 0;
  #liveKeys = 0;
  /** Bytes of the rows that the index keeps. */
  #bytesInUse = 0;
  #rowsCleaned = 0;
  #openTxn: StoreTxn | undefined;
  #loading: Loading | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#hub = new WatchHub({
      revision: () => this.#revision,
      compactRevision: () => this.#compactRevision,
      // A watch may start at the empty store's revision, which wrote nothing.
      writesAt: (main) => (main === emptyRevision ? [] : this.#history.at(main)),
      load: (entry, found) => this.#load(entry, found),
    });
    this.#cleaner = new Cleaner();
  }

  revision(): number {
    return this.#revision;
  }

  compactRevision(): number {
    return this.#compactRevision;
  }

  range(request: RangeRequest): RangeResult | KvErrorCode {
    assert(request.revision >= 0, () => `a range cannot be at revision ${request.revision}`);
    if (request.revision > this.#revision) return 'futureRevision';
    if (request.revision !== 0 && request.revision < this.#compactRevision) return 'compacted';
    const isHead = request.revision === 0 || (request.revision === this.#revision && this.#openTxn === undefined);
    const range = keyRange(request.key, request.rangeEnd);
    return selectRange(request, {
      forEach: (visit) =>
        this.#table.forEach(range, (entry) => {
          const found = isHead ? undefined : entry.find(request.revision);
          if (isHead ? entry.isLive() : found !== undefined) visit(entry, found);
        }),
      load: (entry, found) => (found === undefined ? this.#live(entry) : this.#load(entry, found)),
    });
  }

  begin(): WriteTxn {
    assert(this.#openTxn === undefined, 'one transaction is written at a time');
    const txn = new StoreTxn(this);
    this.#openTxn = txn;
    return txn;
  }

  compact(revision: number): KvErrorCode | undefined {
    assert(this.#openTxn === undefined, 'compaction waits for the transaction to end');
    if (revision <= this.#compactRevision) return 'compacted';
    if (revision > this.#revision) return 'futureRevision';
    this.#compactRevision = revision;
    this.#cleaner.aim(revision);
    return undefined;
  }

  /** Forgets a bounded slice of what compaction made obsolete, in memory and in the backend; true when there is more. */
  cleanStep(): boolean {
    assert(this.#openTxn === undefined, 'cleaning waits for the transaction to end');
    const step = this.#cleaner.step(this.#history, this.#table);
    this.#bytesInUse -= step.freedBytes;
    this.#rowsCleaned += step.deletes.length;
    assert(this.#bytesInUse >= 0, () => `cleaning leaves ${this.#bytesInUse} bytes in use`);
    if (step.deletes.length > 0) this.#options.backend.write(step.deletes);
    return step.hasMore;
  }

  watch(request: WatchRequest, sink: WatchSink): Watcher {
    assert(this.#openTxn === undefined, 'a watch waits for the transaction to end');
    return this.#hub.watch(request, sink);
  }

  hashKv(revision: number): ReturnType<MvccStore['hashKv']> {
    const at = revision === 0 ? this.#revision : revision;
    if (at > this.#revision) return 'futureRevision';
    if (at < this.#compactRevision) return 'compacted';
    let hash = hashOfNothing;
    for (const entry of this.#table.entries()) {
      for (const kept of entry.kept(this.#compactRevision, at)) {
        hash = crc32(encodeRevision(kept.main, kept.sub), hash);
        hash = crc32(this.#liveRow(entry, kept.main) ?? this.#row(kept), hash);
      }
    }
    return { hash, compactRevision: this.#compactRevision, revision: at };
  }

  stats(): ReturnType<MvccStore['stats']> {
    return {
      keys: this.#liveKeys,
      bytesInUse: this.#bytesInUse,
      bytesOnDisk: this.#options.backend.bytesOnDisk(),
      watchers: this.#hub.size(),
      slowWatchers: this.#hub.slow(),
      eventsSent: this.#hub.eventsSent(),
      rowsCleaned: this.#rowsCleaned,
    };
  }

  /** What the rows of live keys take in memory. */
  memory(): { readonly liveBytes: number; readonly slabs: number } {
    return { liveBytes: this.#arena.liveBytes(), slabs: this.#arena.slabs() };
  }

  /** The live version of a key, or undefined. */
  head(key: Uint8Array): KeyValue | undefined {
    const entry = this.#table.get(toText(key));
    return entry?.isLive() ? this.#live(entry) : undefined;
  }

  /** Whether a key has a live version. */
  isLive(key: Uint8Array): boolean {
    return this.#table.get(toText(key))?.isLive() ?? false;
  }

  /** Every live key with a lease, as text, in key order. */
  *leased(): Generator<readonly [lease: LeaseId, key: string]> {
    for (const entry of this.#table.entries()) {
      if (!entry.isLive()) continue;
      const lease = leaseAt(present(entry.slab, 'the row of a live key').bytes, entry.slabAt);
      if (lease !== 0n) yield [lease, entry.key];
    }
  }

  /** From here to `releaseEvents`, watchers are not told: they get the events of all transactions in between together. */
  holdEvents(): void {
    assert(!this.#isHoldingEvents, 'events are held once');
    this.#isHoldingEvents = true;
  }

  /** Delivers at once when few watchers wait; events for many wait for `publish`, so that each gets several in one call. */
  releaseEvents(): void {
    this.#isHoldingEvents = false;
    if (this.#hub.dueWatchers() <= deliveredAtOnceMax) this.#hub.flush();
  }

  hasUnpublished(): boolean {
    return this.#hub.dueWatchers() > 0;
  }

  publish(): void {
    assert(!this.#isHoldingEvents, 'what is held is released first');
    this.#hub.flush();
  }

  /**
   * Begins to replace the content: then comes every revision row of the backend in ascending order (`loadRow`), then
   * `endLoad`, then `resumeWatchers`. Readers must not get a turn before `endLoad`.
   */
  beginLoad(state: { readonly revision: number; readonly compactRevision: number }): void {
    assert(this.#openTxn === undefined, 'loading waits for the transaction to end');
    assert(state.compactRevision <= state.revision, 'compaction is never ahead of the head');
    this.#hub.hold();
    this.#table = new KeyTable();
    this.#arena = new RowArena();
    this.#revision = state.revision;
    this.#compactRevision = state.compactRevision;
    this.#liveKeys = 0;
    this.#bytesInUse = 0;
    this.#history = new History(Math.max(state.compactRevision, emptyRevision + 1));
    this.#loading = { main: 0, written: [] };
  }

  loadRow(rowKey: Uint8Array, row: Uint8Array): void {
    const loading = this.#loading;
    assert(loading !== undefined, 'rows are loaded between beginLoad and endLoad');
    const revision = decodeRevision(rowKey);
    assert(revision.main >= loading.main && revision.main <= this.#revision, () => {
      return `the backend holds revision ${revision.main} after ${loading.main} with the head at ${this.#revision}`;
    });
    if (revision.main !== loading.main) this.#appendLoaded(loading);
    loading.main = revision.main;
    loading.written.push(this.#restoreRow(revision, row));
  }

  endLoad(): void {
    assert(this.#loading !== undefined, 'loading ends once');
    this.#appendLoaded(this.#loading);
    this.#loading = undefined;
    if (this.#history.next() <= this.#revision) this.#appendCompacted();
    assert(this.#history.next() === this.#revision + 1, () => {
      return `history ends at ${this.#history.next() - 1}, the head is ${this.#revision}`;
    });
    this.#bytesInUse -= this.#cleaner.reset(this.#compactRevision, this.#table);
  }

  /** Each watcher goes on from where it was before the content was replaced, or is over if that is compacted now. */
  resumeWatchers(): void {
    assert(this.#loading === undefined, 'watchers resume when the content is whole');
    this.#hub.reevaluate();
  }

  #appendLoaded(loading: Loading): void {
    if (loading.written.length > 0 && loading.main >= this.#history.first()) {
      if (loading.main > this.#history.next()) this.#appendCompacted();
      this.#history.append(loading.main, loading.written);
    }
    loading.written = [];
  }

  /** Data that came from etcd may hold nothing of the compacted revision, nor of those that a restore jumped over. */
  #appendCompacted(): void {
    if (this.#history.next() !== this.#compactRevision || this.#compactRevision <= emptyRevision) return;
    this.#history.appendForgotten(this.#compactRevision);
  }

  #restoreRow(revision: FoundRevision, row: Uint8Array): KeyEntry {
    const bytes = asBuffer(row);
    // Checks the row's form.
    const tombstone = isTombstone(row);
    const entry = this.#table.ensure(keyTextAt(bytes, 0));
    const rowBytes = revisionKeyBytes + row.length;
    if (entry.slab !== undefined) {
      this.#release(entry);
      this.#liveKeys -= 1;
    }
    entry.restore({ ...revision, rowBytes, isTombstone: tombstone }, tombstone ? undefined : countsAt(bytes, 0));
    if (!tombstone) {
      const slab = this.#arena.reserve(entry, row.length);
      slab.bytes.set(row, entry.slabAt);
      this.#liveKeys += 1;
    }
    this.#bytesInUse += rowBytes;
    return entry;
  }

  /** For StoreTxn: writes one version into memory; what it replaced is in the change. */
  applyPut(
    put: { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: LeaseId },
    at: FoundRevision,
  ): Change {
    const entry = this.#table.ensure(toText(put.key));
    const replaced = this.#placeOf(entry);
    if (replaced !== undefined) this.#release(entry);
    const length = putRowBytes(put.key, put.value);
    const rowBytes = revisionKeyBytes + length;
    entry.put(at.main, at.sub, rowBytes);
    assert((replaced === undefined) === (entry.version() === 1), 'a life begins with its first version');
    const slab = this.#arena.reserve(entry, length);
    writePut(slab.bytes, entry.slabAt, { ...put, createRevision: entry.created(), version: entry.version() });
    this.#bytesInUse += rowBytes;
    const row = slab.bytes.subarray(entry.slabAt, entry.slabAt + length);
    if (replaced === undefined) this.#liveKeys += 1;
    else this.#tidy(replaced.slab);
    // What was filled while its rows died is sparse from the beginning; tidying one may fill another.
    for (let filled = this.#arena.takeFilled(); filled !== undefined; filled = this.#arena.takeFilled()) {
      this.#tidy(filled);
    }
    return new Change({ entry, main: at.main, type: 'put', row, replaced });
  }

  /** For StoreTxn: the live entries of an interval, in key order. */
  liveEntries(key: Uint8Array, rangeEnd: Uint8Array): KeyEntry[] {
    const live: KeyEntry[] = [];
    this.#table.forEach(keyRange(key, rangeEnd), (entry) => {
      if (entry.isLive()) live.push(entry);
    });
    return live;
  }

  /** For StoreTxn: deletes one live key in memory. */
  applyDelete(entry: KeyEntry, at: FoundRevision): Change {
    const replaced = this.#placeOf(entry);
    assert(replaced !== undefined, 'only a live key is deleted');
    this.#release(entry);
    const row = encodeTombstone(toBytes(entry.key));
    const rowBytes = revisionKeyBytes + row.length;
    entry.tombstone(at.main, at.sub, rowBytes);
    this.#bytesInUse += rowBytes;
    this.#liveKeys -= 1;
    assert(this.#liveKeys >= 0, 'no more keys die than live');
    this.#tidy(replaced.slab);
    return new Change({ entry, main: at.main, type: 'delete', row, replaced });
  }

  /** For StoreTxn: makes its writes the head, hands them to the backend and then to the watchers. */
  finish(txn: StoreTxn, changes: readonly Change[], rows: readonly BackendWrite[]): number {
    assert(this.#openTxn === txn, 'a transaction ends once');
    assert(changes.length === rows.length, 'every change has its row');
    this.#openTxn = undefined;
    if (changes.length === 0) return this.#revision;
    this.#revision += 1;
    this.#history.append(
      this.#revision,
      changes.map((change) => change.entry),
    );
    this.#options.commit(rows);
    this.#hub.publish(this.#revision, changes);
    if (!this.#isHoldingEvents) this.#hub.flush();
    return this.#revision;
  }

  #load(entry: KeyEntry, found: FoundRevision): KeyValue {
    if (entry.isLive() && entry.lastModified() === found.main) return this.#live(entry);
    const kv = decodeRow(this.#row(found), found.main);
    assert(toText(kv.key) === entry.key, () => `the row of revision ${found.main}.${found.sub} is of another key`);
    return kv;
  }

  /** The live version of an entry that has one. */
  #live(entry: KeyEntry): KeyValue {
    const slab = present(entry.slab, 'the row of a live key');
    return decodeRowAt(slab.bytes, entry.slabAt, entry.rowBytes() - revisionKeyBytes, entry.lastModified());
  }

  /** The live row, when it is the one written at `main`. */
  #liveRow(entry: KeyEntry, main: number): Uint8Array | undefined {
    if (entry.slab === undefined || entry.lastModified() !== main) return undefined;
    return entry.slab.bytes.subarray(entry.slabAt, entry.slabAt + entry.rowBytes() - revisionKeyBytes);
  }

  #placeOf(entry: KeyEntry): RowPlace | undefined {
    if (entry.slab === undefined) return undefined;
    assert(entry.isLive(), 'only a live key has a row in memory');
    const length = entry.rowBytes() - revisionKeyBytes;
    return { slab: entry.slab, at: entry.slabAt, length, main: entry.lastModified() };
  }

  /** The entry's row in memory dies. */
  #release(entry: KeyEntry): void {
    this.#arena.release(present(entry.slab, 'the row of a live key'), entry.rowBytes() - revisionKeyBytes);
    entry.slab = undefined;
  }

  /** Moves the rows that still live in a slab that is mostly dead, so that its memory can go. */
  #tidy(slab: Slab): void {
    if (!this.#arena.isSparse(slab)) return;
    for (const owner of slab.owners) {
      if (owner.slab !== slab) continue;
      assert(owner instanceof KeyEntry, 'rows in memory belong to keys');
      const from = owner.slabAt;
      const length = owner.rowBytes() - revisionKeyBytes;
      this.#arena.release(slab, length);
      const target = this.#arena.reserve(owner, length);
      slab.bytes.copy(target.bytes, owner.slabAt, from, from + length);
    }
    assert(slab.live === 0, () => `${slab.live} bytes live on in a slab that was emptied`);
  }

  #row(found: FoundRevision): Uint8Array {
    const row = this.#options.backend.get(encodeRevision(found.main, found.sub));
    assert(row !== undefined, () => `the backend lost revision ${found.main}.${found.sub}, which the index keeps`);
    return row;
  }
}
