/**
 * A whole member: data directory, backend, state, Raft and server, started in the order in which each needs the other
 * and stopped in reverse. Everything it sees of the world comes in, so it runs in the simulator as well.
 */
import { assert } from '../../env/assert.ts';
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import {
  bootstrapRaftNode,
  type ConfState,
  type PeerTransport,
  raftDataExists,
  type RaftNode,
  type RaftNodeOptions,
  type ReplicaId,
  startRaftNode,
} from '../../raft/index.ts';
import type { Member } from '../api.ts';
import { openKvState, type KvState } from '../apply/index.ts';
import type { Backend } from '../backend/contract.ts';
import { bootstrapMembers, clusterIdOf, type InitialMember } from './cluster-config.ts';
import type { AutoCompaction, KvServerLimits } from './contract.ts';
import {
  checkSameCluster,
  lockDataDirectory,
  type MemberFile,
  readMemberFile,
  writeMemberFile,
} from './data-directory.ts';
import type { LeaderProxy } from './lease-keeper.ts';
import { type AuthOptions, StoreServer } from './server.ts';

/** What an existing cluster tells a member that joins it. */
export interface JoinInfo {
  readonly clusterId: number;
  readonly members: readonly Member[];
}

export interface MemberIdentity {
  readonly clusterId: number;
  readonly memberId: number;
}

export interface MemberOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  readonly directory: string;
  readonly name: string;
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
  readonly initialCluster: readonly InitialMember[];
  readonly token: string;
  /** `existing`: this member was added to a running cluster, which `join` asks. */
  readonly state: 'new' | 'existing';
  readonly join: (peerUrls: readonly string[]) => Promise<JoinInfo>;
  readonly limits: KvServerLimits;
  readonly compaction: AutoCompaction;
  readonly isStrictReconfiguration: boolean;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly preVote: boolean;
  readonly snapshotEntries: number;
  readonly catchUpEntries: number;
  readonly openBackend: (path: string) => Promise<Backend>;
  readonly makeTransport: (identity: MemberIdentity) => Promise<PeerTransport>;
  readonly proxy: LeaderProxy;
  readonly auth: AuthOptions;
  /** Called when the server exists and before Raft runs: the time to listen for clients. */
  readonly onServer: (server: StoreServer) => Promise<void>;
  /** Instead of the usual ones; the simulation makes them tiny, so that rare orders of messages become common. */
  readonly raftLimits?: Pick<RaftNodeOptions['raft'], 'inflightMessagesMax' | 'messageBytesMax'>;
  readonly onCore?: RaftNodeOptions['onCore'];
  /** Starts although the log is damaged: entries that cannot be read again are given up. */
  readonly acceptLoss?: boolean;
  /** Removed, or without its data: come back as a new member. */
  readonly rejoin?: boolean;
  /** Starts as the only member of a new cluster, with the data that is here. */
  readonly forceNewCluster?: boolean;
  /** Absent: off. */
  readonly autopilot?: { readonly deadServerAfterMs: number };
  readonly onRemoved: () => void;
  readonly onFatal: (error: Error) => void;
}

export interface RunningMember {
  readonly server: StoreServer;
  readonly raft: RaftNode;
  readonly isNew: boolean;
  /** Hands leadership on, then stops everything. */
  stop(): Promise<void>;
}

const segmentBytes = 64 * 1024 * 1024;
/** As etcd's raft: enough in flight to fill a long pipe, little enough to not flood a slow member. */
const inflightMessagesMax = 256;
const messageBytesMax = 512 * 1024;
const uncommittedBytesMax = 64 * 1024 * 1024;
/** Elections that would long have been won if the others still counted this member. */
const removalCheckElections = 5;

