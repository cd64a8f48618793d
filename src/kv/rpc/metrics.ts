/**
 * etcd's metrics by etcd's names. Most are read off the member when Prometheus asks; only durations and calls are
 * counted as they happen.
 */
import { exponentialBounds, PlainHistogram } from '../../env/histogram.ts';
import type { KvServer, KvStatus, KvCounters } from '../server/contract.ts';
import { etcdVersion } from '../server/version.ts';
import type { CallCounters } from './call.ts';
import { PeerTraffic } from '../../raft/host/peer-traffic.ts';
import { registerAbsentMetrics, registerMemoryMetrics } from './absent-metrics.ts';
import { CallStats } from './call-stats.ts';
import { registerKnownPeers, registerPeerMetrics } from './peer-metrics.ts';
import { histogramValues } from './plain-metrics.ts';
import {
  registerCallMetrics,
  registerProcessMetrics,
  registerServerMetrics,
  registerScrapeMetrics,
  type ScrapeCounts,
} from './server-metrics.ts';
import type { StoreRegistry } from './store-registry.ts';
import type { DiskTimings } from './timed-disk.ts';

/** 1 ms to 8 s, as etcd's disk histograms. */
const diskBounds = exponentialBounds(0.001, 2, 14);

export interface StoreMetrics {
  readonly calls: CallCounters;
  /** For the transport between members. */
  readonly traffic: PeerTraffic;
  /** Observes how long it takes the backend to bring a batch to the disk. */
  readonly backendCommitSeconds: (seconds: number) => void;
  readonly disk: DiskTimings;
  /** For whoever serves the figures. */
  readonly scrapes: ScrapeCounts;
  /** From now on the member is asked. */
  attach(server: KvServer): void;
}

interface Seen {
  readonly status: KvStatus;
  readonly counters: KvCounters;
}

type Row = readonly [name: string, help: string, read: (seen: Seen) => number];

const gauges: readonly Row[] = [
  [
    'keelson_autopilot_voters',
    'Voters as the autopilot of this leader counts them. 0 where no autopilot decides.',
    (s) => s.status.autopilot?.voters ?? 0,
  ],
  [
    'keelson_autopilot_failure_tolerance',
    'Voters that may be lost now while writes go on. 0 where no autopilot decides.',
    (s) => s.status.autopilot?.tolerance ?? 0,
  ],
  [
    'keelson_autopilot_standbys',
    'Learners that wait to be promoted. 0 where no autopilot decides.',
    (s) => s.status.autopilot?.standbys.length ?? 0,
  ],
  [
    'etcd_server_has_leader',
    'Whether or not a leader exists. 1 is existence, 0 is not.',
    (s) => (s.status.leader === 0 ? 0 : 1),
  ],
  [
    'etcd_server_is_leader',
    'Whether or not this member is a leader. 1 if is, 0 otherwise.',
    (s) => (s.status.raft.role === 'leader' ? 1 : 0),
  ],
  [
    'etcd_server_is_learner',
    'Whether or not this member is a learner. 1 if is, 0 otherwise.',
    (s) => (s.status.isLearner ? 1 : 0),
  ],
  [
    'etcd_server_proposals_committed_total',
    'The total number of consensus proposals committed.',
    (s) => s.status.raft.committed,
  ],
  [
    'etcd_server_proposals_applied_total',
    'The total number of consensus proposals applied.',
    (s) => s.status.raft.applied,
  ],
  [
    'etcd_server_proposals_pending',
    'The current number of pending proposals to commit.',
    (s) => s.counters.proposalsPending,
  ],
  ['etcd_server_quota_backend_bytes', 'Current backend storage quota size in bytes.', (s) => s.status.quotaBytes],
  [
    'etcd_mvcc_db_total_size_in_bytes',
    'Total size of the underlying database physically allocated in bytes.',
    (s) => s.status.bytesOnDisk,
  ],
  [
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'Total size of the underlying database logically in use in bytes.',
    (s) => s.status.bytesInUse,
  ],
  ['etcd_debugging_mvcc_keys_total', 'Total number of keys.', (s) => s.status.keys],
  ['etcd_debugging_mvcc_slow_watcher_total', 'Total number of unsynced slow watchers.', (s) => s.status.slowWatchers],
  // Nothing is ever queued for a watcher here: one that is slow is read to from history.
  ['etcd_debugging_mvcc_pending_events_total', 'Total number of pending events to be sent.', () => 0],
  [
    'etcd_debugging_mvcc_total_put_size_in_bytes',
    'The total size of put kv pairs seen by this member.',
    (s) => s.status.bytesInUse,
  ],
  [
    'etcd_debugging_mvcc_db_total_size_in_bytes',
    'Total size of the underlying database physically allocated in bytes.',
    (s) => s.status.bytesOnDisk,
  ],
  ['etcd_debugging_mvcc_watcher_total', 'Total number of watchers.', (s) => s.status.watchers],
  ['etcd_debugging_mvcc_current_revision', 'The current revision of store.', (s) => s.status.revision],
  [
    'etcd_debugging_mvcc_compact_revision',
    'The revision of the last compaction in store.',
    (s) => s.status.compactRevision,
  ],
];

