/**
 * A whole member: data directory, backend, state, Raft and server, started in the order in which each needs the other
 * and stopped in reverse. Everything it sees of the world comes in, so it runs in the simulator as well.
 */
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import {
  bootstrapRaftNode,
  type PeerTransport,
  raftDataExists,
  type RaftNode,
  type RaftNodeOptions,
  type ReplicaId,
  startRaftNode,
} from '../../raft/index.ts';
import { openKvState, type KvState } from '../apply/index.ts';
import type { Backend } from '../backend/contract.ts';
import { noteDamage, openRebuildable } from '../backend/rebuildable.ts';
import { makeNewCluster } from '../snapshot/new-cluster.ts';
import { finishSwitch } from '../snapshot/switch-over.ts';
import { Autopilot } from './autopilot.ts';
import {
  type BeginningOptions,
  clusterPairs,
  decideBeginning,
  introduce,
  introduceAgain,
  type JoinInfo,
  ownEntryOf,
} from './beginning.ts';
import type { AutoCompaction, KvServerLimits } from './contract.ts';
import {
  abandonIdentity,
  checkNeverHadLog,
  checkSameCluster,
  forgetAbandoned,
  lockDataDirectory,
  type MemberFile,
  noteLog,
  readAbandoned,
  readMemberFile,
  writeMemberFile,
} from './data-directory.ts';
import { DiskSpace } from './disk-space.ts';
import type { LeaderProxy } from './lease-keeper.ts';
import { type MemberKey, openMemberKey } from './member-key.ts';
import { StoreServer } from './server.ts';
import type { AuthOptions, KvServerOptions } from './server-options.ts';
import { tellWhereabouts, type TellMove } from './whereabouts.ts';
import { checkSameRole, openWitnessState, privateAlarm } from './witness.ts';

export type { JoinInfo } from './beginning.ts';

export interface MemberIdentity {
  readonly clusterId: number;
  readonly memberId: number;
  /** Public key of the data directory, told to every peer. */
  readonly key: string;
}

/**
 * `removed`: from the cluster. `otherKey`: its id belongs to another data directory, so this one was wiped. `succeeded`: its
 * cluster was given up for lost and goes on as another one.
 */
export type GoneBecause = 'removed' | 'otherKey' | 'succeeded';

export interface MemberOptions extends BeginningOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  /** Of Raft's log and snapshots, when it lies apart from the data. */
  readonly logDirectory?: string;
  readonly clientUrls: readonly string[];
  /** Absent: a member that has moved waits until somebody else says so. */
  readonly tellMove?: TellMove;
  readonly limits: KvServerLimits;
  readonly compaction: AutoCompaction;
  readonly isStrictReconfiguration: boolean;
  /** How long a member must have been connected to count as healthy when the membership changes; usually 5 s. */
  readonly healthyAfterMs?: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly preVote: boolean;
  readonly snapshotEntries: number;
  /** Entries between two syncs of the backend, when not the usual ones: the simulation syncs, and so trims its log, often. */
  readonly syncEntries?: number;
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
  /** Reads of the leader by lease; the same on every member. Default: off. */
  readonly leaseReads?: boolean;
  /** Starts although the log is damaged: entries that cannot be read again are given up. */
  readonly acceptLoss?: boolean;
  /** Starts as the only member of a new cluster, with the data that is here. */
  readonly forceNewCluster?: boolean;
  /** An entry that takes longer to apply is logged; absent: none is. */
  readonly slowApplyMs?: number;
  /** Absent: off. */
  readonly autopilot?: { readonly deadServerAfterMs: number; readonly stableAfterMs?: number };
  /** When the data is compared with the other members', and how they are asked. Absent: never. */
  readonly corruption?: NonNullable<KvServerOptions['corruption']>;
  /** The others do not know this member any more; called once. `abandonIdentity` makes room for a new one. */
  readonly onRemoved: (because: GoneBecause) => void;
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
/**
 * Who was removed goes on voting and acknowledging for a while. The others may not know yet that the removal is committed,
 * and of two members the one that stays could never learn it alone: it still needs both. Two elections are time for one.
 */
const lingerElections = 2;
/** Elections that would long have been won if the others still counted this member. */
const removalCheckElections = 5;

