/**
 * The node's file system as volumes need it (adapter: the one file of the volumes that touches node:fs). Links, modes,
 * owners and sizes are beyond what `Disk` promises, and nothing here must survive a crash: a pod's files are written again.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';

export interface HostFiles {
  makeDirectory(path: string, mode: number): Promise<void>;
  writeFile(path: string, content: Uint8Array | string, mode: number): Promise<void>;
  /** undefined when there is none. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  symlink(target: string, path: string): Promise<void>;
  /** undefined when `path` is no link. */
  readLink(path: string): Promise<string | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** Everything below, links not followed; no error when there is nothing. */
  removeAll(path: string): Promise<void>;
  /** Names of the directories in a directory; none when it does not exist. */
  listDirectories(path: string): Promise<readonly string[]>;
  /** An empty directory; false when it is not empty, busy or not there. */
  removeDirectory(path: string): Promise<boolean>;
  list(path: string): Promise<readonly string[]>;
  changeMode(path: string, mode: number): Promise<void>;
  changeOwner(path: string, uid: number, gid: number): Promise<void>;
  kind(path: string): Promise<'directory' | 'file' | 'socket' | 'characterDevice' | 'blockDevice' | 'none'>;
  /** With every link resolved; undefined when it does not exist. */
  realPath(path: string): Promise<string | undefined>;
  /** The last bytes of a file; undefined when there is none. */
  readTail(path: string, bytesMax: number): Promise<Uint8Array | undefined>;
  fileSystem(path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }>;
}

async function unless<T>(codes: readonly string[], action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

export const realHostFiles: HostFiles = {
  async makeDirectory(path, mode) {
    await fs.mkdir(path, { recursive: true, mode });
    // The process's umask took bits away.
    await fs.chmod(path, mode);
  },
  async writeFile(path, content, mode) {
    await fs.writeFile(path, content, { mode });
    await fs.chmod(path, mode);
  },
  readFile: (path) => unless(['ENOENT'], () => fs.readFile(path)),
  symlink: (target, path) => fs.symlink(target, path),
  readLink: (path) => unless(['ENOENT', 'EINVAL'], () => fs.readlink(path)),
  rename: (from, to) => fs.rename(from, to),
  removeAll: (path) => fs.rm(path, { recursive: true, force: true }),
  async listDirectories(path) {
    const entries = await unless(['ENOENT', 'ENOTDIR'], () => fs.readdir(path, { withFileTypes: true }));
    return (entries ?? []).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  },
  removeDirectory: async (path) =>
    (await unless(['ENOENT', 'ENOTEMPTY', 'EBUSY', 'ENOTDIR'], async () => {
      await fs.rmdir(path);
      return true;
    })) ?? false,
  list: async (path) => (await unless(['ENOENT', 'ENOTDIR'], () => fs.readdir(path)))?.sort() ?? [],
  changeMode: (path, mode) => fs.chmod(path, mode),
  changeOwner: (path, uid, gid) => fs.chown(path, uid, gid),
  async kind(path) {
    const stats = await unless(['ENOENT', 'ENOTDIR'], () => fs.stat(path));
    if (stats === undefined) return 'none';
    if (stats.isDirectory()) return 'directory';
    if (stats.isSocket()) return 'socket';
    if (stats.isCharacterDevice()) return 'characterDevice';
    return stats.isBlockDevice() ? 'blockDevice' : 'file';
  },
  realPath: (path) => unless(['ENOENT'], () => fs.realpath(path)),
  readTail: (path, bytesMax) =>
    unless(['ENOENT'], async () => {
      // A container chose what lies here: a link is not followed, a pipe not waited for.
      const handle = await fs.open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        const { size } = await handle.stat();
        const length = Math.min(size, bytesMax);
        const buffer = Buffer.alloc(length);
        const { bytesRead } = await handle.read(buffer, 0, length, size - length);
        return buffer.subarray(0, bytesRead);
      } finally {
        await handle.close();
      }
    }),
  async fileSystem(path) {
    const stats = await fs.statfs(path);
    return { totalBytes: stats.blocks * stats.bsize, freeBytes: stats.bavail * stats.bsize };
  },
};
