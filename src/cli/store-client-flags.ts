/** Flags of the commands that are clients of a running store, by etcdctl's names. */
import type { Disk } from '../env/disk.ts';
import type { Env } from '../env/env.ts';
import type { SnapshotRequest } from '../kv/client/snapshot.ts';
import type { KvClientOptions } from '../kv/index.ts';
import { type FlagTable, type FlagValues, UsageError } from './flags.ts';

export const storeClientFlags = {
  endpoints: { type: 'list', help: 'client URLs of the store’s members' },
  cacert: { type: 'string', default: '', help: 'authority of the store’s certificates' },
  cert: { type: 'string', default: '', help: 'client certificate' },
  key: { type: 'string', default: '', help: 'key of --cert' },
  user: {
    type: 'string',
    default: '',
    help: 'name:password, where users are; or the name, and KEELSON_STORE_PASSWORD',
  },
} as const satisfies FlagTable;

/** The three TLS files go together: the store that asks for one asks for all. */
export async function readClientTls(
  disk: Disk,
  command: string,
  { cacert, cert, key }: Pick<FlagValues<typeof storeClientFlags>, 'cacert' | 'cert' | 'key'>,
): Promise<Pick<KvClientOptions, 'tls'>> {
  if (cacert === '' && cert === '' && key === '') return {};
  if (cacert === '' || cert === '' || key === '') {
    throw new UsageError(`keelson ${command}: --cacert, --cert and --key go together`);
  }
  return { tls: { ca: await disk.readFile(cacert), cert: await disk.readFile(cert), key: await disk.readFile(key) } };
}

/** From the flags to a request for a snapshot. */
export async function readSnapshotRequest(
  env: Pick<Env, 'clock' | 'disk'>,
  command: string,
  values: FlagValues<typeof storeClientFlags>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<SnapshotRequest> {
  if (values.endpoints.length === 0) throw new UsageError(`keelson ${command}: flag --endpoints is required`);
  return {
    clock: env.clock,
    endpoints: values.endpoints,
    ...(await readClientTls(env.disk, command, values)),
    ...readUser(command, values.user, environment['KEELSON_STORE_PASSWORD']),
  };
}

function readUser(command: string, user: string, password: string | undefined): Pick<SnapshotRequest, 'user'> {
  if (user === '') return {};
  const colon = user.indexOf(':');
  if (colon > 0) return { user: { name: user.slice(0, colon), password: user.slice(colon + 1) } };
  if (colon === 0 || password === undefined) {
    throw new UsageError(`keelson ${command}: --user: want name:password, or the name with KEELSON_STORE_PASSWORD set`);
  }
  return { user: { name: user, password } };
}
