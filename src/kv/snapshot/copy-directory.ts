/** Copies files through Disk, a piece at a time: for looking at data without touching it. */
import { assert } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { DiskError } from '../../env/disk.ts';

const pieceBytes = 1024 * 1024;
/** A data directory is two levels deep. */
const depthMax = 8;

/** Copies `from` and everything in it to `to`, which must not exist. Other things than files and directories are refused. */
export function copyDirectory(disk: Disk, from: string, to: string): Promise<void> {
  return copyNamed(disk, from, to, () => true);
}

/** As copyDirectory, of what is wanted in `from` by its name. */
export async function copyNamed(
  disk: Disk,
  from: string,
  to: string,
  isWanted: (name: string) => boolean,
  depth = 0,
): Promise<void> {
  assert(depth <= depthMax, () => `${from} is more than ${depthMax} directories deep`);
  await disk.makeDirectory(to);
  for (const name of (await disk.list(from)).filter((each) => isWanted(each))) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (await isDirectory(disk, source)) await copyNamed(disk, source, target, () => true, depth + 1);
    else await copyFile(disk, source, target);
  }
}

async function isDirectory(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.list(path);
    return true;
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOTDIR') return false;
    throw error;
  }
}

async function copyFile(disk: Disk, from: string, to: string): Promise<void> {
  const source = await disk.open(from, 'read');
  try {
    const target = await disk.open(to, 'create');
    try {
      for (let at = 0; ; ) {
        const piece = await source.read(at, pieceBytes);
        if (piece.length === 0) break;
        await target.write(at, [piece]);
        at += piece.length;
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}