export async function startMember(options: MemberOptions): Promise<RunningMember> {
  const { env, directory } = options;
  const existing = await readMemberFile(env.disk, directory);
  if (existing) checkSameCluster(existing, directory, { token: options.token, initialCluster: clusterPairs(options) });
  const beginning = existing ? undefined : await decideBeginning(options);
  await makeDirectoryDurable(env.disk, directory);
  const lock = await lockDataDirectory(env.disk, directory);
  try {
    const running = await startLocked(options, existing, beginning);
    const stopAndRelease = async () => {
      await running.stop();
      await lock.release();
    };
    return { ...running, stop: stopAndRelease };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** From here on no other process is using the directory. */
async function startLocked(
  options: MemberOptions,
  existing: MemberFile | undefined,
  beginning: NewMember | undefined,
): Promise<RunningMember> {
  const { disk } = options.env;
  const { directory } = options;
  if (!existing && (await readMemberFile(disk, directory))) {
    throw new KeelsonError(
      'DATA_IN_USE',
      `use data directory ${directory}: another process has begun to use it meanwhile: start again, or give another data directory`,
    );
  }
  const backend = await options.openBackend(`${directory}/kv`);
  try {
    return await run(options, backend, existing ?? (await writeMemberFile(disk, directory, beginning as NewMember)));
  } catch (error) {
    await backend.close();
    throw error;
  }
}

type NewMember = Omit<MemberFile, 'formatVersion'>;

function clusterPairs(options: MemberOptions): readonly string[] {
  return options.initialCluster.flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`)).sort();
}

async function decideBeginning(options: MemberOptions): Promise<NewMember> {
  const { initialCluster, name, peerUrls, token } = options;
  const own = initialCluster.find((member) => member.name === name);
  if (!own) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration ${JSON.stringify(clusterPairs(options).join(','))}: give --name and --initial-cluster that fit`,
    );
  }
  if (own.peerUrls.join(',') !== [...peerUrls].sort().join(',')) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `--initial-cluster has ${name}=${own.peerUrls.join(',')} but --initial-advertise-peer-urls is ${peerUrls.join(',')}: they must be the same`,
    );
  }
  const common = { token, initialCluster: clusterPairs(options) };
  if (options.state === 'new') {
    const members = bootstrapMembers(initialCluster, token);
    const self = members.find((member) => member.peerUrls.join(',') === own.peerUrls.join(','));
    assert(self, 'a member of the initial cluster has an id');
    return {
      ...common,
      memberId: self.id,
      clusterId: clusterIdOf(
        members.map((member) => member.id),
        token,
      ),
    };
  }
  const { clusterId, members } = await options.join(othersOf(options));
  const self = members.find((member) => own.peerUrls.every((url) => member.peerUrls.includes(url)));
  if (!self) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `join the cluster as ${own.peerUrls.join(',')}: no member has this peer URL: add it first with etcdctl member add`,
    );
  }
  return { ...common, memberId: self.id, clusterId };
}

/** Peer URLs of everybody else in `--initial-cluster`. */
function othersOf({ initialCluster, name }: MemberOptions): readonly string[] {
  const others = initialCluster.filter((member) => member.name !== name).flatMap((member) => member.peerUrls);
  if (others.length > 0) return others;
  throw new KeelsonError(
    'BAD_CLUSTER',
    '--initial-cluster-state existing: --initial-cluster names no other member to ask',
  );
}

/**
 * Whom a member without a log knows: the founders, or the members of the cluster it joins. It must know them before the
 * leader's snapshot tells it, as it could not answer otherwise.
 */
async function introduce(options: MemberOptions, kv: KvState): Promise<ConfState | undefined> {
  const isFounder = options.state === 'new';
  const members = isFounder
    ? bootstrapMembers(options.initialCluster, options.token)
    : (await options.join(othersOf(options))).members;
  for (const member of members) kv.setMember(member);
  await kv.sync();
  return isFounder ? confStateOf(members) : undefined;
}

