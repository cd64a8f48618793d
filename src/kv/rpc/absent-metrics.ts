/**
 * Figures that etcd has and this store has not: its machinery of bbolt, its old store, its proxy and Go's memory. Dashboards
 * and alerts that name them find them: with a figure of this process that means the same where there is one, with 0 and
 * a HELP that says why where there is none. No figure is invented.
 */
import { PlainHistogram } from '../../env/histogram.ts';
import { histogramValues } from './plain-metrics.ts';
import type { StoreRegistry } from './store-registry.ts';

type Row = readonly [name: string, why: string];

const noPages = 'Always 0: LevelDB writes a log and sorted files, there are no pages to rearrange.';
const noOldStore = 'Always 0: /v2/keys are kept among the other keys and counted with them.';
const noProxy = 'Always 0: this process is no gRPC proxy.';
const notGo = 'Always 0: this is not a Go process.';

const emptyHistograms: readonly Row[] = [
  ['etcd_debugging_disk_backend_commit_rebalance_duration_seconds', noPages],
  ['etcd_debugging_disk_backend_commit_spill_duration_seconds', noPages],
  [
    'etcd_debugging_snap_save_marshalling_duration_seconds',
    'Always 0: a snapshot is encoded while it is written, see etcd_debugging_snap_save_total_duration_seconds.',
  ],
  [
    'etcd_snap_db_fsync_duration_seconds',
    'Always 0: a snapshot is one file with the data in it, see etcd_snap_fsync_duration_seconds.',
  ],
  [
    'etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds',
    'Always 0: index and rows are cleaned together, see etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds.',
  ],
];

const zeroCounters: readonly Row[] = [
  ['etcd_debugging_store_expires_total', noOldStore],
  ['etcd_debugging_store_watch_requests_total', noOldStore],
  ['etcd_debugging_store_writes_total', noOldStore],
  ['etcd_grpc_proxy_cache_hits_total', noProxy],
  ['etcd_grpc_proxy_cache_misses_total', noProxy],
  ['etcd_grpc_proxy_events_coalescing_total', noProxy],
  ['go_memstats_alloc_bytes_total', notGo],
  ['go_memstats_frees_total', notGo],
  ['go_memstats_mallocs_total', notGo],
];

const zeroGauges: readonly Row[] = [
  ['etcd_debugging_store_watchers', noOldStore],
  ['etcd_grpc_proxy_cache_keys_total', noProxy],
  ['etcd_grpc_proxy_watchers_coalescing_total', noProxy],
  ...[
    'go_gc_gogc_percent',
    'go_gc_gomemlimit_bytes',
    'go_goroutines',
    'go_threads',
    'go_memstats_buck_hash_sys_bytes',
    'go_memstats_gc_sys_bytes',
    'go_memstats_heap_objects',
    'go_memstats_heap_released_bytes',
    'go_memstats_last_gc_time_seconds',
    'go_memstats_mcache_inuse_bytes',
    'go_memstats_mcache_sys_bytes',
    'go_memstats_mspan_inuse_bytes',
    'go_memstats_mspan_sys_bytes',
    'go_memstats_next_gc_bytes',
    'go_memstats_stack_inuse_bytes',
    'go_memstats_stack_sys_bytes',
  ].map((name): Row => [name, notGo]),
];

const heapUsed = 'nodejs_heap_size_used_bytes';
const heapTotal = 'nodejs_heap_size_total_bytes';

/** Figures of Node's process that mean what Go's mean: first minus second. */
const sameMeaning: readonly (readonly [name: string, help: string, of: string, without?: string])[] = [
  ['go_memstats_alloc_bytes', 'Bytes of JavaScript objects in use.', heapUsed],
  ['go_memstats_heap_alloc_bytes', 'Bytes of JavaScript objects in use.', heapUsed],
  ['go_memstats_heap_inuse_bytes', 'Bytes of JavaScript objects in use.', heapUsed],
  ['go_memstats_heap_idle_bytes', 'Bytes of the JavaScript heap that no object uses.', heapTotal, heapUsed],
  ['go_memstats_heap_sys_bytes', 'Bytes of the JavaScript heap.', heapTotal],
  ['go_memstats_other_sys_bytes', 'Bytes of buffers outside the JavaScript heap.', 'nodejs_external_memory_bytes'],
  ['go_memstats_sys_bytes', 'Resident bytes of this process.', 'process_resident_memory_bytes'],
];

/** What registers nothing but these figures; `nodeVersion` is told where etcd tells Go’s. */
export function registerAbsentMetrics(registry: StoreRegistry, nodeVersion: string): void {
  const empty = new PlainHistogram([1]);
  for (const [name, help] of emptyHistograms) {
    registry.describe({ name, help, type: 'histogram' }, () => histogramValues(name, empty));
  }
  for (const [name, help] of zeroCounters) constant(registry, name, help, 'counter', 0);
  for (const [name, help] of zeroGauges) constant(registry, name, help, 'gauge', 0);
  constant(registry, 'go_sched_gomaxprocs_threads', 'Threads that run JavaScript of the store.', 'gauge', 1);
  for (const [name, labels] of [
    ['go_info', { version: `none (node ${nodeVersion})` }],
    ['etcd_server_go_version', { server_go_version: `none (node ${nodeVersion})` }],
  ] as const) {
    const help = 'What runs this process. Not Go.';
    registry.describe({ name, help, type: 'gauge' }, () => [{ labels, value: 1 }]);
  }
}

/** Those that are read off Node’s own figures, for a registry that tells of its process. */
export function registerMemoryMetrics(registry: StoreRegistry): void {
  const valueOf = async (name: string) => (await registry.valuesOf(name))[0]?.value ?? 0;
  for (const [name, help, of, without] of sameMeaning) {
    registry.describe({ name, help, type: 'gauge' }, async () => {
      const value = (await valueOf(of)) - (without === undefined ? 0 : await valueOf(without));
      return [{ labels: {}, value: Math.max(0, value) }];
    });
  }
  const name = 'go_gc_duration_seconds';
  const help = 'Pauses of the JavaScript garbage collector.';
  registry.describe({ name, help, type: 'summary' }, async () => {
    const values = await registry.valuesOf('nodejs_gc_duration_seconds');
    const total = (suffix: string) =>
      values.reduce((sum, each) => (each.metricName?.endsWith(suffix) === true ? sum + each.value : sum), 0);
    return ['_sum', '_count'].map((suffix) => ({
      labels: {},
      value: total(suffix),
      metricName: `${name}${suffix}`,
    }));
  });
}

function constant(registry: StoreRegistry, name: string, help: string, type: 'counter' | 'gauge', value: number): void {
  registry.describe({ name, help, type }, () => [{ labels: {}, value }]);
}
