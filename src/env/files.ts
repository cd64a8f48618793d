/** Whole files on a Disk: what configuration, certificates and process records need. */
import { type Disk, DiskError } from './disk.ts';

/** Replaces `path` by `content` in one step that survives a crash: new file, sync, rename, directory sync. */
export async function writeFileAtomic(disk: Disk, path: string, content: string | Uint8Array): Promise<void> {
  const directory = path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || '/';
  const temporary = `${path}.new`;
  if (await disk.exists(temporary)) await disk.remove(temporary);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write(0, [typeof content === 'string' ? new TextEncoder().encode(content) : content]);
    await file.dataSync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
}

/** The text of a file, or undefined when there is none. */
export async function readTextIfAny(disk: Disk, path: string): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await disk.readFile(path));
  } catch (error) {
    if (error instanceof DiskError && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined;
    throw error;
  }
}

/** A directory that survives a crash: each new name on the way is synced in its parent. */
export async function makeDirectoryDurable(disk: Disk, path: string): Promise<void> {
  const parts = path.split('/').filter((part) => part !== '');
  const prefix = path.startsWith('/') ? '/' : '';
  const missing: number[] = [];
  for (let count = parts.length; count > 0; count--) {
    if (await disk.exists(prefix + parts.slice(0, count).join('/'))) break;
    missing.push(count);
  }
  await disk.makeDirectory(path);
  // An existing last name may be unsynced too, when a start before this one was cut off: its parent is always synced.
  const counts = missing.length === 0 ? [parts.length] : missing.reverse();
  for (const count of counts) {
    const parent = prefix + parts.slice(0, count - 1).join('/');
    await disk.syncDirectory(parent === '' ? '.' : parent);
  }
}
