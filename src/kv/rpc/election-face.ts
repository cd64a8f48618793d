/** v3electionpb.Election: campaigns that the server waits for, over the same keys that etcd's clients use by themselves. */
import descriptor from '../../../proto/gen/etcd-election.json' with { type: 'json' };
import { errorText } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import { fromInt64, type Int64Like, numberFromInt64 } from '../../proto/int64.ts';
import type { Bytes } from '../api.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { type Face, headerOf, unary } from './call.ts';
import { copied, toWireKeyValue } from './codec-values.ts';
import { observeElection } from './election-observer.ts';
import type { Call, RpcMethod, StatusError } from '../../rpc/service.ts';
import { stream } from './stream.ts';
import { prefixOf, type Turn, Turns } from './turns.ts';

export const electionService = loadService(descriptor, 'v3electionpb.Election');

interface CampaignRequest {
  readonly name: Bytes;
  readonly lease: Int64Like;
  readonly value: Bytes;
}

interface LeaderKey {
  readonly key: Bytes;
  readonly rev: Int64Like;
  readonly lease: Int64Like;
}

const noLeader: StatusError = { code: grpcStatus.unknown, details: 'election: no leader' };
const notLeader: StatusError = { code: grpcStatus.unknown, details: 'election: not leader' };
const noLeaderKey: StatusError = { code: grpcStatus.unknown, details: '"leader" field must be provided' };

export function electionFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  return [
    unary(face, electionService['Campaign'], (request: CampaignRequest, call) => campaign(face, request, call)),
    unary(
      face,
      electionService['Proclaim'],
      async (request: { readonly leader: LeaderKey | null; readonly value: Bytes }, call) => {
        const turns = new Turns(server, call);
        const turn = turnOf(request.leader);
        await turns.lease(turn.lease, call.signal);
        const revision = await turns.replace(turn, copied(request.value));
        if (revision === undefined) throw notLeader;
        return { header: headerOf(server, revision) };
      },
    ),
    unary(face, electionService['Leader'], async (request: { readonly name: Bytes }, call) => {
      const { kv, revision } = await new Turns(server, call).oldest(prefixOf(copied(request.name)));
      if (!kv) throw noLeader;
      return { header: headerOf(server, revision), kv: toWireKeyValue(kv) };
    }),
    stream(face, electionService['Observe'], (answers) => observeElection(server, answers)),
    unary(face, electionService['Resign'], async (request: { readonly leader: LeaderKey | null }, call) => {
      const revision = await new Turns(server, call).leave(turnOf(request.leader));
      return { header: headerOf(server, revision) };
    }),
  ];
}

async function campaign(face: Face, request: CampaignRequest, call: Call): Promise<object> {
  const { server, stopping } = face;
  const name = copied(request.name);
  const value = copied(request.value);
  const prefix = prefixOf(name);
  const signal = AbortSignal.any([call.signal, stopping]);
  const turns = new Turns(server, call);
  const turn = await turns.take(prefix, await turns.lease(fromInt64(request.lease), signal), value);
  try {
    if (turn.found !== undefined && Buffer.compare(turn.found, value) !== 0) {
      if ((await turns.replace(turn, value)) === undefined) throw notLeader;
    }
    await turns.untilOldest(prefix, turn.revision, signal);
  } catch (error) {
    // Who does not campaign any longer must not be elected.
    await turns.leave(turn).catch((failure: unknown) => {
      face.log.info('a candidacy stays until its lease ends', { error: errorText(failure) });
    });
    throw error;
  }
  const { key, revision, lease } = turn;
  return { header: headerOf(server, turn.answerRevision), leader: { name, key, rev: revision, lease } };
}

/** Throws for a request without one. A revision that no key can have is as good as one that has passed. */
function turnOf(leader: LeaderKey | null): Pick<Turn, 'key' | 'lease' | 'revision'> {
  if (!leader) throw noLeaderKey;
  return { key: copied(leader.key), lease: fromInt64(leader.lease), revision: numberFromInt64(leader.rev) ?? -1 };
}
