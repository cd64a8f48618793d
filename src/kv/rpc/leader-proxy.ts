/**
 * How a follower asks the leader about leases and promotions: by the leader's peer URLs, with what members show each other,
 * so that neither auth nor client certificates stand between members. One client per set of addresses, kept while that
 * member leads. Renewals and remaining times that are asked for at about the same time share a call (question-batches.ts).
 */
import { fromInt64, type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import type { Clock } from '../../env/clock.ts';
import type { LeaseId } from '../api.ts';
import { Caller } from '../client/calls.ts';
import { Connections } from '../client/connections.ts';
import type { KvClientOptions } from '../client/contract.ts';
import type { LeaseRemaining } from '../server/contract.ts';
import type { LeaderProxy } from '../server/lease-keeper.ts';
import { leaderService } from './leader-face.ts';
import { QuestionBatches } from './question-batches.ts';

/** One attempt; the caller asks whoever leads then. */
const timeoutMs = 2_000;

interface Open {
  readonly key: string;
  readonly tls: KvClientOptions['tls'];
  readonly connections: Connections;
  readonly caller: Caller;
  readonly renewals: QuestionBatches<LeaseId, number>;
  readonly remainingTimes: QuestionBatches<LeaseId, LeaseRemaining>;
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
    const caller = new Caller(connections, clock, timeoutMs);
    current = {
      key,
      tls: files,
      connections,
      caller,
      renewals: new QuestionBatches(clock, (ids) => renew(caller, ids)),
      remainingTimes: new QuestionBatches(clock, (ids) => remainingTimes(caller, ids)),
    };
    return current;
  };
  return {
    keepAlive: (peerUrls, id) => open(peerUrls).renewals.ask(id),
    async timeToLive(peerUrls, id, withKeys, signal) {
      if (!withKeys) return open(peerUrls).remainingTimes.ask(id);
      const call = { service: leaderService, method: 'LeaseKeys', request: { id }, isRead: true };
      const answer = await open(peerUrls).caller.call<{
        readonly ttlSeconds: Int64Like;
        readonly grantedTtlSeconds: Int64Like;
        readonly keys: readonly Uint8Array[];
      }>(call, { signal });
      return { ...remainingOf(answer.ttlSeconds, answer.grantedTtlSeconds), keys: answer.keys };
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

async function renew(caller: Caller, ids: readonly LeaseId[]): Promise<readonly number[]> {
  const call = { service: leaderService, method: 'LeaseKeepAlive', request: { ids }, isRead: true };
  const answer = await caller.call<{ readonly ttlSeconds: readonly Int64Like[] }>(call);
  return answer.ttlSeconds.map((seconds) => safeNumberFromInt64(seconds));
}

async function remainingTimes(caller: Caller, ids: readonly LeaseId[]): Promise<readonly LeaseRemaining[]> {
  const call = { service: leaderService, method: 'LeaseTimeToLive', request: { ids }, isRead: true };
  const { ttlSeconds, grantedTtlSeconds } = await caller.call<{
    readonly ttlSeconds: readonly Int64Like[];
    readonly grantedTtlSeconds: readonly Int64Like[];
  }>(call);
  return ttlSeconds.map((seconds, place) => remainingOf(seconds, grantedTtlSeconds[place] ?? 0));
}

function remainingOf(ttlSeconds: Int64Like, grantedTtlSeconds: Int64Like): LeaseRemaining {
  const granted = safeNumberFromInt64(grantedTtlSeconds);
  // -1 when there is no such lease.
  return { ttlSeconds: Number(fromInt64(ttlSeconds)), grantedTtlSeconds: granted, keys: [] };
}
