/**
 * Which clusters this one was made out of, after their quorum was lost. Members of those that come back are told so, and may
 * join this one as new members: nothing that they hold counts any more.
 *
 * Kept in the data directory of the member that the new cluster began with.
 */
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../../env/files.ts';

const nameOf = (directory: string) => `${directory}/succeeds.json`;

/** Cluster ids, the last one first; none for a cluster that began by itself. */
export async function readSucceeded(disk: Disk, directory: string): Promise<readonly number[]> {
  const text = await readTextIfAny(disk, nameOf(directory));
  if (text === undefined) return [];
  const damage = `read ${nameOf(directory)}: it is no list of cluster ids: remove it`;
  let ids: unknown;
  try {
    ids = JSON.parse(text);
  } catch (error) {
    throw new KeelsonError('DATA_DAMAGED', damage, { cause: error });
  }
  if (Array.isArray(ids) && ids.every((id) => Number.isSafeInteger(id) && id > 0)) return ids as number[];
  throw new KeelsonError('DATA_DAMAGED', damage);
}

export function writeSucceeded(disk: Disk, directory: string, clusterIds: readonly number[]): Promise<void> {
  return writeFileAtomic(disk, nameOf(directory), `${JSON.stringify(clusterIds)}\n`);
}
