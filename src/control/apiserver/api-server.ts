/**
 * One API server: builds the parts and runs them. Stateless: everything is in the store, so any number of these serve one
 * cluster. start() listens at once; readiness follows when the caches are synced and the bootstrap objects are there.
 */
import type { Registry } from 'prom-client';
import type { Cancel } from '../../env/clock.ts';
import { sleep } from '../../env/clock.ts';
import type { Env } from '../../env/env.ts';
import { errorText } from '../../env/errors.ts';
import {
  type KvClient,
  ObjectStorage,
  RevisionReader,
  ServerLeases,
  SharedLeases,
  WatchCache,
} from '../storage/index.ts';
import { type Ipv4Range, NodePortAllocator, nodePortPrefix, ServiceIpAllocator } from './allocators.ts';
import { Authenticator } from './authenticator.ts';
import { Authorizer } from './authorizer.ts';
import { bootstrap } from './bootstrap.ts';
import type { Core, RequestContext } from './core.ts';
import { Discovery } from './discovery.ts';
import { Dispatcher } from './dispatcher.ts';
import type { HealthCheck } from './health.ts';
import type { ApiRequest } from './http.ts';
import { scheme } from './kinds.ts';
import { KubeletClient, type KubeletClientOptions } from './kubelet-client.ts';
import { Metrics } from './metrics.ts';
import { mastersGroup } from './rbac.ts';
import { parseRequestInfo } from './request-info.ts';
import { HttpServer } from './server.ts';
import { ServerEndpoints } from './server-endpoints.ts';
import { ServiceAccountTokens, type TokenKeys } from './service-account-tokens.ts';

/** Below the client's patience: a store without quorum must not make requests hang. */
const storeTimeoutMs = 5_000;
/** kube-apiserver waits as long for its cache before it answers "Too large resource version". */
const cacheWaitMs = 3_000;
const eventTtlSeconds = 3600;
const bootstrapRetryMs = 1_000;
const sweepPeriodMs = 180_000;
/** Requests under way get this long when the server stops. */
const drainMs = 4_000;

