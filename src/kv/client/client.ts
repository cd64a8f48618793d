/** `createKvClient`: the KvClient contract over gRPC. The only file here that knows all services. */
import { fromInt64, type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import { fromWireRange, fromWireTxn, toWirePut, toWireRange, toWireTxn } from '../rpc/codec-client.ts';
import { fromWireKeyValue } from '../rpc/codec-values.ts';
import { kvService, leaseService, maintenanceService } from '../rpc/services.ts';
import type {
  Out,
  WireDeleteRangeResponse,
  WireHeader,
  WirePutResponse,
  WireRangeResponse,
  WireStatusResponse,
  WireTxnResponse,
} from '../rpc/wire.ts';
import { Caller } from './calls.ts';
import { Connections } from './connections.ts';
import type { KvClient, KvClientOptions } from './contract.ts';
import { keepAliveOnce } from './keep-alive.ts';
import { ResumingWatch } from './watch.ts';

/** Above the server's own limit for a request (5 s and two elections), whose error says more. */
const timeoutMsDefault = 10_000;

function revisionOf(answer: { readonly header?: Out<WireHeader> | null | undefined }): number {
  return safeNumberFromInt64(answer.header?.revision);
}

/** etcd's own member ids need 64 bits and are rounded here; Keelson's are below 2^53. */
function memberNumber(id: Int64Like | null | undefined): number {
  return Number(fromInt64(id));
}

/** A client of the store at `options.endpoints`. Connects when first used; `close` ends its watches and calls. */
export function createKvClient(options: KvClientOptions): KvClient {
  const connections = new Connections(options);
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  const caller = new Caller(connections, options.clock, timeoutMs);
  const watches = new Set<ResumingWatch>();
  const write = { service: kvService, isRead: false } as const;
  const lease = { service: leaseService, isRead: false } as const;
  return {
    async range(request, callOptions) {
      const call = { service: kvService, method: 'Range', request: toWireRange(request), isRead: true };
      const answer = await caller.call<WireRangeResponse>(call, callOptions);
      return { ...fromWireRange(answer), revision: revisionOf(answer) };
    },
    async put(request, callOptions) {
      const call = { ...write, method: 'Put', request: toWirePut(request) };
      const answer = await caller.call<WirePutResponse>(call, callOptions);
      const revision = revisionOf(answer);
      return answer.prevKv ? { revision, prevKv: fromWireKeyValue(answer.prevKv) } : { revision };
    },
    async deleteRange(key, rangeEnd, callOptions) {
      const call = { ...write, method: 'DeleteRange', request: { key, rangeEnd } };
      const answer = await caller.call<WireDeleteRangeResponse>(call, callOptions);
      return { revision: revisionOf(answer), deleted: safeNumberFromInt64(answer.deleted) };
    },
    async txn(request, callOptions) {
      const isRead = [...request.success, ...request.failure].every((op) => op.kind === 'range');
      const call = { service: kvService, method: 'Txn', request: toWireTxn(request), isRead };
      const answer = await caller.call<WireTxnResponse>(call, callOptions);
      return { ...fromWireTxn(answer), revision: revisionOf(answer) };
    },
    async compact(revision, callOptions) {
      await caller.call({ ...write, method: 'Compact', request: { revision } }, callOptions);
    },
    async leaseGrant(ttlSeconds, callOptions) {
      const call = { ...lease, method: 'LeaseGrant', request: { TTL: ttlSeconds, ID: 0 } };
      const answer = await caller.call<{ readonly ID: Int64Like }>(call, callOptions);
      return fromInt64(answer.ID);
    },
    async leaseRevoke(id, callOptions) {
      await caller.call({ ...lease, method: 'LeaseRevoke', request: { ID: id } }, callOptions);
    },
    leaseKeepAliveOnce: (id, callOptions) =>
      keepAliveOnce(connections, options.clock, id, { timeoutMs, ...callOptions }),
    watch(request, listener) {
      const watch = new ResumingWatch(connections, options.clock, request, listener, () => watches.delete(watch));
      watches.add(watch);
      watch.start();
      return { cancel: () => watch.cancel(), requestProgress: () => watch.requestProgress() };
    },
    async status(endpoint, callOptions) {
      const call = { service: maintenanceService, method: 'Status', request: {}, isRead: true, endpoint };
      const answer = await caller.call<WireStatusResponse>(call, callOptions);
      return {
        leader: memberNumber(answer.leader),
        memberId: memberNumber(answer.header?.memberId),
        revision: revisionOf(answer),
        version: answer.version,
        dbSize: safeNumberFromInt64(answer.dbSize),
        raftTerm: safeNumberFromInt64(answer.raftTerm),
      };
    },
    close() {
      for (const watch of watches) watch.cancel();
      connections.close();
    },
  };
}
