/**
 * The multi-version store: key index, head and history in memory, every kept version in the backend.
 *
 * A write goes into memory at once and, when its transaction ends, to the backend as one batch; then the watchers get it.
 * Reads at the head never leave memory; reads at an older revision find the revision in the key index and get its row
 * from the backend. Compaction only moves a number; `cleanStep` follows with bounded slices of forgetting (cleaner.ts).
 *
 * The caller owes: one transaction at a time, ended before anything else is written; sinks that never write.
 */
import { assert } from '../../env/assert.ts';
import type { KeyValue, KvErrorCode, LeaseId, RangeRequest, RangeResult, WatchRequest } from '../api.ts';
import { toBytes, toText } from '../backend/bytes.ts';
import type { Backend, BackendWrite } from '../backend/contract.ts';
import { Change } from './change.ts';
import { Cleaner, sliceWritesDefault } from './cleaner.ts';
import type { HashTask, MvccStore, Watcher, WatchSink, WriteTxn } from './contract.ts';
import { HashRun, type StoreHash } from './hash.ts';
import { History } from './history.ts';
import type { FoundRevision, KeyEntry } from './key-index.ts';
import { KeyTable } from './key-table.ts';
import { keyRange } from './key-range.ts';
import { LiveRows } from './live-rows.ts';
import { emptyRevision, type LoadedContent } from './loader.ts';
import { selectRange } from './range.ts';
import { encodeRevision, revisionKeyBytes } from './revision.ts';
import { decodeRow, encodeTombstone, putRowBytes, writePut } from './row.ts';
import { StoreTxn } from './store-txn.ts';
import { WatchHub } from './watch-hub.ts';

export { emptyRevision } from './loader.ts';

export interface StoreOptions {
  readonly backend: Pick<Backend, 'get' | 'write' | 'bytesOnDisk'>;
  /** Takes the rows of an ended transaction to the backend; the owner adds its own rows to the same batch. */
  readonly commit: (rows: readonly BackendWrite[]) => void;
}

/** Telling so many takes about as long as everything else that a batch of entries costs. */
const deliveredAtOnceMax = 64;

export class Store implements MvccStore {
  readonly #options: StoreOptions;
  readonly #hub: WatchHub;
  readonly #cleaner: Cleaner;
  #table = new KeyTable();
  #rows = new LiveRows();
  /** Whether events wait for `releaseEvents`. */
  #isHoldingEvents = false;
  #history = new History(emptyRevision + 1);
  #revision = emptyRevision;
  #compactRevision = 0;
  #wasCompacted = false;
  /** Bytes of the rows that the index keeps. */
  #bytesInUse = 0;
  #rowsCleaned = 0;
  #openTxn: StoreTxn | undefined;
  /** Hashes being taken, for which nothing is cleaned. */
  #hashes = 0;

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

