/**
 * The backend on disk: LevelDB, by way of `level` (level-database.ts).
 *
 * Writes gather in memory (pending-writes.ts), visible to reads at once, and go to the disk in large batches: when a
 * megabyte has gathered, or when somebody asks for `sync`. Each disk batch is a whole number of handed-over batches, is
 * atomic, and is itself synced; one is under way at a time. Unsynced batches would be cheaper, but LevelDB starts a new log
 * file when its write buffer is full without syncing the old one, so that a power failure could lose the end of the old
 * and keep the beginning of the new: a hole in the middle, which the contract excludes. Syncing every large batch costs
 * little, because nobody waits for it: the Raft log is the truth, and what is missing here is applied again from there.
 *
 * A failed write or a damaged read is fatal: `onFatal` is called once and every later call throws. Of damage a note is left
 * beside the directory first, so that the next start builds the backend anew (rebuildable.ts).
 */
import { assert } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { asBuffer, toText } from './bytes.ts';
import type { Backend, BackendWrite } from './contract.ts';
import { checkFiles } from './files-check.ts';
import { type CommitTimer, type LevelDatabase, type LevelIterator, openLevelDatabase } from './level-database.ts';
import { isDamage, openError, useError } from './level-errors.ts';
import { checkedPages, merged, noPages } from './level-scan.ts';
import { beginThreadScan, type ThreadScan } from './level-scan-thread.ts';
import { PendingWrites } from './pending-writes.ts';
import { noteDamage } from './rebuildable.ts';
import { packRows } from './row-blocks.ts';

export interface LevelBackendOptions {
  /** The backend cannot go on; the process must stop with this error. */
  readonly onFatal: (error: Error) => void;
  readonly log: Log;
  /** Told how long each disk batch took. */
  readonly commitTimer?: CommitTimer;
  /** To check the files before they are opened, and to leave the note of damage on. Absent: neither is done. */
  readonly disk?: Pick<Disk, 'open' | 'exists' | 'syncDirectory' | 'list' | 'readFile'>;
  /** Scans of all that are larger get a thread of their own. */
  readonly threadFromBytes?: number;
}

/** Smaller ones are scanned before a thread has begun. */
const threadFromBytesDefault = 16 * 1024 * 1024;
/** Two snapshots for clients and one of the log's; more would be ones that nobody reads, and scan without a thread. */
const threadsMax = 3;
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
  const database = await openLevelDatabase(directory, options.commitTimer);
  const backend = new LevelBackend(database, directory, options);
  options.log.debug('opened backend', { directory, bytesOnDisk: backend.bytesOnDisk() });
  return backend;
}

class LevelBackend implements Backend {
  readonly #database: LevelDatabase;
  readonly #directory: string;
  readonly #options: LevelBackendOptions;
  /** What the disk does not have yet. Limited by whoever watches pendingBytes. */
  readonly #pending = new PendingWrites();
  #isWriting = false;
  /** Scans that are about to begin on a thread, for which the disk stays as it is. */
  #holds = 0;
  readonly #threads = new Set<ThreadScan>();
  #failure: Error | undefined;
  #isClosed = false;

  constructor(database: LevelDatabase, directory: string, options: LevelBackendOptions) {
    this.#database = database;
    this.#directory = directory;
    this.#options = options;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkUsable();
    const row = this.#pending.get(toText(key));
    if (row !== undefined) return row.value;
    if (this.#pending.isClearing) return undefined;
    try {
      return this.#database.get(asBuffer(key));
    } catch (error) {
      throw this.#fail('read a row of', error);
    }
  }

  scan(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#checkUsable();
    // Both halves are taken now: LevelDB's iterator sees the database as it is when it is made.
    const pending = this.#pending.between(toText(from), toText(to));
    if (this.#pending.isClearing) return merged(noPages(), pending);
    return merged(this.#pages(this.#database.iterator(from, to)), pending);
  }

  blocks(from: Uint8Array, to: Uint8Array): AsyncIterable<Uint8Array> {
    this.#checkUsable();
    const isSmall = this.bytesOnDisk() < (this.#options.threadFromBytes ?? threadFromBytesDefault);
    if (isSmall || this.#pending.isClearing || this.#threads.size >= threadsMax) return packRows(this.scan(from, to));
    // What is on its way to the disk now is among the pending rows as well; nothing else gets there until the scan has begun.
    const pending = this.#pending.between(toText(from), toText(to));
    const scan = beginThreadScan(this.#directory, from, to, pending);
    this.#threads.add(scan);
    this.#holds += 1;
    void scan.begun.then(() => {
      this.#holds -= 1;
      if (this.#pending.isDue) this.#startWriting();
    });
    void scan.gone.then(() => this.#threads.delete(scan));
    return this.#blocks(scan);
  }

  write(batch: readonly BackendWrite[]): void {
    this.#checkUsable();
    if (batch.length === 0) return;
    this.#pending.write(batch);
    if (this.#pending.isDue) this.#startWriting();
  }

  sync(): Promise<void> {
    this.#checkUsable();
    const written = this.#pending.wait() ?? Promise.resolve();
    if (this.#pending.isDue) this.#startWriting();
    return written;
  }

  bytesOnDisk(): number {
    // What is pending will be there in a moment.
    return this.#database.bytes + this.#pending.bytes;
  }

  pendingBytes(): number {
    return this.#pending.bytes;
  }

  async compactRange(from: Uint8Array, to: Uint8Array): Promise<void> {
    await this.sync();
    await this.#database.compact(from, to);
  }

  clear(): Promise<void> {
    this.#checkUsable();
    const cleared = this.#pending.clear();
    this.#startWriting();
    return cleared;
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

  #startWriting(): void {
    if (this.#isWriting || this.#holds > 0) return;
    this.#isWriting = true;
    this.#writeAll().catch((error: unknown) => {
      this.#fail('write', error);
    });
  }

  /** Takes jobs to the disk, in order, while that is due. What gathers below the limit is left to gather. */
  async #writeAll(): Promise<void> {
    while (this.#pending.isDue && this.#holds === 0) {
      const job = this.#pending.take();
      if (job.kind === 'clear') await this.#database.clear();
      else await this.#database.write(job.writes, job.bytes);
      this.#pending.done(job);
      assert(this.#failure === undefined, 'nothing is written after a failure');
    }
    this.#isWriting = false;
  }

  async *#pages(iterator: LevelIterator): AsyncGenerator<[Buffer, Buffer][]> {
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

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#isClosed, () => `the backend in ${this.#directory} is used after close`);
  }

  #fail(action: string, cause: unknown): Error {
    if (this.#failure !== undefined) return this.#failure;
    const failure = useError(this.#directory, action, cause);
    this.#failure = failure;
    this.#pending.fail(failure);
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
