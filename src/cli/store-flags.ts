/** etcd's flags, by etcd's names and defaults: those that mean something here, and those that are only taken. */
import type { FlagTable } from './flags.ts';

export const storeFlags = {
  name: { type: 'string', default: 'default', help: 'human-readable name of this member' },
  'data-dir': { type: 'string', default: '', help: 'data directory (default ${name}.etcd)' },
  'listen-client-urls': { type: 'list', default: ['http://localhost:2379'], help: 'URLs to listen on for clients' },
  'advertise-client-urls': {
    type: 'list',
    default: ['http://localhost:2379'],
    help: 'client URLs told to the cluster',
  },
  'listen-peer-urls': { type: 'list', default: ['http://localhost:2380'], help: 'URLs to listen on for other members' },
  'initial-advertise-peer-urls': {
    type: 'list',
    default: ['http://localhost:2380'],
    help: 'peer URLs told to the cluster',
  },
  'listen-metrics-urls': { type: 'list', help: 'URLs for health, version and metrics, plain http' },
  'initial-cluster': { type: 'string', default: '', help: 'first members, name=url,name=url' },
  'initial-cluster-token': { type: 'string', default: 'etcd-cluster', help: 'tells clusters apart' },
  'initial-cluster-state': { type: 'string', default: 'new', help: 'new, or existing for a member that was added' },
  'heartbeat-interval': { type: 'number', default: 100, min: 1, help: 'milliseconds between heartbeats' },
  'election-timeout': {
    type: 'number',
    default: 1000,
    min: 1,
    help: 'milliseconds without a leader before an election',
  },
  'force-new-cluster': {
    type: 'boolean',
    help: 'start as the only member of a new cluster, with the data that is here',
  },
  'accept-loss': {
    type: 'boolean',
    help: 'start although the log is damaged and entries are lost; the log says which',
  },
  rejoin: { type: 'boolean', help: 'removed, or with an empty disk: come back as a new member' },
  autopilot: { type: 'boolean', help: 'keep the number of voters odd and remove dead members when that is safe' },
  'autopilot-dead-server-after': {
    type: 'duration',
    default: 86_400_000,
    help: 'silence after which the autopilot takes a member for dead',
  },
  'pre-vote': { type: 'boolean', default: true, help: 'ask before an election whether it can be won' },
  'snapshot-count': { type: 'number', default: 10_000, min: 1, help: 'entries between two snapshots of the log' },
  'snapshot-catchup-entries': { type: 'number', default: 5_000, help: 'entries kept for slow followers' },
  'quota-backend-bytes': {
    type: 'number',
    default: 0,
    min: -1,
    help: 'bytes on disk before NOSPACE; 0 = 2 GiB, -1 = none',
  },
  'max-txn-ops': { type: 'number', default: 128, min: 1, help: 'operations in one transaction' },
  'max-request-bytes': { type: 'number', default: 1_572_864, min: 1, help: 'bytes of one request' },
  'max-concurrent-streams': {
    type: 'number',
    default: 4_294_967_295,
    min: 1,
    help: 'calls of one connection at a time',
  },
  'max-learners': { type: 'number', default: 1, help: 'learners at a time' },
  'strict-reconfig-check': { type: 'boolean', default: true, help: 'refuse membership changes that lose quorum' },
  'auto-compaction-mode': { type: 'string', default: 'periodic', help: 'periodic or revision' },
  'auto-compaction-retention': { type: 'string', default: '0', help: '5m, hours, or revisions; 0 = off' },
  'watch-progress-notify-interval': { type: 'duration', default: 600_000, help: 'progress notices to idle watches' },
  'grpc-keepalive-min-time': { type: 'duration', default: 5_000, help: 'least time between pings of a client' },
  'grpc-keepalive-interval': { type: 'duration', default: 7_200_000, help: 'pings to an idle client; 0 = none' },
  'grpc-keepalive-timeout': { type: 'duration', default: 20_000, help: 'wait for the answer to a ping' },
  'cert-file': { type: 'string', default: '', help: 'certificate for clients' },
  'key-file': { type: 'string', default: '', help: 'key of --cert-file' },
  'client-cert-auth': { type: 'boolean', help: 'clients must show a certificate' },
  'trusted-ca-file': { type: 'string', default: '', help: 'authority of client certificates' },
  'client-cert-file': { type: 'string', default: '', help: 'certificate shown to other members as their client' },
  'client-key-file': { type: 'string', default: '', help: 'key of --client-cert-file' },
  'peer-cert-file': { type: 'string', default: '', help: 'certificate between members' },
  'peer-key-file': { type: 'string', default: '', help: 'key of --peer-cert-file' },
  'peer-client-cert-auth': { type: 'boolean', help: 'members must show a certificate' },
  'peer-trusted-ca-file': { type: 'string', default: '', help: 'authority of members’ certificates' },
  'auth-token': {
    type: 'string',
    default: 'simple',
    help: 'simple, or jwt,sign-method=RS256[,pub-key=FILE][,priv-key=FILE][,ttl=5m]',
  },
  'auth-token-ttl': { type: 'number', default: 300, help: 'seconds that a simple token lasts after its last use' },
  'bcrypt-cost': { type: 'number', default: 10, help: 'how costly it is to hash a password, 4 to 31' },
  'log-level': { type: 'string', default: 'info', help: 'debug, info, warn, error, panic or fatal' },
  version: { type: 'boolean', help: 'print the version' },
  help: { type: 'boolean', help: 'print this' },
} as const satisfies FlagTable;

