/**
 * The backend on disk: LevelDB, by way of `level`.
 *
 * Writes gather in memory, visible to reads at once through an overlay, and go to the disk in large batches: when a
 * megabyte has gathered, or when somebody asks for `sync`. Each disk batch is a whole number of handed-over batches, is
 * atomic, and is itself synced; one is under way at a time. Unsynced batches would be cheaper, but LevelDB starts a new log
 * file when its write buffer is full without syncing the old one, so that a power failure could lose the end of the old
 * and keep the beginning of the new: a hole in the middle, which the contract excludes. Syncing every large batch costs
 * little, because nobody waits for it: the Raft log is the truth, and what is missing here is applied again from there.
 *
 * LevelDB checks neither what it reads nor, when it replays its own log, that no batch in the middle is gone. So every value
 * carries a checksum over key and value (row-check.ts), and every disk batch leaves a numbered row: at opening the numbers
 * must be without a gap. A failed write or a damaged read is fatal: `onFatal` is called once and every later call throws.
 * Of damage a note is left beside the directory first, so that the next start builds the backend anew (rebuildable.ts).
 */
import type { BatchOperation, ClassicLevel, Iterator } from 'classic-level';
import { Level } from 'level';
import { assert, present } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { batchesKept, batchKey, batchNumber, batchRowsFrom, batchRowsTo, checkBatchNumbers } from './batch-rows.ts';
import { asBuffer, toText } from './bytes.ts';
import type { Backend, BackendWrite } from './contract.ts';
import { checkFiles } from './files-check.ts';
import { isDamage, newerVersion, openError, useError } from './level-errors.ts';
import type { PendingRow } from './level-scan.ts';
import { checkedPages, merged, noPages } from './level-scan.ts';
import { beginThreadScan, type ThreadScan } from './level-scan-thread.ts';
import { noteDamage } from './rebuildable.ts';
import { packRows } from './row-blocks.ts';
import { CheckedRows, unchecked } from './row-check.ts';

export interface LevelBackendOptions {
  /** The backend cannot go on; the process must stop with this error. */
  readonly onFatal: (error: Error) => void;
  readonly log: Log;
  /** Told how long each disk batch took. */
  readonly commitTimer?: { readonly nowMs: () => number; readonly observeSeconds: (seconds: number) => void };
  /** To check the files before they are opened, and to leave the note of damage on. Absent: neither is done. */
  readonly disk?: Pick<Disk, 'open' | 'exists' | 'syncDirectory' | 'list' | 'readFile'>;
  /** Scans of all that are larger get a thread of their own. */
  readonly threadFromBytes?: number;
}

/** Under Node, `level` is `classic-level`; its own types only name what the browser's has too. */
type Database = ClassicLevel<Buffer, Buffer>;

/** LevelDB's own default of 4 MB makes writers wait for seconds while it compacts; with 32 MB they wait for fractions. */
const writeBufferBytes = 32 * 1024 * 1024;
/** Old versions are read by few; the head of every key is in the store's memory anyway. */
const cacheBytes = 16 * 1024 * 1024;
/** Gathered bytes that start a disk batch by themselves: enough to make its sync worth while. */
const gatheredBytesMin = 1024 * 1024;
/** A disk batch ends with the handed-over batch that reaches this, so that no single one holds LevelDB's queue for long. */
const diskBatchBytesMax = 4 * 1024 * 1024;
/** Handing rows to LevelDB takes the loop a microsecond or two each, however small they are: a compaction deletes a million. */
const diskBatchRowsMax = 4096;
/** Rows cleared at a time. */
const scanRowsMax = 1000;
const scanBytesMax = 1024 * 1024;
/** Smaller ones are scanned before a thread has begun. */
const threadFromBytesDefault = 16 * 1024 * 1024;
/** Two snapshots for clients and one of the log's; more would be ones that nobody reads, and scan without a thread. */
const threadsMax = 3;
/** Rows from here on are the backend's own. */
const ownRowsFrom = Buffer.from([0xff, 0xff]);
/** Says in which form the rows are written: this version's number as one byte. */
const formatKey = Buffer.from([0xff, 0xff, 0]);
const formatVersion = 1;
const firstKey = Buffer.alloc(0);
const lastKey = Buffer.from([0xff, 0xff, 0xff]);

/** LevelDB lets every thread of a process in that asks for it; a second owner is kept out here. */
const openDirectories = new Set<string>();

/** Opens or creates the database in `directory`. */
export async function openLevelBackend(directory: string, options: LevelBackendOptions): Promise<Backend> {
  if (openDirectories.has(directory)) {
    throw openError(directory, Object.assign(new Error('it is open in this process'), { code: 'LEVEL_LOCKED' }));
  }
  openDirectories.add(directory);
  try {
    return await openBackend(directory, options);
  } catch (error) {
    openDirectories.delete(directory);
    throw error;
  }
}

