/**
 * Opens a backup: the snapshot goes to one file, the files beside it below a directory under their own paths. Nothing of a
 * backup that is not whole is left behind; a path that would lead out of the directory is refused.
 */
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import { type ArchiveFile, type ArchiveHead, readArchive } from './archive.ts';
import { snapshotFileName } from './make-backup.ts';
import { openStream } from './sealed-stream.ts';

export interface ReadOptions {
  readonly disk: Disk;
  readonly passphrase: string;
  /** For messages. */
  readonly name: string;
  /** Where the snapshot goes; must not exist. */
  readonly snapshotPath: string;
  /** Where the files go; when absent they are only checked. */
  readonly filesDirectory?: string;
}

export interface ReadBackup {
  readonly clusterId: string;
  readonly revision: number;
  readonly madeMs: number;
  /** Paths as they were where the backup was made. */
  readonly files: readonly string[];
}

/** Reads all of `sealed`. Rejects with `SEALED_*` or `ARCHIVE_DAMAGED`. */
export async function readBackup(sealed: AsyncIterable<Uint8Array>, options: ReadOptions): Promise<ReadBackup> {
  const { disk, name, passphrase, snapshotPath, filesDirectory } = options;
  let head: ArchiveHead | undefined;
  const files: string[] = [];
  const written: string[] = [];
  try {
    for await (const file of readArchive(openStream(sealed, passphrase, name))) {
      if (file.head.name === snapshotFileName) {
        head = file.head;
        await write(disk, snapshotPath, file);
        written.push(snapshotPath);
        continue;
      }
      const path = String(file.head['path'] ?? '');
      const target = filesDirectory === undefined ? undefined : targetOf(filesDirectory, path, name);
      files.push(path);
      if (target === undefined) {
        await pass(file);
        continue;
      }
      await makeDirectoryDurable(disk, target.slice(0, target.lastIndexOf('/')));
      await write(disk, target, file);
      written.push(target);
    }
    if (head === undefined) throw new KeelsonError('ARCHIVE_DAMAGED', `read ${name}: it holds no snapshot`);
  } catch (error) {
    // Half a backup looks like a whole one. Why it is half is what is told.
    for (const path of written) await disk.remove(path).catch(() => undefined);
    throw error;
  }
  const { clusterId, revision, madeMs } = head;
  return { clusterId: String(clusterId), revision: Number(revision), madeMs: Number(madeMs), files };
}

function targetOf(directory: string, path: string, name: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..')) {
    throw new KeelsonError('ARCHIVE_DAMAGED', `read ${name}: a file in it would be written to ${JSON.stringify(path)}`);
  }
  return `${directory}/${parts.join('/')}`;
}

async function write(disk: Disk, path: string, { content }: ArchiveFile): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    let at = 0;
    for await (const piece of content) {
      await file.write(at, [piece]);
      at += piece.length;
    }
    await file.dataSync();
  } catch (error) {
    await file.close();
    // Only in the way; what happened first is what is told.
    await disk.remove(path).catch(() => undefined);
    throw error;
  }
  await file.close();
}

async function pass({ content }: ArchiveFile): Promise<void> {
  let bytes = 0;
  for await (const piece of content) bytes += piece.length;
  if (!Number.isSafeInteger(bytes)) throw new KeelsonError('ARCHIVE_DAMAGED', 'a file is larger than can be');
}
