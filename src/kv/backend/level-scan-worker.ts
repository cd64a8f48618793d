/** The thread behind level-scan-thread.ts: one scan, then it is gone. It waits while all shared blocks are full. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ClassicLevel } from 'classic-level';
import { Level } from 'level';
import { assert, present } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import { checkedPages, merged } from './level-scan.ts';
import { type ScanJob, type ScanNews, type ScanOrder, unpackPending } from './level-scan-thread.ts';
import { packedBytes, packRow } from './row-blocks.ts';

const port = present(parentPort, 'the thread that wants the rows');
const { directory, from, to, pending, blocks } = workerData as ScanJob;
const views = blocks.map((memory) => Buffer.from(memory));
const free = views.map((_, number) => number);
/** Of rows at a time out of LevelDB. */
const pageBytes = 256 * 1024;

let isStopped = false;
let wake = () => {};

port.on('message', (order: ScanOrder) => {
  if (order.kind === 'stop') isStopped = true;
  else free.push(order.number);
  wake();
});

function tell(news: ScanNews): void {
  port.postMessage(news);
}

/** The number of a block that may be filled; undefined when nobody wants more. */
async function freeBlock(): Promise<number | undefined> {
  while (free.length === 0 && !isStopped) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  return isStopped ? undefined : free.shift();
}

async function scan(database: ClassicLevel<Buffer, Buffer>): Promise<void> {
  const iterator = database.iterator({
    gte: Buffer.from(from),
    lt: Buffer.from(to),
    fillCache: false,
    highWaterMarkBytes: pageBytes,
  });
  tell({ kind: 'begun' });
  try {
    let number = await freeBlock();
    let used = 0;
    for await (const [key, value] of merged(checkedPages(iterator), unpackPending(pending))) {
      if (number === undefined) return;
      const bytes = packedBytes(key, value);
      let view = present(views[number], 'a shared block');
      if (used > 0 && used + bytes > view.length) {
        tell({ kind: 'block', number, bytes: used });
        number = await freeBlock();
        used = 0;
        if (number === undefined) return;
        view = present(views[number], 'a shared block');
      }
      if (bytes > view.length) {
        const rows = new Uint8Array(bytes);
        packRow(Buffer.from(rows.buffer), 0, key, value);
        tell({ kind: 'own', rows });
        continue;
      }
      used = packRow(view, used, key, value);
    }
    if (number !== undefined && used > 0) tell({ kind: 'block', number, bytes: used });
  } finally {
    await iterator.close();
  }
}

async function carryOut(): Promise<ScanNews> {
  // The same database as the main thread's, not a second one.
  const database = new Level<Buffer, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing: false,
    multithreading: true,
  } as object) as unknown as ClassicLevel<Buffer, Buffer>;
  try {
    await database.open();
    await scan(database);
    return { kind: 'end' };
  } catch (error) {
    const { code = '' } = error as { readonly code?: string };
    const { cause } = error as { readonly cause?: { readonly code?: string } };
    return { kind: 'failed', code: code === '' ? (cause?.code ?? '') : code, message: errorText(error) };
  } finally {
    await database.close();
  }
}

const last = await carryOut();
assert(last.kind === 'end' || last.kind === 'failed', 'a scan ends or fails');
tell(last);
// Nothing else keeps the thread.
port.close();
