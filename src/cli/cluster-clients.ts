/** Clients with the rights of a cluster's administrator, for the commands that run beside it. */
import type { Credentials } from '../cluster/credentials.ts';
import { apiServers, type ClusterPlan, storeEndpoints } from '../cluster/plan.ts';
import type { ApiClient } from '../control/client/contract.ts';
import { createApiClient } from '../control/client/http-client.ts';
import type { Env } from '../env/env.ts';
import { createKvClient } from '../kv/client/client.ts';
import type { KvClient, KvClientOptions } from '../kv/index.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

export function adminStore(env: Env, plan: ClusterPlan, credentials: Credentials): KvClient {
  return createKvClient(adminStoreOptions(env, plan, credentials));
}

/** How to reach the store. */
export function adminStoreOptions(env: Env, plan: ClusterPlan, credentials: Credentials): KvClientOptions {
  return {
    clock: env.clock,
    endpoints: storeEndpoints(plan),
    tls: {
      ca: bytes(credentials.storeCa.certificatePem),
      cert: bytes(credentials.storeClient.certificatePem),
      key: bytes(credentials.storeClient.keyPem),
    },
  };
}

export function adminApi(
  env: Env,
  plan: ClusterPlan,
  credentials: Credentials,
  servers: readonly string[] = apiServers(plan),
): ApiClient {
  return createApiClient({
    clock: env.clock,
    servers,
    ca: bytes(credentials.ca.certificatePem),
    credentials: {
      kind: 'certificate',
      cert: bytes(credentials.admin.certificatePem),
      key: bytes(credentials.admin.keyPem),
    },
    userAgent: 'keelson-up',
  });
}
