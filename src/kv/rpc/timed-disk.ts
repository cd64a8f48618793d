/** A member's disk with its writes and syncs timed, by what they are for: the log, or snapshots of it. */
import type { Clock } from '../../env/clock.ts';
import { type Disk, type DiskFile, fileOver } from '../../env/disk.ts';

export interface DiskTimings {
  readonly logWriteSeconds: (seconds: number) => void;
  readonly logSyncSeconds: (seconds: number) => void;
  readonly snapshotSyncSeconds: (seconds: number) => void;
}

type FileTimings = Partial<Record<'write' | 'sync', (seconds: number) => void>>;

/** Segments lie in a directory `wal`, snapshots in `snap`; what little else there is, is not timed. */
function timingsOf(path: string, timings: DiskTimings): FileTimings {
  if (/\/wal\/[^/]+$/.test(path)) return { write: timings.logWriteSeconds, sync: timings.logSyncSeconds };
  if (/\/snap\/[^/]+$/.test(path)) return { sync: timings.snapshotSyncSeconds };
  return {};
}

export function timedDisk(disk: Disk, clock: Clock, timings: DiskTimings): Disk {
  const timed = (file: DiskFile): DiskFile => {
    const observe = timingsOf(file.path, timings);
    const time = async (act: () => Promise<void>, observeSeconds: ((seconds: number) => void) | undefined) => {
      if (observeSeconds === undefined) return act();
      const startedMs = clock.monotonicMs();
      await act();
      observeSeconds((clock.monotonicMs() - startedMs) / 1000);
    };
    return fileOver(file, {
      write: (offset, chunks) => time(() => file.write(offset, chunks), observe.write),
      dataSync: () => time(() => file.dataSync(), observe.sync),
    });
  };
  return {
    open: async (path, mode) => timed(await disk.open(path, mode)),
    readFile: (path) => disk.readFile(path),
    list: (path) => disk.list(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    exists: (path) => disk.exists(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: (path) => disk.freeBytes(path),
    totalBytes: (path) => disk.totalBytes(path),
    lock: (path) => disk.lock(path),
  };
}