export interface ApiServerOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'log'>;
  readonly kv: KvClient;
  readonly bindAddress: string;
  readonly securePort: number;
  readonly advertiseAddress: string;
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  readonly clientCa: Uint8Array;
  readonly tokenKeys: TokenKeys;
  readonly tokenIssuer: string;
  readonly apiAudiences: readonly string[];
  readonly serviceRange: Ipv4Range;
  readonly nodePorts: { readonly first: number; readonly last: number };
  readonly kubelet: KubeletClientOptions;
  readonly defaultNotReadyTolerationSeconds: number;
  readonly defaultUnreachableTolerationSeconds: number;
  readonly registry: Registry;
  readonly onFatal: (error: unknown) => void;
}

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #core: Core;
  readonly #server: HttpServer;
  readonly #stopping = new AbortController();
  #endpoints: ServerEndpoints | undefined;
  #cancelSweep: Cancel | undefined;
  #isBootstrapped = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const { clock, random, log } = options.env;
    const { kv } = options;
    const storagePrefixes = new Set(
      scheme
        .resources()
        .filter((item) => item.verbs.includes('get'))
        .map((item) => item.storagePrefix),
    );
    storagePrefixes.add(nodePortPrefix);
    const cache = new WatchCache({ kv, clock, log, storagePrefixes: [...storagePrefixes] });
    const storage = new ObjectStorage({ kv, cache, timeoutMs: storeTimeoutMs });
    const tokens = new ServiceAccountTokens({
      keys: options.tokenKeys,
      issuer: options.tokenIssuer,
      audiences: options.apiAudiences,
      clock,
      random,
    });
    const metrics = new Metrics(options.registry);
    metrics.observeCache(cache, (prefix) => scheme.resources().find((item) => item.storagePrefix === prefix));
    const allocator = { storage, cache, clock, random };
    this.#core = {
      storage,
      cache,
      revisions: new RevisionReader(kv, storeTimeoutMs),
      eventLeases: new SharedLeases(kv, clock, eventTtlSeconds),
      authorizer: new Authorizer(cache),
      tokens,
      serviceIps: new ServiceIpAllocator(options.serviceRange, allocator),
      nodePorts: new NodePortAllocator(options.nodePorts.first, options.nodePorts.last, allocator),
      kubelet: new KubeletClient(options.kubelet),
      metrics,
      clock,
      random,
      log,
      config: {
        defaultNotReadyTolerationSeconds: options.defaultNotReadyTolerationSeconds,
        defaultUnreachableTolerationSeconds: options.defaultUnreachableTolerationSeconds,
        cacheWaitMs,
      },
    };
    const dispatcher = new Dispatcher({
      core: this.#core,
      authenticator: new Authenticator({ tokens, cache, storage }),
      discovery: new Discovery(scheme.resources()),
      health: this.#healthChecks(),
    });
    this.#server = new HttpServer({
      cert: options.cert,
      key: options.key,
      clientCa: options.clientCa,
      clock,
      log,
      handle: (request) => dispatcher.handle(request),
      streamOver: (request) => dispatcher.streamOver(request),
      kubelet: this.#core.kubelet,
      onFatal: options.onFatal,
    });
  }

  #healthChecks() {
    const ping: HealthCheck = { name: 'ping', check: () => undefined };
    const log: HealthCheck = { name: 'log', check: () => undefined };
    const etcd: HealthCheck = {
      name: 'etcd',
      check: async () => {
        try {
          await this.#core.revisions.current();
          return undefined;
        } catch (error) {
          return errorText(error);
        }
      },
    };
    const synced: HealthCheck = {
      name: 'informer-sync',
      check: () => (this.#core.cache.synced ? undefined : 'the watch cache is not synced'),
    };
    const roles: HealthCheck = {
      name: 'poststarthook/rbac/bootstrap-roles',
      check: () => (this.#isBootstrapped ? undefined : 'not finished'),
    };
    const shutdown: HealthCheck = {
      name: 'shutdown',
      check: () => (this.#stopping.signal.aborted ? 'process is shutting down' : undefined),
    };
    // Liveness does not depend on the store: restarting this process would not bring the store back.
    return {
      livez: [ping, log],
      readyz: [ping, log, etcd, synced, roles, shutdown],
      healthz: [ping, log, etcd, roles],
    };
  }

  get core(): Core {
    return this.#core;
  }

  /** Listens and begins to fill the caches; resolves to the port. Rejects with a KeelsonError when it cannot listen. */
  async start(): Promise<number> {
    const port = await this.#server.listen(this.#options.bindAddress, this.#options.securePort);
    this.#core.cache.start();
    this.#boot(port).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#options.onFatal(error);
    });
    this.#options.env.log.info('serving', { address: this.#options.bindAddress, port });
    return port;
  }

  async #boot(port: number): Promise<void> {
    const { clock, log } = this.#core;
    const { signal } = this.#stopping;
    await this.#core.cache.whenSynced(signal);
    const context = this.#ownContext();
    for (;;) {
      try {
        await bootstrap(context, port);
        break;
      } catch (error) {
        log.warn('cannot create the bootstrap objects, trying again', { error: errorText(error) });
        await sleep(clock, bootstrapRetryMs, signal);
      }
    }
    this.#isBootstrapped = true;
    log.info('bootstrap objects are in place');
    this.#endpoints = new ServerEndpoints({
      servers: new ServerLeases(this.#options.kv, this.#options.advertiseAddress),
      clock,
      log,
      context,
      securePort: port,
    });
    this.#endpoints.start();
    this.#cancelSweep = clock.every(sweepPeriodMs, () => this.#sweep());
  }

  #sweep(): void {
    Promise.all([this.#core.serviceIps.sweep(), this.#core.nodePorts.sweep()]).then(
      ([addresses, ports]) => {
        if (addresses + ports > 0) this.#core.log.info('gave back unused service addresses', { addresses, ports });
      },
      (error: unknown) => this.#core.log.warn('cannot look for unused service addresses', { error: errorText(error) }),
    );
  }

  /** The server's own writes go through the same rules as everybody's, as a member of system:masters. */
  #ownContext(): RequestContext {
    const request: ApiRequest = {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: { 'user-agent': 'keelson-apiserver' },
      certificate: undefined,
      remoteAddress: '',
      signal: this.#stopping.signal,
      body: async () => new Uint8Array(),
    };
    const info = parseRequestInfo('POST', '/', request.query);
    if (info === undefined) throw new Error('the root path must parse');
    return {
      core: this.#core,
      request,
      info,
      user: { name: 'system:apiserver', groups: [mastersGroup] },
      warnings: [],
    };
  }

  /** Becomes not ready, leaves the endpoints, ends watches, waits for requests under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the API server is stopping'));
    this.#cancelSweep?.();
    await this.#endpoints?.stop().catch((error: unknown) => {
      this.#core.log.warn('cannot leave the list of API servers; its lease will run out', { error: errorText(error) });
    });
    await this.#server.close(drainMs);
    this.#core.cache.close();
    this.#core.kubelet.close();
    this.#options.kv.close();
  }
}
