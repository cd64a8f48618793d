/**
 * LevelDB's files before LevelDB opens them: it begins an empty database when the file that names the current one is gone, and
 * believes its tables. Throws `BACKEND_CORRUPT`; a directory without a database is fine.
 */
import { type Disk, DiskError } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { tableDamage } from './table-check.ts';

export async function checkFiles(disk: Pick<Disk, 'list' | 'readFile'>, directory: string): Promise<void> {
  const names = await namesIn(disk, directory);
  const tables = names.filter((name) => name.endsWith('.ldb'));
  if (names.includes('CURRENT')) {
    const current = Buffer.from(await read(disk, directory, 'CURRENT')).toString('latin1');
    const manifest = /^(MANIFEST-\d{6,})\n$/.exec(current)?.[1];
    if (manifest === undefined || !names.includes(manifest)) throw corrupt('CURRENT names no manifest that is there');
  } else if (tables.length > 0 || names.some((name) => /^MANIFEST-|\.log$/.test(name))) {
    throw corrupt('CURRENT is missing');
  }
  for (const name of tables) {
    const bytes = await read(disk, directory, name);
    const damage = tableDamage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (damage !== undefined) throw corrupt(`${name}: ${damage}`);
  }
}

async function namesIn(disk: Pick<Disk, 'list'>, directory: string): Promise<readonly string[]> {
  try {
    return await disk.list(directory);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return [];
    throw error;
  }
}

async function read(disk: Pick<Disk, 'readFile'>, directory: string, name: string): Promise<Uint8Array> {
  try {
    return await disk.readFile(`${directory}/${name}`);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'EIO') throw corrupt(`${name} cannot be read: EIO`);
    throw error;
  }
}

function corrupt(what: string): KeelsonError {
  return new KeelsonError('BACKEND_CORRUPT', what);
}
