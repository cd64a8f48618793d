/** Flags of the commands that are clients of a running store, by etcdctl's names. */
import type { Disk } from '../env/disk.ts';
import type { KvClientOptions } from '../kv/index.ts';
import { type FlagTable, type FlagValues, UsageError } from './flags.ts';

export const storeClientFlags = {
  endpoints: { type: 'list', help: 'client URLs of the store’s members' },
  cacert: { type: 'string', default: '', help: 'authority of the store’s certificates' },
  cert: { type: 'string', default: '', help: 'client certificate' },
  key: { type: 'string', default: '', help: 'key of --cert' },
} as const satisfies FlagTable;

/** The three TLS files go together: the store that asks for one asks for all. */
export async function readClientTls(
  disk: Disk,
  command: string,
  { cacert, cert, key }: FlagValues<typeof storeClientFlags>,
): Promise<Pick<KvClientOptions, 'tls'>> {
  if (cacert === '' && cert === '' && key === '') return {};
  if (cacert === '' || cert === '' || key === '') {
    throw new UsageError(`keelson ${command}: --cacert, --cert and --key go together`);
  }
  return { tls: { ca: await disk.readFile(cacert), cert: await disk.readFile(cert), key: await disk.readFile(key) } };
}