  wasCompacted(): boolean {
    return this.#wasCompacted;
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
      load: (entry, found) => (found === undefined ? this.#rows.version(entry) : this.#load(entry, found)),
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
    // A store that was never compacted takes revision 0, which compacts nothing, once: as etcd does.
    if (revision <= this.#compactRevision && (revision !== 0 || this.#wasCompacted)) return 'compacted';
    if (revision > this.#revision) return 'futureRevision';
    this.#wasCompacted = true;
    if (revision === 0) return undefined;
    this.#compactRevision = revision;
    this.#cleaner.aim(revision);
    return undefined;
  }

  hasToClean(): boolean {
    return this.#cleaner.hasMore;
  }

  /** Forgets a bounded slice of what compaction made obsolete, in memory and in the backend; true when there is more. */
  cleanStep(writesMax = sliceWritesDefault): boolean {
    assert(this.#openTxn === undefined, 'cleaning waits for the transaction to end');
    if (this.#hashes > 0) return true;
    const step = this.#cleaner.step(this.#history, this.#table, writesMax);
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

  hashKv(revision: number): StoreHash | KvErrorCode {
    const task = this.beginHash(revision);
    if (typeof task === 'string') return task;
    try {
      for (;;) {
        const done = task.step();
        if (done !== undefined) return done;
      }
    } finally {
      task.end();
    }
  }

  beginHash(revision: number): HashTask | KvErrorCode {
    const at = revision === 0 ? this.#revision : revision;
    if (at > this.#revision) return 'futureRevision';
    if (at < this.#compactRevision) return 'compacted';
    const [table, rows] = [this.#table, this.#rows];
    const source = {
      table,
      rowInMemory: (entry: KeyEntry, main: number) => rows.rowWrittenAt(entry, main),
      rowInBackend: (found: FoundRevision) => this.#row(found),
    };
    const run = new HashRun(source, { revision: at, compactRevision: this.#compactRevision });
    let isEnded = false;
    this.#hashes += 1;
    return {
      step: () => {
        assert(!isEnded, 'a hash that was given up goes on no more');
        return table === this.#table ? run.step() : 'unhealthy';
      },
      end: () => {
        if (isEnded) return;
        isEnded = true;
        this.#hashes -= 1;
        assert(this.#hashes >= 0, 'a hash ends once');
      },
    };
  }

  stats(): ReturnType<MvccStore['stats']> {
    return {
      keys: this.#rows.count(),
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
    return this.#rows.memory();
  }

  /** The live version of a key, or undefined. */
  head(key: Uint8Array): KeyValue | undefined {
    const entry = this.#table.get(toText(key));
    return entry?.isLive() ? this.#rows.version(entry) : undefined;
  }

  /** Whether a key has a live version. */
  isLive(key: Uint8Array): boolean {
    return this.#table.get(toText(key))?.isLive() ?? false;
  }

  /** Every live key with a lease, as text, in key order. */
  *leased(): Generator<readonly [lease: LeaseId, key: string]> {
    for (const entry of this.#table.entries()) {
      if (!entry.isLive()) continue;
      const lease = this.#rows.lease(entry);
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

  /** Replaces the content; `resumeWatchers` follows. Readers must not get a turn before what the rows say is there, too. */
  replace(content: LoadedContent, wasCompacted: boolean): void {
    assert(this.#openTxn === undefined, 'loading waits for the transaction to end');
    this.#hub.hold();
    this.#table = content.table;
    this.#rows = content.rows;
    this.#history = content.history;
    this.#revision = content.revision;
    this.#compactRevision = content.compactRevision;
    this.#wasCompacted = wasCompacted;
    assert(wasCompacted || content.compactRevision === 0, 'what was never compacted has no compacted revision');
    this.#bytesInUse = content.bytesInUse - this.#cleaner.reset(content.compactRevision, content.table);
    assert(this.#bytesInUse >= 0, () => `${this.#bytesInUse} bytes are in use`);
  }

  /** Each watcher goes on from where it was before the content was replaced, or is over if that is compacted now. */
  resumeWatchers(): void {
    assert(this.#history.next() === this.#revision + 1, 'watchers resume when the content is whole');
    this.#hub.reevaluate();
  }

  /** For StoreTxn: writes one version into memory; what it replaced is in the change. */
  applyPut(
    put: { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: LeaseId },
    at: FoundRevision,
  ): Change {
    const entry = this.#table.ensure(toText(put.key));
    const replaced = this.#rows.placeOf(entry);
    if (replaced !== undefined) this.#rows.release(entry);
    const length = putRowBytes(put.key, put.value);
    const rowBytes = revisionKeyBytes + length;
    entry.put(at.main, at.sub, rowBytes);
    assert((replaced === undefined) === (entry.version() === 1), 'a life begins with its first version');
    const slab = this.#rows.reserve(entry, length);
    writePut(slab.bytes, entry.slabAt, { ...put, createRevision: entry.created(), version: entry.version() });
    this.#bytesInUse += rowBytes;
    const row = slab.bytes.subarray(entry.slabAt, entry.slabAt + length);
    if (replaced !== undefined) this.#rows.tidy(replaced.slab);
    this.#rows.tidyFilled();
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
    const replaced = this.#rows.placeOf(entry);
    assert(replaced !== undefined, 'only a live key is deleted');
    this.#rows.release(entry);
    const row = encodeTombstone(toBytes(entry.key));
    const rowBytes = revisionKeyBytes + row.length;
    entry.tombstone(at.main, at.sub, rowBytes);
    this.#bytesInUse += rowBytes;
    this.#rows.tidy(replaced.slab);
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
    if (entry.isLive() && entry.lastModified() === found.main) return this.#rows.version(entry);
    const kv = decodeRow(this.#row(found), found.main);
    assert(toText(kv.key) === entry.key, () => `the row of revision ${found.main}.${found.sub} is of another key`);
    return kv;
  }

  #row(found: FoundRevision): Uint8Array {
    const row = this.#options.backend.get(encodeRevision(found.main, found.sub));
    assert(row !== undefined, () => `the backend lost revision ${found.main}.${found.sub}, which the index keeps`);
    return row;
  }
}
