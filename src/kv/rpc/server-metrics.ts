/** Durations, identities and calls of one member, by etcd's names. */
import type { PlainHistogram } from '../../env/histogram.ts';
import type { KvServer } from '../server/contract.ts';
import type { StoreTimings } from '../server/timings.ts';
import { hexId } from '../server/upkeep.ts';
import type { CallStats } from './call-stats.ts';
import { histogramValues } from './plain-metrics.ts';
import type { StoreRegistry } from './store-registry.ts';

type HistogramRow = readonly [name: string, help: string, read: (timings: StoreTimings) => PlainHistogram];

const histograms: readonly HistogramRow[] = [
  ['etcd_server_apply_duration_seconds', 'The latency of applying a batch of entries.', (t) => t.applySeconds],
  [
    'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
    'Bucketed histogram of db compaction total duration.',
    (t) => t.compactionMs,
  ],
  [
    'etcd_disk_backend_defrag_duration_seconds',
    'The latency distribution of backend defragmentation.',
    (t) => t.defragmentSeconds,
  ],
  [
    'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
    'Bucketed histogram of db compaction pause duration.',
    (t) => t.cleanSliceMs,
  ],
  ['etcd_mvcc_hash_duration_seconds', 'The latency distribution of storage hash operation.', (t) => t.hashAllSeconds],
  [
    'etcd_mvcc_hash_rev_duration_seconds',
    'The latency distribution of storage hash by revision operation.',
    (t) => t.hashSeconds,
  ],
  [
    'etcd_disk_backend_snapshot_duration_seconds',
    'The latency distribution of backend snapshots.',
    (t) => t.exportSeconds,
  ],
  [
    'etcd_debugging_snap_save_total_duration_seconds',
    'The total latency distributions of save called by snapshot.',
    (t) => t.snapshotSaveSeconds,
  ],
  [
    'etcd_snap_db_save_total_duration_seconds',
    'The total latency distributions of v3 snapshot save.',
    (t) => t.restoreSeconds,
  ],
  ['etcd_debugging_lease_ttl_total', 'Bucketed histogram of lease TTLs.', (t) => t.leaseTtlSeconds],
];

type CountRow = readonly [
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  read: (timings: StoreTimings) => number,
];

const counts: readonly CountRow[] = [
  [
    'etcd_debugging_mvcc_db_compaction_keys_total',
    'Total number of db keys compacted.',
    'counter',
    (t) => t.rowsCleaned,
  ],
  [
    'etcd_debugging_mvcc_db_compaction_last',
    'The unix time of the last db compaction. Resets to 0 on start.',
    'gauge',
    (t) => t.compactedAtSeconds,
  ],
  [
    'etcd_mvcc_db_open_read_transactions',
    'The number of copies of the state that clients read now; other reads are over before the next begins.',
    'gauge',
    (t) => t.snapshotsOpen,
  ],
  [
    'etcd_server_learner_promote_successes',
    'The total number of successful learner promotions asked of this member.',
    'counter',
    (t) => t.learnersPromoted,
  ],
  [
    'etcd_disk_defrag_inflight',
    'Whether or not defrag is active on the member. 1 means active, 0 means not.',
    'gauge',
    (t) => (t.defragmentsUnderWay > 0 ? 1 : 0),
  ],
  ['etcd_server_health_success', 'The total number of successful health checks.', 'counter', (t) => t.healthyAnswers],
  ['etcd_server_health_failures', 'The total number of failed health checks.', 'counter', (t) => t.unhealthyAnswers],
  [
    'etcd_server_slow_apply_total',
    'The total number of slow apply requests (likely overloaded from slow disk).',
    'counter',
    (t) => t.slowApplies,
  ],
  [
    'etcd_server_slow_read_indexes_total',
    'The total number of pending read indexes not in sync with leader’s or timed out read index requests.',
    'counter',
    (t) => t.slowReadIndexes,
  ],
  [
    'etcd_server_read_indexes_failed_total',
    'The total number of failed read indexes seen.',
    'counter',
    (t) => t.failedReadIndexes,
  ],
  [
    'etcd_server_snapshot_apply_in_progress_total',
    '1 if the server is applying the incoming snapshot. 0 if none.',
    'gauge',
    (t) => t.restoresUnderWay,
  ],
  [
    'etcd_debugging_lease_renewed_total',
    'The number of renewed leases seen by the leader.',
    'counter',
    (t) => t.leasesRenewed,
  ],
];