const counters: readonly Row[] = [
  [
    'keelson_autopilot_promotions_total',
    'Standbys that the autopilot of this member has promoted.',
    (s) => s.status.autopilot?.promotions ?? 0,
  ],
  [
    'keelson_autopilot_removals_total',
    'Dead members that the autopilot of this member has removed.',
    (s) => s.status.autopilot?.removals ?? 0,
  ],
  ['etcd_server_leader_changes_seen_total', 'The number of leader changes seen.', (s) => s.counters.raft.leaderChanges],
  [
    'etcd_server_proposals_failed_total',
    'The total number of failed proposals seen.',
    (s) => s.counters.proposalsFailed,
  ],
  ['etcd_debugging_mvcc_events_total', 'Total number of events sent by this member.', (s) => s.status.eventsSent],
  ['etcd_disk_wal_write_bytes_total', 'Total number of bytes written in WAL.', (s) => s.counters.raft.walBytes],
  ['etcd_debugging_mvcc_put_total', 'Total number of puts seen by this member.', (s) => s.counters.puts],
  ['etcd_debugging_mvcc_delete_total', 'Total number of deletes seen by this member.', (s) => s.counters.deletes],
  ['etcd_debugging_mvcc_range_total', 'Total number of ranges seen by this member.', (s) => s.counters.ranges],
  ['etcd_debugging_mvcc_txn_total', 'Total number of txns seen by this member.', (s) => s.counters.txns],
  ['etcd_mvcc_put_total', 'Total number of puts seen by this member.', (s) => s.counters.puts],
  ['etcd_mvcc_delete_total', 'Total number of deletes seen by this member.', (s) => s.counters.deletes],
  ['etcd_mvcc_range_total', 'Total number of ranges seen by this member.', (s) => s.counters.ranges],
  ['etcd_mvcc_txn_total', 'Total number of txns seen by this member.', (s) => s.counters.txns],
  ['etcd_debugging_lease_granted_total', 'The total number of granted leases.', (s) => s.counters.leasesGranted],
  ['etcd_debugging_lease_revoked_total', 'The total number of revoked leases.', (s) => s.counters.leasesRevoked],
  ['etcd_debugging_server_lease_expired_total', 'The total number of expired leases.', (s) => s.counters.leasesExpired],
  ['keelson_raft_wal_syncs_total', 'Syncs of the Raft log.', (s) => s.counters.raft.walSyncs],
  ['keelson_raft_wal_bytes_total', 'Bytes written to the Raft log.', (s) => s.counters.raft.walBytes],
  ['keelson_raft_snapshots_taken_total', 'Raft snapshots taken.', (s) => s.counters.raft.snapshotsTaken],
  ['keelson_raft_snapshots_sent_total', 'Raft snapshots sent to other members.', (s) => s.counters.raft.snapshotsSent],
  ['keelson_raft_snapshots_received_total', 'Raft snapshots received.', (s) => s.counters.raft.snapshotsReceived],
  ['keelson_raft_messages_sent_total', 'Raft messages sent.', (s) => s.counters.raft.messagesSent],
  [
    'keelson_raft_messages_refused_total',
    'Raft messages from peers that cannot be true.',
    (s) => s.counters.raft.messagesRefused,
  ],
  ['keelson_raft_messages_received_total', 'Raft messages received.', (s) => s.counters.raft.messagesReceived],
];

/** `nowMs`: the clock that round trips to peers are taken by. */
export function createStoreMetrics(registry: StoreRegistry, nowMs: () => number = () => 0): StoreMetrics {
  if (registry.tellsProcess) {
    registerProcessMetrics(registry);
    registerMemoryMetrics(registry);
  }
  const histogram = (name: string, help: string) => {
    const made = new PlainHistogram(diskBounds);
    registry.describe({ name, help, type: 'histogram' }, () => histogramValues(name, made));
    return made;
  };
  const logSync = histogram(
    'etcd_disk_wal_fsync_duration_seconds',
    'The latency distributions of fsync called by WAL.',
  );
  const logWrite = histogram(
    'etcd_disk_wal_write_duration_seconds',
    'The latency distributions of write called by WAL.',
  );
  const snapshotSync = histogram(
    'etcd_snap_fsync_duration_seconds',
    'The latency distributions of fsync called by snap.',
  );
  registry.describe(
    {
      name: 'etcd_server_version',
      help: 'Which version is running. 1 for server_version label with current version.',
      type: 'gauge',
    },
    () => [{ labels: { server_version: etcdVersion }, value: 1 }],
  );
  const backendCommit = histogram(
    'etcd_disk_backend_commit_duration_seconds',
    'The latency distributions of commit called by backend.',
  );
  const backendWrite = histogram(
    'etcd_debugging_disk_backend_commit_write_duration_seconds',
    'The latency distributions of commit called by backend, which writes and nothing else.',
  );
  const calls = new CallStats(registry);
  const traffic = new PeerTraffic(nowMs);
  registerCallMetrics(registry, calls);
  registerPeerMetrics(registry, traffic);
  registerAbsentMetrics(registry, process.version);
  const scrapes: ScrapeCounts = { underWay: 0, answered: 0 };
  registerScrapeMetrics(registry, scrapes);
  return {
    calls,
    traffic,
    backendCommitSeconds: (seconds) => {
      backendCommit.observe(seconds);
      backendWrite.observe(seconds);
    },
    disk: {
      logWriteSeconds: (seconds) => logWrite.observe(seconds),
      logSyncSeconds: (seconds) => logSync.observe(seconds),
      snapshotSyncSeconds: (seconds) => snapshotSync.observe(seconds),
    },
    scrapes,
    attach(server) {
      registerServerMetrics(registry, server);
      registerKnownPeers(registry, server);
      const authHelp = 'The current revision of auth store.';
      registry.describe({ name: 'etcd_debugging_auth_revision', help: authHelp, type: 'gauge' }, () => [
        { labels: {}, value: server.auth.revision() },
      ]);
      const see = () => ({ status: server.status(), counters: server.counters() });
      for (const [type, rows] of [
        ['gauge', gauges],
        ['counter', counters],
      ] as const) {
        for (const [name, help, read] of rows) {
          registry.describe({ name, help, type }, () => [{ labels: {}, value: read(see()) }]);
        }
      }
    },
  };
}
