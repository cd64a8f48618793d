/**
 * A scan of a large database on a thread of its own, which has a small heap: rows come out of LevelDB as two buffers each, and
 * a million of them on the loop's thread make V8 look at the store's whole heap twenty times. The loop's thread gets blocks of
 * rows in memory that both share and that is used again and again.
 *
 * What the scan sees is fixed when `begun` resolves; the caller keeps the database as it is until then, and the rows that are not on
 * disk yet are handed over at the start.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { assert, present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { toBytes } from './bytes.ts';
import type { PendingRow } from './level-scan.ts';
import { blockBytes, rowHeadBytes } from './row-blocks.ts';

/** Enough that the thread reads ahead while one is worked on. */
const blocksShared = 4;
/** One page of LevelDB's rows, a block, and the runtime. */
const heapMegabytes = 64;
/** Instead of a value's length: the row is deleted. */
export const deletedMark = 0xffffffff;

export interface ScanJob {
  readonly directory: string;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** As `packPending` gives them. */
  readonly pending: Uint8Array;
  readonly blocks: readonly SharedArrayBuffer[];
}

/** From the thread. `own`: a row that is longer than a block, in memory of its own. */
export type ScanNews =
  | { readonly kind: 'begun' }
  | { readonly kind: 'block'; readonly number: number; readonly bytes: number }
  | { readonly kind: 'own'; readonly rows: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** To the thread: a block may be filled again, or nobody wants the rest. */
export type ScanOrder = { readonly kind: 'free'; readonly number: number } | { readonly kind: 'stop' };

export interface ThreadScan {
  /** Settles in any case. */
  readonly begun: Promise<void>;
  /** To be read once. Each block is valid until the next one is asked for; the loop has a turn between two. */
  blocks(): AsyncGenerator<Uint8Array, void, void>;
  /** Resolves when the thread has closed the database and is gone, at the end by itself. */
  readonly gone: Promise<void>;
  /** Makes it go; resolves as `gone`. */
  stop(): Promise<void>;
}

export function beginThreadScan(
  directory: string,
  from: Uint8Array,
  to: Uint8Array,
  pending: readonly PendingRow[],
): ThreadScan {
  const shared = Array.from({ length: blocksShared }, () => new SharedArrayBuffer(blockBytes));
  const views = shared.map((memory) => Buffer.from(memory));
  const job: ScanJob = {
    directory,
    from: Uint8Array.from(from),
    to: Uint8Array.from(to),
    pending: packPending(pending),
    blocks: shared,
  };
  // The sources run as they are, and as JavaScript once built.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./level-scan-worker.${extension}`, import.meta.url), {
    name: 'scan',
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
  });
  worker.unref();
  const begun = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  // At most one for each shared block, one of its own and the end: the thread waits for the blocks.
  const news: ScanNews[] = [];
  let wake = () => {};
  const tell = (each: ScanNews) => {
    if (each.kind === 'begun') begun.resolve();
    else news.push(each);
    wake();
  };
  worker.on('message', tell);
  worker.on('error', (error) => tell({ kind: 'failed', code: 'SCAN_THREAD', message: error.message }));
  worker.on('exit', () => {
    tell({ kind: 'failed', code: 'SCAN_THREAD', message: 'it ended before the scan did' });
    begun.resolve();
    gone.resolve();
  });
  const order = (each: ScanOrder) => worker.postMessage(each);
  const next = async (): Promise<ScanNews> => {
    while (news.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return present(news.shift(), 'news that came');
  };
  const stop = () => {
    order({ kind: 'stop' });
    return gone.promise;
  };
  return {
    begun: begun.promise,
    gone: gone.promise,
    stop,
    async *blocks() {
      try {
        for (;;) {
          const each = await next();
          if (each.kind === 'end') return;
          if (each.kind === 'failed') throw failure(directory, each.code, each.message);
          assert(each.kind !== 'begun', 'the beginning is told apart');
          if (each.kind === 'own') {
            yield each.rows;
          } else {
            const view = present(views[each.number], 'a shared block');
            assert(each.bytes > 0 && each.bytes <= view.length, () => `a block holds ${each.bytes} bytes`);
            yield view.subarray(0, each.bytes);
            order({ kind: 'free', number: each.number });
          }
          // The thread may be faster than whoever takes the blocks: then no await above would ever let others in.
          await nextTurn();
        }
      } finally {
        void stop();
      }
    },
  };
}

function failure(directory: string, code: string, message: string): Error {
  if (code === 'SCAN_THREAD') {
    return new KeelsonError(
      code,
      `scan the backend in ${directory}: the thread for it has failed: ${message}; try again`,
    );
  }
  // LevelDB's codes are looked at where the failure is judged (level-errors.ts).
  return code.startsWith('BACKEND_') ? new KeelsonError(code, message) : Object.assign(new Error(message), { code });
}

/** In one piece of memory: the values are views of slabs, each of which would be copied whole. */
export function packPending(rows: readonly PendingRow[]): Uint8Array {
  const bytes = rows.reduce((sum, { key, value }) => sum + rowHeadBytes + key.length + (value?.length ?? 0), 0);
  const packed = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const { key, value } of rows) {
    packed.writeUInt32BE(key.length, at);
    packed.writeUInt32BE(value?.length ?? deletedMark, at + 4);
    packed.set(toBytes(key), at + rowHeadBytes);
    at += rowHeadBytes + key.length;
    if (value === undefined) continue;
    packed.set(value, at);
    at += value.length;
  }
  assert(at === bytes, 'the rows are as long as was reckoned');
  return packed;
}

export function unpackPending(packed: Uint8Array): PendingRow[] {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  const rows: PendingRow[] = [];
  for (let at = 0; at < bytes.length; ) {
    const keyAt = at + rowHeadBytes;
    const valueAt = keyAt + bytes.readUInt32BE(at);
    const length = bytes.readUInt32BE(at + 4);
    const end = length === deletedMark ? valueAt : valueAt + length;
    assert(end <= bytes.length, 'a pending row is whole');
    const value = length === deletedMark ? undefined : bytes.subarray(valueAt, end);
    rows.push({ key: bytes.toString('latin1', keyAt, valueAt), value });
    at = end;
  }
  return rows;
}
