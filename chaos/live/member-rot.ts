/** Bytes of a member's log on disk become other ones, as a disk that ages makes them. Its process does not run meanwhile. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../../src/env/random.ts';

/** What others have counted and nothing else covers are the newest entries: they are hit more often than the rest. */
const newestShare = 0.7;
const newestBytes = 1_500;
const chunkBytes = 64 * 1024;

/** Where in what was written a byte changes: pure. `isNewest` and `share` are drawn. */
export function rotPlace(writtenBytes: number, isNewest: boolean, share: number): number {
  const from = isNewest ? Math.max(0, writtenBytes - newestBytes) : 0;
  return from + Math.floor(share * (writtenBytes - from));
}

/** Changes up to so many bytes in files below `directory` whose path has a folder `wal`; tells how many. */
export async function rotLog(directory: string, bytes: number, random: Random): Promise<number> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile() && `${entry.parentPath}/`.includes('/wal/'));
  let changed = 0;
  for (let count = 0; count < bytes && files.length > 0; count++) {
    const file = files[random.integer(0, files.length - 1)];
    if (file !== undefined && (await rotFile(join(file.parentPath, file.name), random))) changed += 1;
  }
  return changed;
}

async function rotFile(path: string, random: Random): Promise<boolean> {
  const file = await open(path, 'r+');
  try {
    const writtenBytes = await writtenLength(
      (buffer, at) => file.read(buffer, 0, buffer.length, at),
      (await file.stat()).size,
    );
    if (writtenBytes === 0) return false;
    const place = rotPlace(writtenBytes, random.next() < newestShare, random.next());
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, place);
    byte[0] = (byte[0] as number) ^ random.integer(1, 255);
    await file.write(byte, 0, 1, place);
    await file.sync();
    return true;
  } finally {
    await file.close();
  }
}

/** Files are made ahead, as zeros: up to the last byte that is none. */
async function writtenLength(
  read: (buffer: Buffer, at: number) => Promise<{ readonly bytesRead: number }>,
  sizeBytes: number,
): Promise<number> {
  const buffer = Buffer.alloc(chunkBytes);
  for (let end = sizeBytes; end > 0; end -= chunkBytes) {
    const start = Math.max(0, end - chunkBytes);
    const { bytesRead } = await read(buffer, start);
    const last = buffer.subarray(0, Math.min(bytesRead, end - start)).findLastIndex((byte) => byte !== 0);
    if (last >= 0) return start + last + 1;
  }
  return 0;
}
