/**
 * Snapshots of a data directory whose log is not open yet: the state machine may read its content from one before the log is,
 * and what was read whole need not be read again to know that it is.
 */
import { type Disk, DiskError } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { openSnapshotFile, parseSnapshotName, type SnapshotId } from './snapshot-file.ts';
import type { WalIdentity } from './wal.ts';

export interface StoredSnapshotFile {
  readonly id: SnapshotId;
  /** As SnapshotReader.chunks; closes the file at the end. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Whether all chunks were read, and each was whole. */
  wasRead(): boolean;
}

/**
 * The newest one of that member at or before `index`; undefined when there is none. Rejects as opening it does when its
 * head is damaged, and like its chunks with SNAPSHOT_UNREADABLE when the disk fails.
 */
export function newestSnapshotUpTo(
  disk: Disk,
  directory: string,
  wanted: { readonly index: number } & Pick<WalIdentity, 'clusterId' | 'memberId'>,
): Promise<StoredSnapshotFile | undefined> {
  return findNewest(disk, directory, wanted).catch((error: unknown) => Promise.reject(unreadable(error)));
}

function unreadable(error: unknown): unknown {
  if (!(error instanceof DiskError)) return error;
  return new KeelsonError('SNAPSHOT_UNREADABLE', `read the newest snapshot: ${error.message}`, { cause: error });
}

async function findNewest(
  disk: Disk,
  directory: string,
  { index, clusterId, memberId }: { readonly index: number } & Pick<WalIdentity, 'clusterId' | 'memberId'>,
): Promise<StoredSnapshotFile | undefined> {
  const path = `${directory}/snap`;
  if (!(await disk.exists(path))) return undefined;
  const ids = (await disk.list(path)).map(parseSnapshotName).filter((id) => id !== undefined && id.index <= index);
  // Names sort by index, then by term.
  const id = ids.at(-1);
  if (id === undefined) return undefined;
  const head = await openSnapshotFile(disk, path, id);
  await head.close();
  const { identity } = head;
  if (identity.clusterId !== clusterId || identity.memberId !== memberId) return undefined;
  let isRead = false;
  return {
    id,
    async *chunks() {
      const reader = await openSnapshotFile(disk, path, id);
      try {
        yield* reader.chunks();
        isRead = true;
      } catch (error) {
        throw unreadable(error);
      } finally {
        await reader.close();
      }
    },
    wasRead: () => isRead,
  };
}