/** Values that say no more than this store does anyway: taken without a word. */
export const agreeableValues: Readonly<Record<string, readonly string[]>> = {
  logger: ['zap'],
  'log-outputs': ['default', 'stderr'],
  'log-format': ['json'],
  'host-whitelist': ['*'],
  cors: ['*'],
  'max-snapshots': [],
  'max-wals': [],
  'initial-election-tick-advance': [],
  'backend-batch-interval': [],
  'backend-batch-limit': [],
};

const ignored = (type: 'string' | 'boolean') => ({ type, help: 'taken for etcd’s sake, has no effect' }) as const;

const ignoredStrings = [
  'wal-dir',
  'listen-client-http-urls',
  'max-snapshots',
  'max-wals',
  'backend-batch-interval',
  'backend-batch-limit',
  'backend-bbolt-freelist-type',
  'compaction-batch-limit',
  'compaction-sleep-interval',
  'compact-hash-check-time',
  'corrupt-check-time',
  'warning-apply-duration',
  'warning-unary-request-duration',
  'bootstrap-defrag-threshold-megabytes',
  'downgrade-check-time',
  'client-cert-allowed-hostname',
  'client-crl-file',
  'self-signed-cert-validity',
  'peer-client-cert-file',
  'peer-client-key-file',
  'peer-crl-file',
  'peer-cert-allowed-cn',
  'peer-cert-allowed-hostname',
  'cipher-suites',
  'tls-min-version',
  'tls-max-version',
  'cors',
  'host-whitelist',
  'metrics',
  'log-outputs',
  'log-format',
  'log-rotation-config-json',
  'logger',
  'feature-gates',
  'v2-deprecation',
  'distributed-tracing-address',
  'distributed-tracing-service-name',
  'distributed-tracing-instance-id',
  'distributed-tracing-sampling-rate',
  'discovery-fallback',
  'discovery-proxy',
  'discovery-srv-name',
  'memory-mlock',
] as const;

const ignoredBooleans = [
  'initial-election-tick-advance',
  'compact-hash-check-enabled',
  'initial-corrupt-check',
  'peer-skip-client-san-verification',
  'socket-reuse-port',
  'socket-reuse-address',
  'enable-pprof',
  'enable-log-rotation',
  'enable-distributed-tracing',
  'enable-v2',
  'unsafe-no-fsync',
] as const;

/** Flags that change so much that ignoring them would be a lie: refused. */
export const refusedFlags = {
  'auto-tls': { type: 'boolean', help: 'not supported' },
  'peer-auto-tls': { type: 'boolean', help: 'not supported' },
  discovery: { type: 'string', default: '', help: 'not supported' },
  'discovery-token': { type: 'string', default: '', help: 'not supported' },
  'discovery-endpoints': { type: 'string', default: '', help: 'not supported' },
  'discovery-srv': { type: 'string', default: '', help: 'not supported' },
  'config-file': { type: 'string', default: '', help: 'not supported' },
} as const satisfies FlagTable;

export const ignoredFlags: FlagTable = Object.fromEntries([
  ...ignoredStrings.map((name) => [name, ignored('string')]),
  ...ignoredBooleans.map((name) => [name, ignored('boolean')]),
]);

/** `--data-dir` is `ETCD_DATA_DIR`. */
export function environmentName(flag: string): string {
  return `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`;
}
