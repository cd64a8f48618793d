/**
 * Reads a container's log file and gives its lines out, following it when asked. The file is read in blocks, so that a
 * large log costs no memory; when the runtime begins a new file under the name, following goes on there.
 */
import { type Clock, pause } from '../../env/clock.ts';
import { type Disk, DiskError, type DiskFile } from '../../env/disk.ts';
import { type LogRecord, logText, parseLogRecord } from './log-tail.ts';

export interface LogOptions {
  readonly follow: boolean;
  /** undefined = all lines. */
  readonly tailLines: number | undefined;
  readonly timestamps: boolean;
  readonly sinceMs: number | undefined;
  readonly limitBytes: number | undefined;
  /** Which streams; both when undefined. */
  readonly stream?: 'stdout' | 'stderr' | undefined;
}

export interface LogWorld {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Whether the container may still write. */
  readonly isRunning: () => Promise<boolean>;
  /** Resolves when the reader has taken it. */
  readonly write: (text: string) => Promise<void>;
  readonly signal: AbortSignal;
}

const blockBytes = 64 * 1024;
const pollMs = 200;
// A container that wrote nothing for this long is asked whether it still runs.
const idlePollsBeforeCheck = 5;
// A record is at most 16 KiB of text; what is longer without an end is not a log of ours.
const lineBytesMax = 256 * 1024;

/** Resolves when the log is out and, following, its container has ended. Rejects with ENOENT when there is no log. */
export async function readLog(path: string, options: LogOptions, world: LogWorld): Promise<void> {
  let file = await world.disk.open(path, 'open');
  try {
    let offset = options.tailLines === undefined ? 0 : await tailOffset(file, options.tailLines);
    const out = new LogOutput(options, world);
    for (;;) {
      offset = await copyBlocks(file, offset, out, world.signal);
      if (out.isFull || world.signal.aborted || !options.follow) break;
      const next = await waitForMore(path, file, offset, world);
      if (next === 'ended') {
        await copyBlocks(file, offset, out, world.signal);
        break;
      }
      if (next === 'rotated') {
        offset = await copyBlocks(file, offset, out, world.signal);
        await file.close();
        file = await world.disk.open(path, 'open');
        offset = 0;
      }
    }
    await out.finish();
  } finally {
    await file.close();
  }
}

async function copyBlocks(file: DiskFile, from: number, out: LogOutput, signal: AbortSignal): Promise<number> {
  let offset = from;
  while (!out.isFull && !signal.aborted) {
    const block = await file.read(offset, blockBytes);
    if (block.length === 0) break;
    offset += block.length;
    await out.add(block);
  }
  return offset;
}

async function waitForMore(
  path: string,
  file: DiskFile,
  offset: number,
  world: LogWorld,
): Promise<'more' | 'rotated' | 'ended'> {
  for (let idle = 1; ; idle++) {
    if (world.signal.aborted) return 'ended';
    await pause(world.clock, pollMs, world.signal);
    if ((await file.size()) > offset) return 'more';
    if (idle % idlePollsBeforeCheck !== 0) continue;
    if (await hasNewFile(path, offset, world.disk)) return 'rotated';
    if (!(await world.isRunning())) return 'ended';
  }
}

/** After a rotation the name belongs to another, shorter file. */
async function hasNewFile(path: string, offset: number, disk: Disk): Promise<boolean> {
  try {
    const file = await disk.open(path, 'open');
    try {
      return (await file.size()) < offset;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** Where the last `lines` lines begin. */
export async function tailOffset(file: DiskFile, lines: number): Promise<number> {
  const size = await file.size();
  if (lines === 0) return size;
  let seen = 0;
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const block = await file.read(start, end - start);
    for (let at = block.length - 1; at >= 0; at--) {
      // The end of the last line does not begin another one.
      if (block[at] !== 0x0a || start + at === size - 1) continue;
      seen++;
      if (seen === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

/** Cuts blocks into records and writes what they say, within the limits. */
class LogOutput {
  readonly #options: LogOptions;
  readonly #world: LogWorld;
  #rest: Buffer = Buffer.alloc(0);
  #bytesLeft: number;

  constructor(options: LogOptions, world: LogWorld) {
    this.#options = options;
    this.#world = world;
    this.#bytesLeft = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  get isFull(): boolean {
    return this.#bytesLeft <= 0;
  }

  async add(block: Uint8Array): Promise<void> {
    const all = Buffer.concat([this.#rest, block]);
    const end = all.lastIndexOf(0x0a);
    this.#rest = all.subarray(end + 1);
    if (this.#rest.length > lineBytesMax) this.#rest = Buffer.alloc(0);
    if (end >= 0) await this.#write(all.subarray(0, end).toString());
  }

  /** A last line without an end: the runtime was writing it. */
  async finish(): Promise<void> {
    if (this.#rest.length > 0) await this.#write(this.#rest.toString());
    this.#rest = Buffer.alloc(0);
  }

  async #write(lines: string): Promise<void> {
    const records: LogRecord[] = [];
    for (const line of lines.split('\n')) {
      const record = parseLogRecord(line);
      if (record !== undefined && this.#isWanted(record)) records.push(record);
    }
    const text = logText(records, this.#options.timestamps);
    if (text === '' || this.isFull) return;
    const bytes = Buffer.byteLength(text);
    const cut = bytes > this.#bytesLeft ? Buffer.from(text).subarray(0, this.#bytesLeft).toString() : text;
    this.#bytesLeft -= bytes;
    await this.#world.write(cut);
  }

  #isWanted(record: LogRecord): boolean {
    const { sinceMs, stream } = this.#options;
    if (stream !== undefined && record.stream !== stream) return false;
    return sinceMs === undefined || Date.parse(record.time) >= sinceMs;
  }
}
