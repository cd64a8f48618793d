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
