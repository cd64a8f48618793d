/** `keelson backup list`: the backups in a place, newest first. */
import { realEnv } from '../env/real.ts';
import { madeAtMs } from '../kv/backup/retention.ts';
import { backupFlags, placeOf, placesHelp } from './backup-flags.ts';
import { flagHelp, parseFlags } from './flags.ts';

const flags = { to: backupFlags.to, help: backupFlags.help };

export async function run(args: readonly string[]): Promise<number> {
  const command = 'backup list';
  const { values } = parseFlags(flags, { command, args });
  if (values.help) {
    process.stdout.write(
      flagHelp('keelson backup list --to PLACE', `Lists the backups in a place.\n${placesHelp}`, flags),
    );
    return 0;
  }
  const { disk } = realEnv('warn');
  const names = (await placeOf(disk, command, values.to).list()).filter((name) => madeAtMs(name) !== undefined);
  for (const name of names.sort().reverse()) process.stdout.write(`${name}\n`);
  return 0;
}
