/**
 * From the store's flags, wherever they were given, to one checked configuration. What cannot be read at all is a
 * UsageError (exit 2); what contradicts itself is BAD_FLAGS (exit 1), as etcd tells the two apart.
 */
import type { Disk } from '../env/disk.ts';
import { KeelsonError } from '../env/errors.ts';
import type { TlsLimits } from '../rpc/tls/server-tls.ts';
import type { AutoCompaction } from '../kv/server/contract.ts';
import { parseInitialCluster, type InitialMember } from '../kv/server/cluster-config.ts';
import { parseFlags, UsageError } from './flags.ts';
import type { Notice, ParsedStoreFlags, StoreFlags } from './store-arguments.ts';
import { readSideTls, type SideTls, tlsLimitsOf } from './store-tls.ts';
import { checkStoreUrls } from './store-urls.ts';

/** How the first members find each other. */
export type Discovery =
  | { readonly kind: 'none' }
  | { readonly kind: 'srv'; readonly domain: string; readonly serviceName: string }
  | { readonly kind: 'store'; readonly token: string; readonly endpoints: readonly string[] };

export interface StoreConfig {
  readonly flags: StoreFlags;
  readonly dataDirectory: string;
  /** Of the log, when it lies apart. */
  readonly walDirectory: string | undefined;
  /** Empty when `discovery` has to say it. */
  readonly initialCluster: readonly InitialMember[];
  readonly discovery: Discovery;
  readonly compaction: AutoCompaction;
  readonly quotaBytes: number;
  readonly electionTicks: number;
  readonly clientTls: SideTls | undefined;
  readonly peerTls: SideTls | undefined;
  readonly tlsLimits: TlsLimits;
  /** When the data is compared with the other members'. */
  readonly corruption: {
    readonly isCheckedAtStart: boolean;
    /** 0 = never. */
    readonly checkEveryMs: number;
    /** 0 = never. */
    readonly compactionHashEveryMs: number;
  };
  readonly notices: readonly Notice[];
}

const quotaBytesDefault = 2 * 1024 ** 3;
/** etcd's: an election must outlast several heartbeats, and nobody waits a minute for one. */
const heartbeatsPerElectionMin = 5;
const electionMsMax = 50_000;
const hourMs = 3_600_000;

/** etcd's gates that are about something here; the others are about its insides. */
const featureGates = new Set([
  'AllAlpha',
  'AllBeta',
  'CompactHashCheck',
  'InitialCorruptCheck',
  'LeaseCheckpoint',
  'LeaseCheckpointPersist',
  'SetMemberLocalAddr',
  'StopGRPCServiceOnDefrag',
  'TxnModeWriteWithSharedBuffer',
]);

const fail = (message: string) => new KeelsonError('BAD_FLAGS', message);

