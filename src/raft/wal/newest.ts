/**
 * `wal/newest`: the number of the newest segment. A log whose last segment is gone would otherwise look like one that ends
 * there. It is written after the segment is durable, so it may lag by one, never lead; without it nothing is known.
 */
import { assert } from '../../env/assert.ts';
import { type Disk, DiskError } from '../../env/disk.ts';
import { readTextIfAny, writeFileAtomic } from '../../env/files.ts';

const formatVersion = 1;
export const newestName = 'newest';

export async function writeNewest(disk: Disk, directory: string, sequence: number): Promise<void> {
  assert(Number.isSafeInteger(sequence) && sequence > 0, 'segments count from 1');
  await writeFileAtomic(disk, `${directory}/wal/${newestName}`, `${JSON.stringify({ formatVersion, sequence })}\n`);
}

/** 0 when the file is missing, cannot be read, or cannot be understood. */
export async function newestSequence(disk: Disk, directory: string): Promise<number> {
  let text: string | undefined;
  try {
    text = await readTextIfAny(disk, `${directory}/wal/${newestName}`);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'EIO') throw error;
  }
  const match = /^{"formatVersion":1,"sequence":(\d{1,15})}\n$/.exec(text ?? '');
  return match ? Number(match[1]) : 0;
}
