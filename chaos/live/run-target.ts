/**
 * Servers that somebody else runs, in the place of a live world: clients can ask them and look at them, and nothing else is done
 * to them. What a run writes stands under a prefix of its own, and is deleted at the end.
 */
import type { Clock } from '../../src/env/clock.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import { createKvClient } from '../../src/kv/client/client.ts';
import type { KvClient, KvClientTls, KvClientUser } from '../../src/kv/client/contract.ts';
import type { LiveMember, LiveWorld } from './contract.ts';

/** Who does not say how it is within this is taken for one that does not answer. */
const statusTimeoutMs = 700;

export interface TargetOptions {
  readonly clock: Clock;
  readonly endpoints: readonly string[];
  readonly tls: KvClientTls | undefined;
  readonly user: KvClientUser | undefined;
}

/** What a run needs of a world. */
export type RunWorld = Omit<LiveWorld, 'tls'>;

type Told = Awaited<ReturnType<RunWorld['states']>>[number];

export function targetWorld({ clock, endpoints, tls, user }: TargetOptions): RunWorld {
  const startMs = clock.monotonicMs();
  const members = endpoints.map(
    (clientUrl): LiveMember => ({ name: hostOf(clientUrl), clientUrl, address: hostOf(clientUrl), isUp: true }),
  );
  const clients: readonly KvClient[] = endpoints.map((endpoint) =>
    createKvClient({ clock, endpoints: [endpoint], ...(tls ? { tls } : {}), ...(user ? { user } : {}) }),
  );
  return {
    members,
    nowMs: () => clock.monotonicMs() - startMs,
    strike: (fault) =>
      Promise.reject(
        new KeelsonError(
          'CHAOS_FAULT_UNSUPPORTED',
          `strike ${fault.kind}: these servers are somebody else's, and nothing is done to them`,
        ),
      ),
    heal: async () => undefined,
    states: () =>
      Promise.all(
        clients.map((client, index) =>
          client.status(endpoints[index] ?? '', { timeoutMs: statusTimeoutMs }).then(
            ({ leader, memberId, raftTerm }): Told => ({
              state: leader === 0 ? 'candidate' : leader === memberId ? 'leader' : 'follower',
              term: raftTerm,
            }),
            (): Told => ({ state: 'down', term: 0 }),
          ),
        ),
      ),
    unexpectedExits: () => [],
    output: () => '',
    async close() {
      for (const client of clients) client.close();
    },
  };
}

function hostOf(endpoint: string): string {
  return endpoint.replace(/^https?:\/\//, '').replace(/\/$/, '');
}
