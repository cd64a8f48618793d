/** keelson.store.v1.Peer: what members ask each other beside Raft, and how it is asked. */
import type * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/store-peer.json' with { type: 'json' };
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import { type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import { Caller } from '../client/calls.ts';
import { Connections } from '../client/connections.ts';
import type { KvClientOptions } from '../client/contract.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError } from '../errors.ts';
import type { KvServer, MemberJoin, MemberMove } from '../server/contract.ts';
import { askedNumber, statusOf } from './asked.ts';
import type { PeerHash } from '../server/corruption.ts';
import type { JoinInfo } from '../server/member.ts';

export const peerService = loadService(descriptor, 'keelson.store.v1.Peer');

/** Asking goes round all members within this; a cluster that cannot say who belongs to it cannot take anybody in. */
const timeoutMs = 10_000;
/** Two elections at the usual timing. */
const confirmMs = 2_000;
/** A member that does not answer by then is compared another time; one that starts waits no longer for others that start. */
const hashTimeoutMs = 3_000;

interface WireMembers {
  readonly clusterId: Int64Like;
  readonly members: readonly {
    readonly id: Int64Like;
    readonly name: string;
    readonly peerUrls: readonly string[];
    readonly clientUrls: readonly string[];
    readonly isLearner: boolean;
    readonly key: string;
    readonly isWitness: boolean;
  }[];
  readonly memberId: Int64Like;
  readonly isUnconfirmed: boolean;
  readonly succeeds: readonly Int64Like[];
}

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
      answer().then(
        (value) => callback(null, value),
        (error: unknown) => {
          const code = statusOf(error);
          callback({ code, details: errorText(error) });
        },
      );
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

interface WireHash {
  readonly hash: number;
  readonly compactRevision: Int64Like;
  readonly hashRevision: Int64Like;
  readonly headRevision: Int64Like;
}

function hashHandler(server: () => KvServer | undefined): grpc.handleUnaryCall<WireHashRequest, object> {
  return async ({ request }, callback) => {
    try {
      const running = server();
      if (!running) throw new KvError('noLeader');
      if (askedNumber(request.clusterId, 'cluster_id') !== running.clusterId) {
        return callback({ code: grpcStatus.failedPrecondition, details: 'cluster ID mismatch' });
      }
      const { hash, compactRevision, revision, headRevision } = await running.peerHash(
        askedNumber(request.revision, 'revision'),
      );
      callback(null, { hash, compactRevision, hashRevision: revision, headRevision });
    } catch (error) {
      const code = statusOf(error);
      callback({ code, details: errorText(error) });
    }
  };
}

/** Asks the one member that has these peer URLs for its hash. */
export async function askHash(
  { clock, tls }: Way,
  peerUrls: readonly string[],
  question: { readonly clusterId: number; readonly revision: number },
): Promise<Omit<PeerHash, 'memberId'>> {
  const connections = new Connections({ clock, endpoints: peerUrls, ...(tls ? { tls } : {}) });
  try {
    const call = { service: peerService, method: 'Hash', request: question, isRead: false };
    const answer = await new Caller(connections, clock, hashTimeoutMs).call<WireHash>(call);
    return {
      hash: answer.hash,
      compactRevision: safeNumberFromInt64(answer.compactRevision),
      revision: safeNumberFromInt64(answer.hashRevision),
      headRevision: safeNumberFromInt64(answer.headRevision),
    };
  } finally {
    connections.close();
  }
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

/** How members reach each other. */
interface Way {
  readonly clock: Clock;
  readonly tls: KvClientOptions['tls'];
}

/** Asks whoever answers first. Rejects with one line when nobody does. */
export async function askMembers(
  clock: Clock,
  peerUrls: readonly string[],
  tls: KvClientOptions['tls'],
): Promise<JoinInfo> {
  return (await ask({ clock, tls }, peerUrls, 'Members', {})).info;
}

/** Asks the members in turn until the leader takes this one in; resolves with its new id. */
export async function askToJoin(
  way: Way,
  peerUrls: readonly string[],
  join: MemberJoin,
): Promise<JoinInfo & { readonly memberId: number }> {
  const { info, memberId } = await ask(way, peerUrls, 'Join', join);
  assert(memberId > 0, 'who is taken in has an id');
  return { ...info, memberId };
}

/** Tells anybody where this member is now. */
export async function tellMove(way: Way, peerUrls: readonly string[], move: MemberMove): Promise<JoinInfo> {
  return (await ask(way, peerUrls, 'Move', move)).info;
}

async function ask(
  { clock, tls }: Way,
  peerUrls: readonly string[],
  method: string,
  request: object,
): Promise<{ readonly info: JoinInfo; readonly memberId: number }> {
  const connections = new Connections({ clock, endpoints: peerUrls, ...(tls ? { tls } : {}) });
  try {
    const caller = new Caller(connections, clock, timeoutMs);
    // Each of them may be asked again at the next member: a second time it changes nothing.
    const call = { service: peerService, method, request, isRead: true };
    const answer = await caller.call<WireMembers>(call);
    const members = answer.members.map((member) => ({
      id: safeNumberFromInt64(member.id),
      name: member.name,
      peerUrls: member.peerUrls,
      clientUrls: member.clientUrls,
      isLearner: member.isLearner,
      ...(member.key === '' ? {} : { key: member.key }),
      ...(member.isWitness ? { isWitness: true } : {}),
    }));
    const { isUnconfirmed } = answer;
    const succeeds = answer.succeeds.map((id) => safeNumberFromInt64(id));
    const info = { clusterId: safeNumberFromInt64(answer.clusterId), members, isUnconfirmed, succeeds };
    return { info, memberId: safeNumberFromInt64(answer.memberId) };
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
