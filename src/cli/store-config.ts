/** From the store's flags to one checked configuration. Contradictions are UsageError or KeelsonError with one clear line. */
import type { Disk } from '../env/disk.ts';
import type { AutoCompaction } from '../kv/server/contract.ts';
import { isUrl, parseInitialCluster, type InitialMember } from '../kv/server/cluster-config.ts';
import { readCertificateFile, readServingFiles } from './certificates.ts';
import { type FlagValues, parseFlags, UsageError } from './flags.ts';
import { agreeableValues, environmentName, ignoredFlags, refusedFlags, storeFlags } from './store-flags.ts';

export interface TlsFiles {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  readonly ca?: Uint8Array;
  /** Whoever connects must show a certificate of `ca`. */
  readonly isClientVerified: boolean;
}

export interface StoreConfig {
  readonly flags: FlagValues<typeof storeFlags>;
  readonly dataDirectory: string;
  readonly initialCluster: readonly InitialMember[];
  readonly compaction: AutoCompaction;
  readonly quotaBytes: number;
  readonly electionTicks: number;
  readonly clientTls: TlsFiles | undefined;
  readonly peerTls: TlsFiles | undefined;
  /** What this member shows when it is another member's client. */
  readonly outgoingTls: { readonly ca: Uint8Array; readonly cert: Uint8Array; readonly key: Uint8Array } | undefined;
  /** Flags that were given and do nothing. */
  readonly ignored: readonly string[];
}

const quotaBytesDefault = 2 * 1024 ** 3;
/** etcd's: an election must outlast several heartbeats, and nobody waits a minute for one. */
const heartbeatsPerElectionMin = 5;
const electionMsMax = 50_000;
const hourMs = 3_600_000;

export function parseStoreFlags(args: readonly string[], environment: Readonly<Record<string, string | undefined>>) {
  const parsed = parseFlags(
    { ...storeFlags, ...refusedFlags, ...ignoredFlags },
    { command: 'store', args, environment: (flag) => environment[environmentName(flag)] },
  );
  const values = parsed.values as FlagValues<typeof storeFlags> & Readonly<Record<string, unknown>>;
  for (const name of Object.keys(refusedFlags)) {
    if (parsed.given.has(name) && values[name] !== false && values[name] !== '') {
      throw new UsageError(`keelson store: flag --${name} is not supported: start without it`);
    }
  }
  const ignored = [...parsed.given].filter((name) => {
    if (!Object.hasOwn(ignoredFlags, name)) return false;
    const agreeable = agreeableValues[name];
    return agreeable === undefined || (agreeable.length > 0 && !agreeable.includes(String(values[name])));
  });
  return { flags: values, given: parsed.given, ignored };
}

export async function readStoreConfig(disk: Disk, parsed: ReturnType<typeof parseStoreFlags>): Promise<StoreConfig> {
  const { flags, given, ignored } = parsed;
  checkUrls(flags, given);
  const heartbeatMs = flags['heartbeat-interval'];
  const electionMs = flags['election-timeout'];
  if (electionMs < heartbeatsPerElectionMin * heartbeatMs) {
    throw new UsageError(
      `keelson store: --election-timeout[${electionMs}ms] should be at least as ${heartbeatsPerElectionMin} times as --heartbeat-interval[${heartbeatMs}ms]`,
    );
  }
  if (electionMs > electionMsMax) {
    throw new UsageError(
      `keelson store: --election-timeout[${electionMs}ms] is too long, and should be set less than ${electionMsMax}ms`,
    );
  }
  if (!['new', 'existing'].includes(flags['initial-cluster-state'])) {
    throw new UsageError(
      `keelson store: --initial-cluster-state ${JSON.stringify(flags['initial-cluster-state'])}: want new or existing`,
    );
  }
  const peerUrls = flags['initial-advertise-peer-urls'];
  const clusterText = flags['initial-cluster'] || peerUrls.map((url) => `${flags.name}=${url}`).join(',');
  const clientTls = await readTls(disk, flags, '');
  const peerTls = await readTls(disk, flags, 'peer-');
  if (flags['listen-client-urls'].some((url) => url.startsWith('https:')) && !clientTls) {
    throw new UsageError('keelson store: --listen-client-urls has https: --cert-file and --key-file are needed');
  }
  if (flags['listen-peer-urls'].some((url) => url.startsWith('https:')) && !peerTls) {
    throw new UsageError(
      'keelson store: --listen-peer-urls has https: --peer-cert-file and --peer-key-file are needed',
    );
  }
  const quota = flags['quota-backend-bytes'];
  return {
    flags,
    ignored,
    dataDirectory: flags['data-dir'] || `${flags.name}.etcd`,
    initialCluster: parseInitialCluster(clusterText),
    compaction: compactionOf(flags['auto-compaction-mode'], flags['auto-compaction-retention']),
    quotaBytes: quota === 0 ? quotaBytesDefault : Math.max(0, quota),
    electionTicks: Math.ceil(electionMs / heartbeatMs),
    clientTls,
    peerTls,
    outgoingTls: await readOutgoingTls(disk, flags, clientTls),
  };
}

