/** What etcd's dashboards and alerts ask Prometheus for is there, and says what happened. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { putRequest } from '../../../src/kv/api.ts';
import { createKvClient } from '../../../src/kv/index.ts';
import { createStoreMetrics } from '../../../src/kv/rpc/metrics.ts';
import { StoreRegistry } from '../../../src/kv/rpc/store-registry.ts';
import { timedDisk } from '../../../src/kv/rpc/timed-disk.ts';
import { leaderOf, startTestMembers, type TestMember } from '../server/test-members.ts';

let members: readonly TestMember[];

before(async () => {
  members = await startTestMembers(3);
});
after(async () => {
  await Promise.all((members ?? []).map((member) => member.stop()));
});

interface Sample {
  readonly labels: string;
  readonly value: number;
}

async function samplesOf(registry: StoreRegistry): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>();
  for (const line of (await registry.metrics()).split('\n')) {
    const [, name = '', labels = '', value] = /^([a-z_]+)(\{[^}]*\})? (\S+)$/.exec(line) ?? [];
    if (value !== undefined) samples.set(name, [...(samples.get(name) ?? []), { labels, value: Number(value) }]);
  }
  return samples;
}

const sum = (samples: readonly Sample[] | undefined) => (samples ?? []).reduce((total, { value }) => total + value, 0);

/** Of etcd's mixin: dashboards and alerts. */
const mixin = [
  'etcd_server_has_leader',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_failed_total',
  'etcd_server_proposals_pending',
  'etcd_server_proposals_committed_total',
  'etcd_server_proposals_applied_total',
  'etcd_server_quota_backend_bytes',
  'etcd_server_slow_apply_total',
  'etcd_server_slow_read_indexes_total',
  'etcd_server_read_indexes_failed_total',
  'etcd_server_heartbeat_send_failures_total',
  'etcd_server_id',
  'etcd_server_version',
  'etcd_cluster_version',
  'etcd_server_is_leader',
  'etcd_server_is_learner',
  'etcd_mvcc_db_total_size_in_bytes',
  'etcd_mvcc_db_total_size_in_use_in_bytes',
  'etcd_debugging_mvcc_db_total_size_in_bytes',
  'etcd_debugging_mvcc_keys_total',
  'etcd_debugging_mvcc_watch_stream_total',
  'etcd_debugging_mvcc_watcher_total',
  'etcd_debugging_mvcc_slow_watcher_total',
  'etcd_debugging_mvcc_pending_events_total',
  'etcd_debugging_mvcc_events_total',
  'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_bucket',
  'etcd_debugging_snap_save_total_duration_seconds_sum',
  'etcd_debugging_lease_ttl_total_bucket',
  'etcd_debugging_lease_granted_total',
  'etcd_disk_wal_fsync_duration_seconds_bucket',
  'etcd_disk_wal_write_bytes_total',
  'etcd_disk_backend_commit_duration_seconds_bucket',
  'etcd_disk_backend_snapshot_duration_seconds_bucket',
  'etcd_disk_backend_defrag_duration_seconds_bucket',
  'etcd_snap_db_save_total_duration_seconds_bucket',
  'etcd_network_peer_sent_bytes_total',
  'etcd_network_peer_received_bytes_total',
  'etcd_network_peer_sent_failures_total',
  'etcd_network_peer_round_trip_time_seconds_bucket',
  'etcd_network_active_peers',
  'etcd_network_disconnected_peers_total',
  'etcd_network_client_grpc_received_bytes_total',
  'etcd_network_client_grpc_sent_bytes_total',
  'etcd_server_client_requests_total',
  'grpc_server_started_total',
  'grpc_server_msg_received_total',
  'grpc_server_msg_sent_total',
  'etcd_server_health_success',
  'etcd_server_health_failures',
  'etcd_disk_defrag_inflight',
  'etcd_debugging_lease_renewed_total',
  'grpc_server_handled_total',
  'grpc_server_handling_seconds_bucket',
] as const;

