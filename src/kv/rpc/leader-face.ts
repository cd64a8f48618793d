/**
 * keelson.store.v1.Leader: the leader's side of leader-proxy.ts. On the peer port, where only members are let in: the
 * follower that asks has checked what its client may do, and this member takes its word.
 */
import type * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/store-leader.json' with { type: 'json' };
import { errorText, KeelsonError } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import { fromInt64, type Int64Like } from '../../proto/int64.ts';
import type { LeaseId } from '../api.ts';
import { KvError } from '../errors.ts';
import type { KvServer } from '../server/contract.ts';
import { askedNumber, statusOf } from './asked.ts';
import { clientGone } from '../../rpc/service.ts';
import { questionsPerCallMax } from './question-batches.ts';

export const leaderService = loadService(descriptor, 'keelson.store.v1.Leader');

interface OfLeases {
  readonly ids: readonly Int64Like[];
}

/** `server` is undefined until this member runs. */
export function leaderFace(server: () => KvServer | undefined): grpc.UntypedServiceImplementation {
  const handle =
    <Request>(
      carryOut: (running: KvServer, request: Request, signal: AbortSignal) => Promise<object>,
    ): grpc.handleUnaryCall<Request, object> =>
    (call, callback) => {
      const gone = new AbortController();
      call.on('cancelled', () => gone.abort(clientGone));
      const answer = async (): Promise<object> => {
        const running = server();
        // A witness that leads is about to hand leadership to somebody who can answer.
        if (!running || running.position().isWitness) throw new KvError('noLeader');
        return carryOut(running, call.request, gone.signal);
      };
      answer().then(
        (value) => callback(null, value),
        (error: unknown) => {
          const code = statusOf(error);
          callback({ code, details: errorText(error) });
        },
      );
    };
  return {
    LeaseKeepAlive: handle(async (running, request: OfLeases, signal) => ({
      ttlSeconds: await Promise.all(idsOf(request).map((id) => running.leaseKeepAlive(id, signal, 'member'))),
    })),
    LeaseTimeToLive: handle(async (running, request: OfLeases, signal) => {
      const leases = idsOf(request).map((id) => running.leaseTimeToLive(id, false, signal, 'member'));
      const remaining = await Promise.all(leases);
      return {
        ttlSeconds: remaining.map((lease) => lease.ttlSeconds),
        grantedTtlSeconds: remaining.map((lease) => lease.grantedTtlSeconds),
      };
    }),
    LeaseKeys: handle(async (running, { id }: { readonly id: Int64Like }, signal) =>
      running.leaseTimeToLive(fromInt64(id), true, signal, 'member'),
    ),
    Promote: handle(async (running, { memberId }: { readonly memberId: Int64Like }, signal) => {
      await running.memberPromote(askedNumber(memberId, 'member_id'), signal);
      return {};
    }),
  };
}

/** Throws BAD_REQUEST for more than a member asks at once. */
function idsOf({ ids }: OfLeases): readonly LeaseId[] {
  if (ids.length > questionsPerCallMax) {
    const text = `${ids.length} leases in one request, want at most ${questionsPerCallMax}: ask for the rest in another`;
    throw new KeelsonError('BAD_REQUEST', text);
  }
  return ids.map((id) => fromInt64(id));
}
