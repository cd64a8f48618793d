/** keelson.store.v1.Peer: what members answer each other beside Raft; peer-questions.ts asks it. */
import type * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/store-peer.json' with { type: 'json' };
import { errorText, KeelsonError } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import type { Int64Like } from '../../proto/int64.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError } from '../errors.ts';
import type { KvServer } from '../server/contract.ts';
import { askedNumber, statusOf } from './asked.ts';

export const peerService = loadService(descriptor, 'keelson.store.v1.Peer');

/** Two elections at the usual timing. */
const confirmMs = 2_000;
const otherCluster = 'OTHER_CLUSTER';

interface WireJoin {
  readonly peerUrls: readonly string[];
  readonly key: string;
  readonly replaces: Int64Like;
  readonly isWitness: boolean;
}

interface WireMove {
  readonly memberId: Int64Like;
  readonly peerUrls: readonly string[];
  readonly signature: string;
}

interface WireHashRequest {
  readonly clusterId: Int64Like;
  readonly revision: Int64Like;
}

/** `server` is undefined until this member runs. */
export function peerFace(server: () => KvServer | undefined): grpc.UntypedServiceImplementation {
  const handle =
    <Request>(
      carryOut: (running: KvServer, request: Request) => Promise<number>,
    ): grpc.handleUnaryCall<Request, object> =>
    (call, callback) => {
      const answer = async (): Promise<object> => {
        const running = server();
        if (!running) throw new KvError('noLeader');
        const memberId = await carryOut(running, call.request);
        const isUnconfirmed = !(await isConfirmed(running));
        const { clusterId } = running;
        const succeeds = await running.succeeds();
        return { clusterId, members: await running.members(false), memberId, isUnconfirmed, succeeds };
      };
      answered(answer(), callback);
    };
  return {
    Members: handle(async () => 0),
    Hash: hashHandler(server),
    Join: handle((running, { peerUrls, key, replaces, isWitness }: WireJoin) =>
      running.memberJoin({ peerUrls, key, replaces: askedNumber(replaces, 'replaces'), isWitness }),
    ),
    Move: handle(async (running, { memberId, peerUrls, signature }: WireMove) => {
      await running.memberMove({ memberId: askedNumber(memberId, 'member_id'), peerUrls, signature });
      return 0;
    }),
  };
}

function hashHandler(server: () => KvServer | undefined): grpc.handleUnaryCall<WireHashRequest, object> {
  const hashFor = async (request: WireHashRequest): Promise<object> => {
    const running = server();
    if (!running) throw new KvError('noLeader');
    if (askedNumber(request.clusterId, 'cluster_id') !== running.clusterId)
      throw new KeelsonError(otherCluster, 'cluster ID mismatch');
    const at = askedNumber(request.revision, 'revision');
    const { hash, compactRevision, revision, headRevision } = await running.peerHash(at);
    return { hash, compactRevision, hashRevision: revision, headRevision };
  };
  return ({ request }, callback) => answered(hashFor(request), callback);
}

function answered(answer: Promise<object>, callback: grpc.sendUnaryData<object>): void {
  answer.then(
    (value) => callback(null, value),
    (error: unknown) => {
      const isOther = error instanceof KeelsonError && error.code === otherCluster;
      callback({ code: isOther ? grpcStatus.failedPrecondition : statusOf(error), details: errorText(error) });
    },
  );
}

/**
 * Whether a quorum stands behind what this member knows. The second voter of a cluster is part of the quorum from the
 * moment it is added: who waits for one before telling it who it is waits for ever.
 */
async function isConfirmed(server: KvServer): Promise<boolean> {
  try {
    await server.checkQuorum(confirmMs);
    return true;
  } catch (error) {
    if (error instanceof KvError && (error.kv === 'timeout' || error.kv === 'noLeader')) return false;
    throw error;
  }
}
