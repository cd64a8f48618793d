/**
 * The state of a member that does not run, read from a copy of its data directory: the directory itself is not touched.
 *
 * The copy is brought up to date as a start would do it: the backend's rows, then the entries of the log that are known
 * to be committed. A member that is its cluster's only voter has committed all that it has; of others, entries behind
 * the last known commit may be lost or not, and are left out.
 */
import { assert } from '../../env/assert.ts';
import type { Env } from '../../env/env.ts';
import { KeelsonError } from '../../env/errors.ts';
import { silentLog } from '../../env/log.ts';
import { decodeConfChange } from '../../raft/core/conf-change-codec.ts';
import type { ConfState, Entry } from '../../raft/core/types.ts';
import { restoreSnapshot } from '../../raft/host/applier.ts';
import { openWal } from '../../raft/wal/open-wal.ts';
import type { OpenedWal } from '../../raft/wal/wal.ts';
import { type KvState, openKvState } from '../apply/index.ts';
import type { Backend } from '../backend/contract.ts';
import { openRebuildable } from '../backend/rebuildable.ts';
import { lockDataDirectory, type MemberFile, readMemberFile } from '../server/data-directory.ts';
import { StoreMachine } from '../server/state-machine.ts';
import { Waiters } from '../server/waiters.ts';
import { copyDirectory, copyNamed } from './copy-directory.ts';
import { isOfLog } from './switch-over.ts';

export interface OfflineMember {
  readonly file: MemberFile;
  readonly kv: KvState;
  readonly term: number;
  /** Last entry of the log and its term: how far this member had come. */
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly confState: ConfState;
  /** Entries that the log has and the state has not, because nothing says that they are committed. */
  readonly uncommitted: number;
  /** Removes the copy. */
  close(): Promise<void>;
}

export interface OfflineOptions {
  readonly env: Pick<Env, 'clock' | 'disk'>;
  readonly directory: string;
  /** Where the log is, when it is not in the data directory. */
  readonly logDirectory?: string;
  /** A directory to make, with room for as much as `directory` takes; removed by `close`. */
  readonly scratch: string;
  readonly openBackend: (path: string) => Promise<Backend>;
  /** Counts entries behind the last known commit as committed: for a survivor that becomes a cluster of its own. */
  readonly takeAll?: boolean;
}

const segmentBytes = 64 * 1024 * 1024;

export async function openOffline(options: OfflineOptions): Promise<OfflineMember> {
  const { env, directory, scratch } = options;
  const { disk } = env;
  const file = await readMemberFile(disk, directory);
  if (file === undefined) {
    throw new KeelsonError('DATA_MISSING', `open data directory ${directory}: it holds no member: check the path`);
  }
  if (file.isWitness === true) {
    throw new KeelsonError(
      'WITNESS_WITHOUT_DATA',
      `open data directory ${directory}: it belongs to a witness, which keeps a log and no data: give a full member's; started beside one that lags, a witness brings it up`,
    );
  }
  await copyUnused(options);
  try {
    // Rows that are damaged are begun anew in the copy, from the log's snapshot, as a start would do it.
    const { backend, used: kv } = await openRebuildable(
      { disk, log: silentLog, directory: `${scratch}/kv`, open: options.openBackend },
      (opened) => openKvState({ backend: opened }),
    );
    try {
      return await open(options, file, backend, kv);
    } catch (error) {
      await backend.close();
      throw error;
    }
  } catch (error) {
    await disk.remove(scratch);
    throw error;
  }
}

/** Copies the directory while nobody runs on it. One that was never locked has no lock to take. */
async function copyUnused({ env, directory, logDirectory, scratch }: OfflineOptions): Promise<void> {
  const { disk } = env;
  const lock = (await disk.exists(`${directory}/LOCK`)) ? await lockDataDirectory(disk, directory) : undefined;
  try {
    await copyDirectory(disk, directory, scratch);
    if (logDirectory !== undefined) await copyNamed(disk, logDirectory, `${scratch}/raft`, isOfLog);
  } finally {
    await lock?.release();
  }
}

async function open(options: OfflineOptions, file: MemberFile, backend: Backend, kv: KvState): Promise<OfflineMember> {
  const { env, scratch } = options;
  const { clock, disk } = env;
  const machine = new StoreMachine({
    memberId: file.memberId,
    kv,
    requests: new Waiters(clock),
    changes: new Waiters(clock),
    learnersMax: Number.MAX_SAFE_INTEGER,
    onApplied: () => undefined,
    onUnpublished: () => undefined,
    onMembers: () => undefined,
    onRestored: () => undefined,
    onRemoved: () => undefined,
  });
  const opened = await openWal(
    { disk, directory: `${scratch}/raft`, segmentBytes },
    { memberId: file.memberId.toString(16).padStart(16, '0') },
  );
  try {
    const { snapshot, entries, hardState } = opened.restored;
    if (machine.appliedIndex() < snapshot.index) await restoreSnapshot(opened.wal, machine, snapshot);
    const confState = opened.confMarks.at(-1)?.confState ?? snapshot.confState;
    const last = entries.at(-1);
    const lastIndex = last?.index ?? snapshot.index;
    const isAlone = confState.voters.length === 1 && confState.voters[0] === file.memberId;
    const isAll = options.takeAll === true || (isAlone && confState.votersOutgoing.length === 0);
    const upTo = isAll ? lastIndex : Math.max(hardState.commit, machine.appliedIndex());
    checkReach(options.directory, machine.appliedIndex(), lastIndex);
    for (const entry of entries) {
      if (entry.index > machine.appliedIndex() && entry.index <= upTo) applyOne(machine, entry);
    }
    return {
      file,
      kv,
      term: hardState.term,
      lastIndex,
      lastTerm: last?.term ?? snapshot.term,
      confState,
      uncommitted: lastIndex - machine.appliedIndex(),
      close: async () => {
        await backend.close();
        await disk.remove(scratch);
      },
    };
  } finally {
    await opened.wal.close();
  }
}

/** The log must reach the state, or the two do not belong together. */
function checkReach(directory: string, applied: number, lastIndex: OpenedWal['restored']['snapshot']['index']): void {
  if (applied <= lastIndex) return;
  throw new KeelsonError(
    'STATE_AHEAD_OF_LOG',
    `open data directory ${directory}: its state holds entries up to ${applied}, its log ends at ${lastIndex}: the two do not belong together: use another member's data, or a backup`,
  );
}

function applyOne(machine: StoreMachine, entry: Entry): void {
  assert(entry.index === machine.appliedIndex() + 1, () => `entry ${entry.index} after ${machine.appliedIndex()}`);
  if (entry.kind === 'normal') machine.apply([entry]);
  else machine.applyConfChange(entry, decodeConfChange(entry.data));
}
