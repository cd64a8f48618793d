/** Backups in a directory, which may be another machine's. */
import { type Disk, DiskError } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import type { Destination } from './destination.ts';
import { piecesOf } from './file-pieces.ts';

export function directoryDestination(disk: Disk, directory: string): Destination {
  const pathOf = (name: string) => `${directory}/${name}`;
  return {
    description: directory,
    async list() {
      if (!(await disk.exists(directory))) return [];
      return (await disk.list(directory)).filter((name) => !name.endsWith('.part'));
    },
    async put(name, content) {
      await makeDirectoryDurable(disk, directory);
      const temporary = pathOf(`${name}.part`);
      if (await disk.exists(temporary)) await disk.remove(temporary);
      const file = await disk.open(temporary, 'create');
      try {
        let at = 0;
        for await (const chunk of content) {
          await file.write(at, [chunk]);
          at += chunk.length;
        }
        await file.dataSync();
      } catch (error) {
        await file.close();
        // Only in the way; what happened first is what is told.
        await disk.remove(temporary).catch(() => undefined);
        throw error;
      }
      await file.close();
      await disk.rename(temporary, pathOf(name));
      await disk.syncDirectory(directory);
    },
    async *get(name) {
      const file = await disk.open(pathOf(name), 'read').catch((error: unknown) => {
        if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error;
        throw new KeelsonError('BACKUP_MISSING', `read ${pathOf(name)}: there is no such backup`, { cause: error });
      });
      yield* piecesOf(file);
    },
    remove: (name) => disk.remove(pathOf(name)),
  };
}