/** Rejects with UsageError, BAD_FLAGS, BAD_CLUSTER or BAD_CERTIFICATE. */
export async function readStoreConfig(disk: Disk, parsed: ParsedStoreFlags): Promise<StoreConfig> {
  const { flags, given, configFile } = parsed;
  checkStoreUrls(flags);
  if (configFile === undefined && given.has('listen-client-urls') && !given.has('advertise-client-urls')) {
    throw fail('--advertise-client-urls is required when --listen-client-urls is set explicitly');
  }
  checkTimes(flags);
  checkChoices(flags);
  checkWitness(flags);
  const gates = featureGatesOf(flags['feature-gates']);
  const discovery = discoveryOf(flags, given);
  const peerUrls = flags['initial-advertise-peer-urls'];
  const clusterText = flags['initial-cluster'] || peerUrls.map((url) => `${flags.name}=${url}`).join(',');
  const dataDirectory = flags['data-dir'] || `${flags.name}.etcd`;
  const tlsLimits = tlsLimitsOf(flags);
  const clientTls = await readSideTls(disk, flags, 'client', dataDirectory);
  const peerTls = await readSideTls(disk, flags, 'peer', dataDirectory);
  checkCertificates(flags, { clientTls, peerTls });
  const quota = flags['quota-backend-bytes'];
  const hasGate = (name: string, byFlag: boolean) => gates.get(name) ?? (byFlag || gates.get('AllAlpha') === true);
  return {
    flags,
    dataDirectory,
    walDirectory: flags['wal-dir'] || undefined,
    initialCluster: discovery.kind === 'none' ? parseInitialCluster(clusterText) : [],
    discovery,
    compaction: compactionOf(flags['auto-compaction-mode'], flags['auto-compaction-retention']),
    quotaBytes: quota === 0 ? quotaBytesDefault : Math.max(0, quota),
    electionTicks: Math.ceil(flags['election-timeout'] / flags['heartbeat-interval']),
    clientTls,
    peerTls,
    tlsLimits,
    corruption: {
      isCheckedAtStart: hasGate('InitialCorruptCheck', flags['initial-corrupt-check']),
      checkEveryMs: flags['corrupt-check-time'],
      compactionHashEveryMs: hasGate('CompactHashCheck', flags['compact-hash-check-enabled'])
        ? flags['compact-hash-check-time']
        : 0,
    },
    notices: [...parsed.notices, ...certificateNotices(flags, { clientTls, peerTls })],
  };
}

function checkTimes(flags: StoreFlags): void {
  const [heartbeatMs, electionMs] = [flags['heartbeat-interval'], flags['election-timeout']];
  if (electionMs < heartbeatsPerElectionMin * heartbeatMs) {
    throw fail(
      `--election-timeout[${electionMs}ms] should be at least as ${heartbeatsPerElectionMin} times as --heartbeat-interval[${heartbeatMs}ms]`,
    );
  }
  if (electionMs > electionMsMax) {
    throw fail(`--election-timeout[${electionMs}ms] is too long, and should be set less than ${electionMsMax}ms`);
  }
  if (flags['compact-hash-check-time'] <= 0) {
    throw fail(`--compact-hash-check-time must be >0 (set to ${flags['compact-hash-check-time']}ms)`);
  }
}

/** What needs data cannot be asked of a member without. */
function checkWitness(flags: StoreFlags): void {
  const unfit = (['enable-v2', 'force-new-cluster'] as const).find((flag) => flags[flag]);
  if (!flags.witness || unfit === undefined) return;
  throw fail(`--witness and --${unfit} contradict each other: a witness keeps no data: give one of them`);
}

/** Flags that take one of a few words: an unknown one cannot be read, as in etcd. */
function checkChoices(flags: StoreFlags): void {
  const choices: Partial<Record<keyof StoreFlags, readonly string[]>> = {
    'initial-cluster-state': ['new', 'existing'],
    'log-level': ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'],
    'log-format': ['json', 'console'],
    metrics: ['basic', 'extensive'],
  };
  for (const [name, words] of Object.entries(choices)) {
    const value = String(flags[name as keyof StoreFlags]);
    if (words.includes(value)) continue;
    throw new UsageError(
      `keelson store: invalid value ${JSON.stringify(value)} for flag --${name}: want ${words.join(' or ')}`,
    );
  }
}

function featureGatesOf(text: string): ReadonlyMap<string, boolean> {
  const gates = new Map<string, boolean>();
  for (const part of text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')) {
    const [name, value] = part.split('=', 2) as [string, string | undefined];
    if (!featureGates.has(name))
      throw new UsageError(`keelson store: --feature-gates: unrecognized feature gate: ${name}`);
    if (value !== 'true' && value !== 'false')
      throw new UsageError(`keelson store: --feature-gates: ${part}: want ${name}=true or ${name}=false`);
    gates.set(name, value === 'true');
  }
  return gates;
}

