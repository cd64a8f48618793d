/** What members ask each other beside Raft: the asking side of peer-face.ts. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import { Caller } from '../client/calls.ts';
import { Connections } from '../client/connections.ts';
import type { KvClientOptions } from '../client/contract.ts';
import type { MemberJoin, MemberMove } from '../server/contract.ts';
import type { PeerHash } from '../server/corruption.ts';
import type { JoinInfo } from '../server/member.ts';
import { peerService } from './peer-face.ts';

/** Asking goes round all members within this; a cluster that cannot say who belongs to it cannot take anybody in. */
const timeoutMs = 10_000;
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

interface WireHash {
  readonly hash: number;
  readonly compactRevision: Int64Like;
  readonly hashRevision: Int64Like;
  readonly headRevision: Int64Like;
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

/** How members reach each other. */
export interface Way {
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
