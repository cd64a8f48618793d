/**
 * The database on disk, by way of `level`: rows with their checksums, disk batches with their numbers, the format's version,
 * its size. Nothing in here gathers or waits; level.ts decides what is written when.
 *
 * LevelDB checks neither what it reads nor, when it replays its own log, that no batch in the middle is gone. So every value
 * carries a checksum over key and value (row-check.ts), and every disk batch leaves a numbered row: at opening the numbers
 * must be without a gap.
 */
import type { BatchOperation, ClassicLevel, Iterator } from 'classic-level';
import { Level } from 'level';
import { assert } from '../../env/assert.ts';
import { batchesKept, batchKey, batchNumber, batchRowsFrom, batchRowsTo, checkBatchNumbers } from './batch-rows.ts';
import { asBuffer } from './bytes.ts';
import type { BackendWrite } from './contract.ts';
import { newerVersion, openError } from './level-errors.ts';
import { CheckedRows, unchecked } from './row-check.ts';

/** Under Node, `level` is `classic-level`; its own types only name what the browser's has too. */
type Database = ClassicLevel<Buffer, Buffer>;
type Operation = BatchOperation<Database, Buffer, Buffer>;
export type LevelIterator = Iterator<Database, Buffer, Buffer>;

export interface CommitTimer {
  readonly nowMs: () => number;
  readonly observeSeconds: (seconds: number) => void;
}

/** LevelDB's own default of 4 MB makes writers wait for seconds while it compacts; with 32 MB they wait for fractions. */
const writeBufferBytes = 32 * 1024 * 1024;
/** Old versions are read by few; the head of every key is in the store's memory anyway. */
const cacheBytes = 16 * 1024 * 1024;
/** Rows cleared at a time. */
const clearRowsMax = 1000;
const readBytesMax = 1024 * 1024;
/** Rows from here on are the backend's own. */
const ownRowsFrom = Buffer.from([0xff, 0xff]);
/** Says in which form the rows are written: this version's number as one byte. */
const formatKey = Buffer.from([0xff, 0xff, 0]);
const formatVersion = 1;
const firstKey = Buffer.alloc(0);
const lastKey = Buffer.from([0xff, 0xff, 0xff]);
const noBytes = new Uint8Array(0);

/** Opens or creates it; throws what `openError` and `newerVersion` say. */
export async function openLevelDatabase(directory: string, timer: CommitTimer | undefined): Promise<LevelDatabase> {
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
  const opened = new LevelDatabase(database, directory, timer);
  try {
    await opened.check();
    await opened.measure();
  } catch (error) {
    await database.close();
    throw openError(directory, error);
  }
  return opened;
}

export class LevelDatabase {
  readonly #database: Database;
  readonly #directory: string;
  readonly #timer: CommitTimer | undefined;
  /** Of the disk batch under way. */
  readonly #rows = new CheckedRows();
  #sizeOnDisk = 0;
  #writtenBytes = 0;
  /** Of the newest disk batch. */
  #lastBatch = 0;

  constructor(database: Database, directory: string, timer: CommitTimer | undefined) {
    this.#database = database;
    this.#directory = directory;
    this.#timer = timer;
  }

  /** LevelDB's own number leaves out its write buffer. */
  get bytes(): number {
    return this.#sizeOnDisk + Math.min(this.#writtenBytes, writeBufferBytes);
  }

  /** Throws `BACKEND_CORRUPT` for a row that is not what was written. */
  get(key: Buffer): Buffer | undefined {
    const stored = this.#database.getSync(key);
    return stored === undefined ? undefined : unchecked(key, stored);
  }

  /** Sees the database as it is now; its values are unchecked (`checkedPages`). */
  iterator(from: Uint8Array, to: Uint8Array): LevelIterator {
    const range = { gte: asBuffer(from), lt: asBuffer(to) };
    return this.#database.iterator({ ...range, fillCache: false, highWaterMarkBytes: readBytesMax });
  }

  /** One disk batch, atomic and synced. LevelDB carries it out in order. `bytes`: what the writes count. */
  async write(writes: readonly BackendWrite[], bytes: number): Promise<void> {
    assert(writes.length > 0 && bytes > 0, 'a disk batch holds something');
    this.#rows.restart();
    const operations: Operation[] = writes.map((write) => {
      const key = asBuffer(write.key);
      return write.type === 'put' ? this.#put(key, write.value) : { type: 'del', key };
    });
    operations.push(...this.#numbered());
    const startedMs = this.#timer?.nowMs() ?? 0;
    await this.#database.batch(operations, { sync: true });
    this.#timer?.observeSeconds((this.#timer.nowMs() - startedMs) / 1000);
    this.#writtenBytes += bytes;
    await this.measure();
  }

  #put(key: Buffer, value: Uint8Array): Operation {
    return { type: 'put', key, value: this.#rows.row(key, value) };
  }

  /** The rows by which a missing disk batch shows. */
  #numbered(): Operation[] {
    this.#lastBatch += 1;
    const add = this.#put(batchKey(this.#lastBatch), noBytes);
    if (this.#lastBatch === 1) return [add, this.#put(formatKey, Uint8Array.of(formatVersion))];
    if (this.#lastBatch <= batchesKept) return [add];
    return [add, { type: 'del', key: batchKey(this.#lastBatch - batchesKept) }];
  }

  /** Deletes every row in synced batches; LevelDB's own clear does not sync. */
  async clear(): Promise<void> {
    const keys = this.#database.keys({ lt: ownRowsFrom, fillCache: false, highWaterMarkBytes: readBytesMax });
    try {
      for (;;) {
        const page = await keys.nextv(clearRowsMax);
        if (page.length === 0) break;
        const deletes = page.map((key): Operation => ({ type: 'del', key }));
        await this.#database.batch(deletes, { sync: false });
      }
    } finally {
      await keys.close();
    }
    // Gives the space back, and takes the deletes out of LevelDB's log into its tables, which it syncs.
    await this.compact(firstKey, lastKey);
    this.#rows.restart();
    await this.#database.batch(this.#numbered(), { sync: true });
    await this.measure();
  }

  async compact(from: Uint8Array, to: Uint8Array): Promise<void> {
    await this.#database.compactRange(asBuffer(from), asBuffer(to));
    this.#writtenBytes = 0;
    await this.measure();
  }

  /** Asks LevelDB how much it takes. */
  async measure(): Promise<void> {
    this.#sizeOnDisk = await this.#database.approximateSize(firstKey, lastKey);
  }

  /** Whether a batch in the middle is missing. Rejects with what is wrong. */
  async check(): Promise<void> {
    const version = this.get(formatKey)?.[0] ?? 0;
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

  close(): Promise<void> {
    return this.#database.close();
  }
}