async function openBackend(directory: string, options: LevelBackendOptions): Promise<Backend> {
  if (options.disk) {
    // Before the object is made, which begins to open by itself.
    await checkFiles(options.disk, directory).catch((error: unknown) => Promise.reject(openError(directory, error)));
  }
  const database = new Level<Buffer, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    writeBufferSize: writeBufferBytes,
    cacheSize: cacheBytes,
    multithreading: true,
  } as object) as unknown as Database;
  try {
    await database.open();
  } catch (error) {
    throw openError(directory, error);
  }
  const backend = new LevelBackend(database, directory, options);
  try {
    await backend.check();
    await backend.measure();
  } catch (error) {
    await database.close();
    throw openError(directory, error);
  }
  options.log.debug('opened backend', { directory, bytesOnDisk: backend.bytesOnDisk() });
  return backend;
}

type Job =
  | {
      readonly kind: 'batch';
      readonly number: number;
      readonly writes: readonly BackendWrite[];
      /** The writes' keys as the overlay has them. */
      readonly keys: readonly string[];
      readonly bytes: number;
    }
  | {
      readonly kind: 'clear';
      readonly number: number;
      readonly done: () => void;
      readonly failed: (error: Error) => void;
    };

interface OverlayRow {
  /** undefined = deleted. */
  readonly value: Uint8Array | undefined;
  /** The job that takes it to the disk. */
  readonly job: number;
}

interface SyncWaiter {
  readonly job: number;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

class LevelBackend implements Backend {
  readonly #database: Database;
  readonly #directory: string;
  readonly #options: LevelBackendOptions;
  /** Of the disk batch under way. */
  readonly #rows = new CheckedRows();
  /** What the disk does not have yet. Limited by whoever watches pendingBytes. */
  #overlay = new Map<string, OverlayRow>();
  #jobs: Job[] = [];
  /** Number of the newest job handed over and of the newest on disk. Invariant: #jobsOnDisk <= #lastJob. */
  #lastJob = 0;
  #jobsOnDisk = 0;
  #waiters: SyncWaiter[] = [];
  #pendingBytes = 0;
  /** While a clear is on its way, the disk holds nothing that counts. */
  #clearsPending = 0;
  #isWriting = false;
  /** Scans that are about to begin on a thread, for which the disk stays as it is. */
  #holds = 0;
  readonly #threads = new Set<ThreadScan>();
  #sizeOnDisk = 0;
  #writtenBytes = 0;
  /** Of the newest disk batch. */
  #lastBatch = 0;
  #failure: Error | undefined;
  #isClosed = false;