test('everything that etcd’s dashboards and alerts ask for is told by a member that has been used', async () => {
  const leader = await leaderOf(members);
  const client = createKvClient({ clock: realClock, endpoints: [leader.endpoint] });
  await client.put({ key: Buffer.from('a'), value: Buffer.alloc(10_000) });
  client.close();
  const samples = await samplesOf(leader.registry);
  assert.deepEqual(
    mixin.filter((name) => !samples.has(name)),
    [],
  );
  // Labels by the alphabet: scripts look for whole lines.
  assert.match(
    await leader.registry.metrics(),
    /^grpc_server_handled_total\{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb\.KV",grpc_type="unary"\} \d+$/m,
  );
});

test('calls, bytes and streams are counted', async () => {
  const leader = await leaderOf(members);
  const client = createKvClient({ clock: realClock, endpoints: [leader.endpoint] });
  const seen = await samplesOf(leader.registry);
  await client.put({ key: Buffer.from('a'), value: Buffer.alloc(10_000) });
  const created = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const watch = client.watch(
    {
      key: Buffer.from('a'),
      rangeEnd: Buffer.alloc(0),
      startRevision: 0,
      prevKv: false,
      noPut: false,
      noDelete: false,
    },
    {
      created: () => created.resolve(),
      events: () => told.resolve(),
      progress: () => undefined,
      ended: () => undefined,
    },
  );
  await created.promise;
  await client.put({ key: Buffer.from('a'), value: Buffer.alloc(20_000) });
  await told.promise;
  const now = await samplesOf(leader.registry);
  const grown = (name: string) => sum(now.get(name)) - sum(seen.get(name));
  assert.ok(grown('etcd_network_client_grpc_received_bytes_total') > 10_000);
  assert.ok(grown('etcd_network_client_grpc_sent_bytes_total') > 20_000, 'events count as answers do');
  const messages = (samples: typeof now) =>
    sum(samples.get('grpc_server_msg_sent_total')?.filter(({ labels }) => labels.includes('"etcdserverpb.Watch"')));
  assert.equal(messages(now) - messages(seen), 2, 'that the watch is there, and an event');
  assert.equal(sum(now.get('etcd_debugging_mvcc_watch_stream_total')), 1);
  assert.equal(grown('etcd_mvcc_put_total'), 2);
  const unary = now
    .get('grpc_server_handling_seconds_bucket')
    ?.every(({ labels }) => labels.includes('grpc_type="unary"'));
  assert.ok(unary, 'alerts choose by grpc_type');
  watch.cancel();
  client.close();
});

test('what goes between members is counted by peer, and how long it takes there and back', async () => {
  const leader = await leaderOf(members);
  await leader.server.put(putRequest({ key: Buffer.from('b'), value: Buffer.alloc(100_000) }));
  const lateAtMs = performance.now() + 5_000;
  for (;;) {
    const samples = await samplesOf(leader.registry);
    const trips = samples.get('etcd_network_peer_round_trip_time_seconds_count') ?? [];
    if (trips.length === 2 && trips.every(({ value }) => value > 0)) {
      const sent = samples.get('etcd_network_peer_sent_bytes_total') ?? [];
      assert.equal(sent.length, 2);
      assert.ok(sent.every(({ labels, value }) => /^\{To="[0-9a-f]+"\}$/.test(labels) && value > 100_000));
      assert.deepEqual(
        samples.get('etcd_network_active_peers')?.map(({ value }) => value),
        [1, 1],
      );
      return;
    }
    assert.ok(performance.now() < lateAtMs, 'heartbeats are answered');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('a process tells its descriptors and its event loop', async () => {
  const registry = new StoreRegistry(realClock);
  createStoreMetrics(registry);
  const samples = await samplesOf(registry);
  for (const name of [
    'os_fd_used',
    'os_fd_limit',
    'process_open_fds',
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_seconds',
  ]) {
    assert.ok(samples.has(name), name);
  }
  const [delay] = samples.get('nodejs_eventloop_lag_min_seconds') ?? [];
  assert.ok(delay !== undefined && delay.value < 60, 'the first scrape has delays to tell of');
});

test('what is described after the first scrape is told by the next one', async () => {
  const registry = new StoreRegistry();
  registry.describe({ name: 'first', help: 'One.', type: 'gauge' }, () => [{ labels: {}, value: 1 }]);
  assert.match(await registry.metrics(), /^first 1$/m);
  registry.describe({ name: 'second', help: 'Two.', type: 'gauge' }, () => [{ labels: {}, value: 2 }]);
  assert.match(await registry.metrics(), /^second 2$/m);
  assert.throws(() => registry.describe({ name: 'first', help: 'Again.', type: 'gauge' }, () => []), /once/);
});

/** What etcd's own suite looks for, and no other figure here is named alike. */
const machinery = [
  'etcd_debugging_disk_backend_commit_rebalance_duration_seconds_count',
  'etcd_debugging_disk_backend_commit_write_duration_seconds_count',
  'etcd_debugging_mvcc_db_compaction_keys_total',
  'etcd_debugging_mvcc_db_compaction_last',
  'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds_count',
  'etcd_debugging_store_writes_total',
  'etcd_grpc_proxy_cache_hits_total',
  'etcd_mvcc_db_open_read_transactions',
  'etcd_mvcc_hash_duration_seconds_count',
  'etcd_network_known_peers',
  'etcd_server_go_version',
  'etcd_server_learner_promote_successes',
  'etcd_server_range_duration_seconds_count',
  'go_info',
  'go_threads',
  'promhttp_metric_handler_requests_total',
] as const;

test('a compaction, a hash and a read are told by etcd’s names, and machinery that is not here is told as nothing', async () => {
  const leader = await leaderOf(members);
  const client = createKvClient({ clock: realClock, endpoints: [leader.endpoint] });
  const key = Buffer.from('compacted');
  const before = await samplesOf(leader.registry);
  await client.put({ key, value: Buffer.from('1') });
  const { revision } = await client.put({ key, value: Buffer.from('2') });
  await client.compact(revision);
  await leader.server.defragment();
  client.close();
  const after = await samplesOf(leader.registry);
  assert.deepEqual(
    machinery.filter((name) => !after.has(name)),
    [],
  );
  const grown = (name: string) => sum(after.get(name)) - sum(before.get(name));
  assert.ok(grown('etcd_debugging_mvcc_db_compaction_keys_total') >= 1);
  assert.ok(grown('etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds_count') >= 1);
  assert.ok(sum(after.get('etcd_debugging_mvcc_db_compaction_last')) > 0);
  assert.equal(sum(after.get('etcd_network_known_peers')), 3);
  assert.equal(sum(after.get('etcd_debugging_store_writes_total')), 0);
});

test('writes and syncs of the log are timed apart from those of snapshots', async () => {
  const seen: string[] = [];
  const note = (what: string) => () => void seen.push(what);
  const disk = timedDisk(realDisk, realClock, {
    logWriteSeconds: note('log write'),
    logSyncSeconds: note('log sync'),
    snapshotSyncSeconds: note('snapshot sync'),
  });
  const directory = await mkdtemp(join(tmpdir(), 'timed-disk-'));
  try {
    for (const name of ['wal', 'snap', 'other']) {
      await disk.makeDirectory(`${directory}/${name}`);
      const file = await disk.open(`${directory}/${name}/file`, 'create');
      await file.write(0, [Buffer.from('content')]);
      await file.dataSync();
      await file.close();
    }
    assert.deepEqual(seen, ['log write', 'log sync', 'snapshot sync']);
  } finally {
    await rm(directory, { recursive: true });
  }
});
