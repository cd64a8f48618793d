/**
 * Writes a snapshot that arrives in pieces, its checksum last, to a file: under another name first, so that a file of the
 * given name is always whole. The checksum is verified before the file gets its name.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { checksumBytes } from './snapshot-file.ts';

/** Gathered for one write of the disk. */
const gatheredBytesMax = 1024 * 1024;

/** Resolves with the length of the durable file. Rejects with `SNAPSHOT_INCOMPLETE`, or what `chunks` rejects with. */
export async function saveSnapshot(disk: Disk, path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const temporary = `${path}.part`;
  if (await disk.exists(temporary)) await disk.remove(temporary);
  const file = await disk.open(temporary, 'create');
  let bytes = 0;
  try {
    const hash = createHash('sha256');
    let gathered: Uint8Array[] = [];
    let gatheredBytes = 0;
    // The last bytes may be the checksum: they are hashed only once more has come behind them.
    let tail = Buffer.alloc(0);
    const write = async () => {
      await file.write(bytes, gathered);
      bytes += gatheredBytes;
      gathered = [];
      gatheredBytes = 0;
    };
    for await (const chunk of chunks) {
      const known = Buffer.concat([tail, chunk]);
      hash.update(known.subarray(0, Math.max(0, known.length - checksumBytes)));
      tail = Buffer.from(known.subarray(Math.max(0, known.length - checksumBytes)));
      gathered.push(chunk);
      gatheredBytes += chunk.length;
      if (gatheredBytes >= gatheredBytesMax) await write();
    }
    if (gatheredBytes > 0) await write();
    assert(tail.length <= checksumBytes, 'only the checksum is held back');
    if (!hash.digest().equals(tail)) {
      throw new KeelsonError(
        'SNAPSHOT_INCOMPLETE',
        `save snapshot ${path}: what arrived, ${bytes} bytes, does not end with its checksum: the stream was cut off or damaged: try again`,
      );
    }
    await file.dataSync();
  } catch (error) {
    await file.close();
    // Only in the way; what happened first is what is told.
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
  await file.close();
  await disk.rename(temporary, path);
  await disk.syncDirectory(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) || '/' : '.');
  return bytes;
}