function discoveryOf(flags: StoreFlags, given: ReadonlySet<string>): Discovery {
  const token = flags['discovery-token'];
  const endpoints = flags['discovery-endpoints'];
  const domain = flags['discovery-srv'];
  if ((token !== '') !== endpoints.length > 0)
    throw fail('both --discovery-token and --discovery-endpoints must be set');
  if (endpoints.some((endpoint) => endpoint.trim() === ''))
    throw fail('--discovery-endpoints must not contain empty endpoints');
  const ways = [given.has('initial-cluster') && flags['initial-cluster'] !== '', domain !== '', token !== ''];
  if (ways.filter(Boolean).length > 1) {
    throw fail(
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery", "discovery-endpoints" or "discovery-srv"',
    );
  }
  if (domain !== '') return { kind: 'srv', domain, serviceName: flags['discovery-srv-name'] };
  return token === '' ? { kind: 'none' } : { kind: 'store', token, endpoints };
}

const isSecureUrl = (url: string) => url.startsWith('https:') || url.startsWith('unixs:');

const missingForMetrics = 'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url';

function checkCertificates(flags: StoreFlags, tls: Pick<StoreConfig, 'clientTls' | 'peerTls'>): void {
  const clientFlags = ['listen-client-urls', 'listen-client-http-urls', 'listen-metrics-urls'] as const;
  for (const flag of [...clientFlags, 'listen-peer-urls'] as const) {
    const isPeer = flag === 'listen-peer-urls';
    const url = flags[flag].find(isSecureUrl);
    if (url === undefined || (isPeer ? tls.peerTls : tls.clientTls)) continue;
    const prefix = isPeer ? 'peer-' : '';
    // etcd's words, which tools know.
    const known = flag === 'listen-metrics-urls' ? `${missingForMetrics}; ` : '';
    throw fail(
      `--${flag} ${url}: ${known}--${prefix}cert-file and --${prefix}key-file are needed, or --${prefix}auto-tls`,
    );
  }
}

/** Certificates that nobody will see are a likely mistake. */
function certificateNotices(flags: StoreFlags, tls: Pick<StoreConfig, 'clientTls' | 'peerTls'>): readonly Notice[] {
  const notices: Notice[] = [];
  const warn = (message: string, fields: Notice['fields']) => notices.push({ level: 'warn', message, fields });
  const plainClient = flags['listen-client-urls'].filter((url) => !isSecureUrl(url));
  if (tls.clientTls && !tls.clientTls.isSelfMade && plainClient.length === flags['listen-client-urls'].length) {
    warn('scheme is http or unix while key and cert files are present; ignoring key and cert files', {
      'client-urls': plainClient,
    });
  }
  const plainPeer = flags['listen-peer-urls'].filter((url) => !isSecureUrl(url));
  if (tls.peerTls && !tls.peerTls.isSelfMade && plainPeer.length === flags['listen-peer-urls'].length) {
    warn('scheme is http or unix while key and cert files are present; ignoring key and cert files', {
      'peer-urls': plainPeer,
    });
  }
  if (flags['auto-tls'] && tls.clientTls?.isSelfMade === false) warn('ignoring client auto TLS since certs given', {});
  if (flags['peer-auto-tls'] && tls.peerTls?.isSelfMade === false) warn('ignoring peer auto TLS since certs given', {});
  return notices;
}

function compactionOf(mode: string, retention: string): AutoCompaction {
  const bad = (wanted: string) => fail(`--auto-compaction-retention ${JSON.stringify(retention)}: want ${wanted}`);
  if (mode === 'revision') {
    if (!/^\d+$/.test(retention)) throw bad('a number of revisions');
    return { mode, retentionRevisions: Number(retention) };
  }
  if (mode !== 'periodic')
    throw fail(`unknown auto-compaction-mode ${JSON.stringify(mode)}: want periodic or revision`);
  const durations = { retention: { type: 'duration', bareUnitMs: hourMs, help: '' } } as const;
  try {
    const { values } = parseFlags(durations, { command: 'store', args: ['--retention', retention] });
    return { mode, retentionMs: values.retention ?? 0 };
  } catch {
    throw bad('a duration such as 5m, or hours');
  }
}
