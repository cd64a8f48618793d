/**
 * A backend that is damaged is set aside and begun anew: all that was in it is in the Raft snapshot and the log after it.
 *
 *   kv            the backend
 *   kv.damaged    damage was found while it was in use; why
 *   kv.broken-<n> set aside at a start, kept for inspection; the newest one only
 */
import { assert } from '../../env/assert.ts';
import { type Disk, DiskError } from '../../env/disk.ts';
import { errorText } from '../../env/errors.ts';
import { readTextIfAny } from '../../env/files.ts';
import type { Log } from '../../env/log.ts';
import type { Backend } from './contract.ts';
import { isDamage } from './level-errors.ts';

export interface RebuildableOptions {
  readonly disk: Disk;
  readonly log: Log;
  readonly directory: string;
  readonly open: (directory: string) => Promise<Backend>;
}

/** Leaves a note that the backend in `directory` is damaged, for the next start. */
export async function noteDamage(
  disk: Pick<Disk, 'open' | 'exists' | 'syncDirectory'>,
  directory: string,
  reason: string,
): Promise<void> {
  const path = `${directory}.damaged`;
  if (await disk.exists(path)) return;
  const file = await disk.open(path, 'create');
  try {
    await file.write(0, [new TextEncoder().encode(reason)]);
    await file.dataSync();
  } finally {
    await file.close();
  }
  await disk.syncDirectory(parentOf(directory));
}

/**
 * Opens the backend and gives it to `use`, which reads it whole. When either finds damage, once more with an empty one.
 * `use` owns the backend when it succeeds.
 */
export async function openRebuildable<T>(
  options: RebuildableOptions,
  use: (backend: Backend) => Promise<T>,
): Promise<{ readonly backend: Backend; readonly used: T }> {
  const { disk, directory } = options;
  const noted = await readTextIfAny(disk, `${directory}.damaged`);
  if (noted !== undefined) await setAside(options, noted);
  try {
    return await openAndUse(options, use);
  } catch (error) {
    if (!isDamage(error)) throw error;
    await setAside(options, errorText(error));
  }
  return openAndUse(options, use);
}

async function openAndUse<T>(
  { open, directory }: RebuildableOptions,
  use: (backend: Backend) => Promise<T>,
): Promise<{ readonly backend: Backend; readonly used: T }> {
  const backend = await open(directory);
  try {
    return { backend, used: await use(backend) };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

async function setAside({ disk, log, directory }: RebuildableOptions, reason: string): Promise<void> {
  const parent = parentOf(directory);
  const prefix = `${directory.slice(parent.length + 1)}.broken-`;
  const old = (await disk.list(parent)).filter((name) => name.startsWith(prefix));
  const numbers = old.map((name) => Number(name.slice(prefix.length))).filter((number) => Number.isSafeInteger(number));
  const target = `${parent}/${prefix}${Math.max(0, ...numbers) + 1}`;
  // Cut off between the two, the note is still there and the directory is not.
  if (await disk.exists(directory)) await disk.rename(directory, target);
  await disk.syncDirectory(parent);
  await removeIfThere(disk, `${directory}.damaged`);
  for (const name of old) await disk.remove(`${parent}/${name}`);
  await disk.syncDirectory(parent);
  log.error('the backend was damaged and is rebuilt from the snapshot and the log', {
    directory,
    reason,
    setAsideAs: target,
  });
}

async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error;
  }
}

function parentOf(directory: string): string {
  const at = directory.lastIndexOf('/');
  assert(at > 0, () => `${directory} lies in a directory`);
  return directory.slice(0, at);
}
