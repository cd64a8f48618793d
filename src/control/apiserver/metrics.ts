/** The API server's metrics, by kube-apiserver's names, in a registry that is passed in. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { WatchCache } from '../storage/index.ts';

/** Upstream's buckets of request durations, in seconds. */
const durationBuckets = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

export interface RequestLabels {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly scope: string;
}

export class Metrics {
  readonly #registry: Registry;
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #responseSizes: Histogram;
  readonly #inflight: Gauge;
  readonly #longRunning: Gauge;
  readonly #rejected: Counter;

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [registry];
    const labels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope'] as const;
    this.#requests = new Counter({
      name: 'apiserver_request_total',
      help: 'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.',
      labelNames: [...labels, 'component', 'dry_run', 'code'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.',
      labelNames: [...labels, 'component', 'dry_run'],
      buckets: durationBuckets,
      registers,
    });
    this.#responseSizes = new Histogram({
      name: 'apiserver_response_sizes',
      help: 'Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.',
      labelNames: [...labels, 'component'],
      buckets: [1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000],
      registers,
    });
    this.#inflight = new Gauge({
      name: 'apiserver_current_inflight_requests',
      help: 'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.',
      labelNames: ['request_kind'],
      registers,
    });
    this.#longRunning = new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.',
      labelNames: [...labels, 'component'],
      registers,
    });
    this.#rejected = new Counter({
      name: 'apiserver_request_terminations_total',
      help: 'Number of requests which apiserver terminated in self-defense.',
      labelNames: ['component', 'code'],
      registers,
    });
  }

  /** Gauges that are read from the cache when somebody asks. */
  observeCache(
    cache: WatchCache,
    groupOf: (storagePrefix: string) => { group: string; resource: string } | undefined,
  ): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'apiserver_storage_objects',
      help: 'Number of stored objects at the time of last check split by kind.',
      labelNames: ['resource'],
      registers,
      collect() {
        for (const resource of cache.resources()) {
          const id = groupOf(resource.storagePrefix);
          if (id === undefined) continue;
          this.set({ resource: id.group === '' ? id.resource : `${id.resource}.${id.group}` }, resource.size);
        }
      },
    });
    new Gauge({
      name: 'apiserver_registered_watchers',
      help: 'Number of currently registered watchers for a given resource.',
      labelNames: ['group', 'resource'],
      registers,
      collect() {
        for (const resource of cache.resources()) {
          const id = groupOf(resource.storagePrefix);
          if (id !== undefined) this.set({ group: id.group, resource: id.resource }, resource.watchers);
        }
      },
    });
    new Gauge({
      name: 'apiserver_watch_cache_resource_version',
      help: 'Current resource version of watch cache.',
      registers,
      collect() {
        this.set(cache.revision);
      },
    });
    new Counter({
      name: 'apiserver_storage_events_received_total',
      help: 'Number of etcd events received.',
      registers,
      collect() {
        this.reset();
        this.inc(cache.eventsReceived);
      },
    });
  }

  finished(
    labels: RequestLabels,
    outcome: { readonly code: number; readonly seconds: number; readonly bytes: number; readonly dryRun: string },
  ): void {
    const all = { ...labels, component: 'apiserver', dry_run: outcome.dryRun };
    this.#requests.inc({ ...all, code: String(outcome.code) });
    this.#durations.observe(all, outcome.seconds);
    if (outcome.bytes > 0) this.#responseSizes.observe({ ...labels, component: 'apiserver' }, outcome.bytes);
  }

  longRunning(labels: RequestLabels, change: 1 | -1): void {
    this.#longRunning.inc({ ...labels, component: 'apiserver' }, change);
  }
  inflight(kind: 'mutating' | 'readOnly', count: number): void {
    this.#inflight.set({ request_kind: kind }, count);
  }
  rejected(code: number): void {
    this.#rejected.inc({ component: 'apiserver', code: String(code) });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
  get contentType(): string {
    return this.#registry.contentType;
  }
}