/** What is only known of a member that runs. */
export function registerServerMetrics(registry: StoreRegistry, server: KvServer): void {
  const timings = server.timings();
  for (const [name, help, read] of histograms) {
    registry.describe({ name, help, type: 'histogram' }, () => histogramValues(name, read(timings)));
  }
  for (const [name, help, type, read] of counts) {
    registry.describe({ name, help, type }, () => [{ labels: {}, value: read(timings) }]);
  }
  registry.describe(
    {
      name: 'etcd_server_id',
      help: 'Server or member ID in hexadecimal format. 1 for server_id label with current ID.',
      type: 'gauge',
    },
    () => [{ labels: { server_id: hexId(server.memberId) }, value: 1 }],
  );
  registry.describe(
    {
      name: 'etcd_cluster_version',
      help: 'Which version is running. 1 for cluster_version label with current cluster version.',
      type: 'gauge',
    },
    () => {
      const version = server.status().clusterVersion;
      return version === ''
        ? []
        : [{ labels: { cluster_version: version.split('.').slice(0, 2).join('.') }, value: 1 }];
    },
  );
}

/** Calls by kind, and the streams that watch now. */
export function registerCallMetrics(registry: StoreRegistry, calls: CallStats): void {
  registry.describe(
    { name: 'etcd_debugging_mvcc_watch_stream_total', help: 'Total number of watch streams.', type: 'gauge' },
    () => [{ labels: {}, value: calls.underWay('etcdserverpb.Watch', 'Watch') }],
  );
  const rangeName = 'etcd_server_range_duration_seconds';
  registry.describe(
    {
      name: rangeName,
      help: 'The latency distributions of Range calls, with the wait for a quorum.',
      type: 'histogram',
    },
    () => calls.durations('etcdserverpb.KV', 'Range', rangeName),
  );
  registry.describe(
    {
      name: 'etcd_server_client_requests_total',
      help: 'The total number of client requests per client version.',
      type: 'counter',
    },
    () =>
      (['unary', 'stream'] as const).map((type) => ({
        labels: { client_api_version: 'unknown', type },
        value: calls.startedCount(type === 'unary'),
      })),
  );
  registry.describe(
    {
      name: 'etcd_network_client_grpc_received_bytes_total',
      help: 'The total number of bytes received from grpc clients.',
      type: 'counter',
    },
    () => [{ labels: {}, value: calls.messageBytes().received }],
  );
  registry.describe(
    {
      name: 'etcd_network_client_grpc_sent_bytes_total',
      help: 'The total number of bytes sent to grpc clients.',
      type: 'counter',
    },
    () => [{ labels: {}, value: calls.messageBytes().sent }],
  );
}

/** Answers to Prometheus itself. */
export interface ScrapeCounts {
  underWay: number;
  answered: number;
}

export function registerScrapeMetrics(registry: StoreRegistry, scrapes: ScrapeCounts): void {
  registry.describe(
    {
      name: 'promhttp_metric_handler_requests_in_flight',
      help: 'Current number of scrapes being served.',
      type: 'gauge',
    },
    () => [{ labels: {}, value: scrapes.underWay }],
  );
  registry.describe(
    { name: 'promhttp_metric_handler_requests_total', help: 'Total number of scrapes served.', type: 'counter' },
    () => [{ labels: { code: 200 }, value: scrapes.answered }],
  );
}

/** etcd's own names for what every Prometheus client tells of its process. */
export function registerProcessMetrics(registry: StoreRegistry): void {
  for (const [name, help, same] of [
    ['os_fd_used', 'The number of used file descriptors.', 'process_open_fds'],
    ['os_fd_limit', 'The file descriptor limit.', 'process_max_fds'],
  ] as const) {
    registry.describe({ name, help, type: 'gauge' }, async () =>
      (await registry.valuesOf(same)).map(({ value }) => ({ labels: {}, value })),
    );
  }
}
