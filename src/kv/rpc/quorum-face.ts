/** keelson.store.v1.Quorum: how the quorum stands and what the autopilot says of it. */
import type { RpcMethod } from '../../rpc/service.ts';
import type { Member } from '../api.ts';
import type { KvServer } from '../server/contract.ts';
import { describeAutopilot } from '../server/autopilot-words.ts';
import { type Face, unary } from './call.ts';
import { quorumService } from './services.ts';

export function quorumFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  return [
    unary(face, quorumService['QuorumState'], async (_request: object, call) => {
      // As Maintenance.Status.
      await server.auth.requireRoot(call);
      return stateOf(server, await server.members(false));
    }),
  ];
}

function stateOf(server: KvServer, members: readonly Member[]): object {
  const { raft, revision, autopilot, hasAutopilot } = server.status();
  const { witnesses = [], learners, votersOutgoing } = raft.confState;
  const roleOf = (id: number) => {
    const isIn = (ids: readonly number[]) => ids.includes(id);
    if (isIn(witnesses)) return 'witness';
    return isIn(learners) ? 'learner' : 'voter';
  };
  return {
    memberId: server.memberId,
    leader: raft.leader,
    term: raft.term,
    committed: raft.committed,
    revision,
    members: members.map(({ id, name, clientUrls }) => ({ id, name, clientUrls, role: roleOf(id) })),
    isJoint: votersOutgoing.length > 0,
    hasAutopilot,
    ...(autopilot === undefined
      ? {}
      : { autopilot: { words: describeAutopilot(autopilot), decisions: autopilot.decisions } }),
  };
}
