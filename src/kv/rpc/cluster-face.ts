/** etcdserverpb.Cluster. */
import { fromInt64, type Int64Like, numberFromInt64 } from '../../proto/int64.ts';
import { KvError } from '../errors.ts';
import { type Face, headerOf, unary } from './call.ts';
import { toWireMember } from './codec-server.ts';
import type { RpcMethod } from '../../rpc/service.ts';
import { clusterService } from './services.ts';

/** Member ids of this store fit a number; any other id belongs to nobody. */
export function memberIdFrom(id: Int64Like): number {
  const number = fromInt64(id) < 0n ? undefined : numberFromInt64(id);
  if (number === undefined) throw new KvError('memberNotFound');
  return number;
}

export function clusterFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  const { auth } = server;
  return [
    unary(
      face,
      clusterService['MemberAdd'],
      async (request: { readonly peerURLs: readonly string[]; readonly isLearner: boolean }, call) => {
        await auth.requireRoot(call);
        const { member, members } = await server.memberAdd(request.peerURLs, request.isLearner);
        return { header: headerOf(server, 0), member: toWireMember(member), members: members.map(toWireMember) };
      },
    ),
    unary(face, clusterService['MemberRemove'], async (request: { readonly ID: Int64Like }, call) => {
      await auth.requireRoot(call);
      const members = await server.memberRemove(memberIdFrom(request.ID));
      return { header: headerOf(server, 0), members: members.map(toWireMember) };
    }),
    unary(
      face,
      clusterService['MemberUpdate'],
      async (request: { readonly ID: Int64Like; readonly peerURLs: readonly string[] }, call) => {
        await auth.requireRoot(call);
        const members = await server.memberUpdate(memberIdFrom(request.ID), request.peerURLs);
        return { header: headerOf(server, 0), members: members.map(toWireMember) };
      },
    ),
    unary(face, clusterService['MemberList'], async (request: { readonly linearizable: boolean }, call) => {
      const members = await server.members(request.linearizable);
      await auth.requireUser(call);
      return { header: headerOf(server, 0), members: members.map(toWireMember) };
    }),
    unary(face, clusterService['MemberPromote'], async (request: { readonly ID: Int64Like }, call) => {
      await auth.requireRoot(call);
      const members = await server.memberPromote(memberIdFrom(request.ID), call.signal);
      server.timings().learnersPromoted += 1;
      return { header: headerOf(server, 0), members: members.map(toWireMember) };
    }),
  ];
}
