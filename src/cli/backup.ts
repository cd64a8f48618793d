/** `keelson backup`: sealed, self-contained backups of a running store, once or by the clock; and what is done with them. */
import { sleep } from '../env/clock.ts';
import { errorText } from '../env/errors.ts';
import { realEnv } from '../env/real.ts';
import { checkPassphrase } from '../kv/backup/passphrase-check.ts';
import { type BackupOptions, makeBackup, removeExpired } from '../kv/backup/make-backup.ts';
import type { Retention } from '../kv/backup/retention.ts';
import { openRemoteSnapshot, type SnapshotRequest } from '../kv/client/snapshot.ts';
import { backupFlags, placeOf, placesHelp, readPassphrase } from './backup-flags.ts';
import { type FlagTable, flagHelp, parseFlags, UsageError } from './flags.ts';
import { untilStopSignal } from './runtime.ts';
import { readSnapshotRequest, storeClientFlags } from './store-client-flags.ts';

const dayMs = 86_400_000;

const flags = {
  ...backupFlags,
  ...storeClientFlags,
  include: { type: 'list', help: 'files and directories to take along: certificates, tokens, configuration' },
  every: { type: 'duration', default: 0, help: 'make one so often, until stopped; 0 = one' },
  keep: { type: 'number', default: 0, min: 0, help: 'newest ones that always stay; 0 = all' },
  'keep-for': { type: 'string', default: '0', help: 'younger ones that stay too, such as 12h or 7d' },
} as const satisfies FlagTable;

const subcommands: Readonly<
  Record<string, { summary: string; load(): Promise<{ run(args: readonly string[]): Promise<number> }> }>
> = {
  setup: { summary: 'make a place ready, with the passphrase of its backups', load: () => import('./backup-setup.ts') },
  list: { summary: 'list the backups in a place', load: () => import('./backup-list.ts') },
  verify: { summary: 'open a backup, start a member from it, read it back', load: () => import('./backup-verify.ts') },
  restore: { summary: 'make a data directory out of a backup', load: () => import('./backup-restore.ts') },
};

const summary = `Takes a snapshot of the store, seals it with the passphrase of the place, and puts it there.\n${placesHelp}`;

export async function run(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name !== undefined && Object.hasOwn(subcommands, name)) {
    return (await (subcommands[name] as (typeof subcommands)[string]).load()).run(rest);
  }
  const command = 'backup';
  const { values } = parseFlags(flags, { command, args });
  if (values.help) {
    const lines = Object.entries(subcommands).map(([each, { summary: does }]) => `  ${each.padEnd(10)}${does}`);
    process.stdout.write(`${flagHelp('keelson backup [flags]', summary, flags)}\nSubcommands:\n${lines.join('\n')}\n`);
    return 0;
  }
  const env = realEnv('info');
  const retention = retentionOf(values.keep, values['keep-for']);
  const destination = placeOf(env.disk, command, values.to);
  const request = await readSnapshotRequest(env, command, values, process.env);
  const passphrase = await readPassphrase(env.disk, command, values['passphrase-file']);
  const options: BackupOptions = { env, destination, passphrase, includes: values.include };
  if (values.every === 0) {
    process.stdout.write(`${await backUp(options, request, retention)}\n`);
    return 0;
  }
  // What can never succeed is said before the first hour is over.
  await checkPassphrase(destination, passphrase);
  return backUpEvery(env, values.every, () => backUp(options, request, retention));
}

/** Makes one, then removes what the rule lets go. */
async function backUp(
  options: BackupOptions,
  request: SnapshotRequest,
  retention: Retention | undefined,
): Promise<string> {
  const { env, destination } = options;
  const snapshot = await openRemoteSnapshot(request);
  try {
    const { name, bytes, files } = await makeBackup(options, snapshot);
    const gone = retention ? await removeExpired(destination, snapshot.clusterId, env.clock.wallMs(), retention) : [];
    const removed = gone.length > 0 ? `, removed ${gone.length} older` : '';
    return `backed up revision ${snapshot.revision} and ${files} files to ${name} in ${destination.description}: ${bytes} bytes${removed}`;
  } finally {
    snapshot.close();
  }
}

async function backUpEvery(
  env: ReturnType<typeof realEnv>,
  everyMs: number,
  backUpOnce: () => Promise<string>,
): Promise<number> {
  const stopping = new AbortController();
  void untilStopSignal().then(() => stopping.abort());
  for (;;) {
    try {
      env.log.info(await backUpOnce());
    } catch (error) {
      // A store or a service that is away is back by the next time; until then this is all that shows it.
      env.log.error('no backup was made', { error: errorText(error), 'next-try-ms': everyMs });
    }
    try {
      await sleep(env.clock, everyMs, stopping.signal);
    } catch {
      env.log.info('stopped');
      return 0;
    }
    if (stopping.signal.aborted) return 0;
  }
}

function retentionOf(keep: number, keepFor: string): Retention | undefined {
  const days = /^(\d+(?:\.\d+)?)d$/.exec(keepFor);
  const table = { 'keep-for': { type: 'duration', help: '' } } as const;
  const keepForMs = days
    ? Number(days[1]) * dayMs
    : parseFlags(table, { command: 'backup', args: ['--keep-for', keepFor] }).values['keep-for'];
  if (!Number.isInteger(keep)) throw new UsageError('keelson backup: --keep: want a whole number');
  if (keep === 0 && (keepForMs ?? 0) === 0) return undefined;
  return { keep: Math.max(keep, 1), keepForMs: keepForMs ?? 0 };
}
