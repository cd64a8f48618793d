/** Who the first members are: from the flags, from the data directory once there is one, or by discovery. */
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import type { Names } from '../env/names.ts';
import type { KvClientOptions } from '../kv/client/contract.ts';
import { type InitialMember, parseInitialCluster } from '../kv/server/cluster-config.ts';
import { readMemberFile } from '../kv/server/data-directory.ts';
import { readCertificateFile, readServingFiles } from './certificates.ts';
import { openClients } from './store-clients.ts';
import type { StoreConfig } from './store-config.ts';
import { discoverByNames, discoverInStore } from './store-discovery.ts';

export async function foundersOf(env: Env, config: StoreConfig, names: Names): Promise<readonly InitialMember[]> {
  const { discovery, flags, dataDirectory } = config;
  if (discovery.kind === 'none') return config.initialCluster;
  const existing = await readMemberFile(env.disk, dataDirectory);
  if (existing) return parseInitialCluster(existing.initialCluster.join(','));
  const self = { name: flags.name, peerUrls: flags['initial-advertise-peer-urls'] };
  if (discovery.kind === 'srv') return discoverByNames(names, self, discovery);
  const { createKvClient } = await openClients();
  const client = createKvClient(await clientOptions(env, config, discovery.endpoints));
  try {
    const { clock, log } = env;
    const { token } = discovery;
    return await discoverInStore(
      { client, clock, log, token, requestTimeoutMs: flags['discovery-request-timeout'] },
      self,
    );
  } finally {
    client.close();
  }
}

async function clientOptions(env: Env, { flags }: StoreConfig, given: readonly string[]): Promise<KvClientOptions> {
  const [cert, key, ca] = [flags['discovery-cert'], flags['discovery-key'], flags['discovery-cacert']];
  const isSecure = !flags['discovery-insecure-transport'] || cert !== '' || ca !== '';
  const endpoints = given.map((url) => (url.includes('://') ? url : `${isSecure ? 'https' : 'http'}://${url}`));
  const [name, ...rest] = flags['discovery-user'].split(':') as [string, ...string[]];
  const password = flags['discovery-password'] || rest.join(':');
  const user = name === '' ? {} : { user: { name, password } };
  if (!endpoints.some((url) => url.startsWith('https:'))) return { clock: env.clock, endpoints, ...user };
  if ((cert === '') !== (key === '')) {
    throw new KeelsonError('BAD_FLAGS', '--discovery-cert and --discovery-key go together: give both or none');
  }
  const certNamed = { flag: 'discovery-cert', path: cert };
  const files = cert === '' ? {} : await readServingFiles(env.disk, certNamed, { flag: 'discovery-key', path: key });
  const authority =
    ca === '' ? {} : { ca: await readCertificateFile(env.disk, { flag: 'discovery-cacert', path: ca }) };
  const isUnverified = flags['discovery-insecure-skip-tls-verify'];
  return { clock: env.clock, endpoints, tls: { ...files, ...authority, isUnverified }, ...user };
}
