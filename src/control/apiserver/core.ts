/** What all handlers share: the services of one API server, and the context of one request. */
import type { Clock } from '../../env/clock.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { ObjectStorage, RevisionReader, SharedLeases, WatchCache } from '../storage/index.ts';
import type { Authorizer } from './authorizer.ts';
import type { ApiRequest } from './http.ts';
import type { KubeletClient } from './kubelet-client.ts';
import type { NodePortAllocator, ServiceIpAllocator } from './allocators.ts';
import type { Metrics } from './metrics.ts';
import type { User } from './rbac.ts';
import type { RequestInfo } from './request-info.ts';
import type { ServiceAccountTokens } from './service-account-tokens.ts';

export interface Core {
  readonly storage: ObjectStorage;
  readonly cache: WatchCache;
  readonly revisions: RevisionReader;
  readonly eventLeases: SharedLeases;
  readonly authorizer: Authorizer;
  readonly tokens: ServiceAccountTokens;
  readonly serviceIps: ServiceIpAllocator;
  readonly nodePorts: NodePortAllocator;
  readonly kubelet: KubeletClient;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: CoreConfig;
}

export interface CoreConfig {
  readonly defaultNotReadyTolerationSeconds: number;
  readonly defaultUnreachableTolerationSeconds: number;
  /** A read that must see the newest state waits this long for the cache. */
  readonly cacheWaitMs: number;
}

export interface RequestContext {
  readonly core: Core;
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  readonly user: User;
  /** Texts of `Warning:` headers; handlers add to it. */
  readonly warnings: string[];
}