async function run(options: MemberOptions, backend: Backend, file: MemberFile): Promise<RunningMember> {
  const { env, directory } = options;
  const { clusterId, memberId } = file;
  const raftDirectory = `${directory}/raft`;
  const hasLog = await raftDataExists(env.disk, raftDirectory);
  const kv = await openKvState({ backend });
  if (!hasLog && kv.consistentIndex() > 0) {
    throw new KeelsonError(
      'DATA_DAMAGED',
      `start from ${directory}: there is state but no log in ${raftDirectory}: restore it from a backup`,
    );
  }
  const confState = hasLog ? undefined : await introduce(options, kv);
  const transport = await options.makeTransport({ clusterId, memberId });
  try {
    const server = makeServer(options, kv, file, transport);
    await options.onServer(server);
    const raftOptions = raftOptionsOf(options, memberId, raftDirectory, transport, server);
    const raftClusterId = clusterId.toString(16).padStart(16, '0');
    const raft = hasLog
      ? await startRaftNode(raftOptions, { clusterId: raftClusterId })
      : await bootstrapRaftNode(raftOptions, {
          clusterId: raftClusterId,
          ...(confState ? { confState } : {}),
        });
    server.attach(raft);
    // Alone there is nobody to wait for.
    const { voters, votersOutgoing } = raft.confState();
    if (voters.length === 1 && votersOutgoing.length === 0 && voters[0] === memberId) raft.campaign();
    const cancelRemovalWatch = watchForRemoval(options, server, kv);
    return {
      server,
      raft,
      isNew: !hasLog,
      stop: () => {
        cancelRemovalWatch();
        return stop(options, server, raft, kv, backend);
      },
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/**
 * A member that was removed while it could not listen is not told any more: nobody sends it anything. One without a
 * leader for long therefore asks the others whether it still belongs to them.
 */
function watchForRemoval(options: MemberOptions, server: StoreServer, kv: KvState): () => void {
  const { clock, log } = options.env;
  let isAsking = false;
  const ask = async () => {
    const others = [...kv.members().values()].filter((member) => member.id !== server.memberId);
    if (isAsking || others.length === 0 || server.position().leader !== 0) return;
    isAsking = true;
    try {
      const { clusterId, members } = await options.join(others.flatMap((member) => member.peerUrls));
      if (clusterId === server.clusterId && !members.some((member) => member.id === server.memberId))
        options.onRemoved();
    } catch (error) {
      // The others have no quorum either, or cannot be reached: then nothing is known.
      log.debug('nobody could say who belongs to the cluster', { error: errorText(error) });
    } finally {
      isAsking = false;
    }
  };
  return clock.every(removalCheckElections * server.electionMs, () => void ask());
}

function makeServer(options: MemberOptions, kv: KvState, file: MemberFile, transport: PeerTransport): StoreServer {
  const { memberId, clusterId } = file;
  const tellAddresses = () => {
    const others = [...kv.members().values()].filter((member) => member.id !== memberId);
    transport.setPeers(new Map(others.map((member) => [member.id as ReplicaId, member.peerUrls])));
  };
  return new StoreServer({ ...options, kv, clusterId, memberId, onMembers: tellAddresses });
}

function raftOptionsOf(
  options: MemberOptions,
  memberId: number,
  directory: string,
  transport: PeerTransport,
  server: StoreServer,
): RaftNodeOptions {
  return {
    env: options.env,
    raft: {
      id: memberId as ReplicaId,
      electionTicks: options.electionTicks,
      heartbeatTicks: 1,
      preVote: options.preVote,
      checkQuorum: true,
      inflightMessagesMax,
      messageBytesMax,
      uncommittedBytesMax,
      ...options.raftLimits,
    },
    directory,
    tickMs: options.tickMs,
    snapshotEntries: options.snapshotEntries,
    catchUpEntries: options.catchUpEntries,
    segmentBytes,
    ...(options.acceptLoss === undefined ? {} : { acceptLoss: options.acceptLoss }),
    transport,
    stateMachine: server.machine,
    ...(options.onCore === undefined ? {} : { onCore: options.onCore }),
    onSoftState: (state) => server.softStateChanged(state),
    onFatal: options.onFatal,
  };
}

function confStateOf(founders: readonly Member[]): ConfState {
  const voters = founders.map((member) => member.id as ReplicaId).sort((a, b) => a - b);
  return { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
}

async function stop(
  options: MemberOptions,
  server: StoreServer,
  raft: RaftNode,
  kv: KvState,
  backend: Backend,
): Promise<void> {
  await server.stop();
  await raft.stop();
  try {
    await kv.sync();
  } catch (error) {
    // The log has it all: the next start applies again what the backend has not got.
    options.env.log.warn('the backend was not synced at the end', { error: errorText(error) });
  }
  await backend.close();
  options.proxy.close();
}
