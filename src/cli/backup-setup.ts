/** `keelson backup setup`: makes a place ready for backups; the passphrase is confirmed here and compared ever after. */
import { realEnv } from '../env/real.ts';
import { setUpPassphrase } from '../kv/backup/passphrase-check.ts';
import { backupFlags, placeOf, placesHelp, readPassphrase } from './backup-flags.ts';
import { flagHelp, parseFlags } from './flags.ts';

const summary = `Makes a place ready for backups. Without the passphrase that is set here no backup in it can be opened.\n${placesHelp}`;

export async function run(args: readonly string[]): Promise<number> {
  const command = 'backup setup';
  const { values } = parseFlags(backupFlags, { command, args });
  if (values.help) {
    process.stdout.write(flagHelp('keelson backup setup --to PLACE', summary, backupFlags));
    return 0;
  }
  const { disk, random } = realEnv('warn');
  const destination = placeOf(disk, command, values.to);
  await setUpPassphrase(destination, await readPassphrase(disk, command, values['passphrase-file'], true), random);
  process.stdout.write(`${destination.description} is ready for backups: keep the passphrase where the store is not\n`);
  return 0;
}
