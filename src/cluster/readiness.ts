/** Waits until a cluster is usable: the store has a leader, the API answers, the nodes are Ready. Says what it waits for. */
import { sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import type { KvClient } from '../kv/index.ts';
import type { ApiClient } from '../control/client/contract.ts';
import { type ClusterPlan, storeEndpoints } from './plan.ts';

type WaitEnv = Pick<Env, 'clock'>;

const pollMs = 200;
const callTimeoutMs = 2_000;

/** Calls `check` until it gives undefined; the text it gives otherwise says what is still missing. */
export async function waitUntil(
  env: WaitEnv,
  options: { readonly what: string; readonly limitMs: number; readonly signal?: AbortSignal; readonly advice: string },
  check: () => Promise<string | undefined>,
): Promise<void> {
  const end = env.clock.monotonicMs() + options.limitMs;
  for (;;) {
    let missing: string | undefined;
    try {
      missing = await check();
    } catch (error) {
      missing = errorText(error);
    }
    if (missing === undefined) return;
    options.signal?.throwIfAborted();
    if (env.clock.monotonicMs() > end) {
      throw new KeelsonError(
        'NOT_READY',
        `wait for ${options.what}: not there after ${Math.round(options.limitMs / 1000)} s (${missing}): ${options.advice}`,
      );
    }
    await sleep(env.clock, pollMs, options.signal);
  }
}

export interface StoreMemberStatus {
  readonly name: string;
  readonly endpoint: string;
  /** Absent when the member does not answer. */
  readonly status?: Awaited<ReturnType<KvClient['status']>>;
  readonly error?: string;
}

export async function storeStatus(plan: ClusterPlan, client: KvClient): Promise<readonly StoreMemberStatus[]> {
  const masters = plan.hosts.filter((host) => host.role === 'master');
  return Promise.all(
    storeEndpoints(plan).map(async (endpoint, position) => {
      const name = masters[position]?.name ?? endpoint;
      try {
        return { name, endpoint, status: await client.status(endpoint, { timeoutMs: callTimeoutMs }) };
      } catch (error) {
        return { name, endpoint, error: errorText(error) };
      }
    }),
  );
}

/** Undefined when every member knows the same leader. */
export function storeMissing(members: readonly StoreMemberStatus[]): string | undefined {
  const silent = members.filter((member) => member.status === undefined);
  if (silent.length > 0) return `no answer from ${silent.map((member) => member.name).join(', ')}`;
  const leaders = new Set(members.map((member) => member.status?.leader ?? 0));
  return leaders.size === 1 && !leaders.has(0) ? undefined : 'no leader yet';
}

const nodes = { group: '', version: 'v1', resource: 'nodes' } as const;

/** Undefined when the API is ready and each of `names` is a Ready node. */
export async function nodesMissing(api: ApiClient, names: readonly string[]): Promise<string | undefined> {
  const list = await api.list(nodes, {}, { timeoutMs: callTimeoutMs });
  const ready = new Set(
    list.items
      .filter((node) =>
        ((node['status']?.conditions ?? []) as { type: string; status: string }[]).some(
          (condition) => condition.type === 'Ready' && condition.status === 'True',
        ),
      )
      .map((node) => node.metadata.name),
  );
  const missing = names.filter((name) => !ready.has(name));
  return missing.length === 0 ? undefined : `not Ready: ${missing.join(', ')}`;
}
