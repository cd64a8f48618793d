/** What the backup commands have in common: where backups lie, which one is meant, and the passphrase. */
import type { Disk } from '../env/disk.ts';
import { type Destination } from '../kv/backup/destination.ts';
import { directoryDestination } from '../kv/backup/directory-destination.ts';
import { openDestination } from '../kv/backup/open-destination.ts';
import { type FlagTable, UsageError } from './flags.ts';
import { askSecret } from './ask-secret.ts';

export const backupFlags = {
  to: { type: 'string', default: '', help: 'where backups lie: a directory, or s3://bucket/prefix?endpoint=https://…' },
  'passphrase-file': {
    type: 'string',
    default: '',
    help: 'file with the passphrase in its first line (else KEELSON_BACKUP_PASSPHRASE, else it is asked for)',
  },
  help: { type: 'boolean', help: 'print this' },
} as const satisfies FlagTable;

export const placesHelp =
  'A place is a directory, or s3://bucket/prefix?endpoint=https://host:port&region=… with AWS_ACCESS_KEY_ID and\nAWS_SECRET_ACCESS_KEY in the environment.';

export function placeOf(disk: Disk, command: string, to: string): Destination {
  if (to === '') throw new UsageError(`keelson ${command}: flag --to is required: give the place where backups lie`);
  return openDestination(disk, to, process.env);
}

/** A backup by its name in `--to`, or by its path. */
export function chosenBackup(
  disk: Disk,
  command: string,
  to: string,
  positionals: readonly string[],
): { readonly destination: Destination; readonly name: string } {
  const [given] = positionals;
  if (given === undefined) throw new UsageError(`keelson ${command}: name the backup`);
  if (to !== '') return { destination: placeOf(disk, command, to), name: given };
  const slash = given.lastIndexOf('/');
  const directory = slash < 0 ? '.' : given.slice(0, slash) || '/';
  return { destination: directoryDestination(disk, directory), name: given.slice(slash + 1) };
}

/** From the file, the environment or the terminal; asked for twice when `isNew`. */
export async function readPassphrase(disk: Disk, command: string, file: string, isNew = false): Promise<string> {
  const given = file === '' ? process.env['KEELSON_BACKUP_PASSPHRASE'] : await firstLine(disk, file);
  if (given !== undefined && given !== '') return given;
  if (given === '') throw new UsageError(`keelson ${command}: the passphrase is empty`);
  if (!process.stdin.isTTY) {
    throw new UsageError(
      `keelson ${command}: no passphrase: give --passphrase-file, set KEELSON_BACKUP_PASSPHRASE, or run it in a terminal`,
    );
  }
  const passphrase = await askSecret('Passphrase of the backups: ');
  if (isNew && passphrase !== (await askSecret('The same once more: '))) {
    throw new UsageError(`keelson ${command}: the two passphrases differ: nothing was set up`);
  }
  return passphrase;
}

async function firstLine(disk: Disk, path: string): Promise<string> {
  return new TextDecoder().decode(await disk.readFile(path)).split(/\r?\n/, 1)[0] ?? '';
}