function checkUrls(flags: FlagValues<typeof storeFlags>, given: ReadonlySet<string>): void {
  const names = [
    'listen-client-urls',
    'advertise-client-urls',
    'listen-peer-urls',
    'initial-advertise-peer-urls',
    'listen-metrics-urls',
  ] as const;
  for (const name of names) {
    const wrong = flags[name].find((url) => !isUrl(url));
    if (wrong !== undefined)
      throw new UsageError(`keelson store: --${name} ${JSON.stringify(wrong)}: want http(s)://host:port`);
  }
  for (const name of ['listen-client-urls', 'listen-peer-urls'] as const) {
    if (flags[name].length === 0) throw new UsageError(`keelson store: --${name} names no URL`);
    const wrong = flags[name].find((url) => !/^https?:\/\/(localhost|[\d.]+|\[[\da-fA-F:.]+\]):/.test(url));
    if (wrong !== undefined) throw new UsageError(`keelson store: --${name} ${wrong}: expected IP in URL for binding`);
  }
  const secureMetrics = flags['listen-metrics-urls'].find((url) => !url.startsWith('http:'));
  if (secureMetrics !== undefined) {
    throw new UsageError(
      `keelson store: --listen-metrics-urls ${secureMetrics}: want http://host:port (https is not supported here)`,
    );
  }
  if (given.has('listen-client-urls') && !given.has('advertise-client-urls')) {
    throw new UsageError(
      'keelson store: --advertise-client-urls is required when --listen-client-urls is set explicitly',
    );
  }
}

function compactionOf(mode: string, retention: string): AutoCompaction {
  const bad = (wanted: string) =>
    new UsageError(`keelson store: --auto-compaction-retention ${JSON.stringify(retention)}: want ${wanted}`);
  if (mode === 'revision') {
    if (!/^\d+$/.test(retention)) throw bad('a number of revisions');
    return { mode, retentionRevisions: Number(retention) };
  }
  if (mode !== 'periodic') {
    throw new UsageError(`keelson store: --auto-compaction-mode ${JSON.stringify(mode)}: want periodic or revision`);
  }
  const table = { retention: { type: 'duration', bareUnitMs: hourMs, help: '' } } as const;
  try {
    const { values } = parseFlags(table, { command: 'store', args: ['--retention', retention] });
    return { mode, retentionMs: values.retention ?? 0 };
  } catch {
    throw bad('a duration such as 5m, or hours');
  }
}

async function readTls(
  disk: Disk,
  flags: FlagValues<typeof storeFlags>,
  prefix: '' | 'peer-',
): Promise<TlsFiles | undefined> {
  const certPath = flags[`${prefix}cert-file`];
  const keyPath = flags[`${prefix}key-file`];
  const caPath = flags[`${prefix}trusted-ca-file`];
  const isVerified = flags[`${prefix}client-cert-auth`];
  if ((certPath === '') !== (keyPath === '')) {
    throw new UsageError(`keelson store: --${prefix}cert-file and --${prefix}key-file go together`);
  }
  if (isVerified && caPath === '') {
    throw new UsageError(`keelson store: --${prefix}client-cert-auth needs --${prefix}trusted-ca-file`);
  }
  if (certPath === '') return undefined;
  const { cert, key } = await readServingFiles(
    disk,
    { flag: `${prefix}cert-file`, path: certPath },
    { flag: `${prefix}key-file`, path: keyPath },
  );
  const ca =
    caPath === '' ? undefined : await readCertificateFile(disk, { flag: `${prefix}trusted-ca-file`, path: caPath });
  // As etcd: an authority alone makes clients verified, too.
  return { cert, key, ...(ca ? { ca } : {}), isClientVerified: isVerified || ca !== undefined };
}

async function readOutgoingTls(
  disk: Disk,
  flags: FlagValues<typeof storeFlags>,
  clientTls: TlsFiles | undefined,
): Promise<StoreConfig['outgoingTls']> {
  if (!clientTls) return undefined;
  const ca = clientTls.ca ?? clientTls.cert;
  if ((flags['client-cert-file'] === '') !== (flags['client-key-file'] === '')) {
    throw new UsageError('keelson store: --client-cert-file and --client-key-file go together');
  }
  const prefix = flags['client-cert-file'] === '' ? 'peer-' : 'client-';
  const certPath = flags[`${prefix}cert-file`];
  const keyPath = flags[`${prefix}key-file`];
  if (certPath === '' || keyPath === '') return { ca, cert: clientTls.cert, key: clientTls.key };
  const files = [
    { flag: `${prefix}cert-file`, path: certPath },
    { flag: `${prefix}key-file`, path: keyPath },
  ] as const;
  return { ca, ...(await readServingFiles(disk, ...files)) };
}