export async function startMember(given: MemberOptions): Promise<RunningMember> {
  const options = { ...given, onRemoved: once(given.onRemoved) };
  const { env, directory } = options;
  if (await finishSwitch(env.disk, directory))
    env.log.warn('a new cluster was being made of this data: it is done now');
  // Giving an identity up may have been cut off by a crash.
  if (options.rejoin === true && (await readAbandoned(env.disk, directory))) await abandonIdentity(env.disk, directory);
  if (options.forceNewCluster === true) await forceNewCluster(options);
  const existing = await readMemberFile(env.disk, directory);
  if (existing) {
    checkSameCluster(existing, directory, { token: options.token, initialCluster: clusterPairs(options) });
    checkSameRole(existing, directory, options.isWitness === true);
  } else ownEntryOf(options);
  await makeDirectoryDurable(env.disk, directory);
  const lock = await lockDataDirectory(env.disk, directory);
  try {
    const running = await startLocked(options, existing);
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

/** As `--force-new-cluster`: the data that is here goes on as a cluster of one; without data there is nothing to do. */
async function forceNewCluster({ env, directory, logDirectory, openBackend }: MemberOptions): Promise<void> {
  if ((await readMemberFile(env.disk, directory)) === undefined) return;
  const made = await makeNewCluster({ env, directory, logDirectory, openBackend, unlessAlone: true });
  if (made === undefined) return;
  env.log.warn('forced a new cluster of one member: start without --force-new-cluster from now on', {
    clusterId: made.clusterId.toString(16),
    memberId: made.memberId.toString(16),
    revision: made.revision,
    'old-data': made.aside,
    ...(made.logAside !== undefined && { 'old-log': made.logAside }),
  });
}

function once(tell: MemberOptions['onRemoved']): MemberOptions['onRemoved'] {
  let isTold = false;
  return (because) => {
    if (!isTold) tell(because);
    isTold = true;
  };
}

/** From here on no other process is using the directory. */
async function startLocked(options: MemberOptions, existing: MemberFile | undefined): Promise<RunningMember> {
  const { disk, random } = options.env;
  const { directory } = options;
  if (!existing && (await readMemberFile(disk, directory))) {
    throw new KeelsonError(
      'DATA_IN_USE',
      `use data directory ${directory}: another process has begun to use it meanwhile: start again, or give another data directory`,
    );
  }
  const key = await openMemberKey(disk, random, directory);
  const file = existing ?? (await writeMemberFile(disk, directory, await decideBeginning(options, key)));
  await forgetAbandoned(disk, directory);
  if (options.isWitness !== true) await makeDirectoryDurable(disk, `${directory}/kv`);
  const { logDirectory } = options;
  if (logDirectory !== undefined) await makeDirectoryDurable(disk, logDirectory);
  const space = new DiskSpace({ ...options.env, directory, ...(logDirectory !== undefined && { logDirectory }) });
  await space.prepare();
  const openFull = () =>
    openRebuildable({ disk, log: options.env.log, directory: `${directory}/kv`, open: options.openBackend }, (opened) =>
      openKvState({ backend: opened, ...(options.syncEntries && { syncEntries: options.syncEntries }) }),
    );
  const { backend, used: kv } = options.isWitness === true ? openWitnessState() : await openFull();
  try {
    return await run(options, { backend, kv, space }, file, key);
  } catch (error) {
    await backend.close();
    if (error instanceof KeelsonError && error.code === 'STATE_TO_REBUILD') {
      await noteDamage(disk, `${directory}/kv`, error.message);
    }
    throw error;
  }
}

async function run(
  options: MemberOptions,
  { backend, kv, space }: { readonly backend: Backend; readonly kv: KvState; readonly space: DiskSpace },
  file: MemberFile,
  key: MemberKey,
): Promise<RunningMember> {
  const { env, directory } = options;
  const { clusterId, memberId } = file;
  const raftDirectory = options.logDirectory ?? `${directory}/raft`;
  const hasLog = await raftDataExists(env.disk, raftDirectory);
  if (!hasLog && kv.consistentIndex() > 0) {
    throw new KeelsonError(
      'DATA_DAMAGED',
      `start from ${directory}: there is state but no log in ${raftDirectory}: give the --wal-dir it was started with, or restore it from a backup`,
    );
  }
  if (hasLog) await noteLog(env.disk, directory);
  else await checkNeverHadLog(env.disk, directory, raftDirectory);
  // A state that is begun anew beside an old log knows nobody either.
  if (hasLog && kv.members().size === 0) await introduceAgain(options, file, kv);
  const confState = hasLog ? undefined : await introduce(options, file, kv);
  const transport = await options.makeTransport({ clusterId, memberId, key: key.publicKey });
  try {
    const server = makeServer(options, kv, file, key, transport);
    await options.onServer(server);
    const raftOptions = {
      ...raftOptionsOf(options, memberId, raftDirectory, transport, server),
      giveSpace: () => space.wait(),
    };
    const raftClusterId = clusterId.toString(16).padStart(16, '0');
    const raft = hasLog
      ? await startRaftNode(raftOptions, { clusterId: raftClusterId })
      : await bootstrapRaftNode(raftOptions, {
          clusterId: raftClusterId,
          ...(confState ? { confState } : {}),
        });
    if (!hasLog) await noteLog(env.disk, directory);
    server.attach(raft);
    // Alone there is nobody to wait for.
    const { voters, votersOutgoing } = raft.confState();
    if (voters.length === 1 && votersOutgoing.length === 0 && voters[0] === memberId) raft.campaign();
    space.watch({
      memberId,
      quotaBytes: options.limits.quotaBytes,
      bytesOnDisk: () => backend.bytesOnDisk(),
      alarms: () => server.alarms(),
      hasRaisedAlarm: () => server.hasRaisedAlarm(),
      setAlarm: (action) => server.setAlarm(action, memberId, 'noSpace'),
      ...(options.isWitness === true ? privateAlarm(memberId) : {}),
    });
    const cancelRemovalWatch = watchForRemoval(options, server, kv);
    const autopilot = startAutopilot(options, server, kv, raft);
    const { tellMove } = options;
    const cancelTelling = tellMove
      ? await tellWhereabouts({ ...options, clusterId, memberId, key, kv, tellMove })
      : () => undefined;
    return {
      server,
      raft,
      isNew: !hasLog,
      stop: () => {
        cancelRemovalWatch();
        cancelTelling();
        autopilot?.stop();
        return stop(options, { server, raft, kv, backend, space });
      },
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** Standbys that wait for one another; the same on every member, as each of them judges who may be added. */
const standbysMax = 4;

function startAutopilot(
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

/**
 * A member that was removed while it could not listen is not told any more: nobody sends it anything. One without a
 * leader for long therefore asks the others whether it still belongs to them, or whether its cluster was given up for lost
 * and goes on as another one.
 */
function watchForRemoval(options: MemberOptions, server: StoreServer, kv: KvState): () => void {
  const { clock, log } = options.env;
  let isAsking = false;
  let asked = 0;
  const ask = async () => {
    const others = [...kv.members().values()].filter((member) => member.id !== server.memberId);
    if (isAsking || others.length === 0 || server.position().leader !== 0) return;
    isAsking = true;
    // Whoever answers first is heard; it is somebody else's turn each time, as not all may know the same.
    const from = asked++ % others.length;
    const inTurn = [...others.slice(from), ...others.slice(0, from)];
    try {
      const because = goneBecause(server, await options.join(inTurn.flatMap((member) => member.peerUrls)));
      if (because !== undefined) options.onRemoved(because);
    } catch (error) {
      // The others have no quorum either, or cannot be reached: then nothing is known.
      log.debug('nobody could say who belongs to the cluster', { error: errorText(error) });
    } finally {
      isAsking = false;
    }
  };
  return clock.every(removalCheckElections * server.electionMs, () => void ask());
}

/** Undefined while nothing says that this member is gone. */
function goneBecause(
  { clusterId, memberId }: StoreServer,
  { clusterId: theirs, members, isUnconfirmed, succeeds }: JoinInfo,
): GoneBecause | undefined {
  // One that lags may not know this member yet.
  if (isUnconfirmed) return undefined;
  if (theirs !== clusterId) return succeeds?.includes(clusterId) ? 'succeeded' : undefined;
  return members.some((member) => member.id === memberId) ? undefined : 'removed';
}

function makeServer(
  options: MemberOptions,
  kv: KvState,
  file: MemberFile,
  key: MemberKey,
  transport: PeerTransport,
): StoreServer {
  const { memberId, clusterId } = file;
  const tellAddresses = () => {
    const others = [...kv.members().values()].filter((member) => member.id !== memberId);
    transport.setPeers(new Map(others.map((member) => [member.id as ReplicaId, member.peerUrls])));
    const keys = new Map<ReplicaId, string>();
    for (const { id, key: known } of others) if (known !== undefined) keys.set(id as ReplicaId, known);
    transport.setIdentities?.({ keys, removed: kv.removedMembers() as ReadonlySet<ReplicaId> });
  };
  const onRemoved = () => {
    const lingerMs = lingerElections * options.tickMs * options.electionTicks;
    options.env.clock.after(lingerMs, () => options.onRemoved('removed'));
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
    ...(options.leaseReads === undefined ? {} : { leaseReads: options.leaseReads }),
    onRefused: options.onRemoved,
    onSoftState: (state) => server.softStateChanged(state),
    onFatal: options.onFatal,
  };
}

interface MemberParts {
  readonly server: StoreServer;
  readonly raft: RaftNode;
  readonly kv: KvState;
  readonly backend: Backend;
  readonly space: DiskSpace;
}

async function stop(options: MemberOptions, { server, raft, kv, backend, space }: MemberParts): Promise<void> {
  await server.stop();
  const stopped = raft.stop();
  // A write that waits for space waits no longer; Raft, which is stopping, does not mind.
  space.stop();
  await stopped;
  try {
    await kv.sync();
  } catch (error) {
    // The log has it all: the next start applies again what the backend has not got.
    options.env.log.warn('the backend was not synced at the end', { error: errorText(error) });
  }
  await backend.close();
  options.proxy.close();
}
