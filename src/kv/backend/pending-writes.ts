/**
 * What was handed to the backend and is not on disk yet: pure. Visible to reads at once, by key; taken for the disk in the
 * order of coming, as many batches at a time as make one disk batch; due when enough has gathered or somebody waits.
 *
 * The owner limits its size by `bytes`, takes one job at a time, and says when it is done.
 */
import { assert, present } from '../../env/assert.ts';
import { toText } from './bytes.ts';
import type { BackendWrite } from './contract.ts';
import type { PendingRow } from './level-scan.ts';

/** Gathered bytes that start a disk batch by themselves: enough to make its sync worth while. */
const gatheredBytesMin = 1024 * 1024;
/** A disk batch ends with the handed-over batch that reaches this, so that no single one holds LevelDB's queue for long. */
const diskBatchBytesMax = 4 * 1024 * 1024;
/** Handing rows to LevelDB takes the loop a microsecond or two each, however small they are: a compaction deletes a million. */
const diskBatchRowsMax = 4096;

/** Whole handed-over batches, in order. */
export interface DiskBatch {
  readonly kind: 'batch';
  /** Of its newest job. */
  readonly number: number;
  readonly writes: readonly BackendWrite[];
  /** The writes' keys as reads ask for them. */
  readonly keys: readonly string[];
  readonly bytes: number;
}

export interface Clear {
  readonly kind: 'clear';
  readonly number: number;
}

type Job =
  | DiskBatch
  | (Clear & {
      readonly done: () => void;
      readonly failed: (error: Error) => void;
    });

interface HeldRow {
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

export class PendingWrites {
  #rows = new Map<string, HeldRow>();
  readonly #jobs: Job[] = [];
  /** Number of the newest job handed over and of the newest on disk. Invariant: #jobsOnDisk <= #lastJob. */
  #lastJob = 0;
  #jobsOnDisk = 0;
  /** Of the job that was taken and is not done. */
  #underWay = 0;
  #waiters: SyncWaiter[] = [];
  #bytes = 0;
  #clears = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** While a clear is on its way, the disk holds nothing that counts. */
  get isClearing(): boolean {
    return this.#clears > 0;
  }

  /** Whether the disk should be written now: somebody waits for it, or enough has gathered. */
  get isDue(): boolean {
    return this.#waiters.length > 0 || this.#clears > 0 || this.#bytes >= gatheredBytesMin;
  }

  get(key: string): { readonly value: Uint8Array | undefined } | undefined {
    return this.#rows.get(key);
  }

  /** Ascending, [from, to). */
  between(from: string, to: string): readonly PendingRow[] {
    const rows: PendingRow[] = [];
    for (const [key, row] of this.#rows) if (key >= from && key < to) rows.push({ key, value: row.value });
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  write(writes: readonly BackendWrite[]): void {
    assert(writes.length > 0, 'a batch holds something');
    const number = ++this.#lastJob;
    let bytes = 0;
    const keys: string[] = [];
    for (const write of writes) {
      const value = write.type === 'put' ? write.value : undefined;
      const key = toText(write.key);
      bytes += write.key.length + (value?.length ?? 0);
      keys.push(key);
      this.#rows.set(key, { value, job: number });
    }
    this.#jobs.push({ kind: 'batch', number, writes, keys, bytes });
    this.#bytes += bytes;
  }

  /** Everything is gone for reads at once; resolves when it is gone from the disk. */
  clear(): Promise<void> {
    this.#rows = new Map();
    this.#clears += 1;
    const number = ++this.#lastJob;
    return new Promise((done, failed) => {
      this.#jobs.push({ kind: 'clear', number, done, failed });
    });
  }

  /** Resolves when everything handed over so far is on disk; undefined when it is. */
  wait(): Promise<void> | undefined {
    if (this.#jobsOnDisk === this.#lastJob) return undefined;
    return new Promise((done, failed) => {
      this.#waiters.push({ job: this.#lastJob, done, failed });
    });
  }

  /** What is to be done next; `done` is owed. */
  take(): DiskBatch | Clear {
    assert(this.#underWay === 0, 'one job is under way at a time');
    const first = present(this.#jobs[0], 'a job that is due');
    const taken = first.kind === 'clear' ? first : this.#gather();
    this.#underWay = taken.number;
    return taken;
  }

  /** The next batches as one: of several writes of a key the last counts. */
  #gather(): DiskBatch {
    const writes: BackendWrite[] = [];
    const keys: string[] = [];
    let bytes = 0;
    let number = 0;
    let taken = 0;
    for (const job of this.#jobs) {
      if (job.kind !== 'batch' || bytes >= diskBatchBytesMax || writes.length >= diskBatchRowsMax) break;
      for (const write of job.writes) writes.push(write);
      for (const key of job.keys) keys.push(key);
      bytes += job.bytes;
      number = job.number;
      taken += 1;
    }
    assert(taken > 0 && writes.length > 0, 'a disk batch holds something');
    this.#jobs.splice(0, taken);
    return { kind: 'batch', number, writes, keys, bytes };
  }

  /** What was taken is on disk. */
  done(job: DiskBatch | Clear): void {
    assert(job.number === this.#underWay, () => `job ${job.number} is done, ${this.#underWay} was under way`);
    this.#underWay = 0;
    if (job.kind === 'batch') this.#forget(job);
    else this.#cleared();
    assert(job.number > this.#jobsOnDisk && job.number <= this.#lastJob, 'jobs are done in order');
    this.#jobsOnDisk = job.number;
    assert(this.#jobs.length <= this.#lastJob - this.#jobsOnDisk, 'no job was left behind');
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.job > job.number);
    for (const waiter of waiting) if (waiter.job <= job.number) waiter.done();
  }

  #forget(batch: DiskBatch): void {
    for (const key of batch.keys) {
      const row = this.#rows.get(key);
      if (row !== undefined && row.job <= batch.number) this.#rows.delete(key);
    }
    this.#bytes -= batch.bytes;
    assert(this.#bytes >= 0, () => `${this.#bytes} bytes are pending`);
  }

  #cleared(): void {
    const job = this.#jobs.shift();
    assert(job?.kind === 'clear', 'a clear stays first until it is done');
    this.#clears -= 1;
    assert(this.#clears >= 0, 'no more is cleared than was asked for');
    job.done();
  }

  /** Nothing more will be written: whoever waits is told. */
  fail(error: Error): void {
    for (const waiter of this.#waiters) waiter.failed(error);
    this.#waiters = [];
    for (const job of this.#jobs) if (job.kind === 'clear') job.failed(error);
  }
}
