/**
 * A whole member: data directory, backend, state, Raft and server, started in the order in which each needs the other
 * and stopped in reverse. Everything it sees of the world comes in, so it runs in the simulator as well.
 */
import { errorText, KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import {
  bootstrapRaftNode,
  newestSnapshotUpTo,
  raftDataExists,
  type RaftNode,
  startRaftNode,
  type StoredSnapshotFile,
} from '../../raft/index.ts';
import { openKvState, type KvState } from '../apply/index.ts';
import type { Backend } from '../backend/contract.ts';
import { noteDamage, openRebuildable } from '../backend/rebuildable.ts';
import { finishSwitch } from '../snapshot/switch-over.ts';
import { clusterPairs, decideBeginning, introduce, introduceAgain, ownEntryOf } from './beginning.ts';
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
import { forceNewCluster } from './forced-cluster.ts';
import { type MemberKey, openMemberKey } from './member-key.ts';
import type { MemberOptions, RunningMember } from './member-options.ts';
import { raftOptionsOf } from './member-raft.ts';
import { makeServer, startAutopilot } from './member-server.ts';
import { Removal } from './removal.ts';
import type { StoreServer } from './server.ts';
import { tellWhereabouts } from './whereabouts.ts';
import { checkSameRole, openWitnessState, privateAlarm } from './witness.ts';

export type { JoinInfo } from './beginning.ts';
export type { GoneBecause, MemberIdentity, MemberOptions, RunningMember } from './member-options.ts';

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
  const { log } = options.env;
  let snapshot: StoredSnapshotFile | undefined;
  const openFull = () =>
    openRebuildable({ disk, log, directory: `${directory}/kv`, open: options.openBackend }, (opened) =>
      openKvState({
        backend: opened,
        ...(options.syncEntries && { syncEntries: options.syncEntries }),
        snapshotUpTo: async (index) => {
          snapshot = await newestSnapshotUpTo(disk, raftDirectoryOf(options), { index, ...raftIdentityOf(file) });
          return snapshot && { index: snapshot.id.index, chunks: snapshot.chunks };
        },
        onUnusable: (error) => log.warn('the state is read without its snapshot', { error: errorText(error) }),
      }),
    );
  const { backend, used: kv } = options.isWitness === true ? openWitnessState() : await openFull();
  const wholeSnapshot = snapshot?.wasRead() ? snapshot.id : undefined;
  try {
    return await run(options, { backend, kv, space, wholeSnapshot }, file, key);
  } catch (error) {
    await backend.close();
    if (error instanceof KeelsonError && error.code === 'STATE_TO_REBUILD') {
      await noteDamage(disk, `${directory}/kv`, error.message);
    }
    throw error;
  }
}

/** What a member begins to run with. */
interface OpenedParts {
  readonly backend: Backend;
  readonly kv: KvState;
  readonly space: DiskSpace;
  /** Of Raft, known to be whole. */
  readonly wholeSnapshot: StoredSnapshotFile['id'] | undefined;
}

function raftDirectoryOf({ directory, logDirectory }: MemberOptions): string {
  return logDirectory ?? `${directory}/raft`;
}

/** As Raft's files have it. */
function raftIdentityOf({ clusterId, memberId }: MemberFile) {
  const hex = (id: number) => id.toString(16).padStart(16, '0');
  return { clusterId: hex(clusterId), memberId: hex(memberId) };
}

async function run(
  options: MemberOptions,
  { backend, kv, space, wholeSnapshot }: OpenedParts,
  file: MemberFile,
  key: MemberKey,
): Promise<RunningMember> {
  const { env, directory } = options;
  const { clusterId, memberId } = file;
  const raftDirectory = raftDirectoryOf(options);
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
  const removal = new Removal({
    ...env,
    electionMs: options.tickMs * options.electionTicks,
    join: options.join,
    onGone: options.onRemoved,
  });
  const transport = await options.makeTransport({ clusterId, memberId, key: key.publicKey });
  try {
    const server = makeServer(options, { kv, file, key, transport, onRemoved: () => removal.removed() });
    await options.onServer(server);
    const raftOptions = {
      ...raftOptionsOf(options, { memberId, directory: raftDirectory, transport, server }),
      giveSpace: () => space.wait(),
      ...(wholeSnapshot && { wholeSnapshot }),
    };
    const raftClusterId = raftIdentityOf(file).clusterId;
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
    removal.watch({
      clusterId,
      memberId,
      hasLeader: () => server.position().leader !== 0,
      members: () => [...kv.members().values()],
    });
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
        removal.stop();
        cancelTelling();
        autopilot?.stop();
        return stop(options, { server, raft, kv, backend, space });
      },
    };
  } catch (error) {
    removal.stop();
    await transport.close();
    throw error;
  }
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
