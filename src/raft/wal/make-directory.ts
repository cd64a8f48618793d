/** Directories that survive a crash: each new name is synced in its parent. */
import type { Disk } from '../../env/disk.ts';

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
