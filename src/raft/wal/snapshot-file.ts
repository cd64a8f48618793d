/**
 * Snapshot files: `snap/<index>-<term>.snap`, 16 hex digits each, made of the same records as the log: a header with
 * identity and meta data, the chunks, and a trailer that counts them.
 *
 * A file has its final name only once it was synced whole, so a broken one is damaged, not torn. Readers verify every
 * record; a missing trailer means the file is not whole.
 */
import { assert } from '../../env/assert.ts';
import { type Disk, DiskError, type DiskFile } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Index, SnapshotMeta, Term } from '../core/types.ts';
import { decodeSnapshotHeader, decodeSnapshotTrailer, encodeSnapshotHeader, encodeSnapshotTrailer } from './payload.ts';
import { framedBytes, frameRecord, isBroken, readRecord, recordHeadBytes, recordTypes } from './record.ts';
import type { RecordType, WalRecord } from './record.ts';
import { hex, walFormatVersion } from './segment.ts';
import type { SnapshotReader, SnapshotWriter, WalIdentity } from './wal.ts';

/** A chunk is held in memory whole, on both sides of the network too. */
export const snapshotChunkBytesMax = 16 * 1024 * 1024;
/** A sync now and then keeps the last one short: one sync of a gigabyte would stall the log's own syncs for seconds. */
const bytesBetweenSyncs = 16 * 1024 * 1024;

export interface SnapshotId {
  readonly index: Index;
  readonly term: Term;
}

export function snapshotName(id: SnapshotId): string {
  return `${hex(id.index)}-${hex(id.term)}.snap`;
}

export function parseSnapshotName(name: string): SnapshotId | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/.exec(name);
  if (!match) return undefined;
  return {
    index: Number.parseInt(match[1] as string, 16) as Index,
    term: Number.parseInt(match[2] as string, 16) as Term,
  };
}

function corrupt(path: string, offset: number, reason: string): KeelsonError {
  return new KeelsonError(
    'SNAPSHOT_CORRUPT',
    `read snapshot ${path}: damaged at offset ${offset}: ${reason}. The member can take a new snapshot from the leader: ` +
      'remove it from the cluster and add it again with an empty data directory',
  );
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof DiskError && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** Operating errors of writing; a full disk has a code of its own because the answer is another one. */
export function writeError(what: string, error: unknown): KeelsonError {
  if (error instanceof KeelsonError) return error;
  return isDiskFull(error)
    ? new KeelsonError('NO_SPACE', `${what}: the disk is full: free space or grow the volume, then start again`, {
        cause: error,
      })
    : new KeelsonError(
        'WAL_SYNC_FAILED',
        `${what}: ${errorText(error)}. What is on disk is unknown now, so this member stops: check the disk, then start again`,
        { cause: error },
      );
}

export interface SnapshotWriterOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: WalIdentity;
  readonly meta: SnapshotMeta;
  /** Tells writers of the same snapshot apart while they write. */
  readonly attempt: number;
  /** Runs once the file is durable under its final name, before `finish` resolves. */
  readonly onDurable: () => Promise<void>;
}

export async function createSnapshotFile(options: SnapshotWriterOptions): Promise<SnapshotWriter> {
  const { disk, directory, meta } = options;
  assert(meta.index > 0, 'a snapshot covers at least one entry');
  const path = `${directory}/${snapshotName(meta)}`;
  const temporary = `${path}.${options.attempt}.tmp`;
  let file: DiskFile;
  let offset = 0;
  let previousCrc = 0;
  let bytesUnsynced = 0;
  let chunks = 0;
  let contentBytes = 0;
  let state: 'open' | 'finishing' | 'done' = 'open';
  let isFileOpen = false;
  // A gigabyte of records in memory that is new for each would make V8 look at its whole heap again and again.
  let memory = new Uint8Array(0);
  const gathered = (parts: readonly Uint8Array[], bytes: number): Uint8Array => {
    if (memory.length < bytes) memory = new Uint8Array(bytes);
    let end = 0;
    for (const part of parts) {
      memory.set(part, end);
      end += part.length;
    }
    assert(end === bytes, 'a record is as long as it says');
    return memory.subarray(0, bytes);
  };
  const append = async (type: RecordType, payload: Uint8Array): Promise<void> => {
    const groupEnd = offset + framedBytes(payload.length);
    const record = frameRecord(type, payload, { offset, previousCrc, groupStart: 0, groupEnd });
    const at = offset;
    offset += record.bytes;
    previousCrc = record.crc;
    bytesUnsynced += record.bytes;
    await file.write(at, [gathered(record.chunks, record.bytes)]);
    if (bytesUnsynced < bytesBetweenSyncs) return;
    bytesUnsynced = 0;
    await file.dataSync();
  };
  const guarded = async <T>(action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      throw writeError(`write snapshot ${path}`, error);
    }
  };
  await guarded(async () => {
    file = await disk.open(temporary, 'create');
    isFileOpen = true;
    await append(recordTypes.snapshotHeader, encodeSnapshotHeader(options.identity, meta));
  });
  return {
    write: (chunk) =>
      guarded(async () => {
        assert(state === 'open', 'a finished snapshot takes no more chunks');
        assert(
          chunk.length <= snapshotChunkBytesMax,
          () => `a snapshot chunk of ${chunk.length} bytes is over the limit`,
        );
        chunks += 1;
        contentBytes += chunk.length;
        await append(recordTypes.snapshotChunk, chunk);
      }),
    finish: () =>
      guarded(async () => {
        assert(state === 'open', 'a snapshot is finished once');
        state = 'finishing';
        await append(recordTypes.snapshotTrailer, encodeSnapshotTrailer({ chunks, bytes: contentBytes }));
        await file.dataSync();
        isFileOpen = false;
        await file.close();
        await disk.rename(temporary, path);
        state = 'done';
        await disk.syncDirectory(directory);
        await options.onDurable();
        return meta;
      }),
    abort: () =>
      guarded(async () => {
        if (state === 'done') return;
        state = 'done';
        if (isFileOpen) await file.close();
        await disk.remove(temporary);
      }),
  };
}

