/** `keelson store restore`: a data directory out of an etcd snapshot. Flags are those of `etcdutl snapshot restore`. */
import { silentLog } from '../env/log.ts';
import { realEnv } from '../env/real.ts';
import { openLevelBackend } from '../kv/backend/level.ts';
import { isUrl, parseInitialCluster } from '../kv/server/cluster-config.ts';
import { restoreMember } from '../kv/snapshot/restore.ts';
import { openSnapshotFile } from '../kv/snapshot/snapshot-file.ts';
import { type FlagTable, type FlagValues, flagHelp, parseFlags, UsageError } from './flags.ts';

/** What is to be made, whatever it is made from. */
export const restoreTargetFlags = {
  'data-dir': { type: 'string', default: '', help: 'data directory to make (default ${name}.etcd)' },
  'wal-dir': { type: 'string', default: '', help: 'where its log goes, when it is to lie apart from the data' },
  name: { type: 'string', default: 'default', help: 'name of this member' },
  'initial-cluster': { type: 'string', default: '', help: 'members of the new cluster, name=url,name=url' },
  'initial-cluster-token': { type: 'string', default: 'etcd-cluster', help: 'tells clusters apart' },
  'initial-advertise-peer-urls': {
    type: 'list',
    default: ['http://localhost:2380'],
    help: 'peer URLs of this member, as in --initial-cluster',
  },
  'bump-revision': {
    type: 'number',
    default: 0,
    help: 'add this to the revision, so that no client sees one twice; needs --mark-compacted',
  },
  'mark-compacted': { type: 'boolean', help: 'count everything before the bumped revision as compacted' },
} as const satisfies FlagTable;

const flags = {
  from: { type: 'string', default: '', help: 'snapshot file of etcd or Keelson, or a copied member/snap/db' },
  ...restoreTargetFlags,
  'skip-hash-check': { type: 'boolean', help: 'take a file without a checksum, or with a wrong one' },
  help: { type: 'boolean', help: 'print this' },
} as const satisfies FlagTable;

const summary =
  'Makes the data directory of one member of a new cluster out of a snapshot. Run it once for each member.';

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(flags, { command: 'store restore', args, positionalsMax: 1 });
  if (values.help) {
    process.stdout.write(flagHelp('keelson store restore --from SNAPSHOT [flags]', summary, flags));
    return 0;
  }
  const from = values.from || positionals[0];
  if (!from) throw new UsageError('keelson store restore: flag --from is required: give the snapshot file');
  await restoreFrom(from, from, values, values['skip-hash-check']);
  return 0;
}

/** Makes the data directory that the flags describe and says so; `source` is what people call the file. */
export async function restoreFrom(
  path: string,
  source: string,
  values: FlagValues<typeof restoreTargetFlags>,
  isHashSkipped = false,
): Promise<void> {
  const bumpRevision = values['bump-revision'];
  if (bumpRevision > 0 !== values['mark-compacted']) {
    throw new UsageError('keelson: restore: --bump-revision and --mark-compacted go together');
  }
  if (!Number.isInteger(bumpRevision)) throw new UsageError('keelson: restore: --bump-revision: want a whole number');
  const peerUrls = values['initial-advertise-peer-urls'];
  const wrong = peerUrls.find((url) => !isUrl(url));
  if (wrong !== undefined || peerUrls.length === 0) {
    throw new UsageError(
      `keelson: restore: --initial-advertise-peer-urls ${JSON.stringify(wrong ?? '')}: want http(s)://host:port`,
    );
  }
  const cluster = values['initial-cluster'] || peerUrls.map((url) => `${values.name}=${url}`).join(',');
  const directory = (values['data-dir'] || `${values.name}.etcd`).replace(/(?<=.)\/+$/, '');
  const { disk } = realEnv('warn');
  const opened = await openSnapshotFile(disk, path, isHashSkipped);
  try {
    const { content, revision, clusterId, memberId } = await restoreMember({
      disk,
      source: opened,
      directory,
      ...(values['wal-dir'] === '' ? {} : { logDirectory: values['wal-dir'] }),
      name: values.name,
      initialCluster: parseInitialCluster(cluster),
      peerUrls,
      token: values['initial-cluster-token'],
      bumpRevision,
      openBackend: (at) =>
        openLevelBackend(at, {
          log: silentLog,
          // Every call on the backend throws the failure from then on, which ends the restore and is told once.
          onFatal: () => undefined,
        }),
    });
    const { keys, leases, auth, alarms, withoutLease } = content;
    process.stdout.write(
      `restored ${source} to ${directory}: revision ${revision}, ${keys} keys, ${leases.length} leases, ${auth.users.length} users, ${auth.roles.length} roles; cluster ${clusterId.toString(16)}, member ${memberId.toString(16)}\n`,
    );
    if (alarms > 0) process.stdout.write(`left out ${alarms} alarms: they name members of the old cluster\n`);
    if (withoutLease.size > 0) {
      process.stdout.write(`${withoutLease.size} keys had a lease that is gone: they have none now, and stay\n`);
    }
  } finally {
    await opened.close();
  }
}
