/** etcdserverpb.Lease. */
import type * as grpc from '@grpc/grpc-js';
import { fromInt64, type Int64Like } from '../../proto/int64.ts';
import type { LeaseId } from '../api.ts';
import { KvError } from '../errors.ts';
import { clientGone, type Face, headerOf, toStatus, unary, wantsLeader, whileLeader } from './call.ts';
import { saturate } from './codec-values.ts';

const service = 'etcdserverpb.Lease';
/** Keep-alives of one stream that are under way; a client that sends faster than it is answered is held back. */
const pendingKeepAlivesMax = 64;

interface KeepAliveRequest {
  readonly ID: Int64Like;
}

type KeepAliveStream = grpc.ServerDuplexStream<KeepAliveRequest, object>;

export function leaseFace(face: Face): grpc.UntypedServiceImplementation {
  const { server } = face;
  return {
    LeaseGrant: unary(
      face,
      [service, 'LeaseGrant'],
      async (request: { readonly TTL: Int64Like; readonly ID: Int64Like }) => {
        const { id, ttlSeconds, revision } = await server.leaseGrant(fromInt64(request.ID), saturate(request.TTL));
        return { header: headerOf(server, revision), ID: id, TTL: ttlSeconds };
      },
    ),
    LeaseRevoke: unary(face, [service, 'LeaseRevoke'], async (request: { readonly ID: Int64Like }) => {
      const { revision } = await server.leaseRevoke(fromInt64(request.ID));
      return { header: headerOf(server, revision) };
    }),
    LeaseTimeToLive: unary(
      face,
      [service, 'LeaseTimeToLive'],
      async (request: { readonly ID: Int64Like; readonly keys: boolean }, signal) => {
        const id = fromInt64(request.ID);
        const { ttlSeconds, grantedTtlSeconds, keys } = await server.leaseTimeToLive(id, request.keys, signal);
        return { header: headerOf(server), ID: id, TTL: ttlSeconds, grantedTTL: grantedTtlSeconds, keys };
      },
    ),
    LeaseLeases: unary(face, [service, 'LeaseLeases'], async () => {
      const leases = await server.leases();
      return { header: headerOf(server), leases: leases.map((id) => ({ ID: id })) };
    }),
    LeaseKeepAlive: (call: KeepAliveStream) => keepAlive(face, call),
  };
}

function keepAlive(face: Face, call: KeepAliveStream): void {
  const { server, counters } = face;
  counters.started(service, 'LeaseKeepAlive', 'bidi_stream');
  const gone = new AbortController();
  let pending = 0;
  let hasEnded = false;
  const finish = (error?: unknown) => {
    if (gone.signal.aborted) return;
    const status = error === undefined ? undefined : toStatus(face, error);
    counters.handled(service, 'LeaseKeepAlive', 'bidi_stream', status?.code ?? 0);
    gone.abort(clientGone);
    stopWatching();
    if (status) call.emit('error', status);
    else call.end();
  };
  const stopWatching = wantsLeader(call.metadata)
    ? whileLeader(server, () => finish(new KvError('noLeader')))
    : () => undefined;
  const answer = async (id: LeaseId) => {
    const ttlSeconds = await server.leaseKeepAlive(id, gone.signal);
    if (gone.signal.aborted) return;
    call.write({ header: headerOf(server), ID: id, TTL: ttlSeconds });
  };
  if (server.position().isLearner) return finish(new KvError('notSupportedForLearner'));
  call.on('data', (request: KeepAliveRequest) => {
    if (gone.signal.aborted) return;
    if (++pending >= pendingKeepAlivesMax) call.pause();
    answer(fromInt64(request.ID)).then(
      () => {
        pending--;
        if (call.isPaused()) call.resume();
        if (hasEnded && pending === 0) finish();
      },
      (error: unknown) => finish(error),
    );
  });
  call.on('end', () => {
    hasEnded = true;
    if (pending === 0) finish();
  });
  call.on('cancelled', () => finish({ code: 1, details: 'context canceled' }));
  call.on('error', () => finish({ code: 1, details: 'context canceled' }));
}