/** `identity`: of the member that wrote it. */
export async function openSnapshotFile(
  disk: Disk,
  directory: string,
  id: SnapshotId,
): Promise<SnapshotReader & { readonly identity: WalIdentity }> {
  const path = `${directory}/${snapshotName(id)}`;
  let file: DiskFile;
  try {
    file = await disk.open(path, 'open');
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error;
    throw new KeelsonError('SNAPSHOT_MISSING', `open snapshot ${path}: there is no such file`, { cause: error });
  }
  try {
    const header = await readAt(file, 0);
    if (header.type !== recordTypes.snapshotHeader) throw corrupt(path, 0, 'the file does not begin with a header');
    const { identity, meta } = decodeSnapshotHeader(header.payload);
    if (identity.formatVersion > walFormatVersion) {
      throw new KeelsonError(
        'DATA_NEWER_VERSION',
        `open snapshot ${path}: format version ${identity.formatVersion}, this program knows up to ${walFormatVersion}`,
      );
    }
    if (meta.index !== id.index || meta.term !== id.term) throw corrupt(path, 0, 'name and header differ');
    return {
      identity,
      meta,
      chunks: (isMemoryReused = false) => readChunks(file, header, isMemoryReused),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* readChunks(file: DiskFile, header: WalRecord, isMemoryReused: boolean): AsyncGenerator<Uint8Array> {
  // Of the greatest record so far.
  let memory = Buffer.alloc(0);
  const memoryFor = (bytes: number): Buffer => {
    if (!isMemoryReused) return Buffer.allocUnsafeSlow(bytes);
    if (memory.length < bytes) memory = Buffer.allocUnsafeSlow(bytes);
    return memory.subarray(0, bytes);
  };
  let last = header;
  let chunks = 0;
  let bytes = 0;
  for (;;) {
    const record = await readAt(file, last.nextOffset, memoryFor);
    if (record.previousCrc !== last.crc) throw corrupt(file.path, record.offset, 'a record is missing before it');
    last = record;
    if (record.type !== recordTypes.snapshotChunk) break;
    chunks += 1;
    bytes += record.payload.length;
    yield record.payload;
  }
  if (last.type !== recordTypes.snapshotTrailer)
    throw corrupt(file.path, last.offset, `unexpected record ${last.type}`);
  const totals = decodeSnapshotTrailer(last.payload);
  if (totals.chunks !== chunks || totals.bytes !== bytes) {
    throw corrupt(file.path, last.offset, `${chunks} chunks instead of ${totals.chunks}`);
  }
}

async function readAt(
  file: DiskFile,
  offset: number,
  memoryFor: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafeSlow(bytes),
): Promise<WalRecord> {
  const head = Buffer.from(await file.read(offset, recordHeadBytes));
  if (head.length < recordHeadBytes) throw corrupt(file.path, offset, 'the file ends without its trailer');
  const length = head.readUInt32LE(8);
  if (length > snapshotChunkBytesMax) throw corrupt(file.path, offset, `length ${length} is over the limit`);
  const bytes = memoryFor(framedBytes(length));
  const filled = await file.readInto(offset, bytes);
  const record = readRecord(bytes.subarray(0, filled), offset, offset);
  if (isBroken(record)) throw corrupt(file.path, offset, record.reason);
  return record;
}

/** Reads it all. Undefined when the file is whole, else what is wrong with it. */
export async function verifySnapshotFile(disk: Disk, directory: string, id: SnapshotId): Promise<string | undefined> {
  try {
    const reader = await openSnapshotFile(disk, directory, id);
    try {
      for await (const chunk of reader.chunks(true)) assert(chunk.length >= 0, 'a chunk has a length');
    } finally {
      await reader.close();
    }
    return undefined;
  } catch (error) {
    const code = error instanceof KeelsonError || error instanceof DiskError ? error.code : '';
    if (code === 'SNAPSHOT_CORRUPT' || code === 'SNAPSHOT_MISSING' || code === 'WAL_CORRUPT' || code === 'EIO') {
      return errorText(error);
    }
    throw error;
  }
}
