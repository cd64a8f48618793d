/** `keelson backup restore`: a data directory, and the files beside it, out of a backup; then as `store restore`. */
import { realEnv } from '../env/real.ts';
import { readBackup } from '../kv/backup/read-backup.ts';
import { backupFlags, chosenBackup, readPassphrase } from './backup-flags.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { restoreFrom, restoreTargetFlags } from './store-restore.ts';

const flags = {
  ...backupFlags,
  ...restoreTargetFlags,
  'files-to': { type: 'string', default: '', help: 'directory to put the files of the backup below' },
} as const satisfies FlagTable;

const summary =
  'Makes the data directory of one member of a new cluster out of a backup, on any machine and with any addresses. Run it\nonce for each member. BACKUP is a path, or a name in --to.';

export async function run(args: readonly string[]): Promise<number> {
  const command = 'backup restore';
  const { values, positionals } = parseFlags(flags, { command, args, positionalsMax: 1 });
  if (values.help) {
    process.stdout.write(flagHelp('keelson backup restore BACKUP --data-dir DIR [flags]', summary, flags));
    return 0;
  }
  const { disk, random } = realEnv('warn');
  const { destination, name } = chosenBackup(disk, command, values.to, positionals);
  const passphrase = await readPassphrase(disk, command, values['passphrase-file']);
  const directory = (values['data-dir'] || `${values.name}.etcd`).replace(/(?<=.)\/+$/, '');
  // Beside the data directory, where there is room for as much.
  const snapshotPath = `${directory}.${random.uuid()}.snapshot`;
  const filesTo = values['files-to'].replace(/(?<=.)\/+$/, '');
  const files = filesTo === '' ? {} : { filesDirectory: filesTo };
  try {
    const read = await readBackup(destination.get(name), { disk, passphrase, name, snapshotPath, ...files });
    await restoreFrom(snapshotPath, `${name} of ${new Date(read.madeMs).toISOString()}`, {
      ...values,
      'data-dir': directory,
    });
    for (const path of filesTo === '' ? [] : read.files)
      process.stdout.write(`${filesTo}/${path.replace(/^\/+/, '')}\n`);
    if (filesTo === '' && read.files.length > 0) {
      process.stdout.write(`left ${read.files.length} files in the backup: give --files-to for them\n`);
    }
    return 0;
  } finally {
    if (await disk.exists(snapshotPath)) await disk.remove(snapshotPath);
  }
}
