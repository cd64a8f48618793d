/**
 * Bringing a member to life, from nothing or from its data directory: opens the log, brings the state machine to where
 * the log begins, gives both to a core, and starts the loop.
 */
import { assert, present } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { changeMembership } from '../core/conf-change.ts';
import { decodeConfChange } from '../core/conf-change-codec.ts';
import { Raft } from '../core/raft.ts';
import type { ConfState, Index, RaftConfig, ReplicaId, Term } from '../core/types.ts';
import { createWal, openWal, walExists, walIdentity } from '../wal/open-wal.ts';
import { readWal } from '../wal/read-wal.ts';
import { hex } from '../wal/segment.ts';
import type { OpenedWal, WalIdentity, WalOptions } from '../wal/wal.ts';
import { restoreSnapshot } from './applier.ts';
import type { RaftNode, RaftNodeOptions, StateMachine } from './contract.ts';
import { RaftHost } from './raft-node.ts';

/** What a new member begins with. */
export interface RaftBeginning {
  /** 16 hex digits. */
  readonly clusterId: string;
  /** All voters of a new cluster, the same on every member. Absent for a member that joins an existing one. */
  readonly confState?: ConfState;
}

/** Who a data directory belongs to. */
export interface RaftIdentity {
  readonly clusterId: string;
  readonly replicaId: ReplicaId;
}

/** Whether `directory` holds a member's log. */
export function raftDataExists(disk: Disk, directory: string): Promise<boolean> {
  return walExists(disk, directory);
}

/** Who the data in `directory` belongs to, without opening it for writing. Rejects with `WAL_MISSING` when there is none. */
export async function readRaftIdentity(disk: Disk, directory: string): Promise<RaftIdentity> {
  for await (const record of readWal(disk, directory)) {
    if (record.kind === 'record' && record.identity) return toRaftIdentity(record.identity);
    break;
  }
  throw new KeelsonError('WAL_MISSING', `read identity in ${directory}: there is no log`);
}

function toRaftIdentity(identity: WalIdentity): RaftIdentity {
  const replicaId = Number.parseInt(identity.memberId, 16);
  assert(Number.isSafeInteger(replicaId) && replicaId > 0, () => `member id ${identity.memberId} is below 2^53`);
  return { clusterId: identity.clusterId, replicaId: replicaId as ReplicaId };
}

/** A new member in an empty data directory. Rejects with `WAL_EXISTS` when there is data. */
export async function bootstrapRaftNode(options: RaftNodeOptions, beginning: RaftBeginning): Promise<RaftNode> {
  const { clusterId, confState } = beginning;
  if (options.stateMachine.appliedIndex() !== 0) {
    throw new KeelsonError(
      'STATE_AHEAD_OF_LOG',
      `start a new member in ${options.directory}: its state machine already holds entries up to ` +
        `${options.stateMachine.appliedIndex()}, but there is no log. Give an empty data directory`,
    );
  }
  assert(
    confState === undefined || confState.voters.includes(options.raft.id),
    'a member of a new cluster is one of its voters',
  );
  const identity = walIdentity(clusterId, hex(options.raft.id));
  return run(options, await createWal(walOptions(options), identity, confState ? { confState } : {}));
}

/** A member from its data directory. `expected.clusterId` is compared when the caller knows it. */
export async function startRaftNode(
  options: RaftNodeOptions,
  expected: Partial<Pick<RaftBeginning, 'clusterId'>> = {},
): Promise<RaftNode> {
  const memberId = hex(options.raft.id);
  return run(options, await openWal(walOptions(options), { ...expected, memberId }));
}

function walOptions(options: RaftNodeOptions): WalOptions {
  const { env, directory, segmentBytes, stateMachine, acceptLoss, giveSpace, wholeSnapshot } = options;
  const state = {
    index: stateMachine.appliedIndex(),
    snapshot: () => stateMachine.snapshot(),
    holdsMembership: stateMachine.holdsMembership?.bind(stateMachine),
  };
  return {
    disk: env.disk,
    directory,
    segmentBytes,
    state,
    ...(acceptLoss !== undefined && { acceptLoss }),
    ...(giveSpace !== undefined && { giveSpace }),
    ...(wholeSnapshot !== undefined && { wholeSnapshot }),
  };
}

