/** keelson.store.v1.Peer: what members ask each other beside Raft, and how it is asked. */
import type * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/store-peer.json' with { type: 'json' };
import type { Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import { type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import { Caller } from '../client/calls.ts';
import { Connections } from '../client/connections.ts';
import type { KvClientOptions } from '../client/contract.ts';
import { grpcStatus, KvError } from '../errors.ts';
import type { KvServer } from '../server/contract.ts';
import type { JoinInfo } from '../server/member.ts';

export const peerService = loadService(descriptor, 'keelson.store.v1.Peer');

/** Asking goes round all members within this; a cluster that cannot say who belongs to it cannot take anybody in. */
const timeoutMs = 10_000;

interface WireMembers {
  readonly clusterId: Int64Like;
  readonly members: readonly {
    readonly id: Int64Like;
    readonly name: string;
    readonly peerUrls: readonly string[];
    readonly clientUrls: readonly string[];
    readonly isLearner: boolean;
  }[];
}

/** `server` is undefined until this member runs. */
export function peerFace(server: () => KvServer | undefined): grpc.UntypedServiceImplementation {
  const answer = async (): Promise<object> => {
    const running = server();
    if (!running) throw new KvError('noLeader');
    return { clusterId: running.clusterId, members: await running.members(true) };
  };
  const handle: grpc.handleUnaryCall<object, object> = (_call, callback) => {
    answer().then(
      (value) => callback(null, value),
      (error: unknown) => {
        const code = error instanceof KvError ? error.grpcStatus : grpcStatus.unknown;
        callback({ code, details: errorText(error) });
      },
    );
  };
  return { Members: handle };
}

/** Asks whoever answers first. Rejects with one line when nobody does. */
export async function askMembers(
  clock: Clock,
  peerUrls: readonly string[],
  tls: KvClientOptions['tls'],
): Promise<JoinInfo> {
  const connections = new Connections({ clock, endpoints: peerUrls, ...(tls ? { tls } : {}) });
  try {
    const caller = new Caller(connections, clock, timeoutMs);
    const call = { service: peerService, method: 'Members', request: {}, isRead: true };
    const answer = await caller.call<WireMembers>(call);
    const members = answer.members.map((member) => ({
      id: safeNumberFromInt64(member.id),
      name: member.name,
      peerUrls: member.peerUrls,
      clientUrls: member.clientUrls,
      isLearner: member.isLearner,
    }));
    return { clusterId: safeNumberFromInt64(answer.clusterId), members };
  } catch (error) {
    throw new KeelsonError(
      'CANNOT_JOIN',
      `could not retrieve cluster information from ${peerUrls.join(', ')}: ${errorText(error)}: check that the cluster runs and the addresses are right`,
      { cause: error },
    );
  } finally {
    connections.close();
  }
}
