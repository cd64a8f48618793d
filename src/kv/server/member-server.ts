/** What serves on a member's state: its server, which tells the transport who the others are, and its autopilot. */
import type { PeerTransport, RaftNode, ReplicaId } from '../../raft/index.ts';
import type { KvState } from '../apply/index.ts';
import { Autopilot } from './autopilot.ts';
import type { MemberFile } from './data-directory.ts';
import type { MemberKey } from './member-key.ts';
import type { MemberOptions } from './member-options.ts';
import { StoreServer } from './server.ts';

/** Standbys that wait for one another; the same on every member, as each of them judges who may be added. */
const standbysMax = 4;

export interface ServedParts {
  readonly kv: KvState;
  readonly file: MemberFile;
  readonly key: MemberKey;
  readonly transport: PeerTransport;
  /** This member was removed. */
  readonly onRemoved: () => void;
}

export function makeServer(options: MemberOptions, { kv, file, key, transport, onRemoved }: ServedParts): StoreServer {
  const { memberId, clusterId } = file;
  const tellAddresses = () => {
    const others = [...kv.members().values()].filter((member) => member.id !== memberId);
    transport.setPeers(new Map(others.map((member) => [member.id as ReplicaId, member.peerUrls])));
    const keys = new Map<ReplicaId, string>();
    for (const { id, key: known } of others) if (known !== undefined) keys.set(id as ReplicaId, known);
    transport.setIdentities?.({ keys, removed: kv.removedMembers() as ReadonlySet<ReplicaId> });
  };
  const learnersMax = options.autopilot
    ? Math.max(options.limits.learnersMax, standbysMax)
    : options.limits.learnersMax;
  return new StoreServer({
    ...options,
    kv,
    clusterId,
    memberId,
    memberKey: key.publicKey,
    limits: { ...options.limits, learnersMax },
    connectedSinceMs: transport.connectedSinceMs ? (id) => transport.connectedSinceMs?.(id as ReplicaId) : undefined,
    onMembers: tellAddresses,
    onRemoved,
  });
}

export function startAutopilot(
  options: MemberOptions,
  server: StoreServer,
  kv: KvState,
  raft: RaftNode,
): Autopilot | undefined {
  // A witness leads only until somebody with data does.
  if (options.autopilot === undefined || options.isWitness === true) return undefined;
  const { clock, log } = options.env;
  const autopilot = new Autopilot({
    ...options.autopilot,
    clock,
    log,
    electionMs: server.electionMs,
    raft: () => raft.status(),
    members: () => [...kv.members().values()],
    promote: (id, signal) => server.memberPromote(id, signal),
    remove: (id) => server.memberRemove(id),
  });
  server.setAutopilot(autopilot);
  return autopilot;
}
