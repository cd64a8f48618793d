/** `keelson backup verify`: opens a backup whole, starts a member from it in a sandbox, reads every key back. */
import { tmpdir } from 'node:os';
import { realEnv } from '../env/real.ts';
import { readBackup } from '../kv/backup/read-backup.ts';
import { backupFlags, chosenBackup, readPassphrase } from './backup-flags.ts';
import { trySnapshot } from './backup-sandbox.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';

const flags = {
  ...backupFlags,
  scratch: { type: 'string', default: '', help: 'where it is unpacked and started (default: TMPDIR)' },
} as const satisfies FlagTable;

const summary =
  'Opens a backup, restores it into a directory of its own, starts a real member from it on loopback and reads every key\nback; then removes all that again. BACKUP is a path, or a name in --to.';

export async function run(args: readonly string[]): Promise<number> {
  const command = 'backup verify';
  const { values, positionals } = parseFlags(flags, { command, args, positionalsMax: 1 });
  if (values.help) {
    process.stdout.write(flagHelp('keelson backup verify BACKUP [flags]', summary, flags));
    return 0;
  }
  const env = realEnv('warn');
  const { destination, name } = chosenBackup(env.disk, command, values.to, positionals);
  const passphrase = await readPassphrase(env.disk, command, values['passphrase-file']);
  const scratch = `${values.scratch || tmpdir()}/keelson-verify-${env.random.uuid()}`;
  await env.disk.makeDirectory(scratch);
  try {
    const snapshotPath = `${scratch}/store.snapshot`;
    const read = await readBackup(destination.get(name), { disk: env.disk, passphrase, name, snapshotPath });
    const { keys, revision, valueBytes } = await trySnapshot(env, snapshotPath, scratch);
    process.stdout.write(
      `${name} is whole: made ${new Date(read.madeMs).toISOString()} of cluster ${read.clusterId}; a member started from it gave back revision ${revision}, ${keys} keys with ${valueBytes} bytes; ${read.files.length} files beside it\n`,
    );
    return 0;
  } finally {
    await env.disk.remove(scratch);
  }
}