  constructor(database: Database, directory: string, options: LevelBackendOptions) {
    this.#database = database;
    this.#directory = directory;
    this.#options = options;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkUsable();
    const row = this.#overlay.get(toText(key));
    if (row !== undefined) return row.value;
    if (this.#clearsPending > 0) return undefined;
    try {
      const stored = this.#database.getSync(asBuffer(key));
      return stored === undefined ? undefined : unchecked(asBuffer(key), stored);
    } catch (error) {
      throw this.#fail('read a row of', error);
    }
  }

  scan(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#checkUsable();
    // Both halves are taken now: LevelDB's iterator sees the database as it is when it is made.
    const pending = this.#pendingBetween(toText(from), toText(to));
    if (this.#clearsPending > 0) return merged(noPages(), pending);
    const iterator = this.#database.iterator({
      gte: asBuffer(from),
      lt: asBuffer(to),
      fillCache: false,
      highWaterMarkBytes: scanBytesMax,
    });
    return merged(this.#pages(iterator), pending);
  }

  blocks(from: Uint8Array, to: Uint8Array): AsyncIterable<Uint8Array> {
    this.#checkUsable();
    const isSmall = this.bytesOnDisk() < (this.#options.threadFromBytes ?? threadFromBytesDefault);
    if (isSmall || this.#clearsPending > 0 || this.#threads.size >= threadsMax) return packRows(this.scan(from, to));
    // What is on its way to the disk now is among the pending rows as well; nothing else gets there until the scan has begun.
    const scan = beginThreadScan(this.#directory, from, to, this.#pendingBetween(toText(from), toText(to)));
    this.#threads.add(scan);
    this.#holds += 1;
    void scan.begun.then(() => {
      this.#holds -= 1;
      if (this.#isDue()) this.#startWriting();
    });
    void scan.gone.then(() => this.#threads.delete(scan));
    return this.#blocks(scan);
  }

  write(batch: readonly BackendWrite[]): void {
    this.#checkUsable();
    if (batch.length === 0) return;
    const number = ++this.#lastJob;
    let bytes = 0;
    const keys: string[] = [];
    for (const write of batch) {
      const value = write.type === 'put' ? write.value : undefined;
      const key = toText(write.key);
      bytes += write.key.length + (value?.length ?? 0);
      keys.push(key);
      this.#overlay.set(key, { value, job: number });
    }
    this.#jobs.push({ kind: 'batch', number, writes: batch, keys, bytes });
    this.#pendingBytes += bytes;
    if (this.#pendingBytes >= gatheredBytesMin) this.#startWriting();
  }

  sync(): Promise<void> {
    this.#checkUsable();
    if (this.#jobsOnDisk === this.#lastJob) return Promise.resolve();
    return new Promise((done, failed) => {
      this.#waiters.push({ job: this.#lastJob, done, failed });
      this.#startWriting();
    });
  }

  bytesOnDisk(): number {
    // LevelDB's own number leaves out its write buffer; what is pending will be there in a moment.
    return this.#sizeOnDisk + Math.min(this.#writtenBytes, writeBufferBytes) + this.#pendingBytes;
  }

  pendingBytes(): number {
    return this.#pendingBytes;
  }

  async compactRange(from: Uint8Array, to: Uint8Array): Promise<void> {
    await this.sync();
    await this.#database.compactRange(asBuffer(from), asBuffer(to));
    this.#writtenBytes = 0;
    await this.measure();
  }

  clear(): Promise<void> {
    this.#checkUsable();
    this.#overlay = new Map();
    this.#clearsPending += 1;
    const number = ++this.#lastJob;
    return new Promise((done, failed) => {
      this.#jobs.push({ kind: 'clear', number, done, failed });
      this.#startWriting();
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    try {
      if (this.#failure === undefined) await this.sync();
    } finally {
      this.#isClosed = true;
      // LevelDB is gone only when the last thread has closed it, and uses this one's cache.
      await Promise.all([...this.#threads].map((scan) => scan.stop()));
      await this.#database.close();
      openDirectories.delete(this.#directory);
    }
  }

  /** Whether a batch in the middle is missing. Rejects with what is wrong. */
  async check(): Promise<void> {
    const format = this.#database.getSync(formatKey);
    const version = format === undefined ? formatVersion : (unchecked(formatKey, format)[0] ?? 0);
    if (version > formatVersion) throw newerVersion(this.#directory, version, formatVersion);
    const range = { gte: batchRowsFrom, lt: batchRowsTo, fillCache: false };
    const numbers: number[] = [];
    for await (const [key, value] of this.#database.iterator(range)) {
      unchecked(key, value);
      numbers.push(batchNumber(key));
    }
    const [any] = await this.#database.keys({ limit: 1 }).all();
    this.#lastBatch = checkBatchNumbers(numbers, any !== undefined);
  }

  /** Asks LevelDB how much it takes. */
  async measure(): Promise<void> {
    this.#sizeOnDisk = await this.#database.approximateSize(firstKey, lastKey);
  }

  #startWriting(): void {
    if (this.#isWriting || this.#holds > 0) return;
    this.#isWriting = true;
    this.#writeAll().catch((error: unknown) => {
      this.#fail('write', error);
    });
  }

  /** Whether the disk should be written now: somebody waits for it, or enough has gathered. */
  #isDue(): boolean {
    return this.#waiters.length > 0 || this.#clearsPending > 0 || this.#pendingBytes >= gatheredBytesMin;
  }

  /** Takes jobs to the disk, in order, while that is due. What gathers below the limit is left to gather. */
  async #writeAll(): Promise<void> {
    while (this.#isDue() && this.#holds === 0) {
      const job = present(this.#jobs[0], 'a job that is due');
      if (job.kind === 'clear') {
        await this.#clearDisk();
        this.#jobs.shift();
        this.#clearsPending -= 1;
        this.#finish(job.number);
        job.done();
      } else {
        await this.#writeBatches();
      }
      assert(this.#failure === undefined, 'nothing is written after a failure');
    }
    assert(this.#jobsOnDisk + this.#jobs.length === this.#lastJob, 'no job was left behind');
    this.#isWriting = false;
  }

  /** The next batches as one disk batch. LevelDB carries it out in order: of several writes of a key the last counts. */
  async #writeBatches(): Promise<void> {
    const operations: BatchOperation<Database, Buffer, Buffer>[] = [];
    const rows = this.#rows;
    rows.restart();
    const keys: (readonly string[])[] = [];
    let bytes = 0;
    let taken = 0;
    let number = 0;
    for (const job of this.#jobs) {
      if (job.kind !== 'batch' || bytes >= diskBatchBytesMax || operations.length >= diskBatchRowsMax) break;
      for (const write of job.writes) {
        const key = asBuffer(write.key);
        operations.push(
          write.type === 'put' ? { type: 'put', key, value: rows.row(key, write.value) } : { type: 'del', key },
        );
      }
      keys.push(job.keys);
      bytes += job.bytes;
      number = job.number;
      taken += 1;
    }
    assert(taken > 0 && operations.length > 0, 'a disk batch holds something');
    this.#jobs.splice(0, taken);
    operations.push(...this.#numbered());
    const { commitTimer } = this.#options;
    const startedMs = commitTimer?.nowMs() ?? 0;
    await this.#database.batch(operations, { sync: true });
    commitTimer?.observeSeconds((commitTimer.nowMs() - startedMs) / 1000);
    for (const key of keys.flat()) {
      const row = this.#overlay.get(key);
      if (row !== undefined && row.job <= number) this.#overlay.delete(key);
    }
    this.#pendingBytes -= bytes;
    this.#writtenBytes += bytes;
    assert(this.#pendingBytes >= 0, () => `${this.#pendingBytes} bytes are pending`);
    await this.measure();
    this.#finish(number);
  }

  /** The rows by which a missing disk batch shows. */
  #numbered(): BatchOperation<Database, Buffer, Buffer>[] {
    this.#lastBatch += 1;
    const key = batchKey(this.#lastBatch);
    const add = { type: 'put' as const, key, value: this.#rows.row(key, new Uint8Array(0)) };
    if (this.#lastBatch === 1) {
      return [add, { type: 'put', key: formatKey, value: this.#rows.row(formatKey, Uint8Array.of(formatVersion)) }];
    }
    if (this.#lastBatch <= batchesKept) return [add];
    return [add, { type: 'del', key: batchKey(this.#lastBatch - batchesKept) }];
  }

  /** Deletes every row in synced batches; LevelDB's own clear does not sync. */
  async #clearDisk(): Promise<void> {
    const keys = this.#database.keys({ lt: ownRowsFrom, fillCache: false, highWaterMarkBytes: scanBytesMax });
    try {
      for (;;) {
        const page = await keys.nextv(scanRowsMax);
        if (page.length === 0) break;
        const deletes = page.map((key): BatchOperation<Database, Buffer, Buffer> => ({ type: 'del', key }));
        await this.#database.batch(deletes, { sync: false });
      }
    } finally {
      await keys.close();
    }
    // Gives the space back, and takes the deletes out of LevelDB's log into its tables, which it syncs.
    await this.#database.compactRange(firstKey, lastKey);
    await this.#database.batch(this.#numbered(), { sync: true });
    this.#writtenBytes = 0;
    await this.measure();
  }

  #finish(job: number): void {
    assert(job > this.#jobsOnDisk && job <= this.#lastJob, () => `job ${job} finishes after ${this.#jobsOnDisk}`);
    this.#jobsOnDisk = job;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.job > job);
    for (const waiter of waiting) if (waiter.job <= job) waiter.done();
  }

  async *#pages(iterator: Iterator<Database, Buffer, Buffer>): AsyncGenerator<[Buffer, Buffer][]> {
    try {
      yield* checkedPages(iterator);
    } catch (error) {
      if (this.#isClosed) throw new KeelsonError('BACKEND_CLOSED', `a scan of ${this.#directory} ended: it was closed`);
      throw this.#fail('scan', error);
    } finally {
      await iterator.close();
    }
  }

  async *#blocks(scan: ThreadScan): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* scan.blocks();
    } catch (error) {
      if (this.#isClosed) throw new KeelsonError('BACKEND_CLOSED', `a scan of ${this.#directory} ended: it was closed`);
      // A thread that could not run says nothing about the database.
      throw error instanceof KeelsonError && error.code === 'SCAN_THREAD' ? error : this.#fail('scan', error);
    }
  }

  #pendingBetween(from: string, to: string): readonly PendingRow[] {
    const rows: PendingRow[] = [];
    for (const [key, row] of this.#overlay) if (key >= from && key < to) rows.push({ key, value: row.value });
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#isClosed, () => `the backend in ${this.#directory} is used after close`);
  }

  #fail(action: string, cause: unknown): Error {
    if (this.#failure !== undefined) return this.#failure;
    const failure = useError(this.#directory, action, cause);
    this.#failure = failure;
    for (const waiter of this.#waiters) waiter.failed(failure);
    this.#waiters = [];
    for (const job of this.#jobs) if (job.kind === 'clear') job.failed(failure);
    const { log, onFatal, disk } = this.#options;
    log.error('backend failed', { directory: this.#directory, error: failure.message });
    if (!isDamage(failure) || !disk) {
      onFatal(failure);
      return failure;
    }
    // Nothing is answered meanwhile: every call throws from here on.
    void noteDamage(disk, this.#directory, failure.message)
      .catch((error: unknown) => log.error('the damage was not noted', { error: errorText(error) }))
      .finally(() => onFatal(failure));
    return failure;
  }
}