async function run(options: RaftNodeOptions, opened: OpenedWal): Promise<RaftNode> {
  try {
    const { wal, restored } = opened;
    const log = options.env.log.with({ replica: options.raft.id });
    tellDamage(log, opened);
    const { stateMachine } = options;
    const { snapshot } = restored;
    const isAhead = stateMachine.appliedIndex() > snapshot.index + restored.entries.length;
    // A state beyond a log that lost its end goes back: what it held is sent again by the leader, or is lost by consent.
    const goesBack = isAhead && restored.lostUpTo !== undefined && snapshot.index > 0;
    if (stateMachine.appliedIndex() < snapshot.index || goesBack) await restoreSnapshot(wal, stateMachine, snapshot);
    if (isAhead && restored.lostUpTo !== undefined && snapshot.index === 0) {
      throw new KeelsonError(
        'STATE_TO_REBUILD',
        `start from ${options.directory}: the log lost entries that the state machine holds, and there is no snapshot to go back to: ` +
          'start again with an empty state, which is built anew from the log and by the leader',
      );
    }
    const start = startOf(opened, stateMachine.appliedIndex(), options.directory);
    const appliedConfState = confStateAt(opened, start.index, stateMachine);
    stateMachine.membershipChanged(appliedConfState);
    const { random } = options.env;
    const config = { ...options.raft, ...leaseOf(options), random: (bound: number) => random.integer(0, bound - 1) };
    const core = new Raft(config, { ...restored, applied: start.index, appliedConfState });
    options.onCore?.(core);
    log.info('raft member starts', {
      term: restored.hardState.term,
      snapshotIndex: restored.snapshot.index,
      entries: restored.entries.length,
      applied: start.index,
      confState: appliedConfState,
    });
    return new RaftHost(options, { core, wal, start });
  } catch (error) {
    await opened.wal.close();
    throw error;
  }
}

/** Of an election time-out on a follower's clock, in the leader's measure: one runs a tenth fast and the other a tenth slow. */
const leaseShare = 0.8;

/** A follower may count the tick that is just due, so a lease is a tick shorter than an election time-out. */
function leaseOf({ leaseReads, raft, tickMs, env }: RaftNodeOptions): Pick<RaftConfig, 'lease'> {
  if (leaseReads !== true) return {};
  const durationMs = (raft.electionTicks - 1) * tickMs * leaseShare;
  return { lease: { durationMs, nowMs: () => env.clock.monotonicMs() } };
}

function tellDamage(log: Log, opened: OpenedWal): void {
  const { restored, cutBytes, setAside, damage, lost, hasNoState } = opened;
  if (cutBytes > 0) log.warn('cut the torn end of the log, which nobody was told about', { cutBytes });
  for (const file of setAside) log.error('set a damaged snapshot aside', { ...file });
  for (const line of damage) log.error('the log was damaged; what is left was written anew', { damage: line });
  if (damage.length > 0 && !lost) log.info('nothing was lost by the damage to the log');
  if (lost) log.error('entries of the log are lost', { from: lost.from, upTo: lost.upTo, reason: lost.reason });
  if (restored.lostUpTo === undefined) return;
  log.warn('this member neither campaigns nor helps to forget lost entries until the leader has sent them again', {
    logEndsAt: restored.snapshot.index + restored.entries.length,
    lostUpTo: restored.lostUpTo,
    waitsForSnapshot: hasNoState,
  });
}

/** The applied index with its term; the log must reach it. */
function startOf(opened: OpenedWal, applied: Index, directory: string): { readonly index: Index; readonly term: Term } {
  const { snapshot, entries } = opened.restored;
  assert(applied >= snapshot.index, 'the state machine holds at least the snapshot');
  if (applied === snapshot.index) return { index: applied, term: snapshot.term };
  const entry = entries[applied - snapshot.index - 1];
  if (entry) return { index: applied, term: entry.term };
  throw new KeelsonError(
    'STATE_AHEAD_OF_LOG',
    `start from ${directory}: the state machine holds entries up to ${applied}, but the log ends at ` +
      `${snapshot.index + entries.length}: the two do not belong together. Restore both from the same backup, or remove ` +
      'this member and add it again with an empty data directory',
  );
}

/**
 * Membership as of `applied`: the newest mark, then the entries after it. Only the last applied entry can be without a
 * mark, when the process ended between the two; a change that does not fit was vetoed.
 */
function confStateAt(opened: OpenedWal, applied: Index, stateMachine: StateMachine): ConfState {
  const { snapshot, entries } = opened.restored;
  const mark = opened.confMarks.findLast((candidate) => candidate.index <= applied);
  let confState = mark?.confState ?? snapshot.confState;
  const from = mark?.index ?? snapshot.index;
  for (let index = from + 1; index <= applied; index++) {
    const entry = present(entries[index - snapshot.index - 1], `entry ${index}`);
    if (entry.kind !== 'confChange') continue;
    const change = decodeConfChange(entry.data);
    // A veto depends on more than the membership: the state knows how it ended.
    if (index === applied && stateMachine.wasChangeTaken?.(change) === false) continue;
    const outcome = changeMembership(confState, change);
    if (outcome.kind === 'changed') confState = outcome.conf;
  }
  return confState;
}
