/**
 * Snapshot files as etcd's tools know them: a bbolt file, a multiple of 512 bytes long, with its SHA-256 behind it. A
 * copied `member/snap/db` is the same without the checksum.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import { type Disk, DiskError, type DiskFile } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { type BoltReader, openBolt } from '../bbolt/reader.ts';

export const checksumBytes = 32;
const sectorBytes = 512;
/** Read at a time for the checksum. */
const readBytes = 1024 * 1024;

export interface SnapshotSource {
  readonly reader: BoltReader;
  /** SHA-256 of the file without its checksum: the same snapshot has the same one everywhere. */
  readonly digest: Buffer;
  readonly bytes: number;
  close(): Promise<void>;
}

/** Opens a snapshot file and verifies its checksum. `isHashSkipped`: it may have none, or a wrong one. */
export async function openSnapshotFile(disk: Disk, path: string, isHashSkipped: boolean): Promise<SnapshotSource> {
  const file = await openForReading(disk, path);
  try {
    const size = await file.size();
    const hasChecksum = size % sectorBytes === checksumBytes;
    if (!hasChecksum && !isHashSkipped) {
      throw new KeelsonError(
        'SNAPSHOT_NO_HASH',
        `read snapshot ${path}: it has ${size} bytes and no checksum behind them: when it is a copied member/snap/db, give --skip-hash-check, else take the snapshot again`,
      );
    }
    const bytes = hasChecksum ? size - checksumBytes : size;
    const digest = await digestOf(file, bytes);
    if (hasChecksum && !isHashSkipped) {
      const said = Buffer.from(await file.read(bytes, checksumBytes));
      if (!said.equals(digest)) {
        throw new KeelsonError(
          'SNAPSHOT_HASH',
          `read snapshot ${path}: its SHA-256 is ${digest.toString('hex')}, behind it stands ${said.toString('hex')}: the file is damaged: take the snapshot again, or give --skip-hash-check to try what is left`,
        );
      }
    }
    return { reader: await openBolt(file, bytes), digest, bytes, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** SHA-256 of the first `bytes` of a file. */
export async function digestOf(file: DiskFile, bytes: number): Promise<Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes; ) {
    const chunk = await file.read(at, Math.min(readBytes, bytes - at));
    assert(chunk.length > 0, () => `${file.path} became shorter than ${bytes} bytes while it was read`);
    hash.update(chunk);
    at += chunk.length;
  }
  return hash.digest();
}

async function openForReading(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'read');
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error;
    throw new KeelsonError('SNAPSHOT_MISSING', `read snapshot ${path}: there is no such file: check --from`, {
      cause: error,
    });
  }
}
