/**
 * How a follower asks the leader about leases and promotions: by the leader's peer URLs, with what members show each other,
 * so that neither auth nor client certificates stand between members. One client per set of addresses, kept while that
 * member leads.
 */
import { fromInt64, type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import type { Clock } from '../../env/clock.ts';
import type { LeaseId } from '../api.ts';
import { Caller } from '../client/calls.ts';
import { Connections } from '../client/connections.ts';
import type { KvClientOptions } from '../client/contract.ts';
import type { LeaderProxy } from '../server/lease-keeper.ts';
import { leaderService } from './leader-face.ts';

/** One attempt; the caller asks whoever leads then. */
const timeoutMs = 2_000;

interface Open {
  readonly key: string;
  readonly tls: KvClientOptions['tls'];
  readonly connections: Connections;
  readonly caller: Caller;
}

/** `tls` is asked for each call: a new value, as certificates change, gets new connections. */
export function createLeaderProxy(clock: Clock, tls: () => KvClientOptions['tls']): LeaderProxy {
  let current: Open | undefined;
  const open = (peerUrls: readonly string[]): Open => {
    const key = peerUrls.join(',');
    const files = tls();
    if (current?.key === key && current.tls === files) return current;
    current?.connections.close();
    const connections = new Connections({ clock, endpoints: peerUrls, ...(files ? { tls: files } : {}) });
    current = { key, tls: files, connections, caller: new Caller(connections, clock, timeoutMs) };
    return current;
  };
  return {
    async keepAlive(peerUrls, id, signal) {
      const call = { service: leaderService, method: 'LeaseKeepAlive', request: { id }, isRead: true };
      const answer = await open(peerUrls).caller.call<{ readonly ttlSeconds: Int64Like }>(call, { signal });
      return safeNumberFromInt64(answer.ttlSeconds);
    },
    async timeToLive(peerUrls, id: LeaseId, withKeys, signal) {
      const request = { id, keys: withKeys };
      const call = { service: leaderService, method: 'LeaseTimeToLive', request, isRead: true };
      const answer = await open(peerUrls).caller.call<{
        readonly ttlSeconds: Int64Like;
        readonly grantedTtlSeconds: Int64Like;
        readonly keys: readonly Uint8Array[];
      }>(call, { signal });
      return {
        ttlSeconds: Number(fromInt64(answer.ttlSeconds)),
        grantedTtlSeconds: safeNumberFromInt64(answer.grantedTtlSeconds),
        keys: answer.keys,
      };
    },
    async promote(peerUrls, memberId, signal) {
      const call = { service: leaderService, method: 'Promote', request: { memberId }, isRead: false };
      await open(peerUrls).caller.call(call, { signal });
    },
    close() {
      current?.connections.close();
      current = undefined;
    },
  };
}
