/** What `verify` and `dump` have in common: the directory they are given, and where its copy goes. */
import { tmpdir } from 'node:os';
import { silentLog } from '../env/log.ts';
import { realEnv } from '../env/real.ts';
import { openLevelBackend } from '../kv/backend/level.ts';
import type { OfflineOptions } from '../kv/snapshot/offline.ts';
import { type FlagTable, UsageError } from './flags.ts';

export const offlineFlags = {
  'data-dir': { type: 'string', default: '', help: 'data directory of a member that does not run' },
  'wal-dir': { type: 'string', default: '', help: 'where its log is, when --wal-dir of keelson store was given' },
  scratch: { type: 'string', default: '', help: 'where its files are copied to for reading (default: TMPDIR)' },
  help: { type: 'boolean', help: 'print this' },
} as const satisfies FlagTable;

export function offlineOptions(
  command: string,
  values: { readonly 'data-dir': string; readonly 'wal-dir': string; readonly scratch: string },
  positionals: readonly string[],
): OfflineOptions {
  const directory = values['data-dir'] || positionals[0];
  if (!directory) throw new UsageError(`keelson ${command}: give the data directory`);
  const env = realEnv('warn');
  return {
    env,
    directory: directory.replace(/(?<=.)\/+$/, ''),
    ...(values['wal-dir'] === '' ? {} : { logDirectory: values['wal-dir'] }),
    scratch: `${values.scratch || tmpdir()}/keelson-offline-${env.random.uuid()}`,
    openBackend: (path) =>
      openLevelBackend(path, {
        log: silentLog,
        // Every call on the backend throws the failure from then on, which ends the command and is told once.
        onFatal: () => undefined,
      }),
  };
}
