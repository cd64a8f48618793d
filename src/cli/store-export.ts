/** `keelson store export`: the store as an etcd snapshot file, from a running member or from a data directory. */
import { tmpdir } from 'node:os';
import { silentLog } from '../env/log.ts';
import { realEnv } from '../env/real.ts';
import { openLevelBackend } from '../kv/backend/level.ts';
import { openRemoteSnapshot, type SnapshotRequest } from '../kv/client/snapshot.ts';
import { SnapshotExporter } from '../kv/snapshot/exporter.ts';
import { openOffline } from '../kv/snapshot/offline.ts';
import { saveSnapshot } from '../kv/snapshot/save.ts';
import { type FlagTable, flagHelp, parseFlags, UsageError } from './flags.ts';
import { readSnapshotRequest, storeClientFlags } from './store-client-flags.ts';

const flags = {
  'etcd-snapshot': { type: 'string', default: '', help: 'file to write' },
  'data-dir': { type: 'string', default: '', help: 'data directory of a member that does not run' },
  scratch: { type: 'string', default: '', help: 'where the data directory is copied to for reading (default: TMPDIR)' },
  ...storeClientFlags,
  help: { type: 'boolean', help: 'print this' },
} as const satisfies FlagTable;

const summary =
  'Writes the store as an etcd snapshot file, which etcdctl, etcdutl and keelson store restore take: from a running member\n(--endpoints), or from a data directory (--data-dir), which is copied and not touched.';
const command = 'store export';

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseFlags(flags, { command, args });
  if (values.help) {
    process.stdout.write(flagHelp('keelson store export --etcd-snapshot FILE [flags]', summary, flags));
    return 0;
  }
  const path = values['etcd-snapshot'];
  if (path === '') throw new UsageError(`keelson ${command}: flag --etcd-snapshot is required: give the file to write`);
  const isOnline = values.endpoints.length > 0;
  if (isOnline === (values['data-dir'] !== '')) {
    throw new UsageError(`keelson ${command}: give --endpoints of a running member or --data-dir of a stopped one`);
  }
  const env = realEnv('warn');
  const bytes = isOnline
    ? await exportRunning(env, path, await readSnapshotRequest(env, command, values, process.env))
    : await exportDirectory(env, values['data-dir'], path, values.scratch || tmpdir());
  process.stdout.write(`wrote ${path}: ${bytes} bytes\n`);
  return 0;
}

async function exportRunning(env: ReturnType<typeof realEnv>, path: string, request: SnapshotRequest): Promise<number> {
  const snapshot = await openRemoteSnapshot(request);
  try {
    return await saveSnapshot(env.disk, path, snapshot.chunks());
  } finally {
    snapshot.close();
  }
}

async function exportDirectory(
  env: ReturnType<typeof realEnv>,
  directory: string,
  path: string,
  scratch: string,
): Promise<number> {
  const member = await openOffline({
    env,
    directory,
    scratch: `${scratch}/keelson-export-${env.random.uuid()}`,
    openBackend: (at) =>
      openLevelBackend(at, {
        log: silentLog,
        // Every call on the backend throws the failure from then on, which ends the export and is told once.
        onFatal: () => undefined,
      }),
  });
  try {
    const { voters, learners } = member.confState;
    const exporter = new SnapshotExporter(env.disk, scratch);
    const snapshot = await exporter.take(member.kv, { term: member.term, voters, learners });
    try {
      const bytes = await saveSnapshot(env.disk, path, snapshot.chunks());
      if (member.uncommitted > 0) {
        process.stdout.write(
          `left out ${member.uncommitted} entries of the log that are not known to be committed: another member may have them\n`,
        );
      }
      return bytes;
    } finally {
      await snapshot.close();
    }
  } finally {
    await member.close();
  }
}
