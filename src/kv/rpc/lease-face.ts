/** etcdserverpb.Lease. */
import { fromInt64, type Int64Like } from '../../proto/int64.ts';
import type { LeaseId } from '../api.ts';
import { type Face, headerOf, unary } from './call.ts';
import { saturate } from './codec-values.ts';
import { clientGone, type RequestSink, type RpcMethod } from '../../rpc/service.ts';
import { type FaceStream, stream } from './stream.ts';
import { leaseService } from './services.ts';

/** Keep-alives of one stream that are under way; a client that sends faster than it is answered is held back. */
const pendingKeepAlivesMax = 64;

interface KeepAliveRequest {
  readonly ID: Int64Like;
}

type Answers = FaceStream<object>;

export function leaseFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  return [
    unary(
      face,
      leaseService['LeaseGrant'],
      async (request: { readonly TTL: Int64Like; readonly ID: Int64Like }, call) => {
        const { id, ttlSeconds, revision } = await server.leaseGrant(
          fromInt64(request.ID),
          saturate(request.TTL),
          call,
        );
        return { header: headerOf(server, revision), ID: id, TTL: ttlSeconds };
      },
    ),
    unary(face, leaseService['LeaseRevoke'], async (request: { readonly ID: Int64Like }, call) => {
      const { revision } = await server.leaseRevoke(fromInt64(request.ID), call);
      return { header: headerOf(server, revision) };
    }),
    unary(
      face,
      leaseService['LeaseTimeToLive'],
      async (request: { readonly ID: Int64Like; readonly keys: boolean }, call) => {
        const id = fromInt64(request.ID);
        const { ttlSeconds, grantedTtlSeconds, keys } = await server.leaseTimeToLive(
          id,
          request.keys,
          call.signal,
          call,
        );
        return { header: headerOf(server), ID: id, TTL: ttlSeconds, grantedTTL: grantedTtlSeconds, keys };
      },
    ),
    unary(face, leaseService['LeaseLeases'], async (_request: object, call) => {
      const leases = await server.leases(call);
      return { header: headerOf(server), leases: leases.map((id) => ({ ID: id })) };
    }),
    stream(face, leaseService['LeaseKeepAlive'], (answers: Answers) => keepAlive(face, answers)),
  ];
}

function keepAlive(face: Face, answers: Answers): RequestSink<KeepAliveRequest> {
  const { server } = face;
  const gone = new AbortController();
  let pending = 0;
  let hasEnded = false;
  // Asked together, answered in the order of asking.
  let before: Promise<unknown> = Promise.resolve();
  const answer = async (id: LeaseId) => {
    const renewed = server.leaseKeepAlive(id, gone.signal, answers.call);
    const turn = Promise.all([renewed, before]);
    before = turn;
    const [ttlSeconds] = await turn;
    if (!gone.signal.aborted) answers.write({ header: headerOf(server), ID: id, TTL: ttlSeconds });
  };
  return {
    request({ ID }) {
      if (++pending === pendingKeepAlivesMax) answers.pause();
      answer(fromInt64(ID)).then(
        () => {
          if (pending-- === pendingKeepAlivesMax) answers.resume();
          if (hasEnded && pending === 0) answers.end();
        },
        (error: unknown) => answers.fail(error),
      );
    },
    ended() {
      hasEnded = true;
      if (pending === 0) answers.end();
    },
    drained: () => undefined,
    gone: () => gone.abort(clientGone),
  };
}
