/**
 * How a follower asks the leader about leases and promotions: by the leader's client URLs, like any client. One client
 * per set of addresses, kept while that member leads.
 */
import { fromInt64, type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import type { Clock } from '../../env/clock.ts';
import type { LeaseId } from '../api.ts';
import { Caller } from '../client/calls.ts';
import { Connections } from '../client/connections.ts';
import type { KvClientOptions } from '../client/contract.ts';
import { keepAliveOnce } from '../client/keep-alive.ts';
import { KvError } from '../errors.ts';
import type { LeaderProxy } from '../server/lease-keeper.ts';
import { clusterService, leaseService } from './wire.ts';

/** One attempt; the caller asks whoever leads then. */
const timeoutMs = 2_000;

interface Open {
  readonly key: string;
  readonly connections: Connections;
  readonly caller: Caller;
}

export function createLeaderProxy(clock: Clock, tls: KvClientOptions['tls']): LeaderProxy {
  let current: Open | undefined;
  const open = (clientUrls: readonly string[]): Open => {
    const key = clientUrls.join(',');
    if (current?.key === key) return current;
    current?.connections.close();
    const connections = new Connections({ clock, endpoints: clientUrls, ...(tls ? { tls } : {}) });
    current = { key, connections, caller: new Caller(connections, clock, timeoutMs) };
    return current;
  };
  return {
    async keepAlive(clientUrls, id, signal) {
      try {
        return await keepAliveOnce(open(clientUrls).connections, clock, id, { timeoutMs, signal });
      } catch (error) {
        if (error instanceof KvError && error.kv === 'leaseNotFound') return 0;
        throw error;
      }
    },
    async timeToLive(clientUrls, id: LeaseId, withKeys, signal) {
      const call = {
        service: leaseService,
        method: 'LeaseTimeToLive',
        request: { ID: id, keys: withKeys },
        isRead: true,
      };
      const answer = await open(clientUrls).caller.call<{
        readonly TTL: Int64Like;
        readonly grantedTTL: Int64Like;
        readonly keys: readonly Uint8Array[];
      }>(call, { signal });
      return {
        ttlSeconds: Number(fromInt64(answer.TTL)),
        grantedTtlSeconds: safeNumberFromInt64(answer.grantedTTL),
        keys: answer.keys,
      };
    },
    async promote(clientUrls, memberId, signal) {
      const call = { service: clusterService, method: 'MemberPromote', request: { ID: memberId }, isRead: false };
      await open(clientUrls).caller.call(call, { signal });
    },
    close() {
      current?.connections.close();
      current = undefined;
    },
  };
}
