/**
 * What a damaged log is still good for: pure. Given what could be read, the newest whole snapshot and what the state
 * machine holds, decides from where on the log goes on and which entries are lost (docs/decisions/0007).
 *
 *   snapshot ─▶ before ─▶ │ hole │ ─▶ after          nothing is lost when the snapshot or the state reaches over the hole
 *                  state machine ───────▶│
 */
import { assert, present } from '../../env/assert.ts';
import { changeMembership } from '../core/conf-change.ts';
import { decodeConfChange } from '../core/conf-change-codec.ts';
import type { ConfState, Entry, Index, SnapshotMeta, Term } from '../core/types.ts';
import type { SnapshotMark } from './payload.ts';
import type { Replay, Run } from './replay.ts';

export const nobody: ConfState = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

export interface RepairInput {
  readonly replay: Replay;
  /** The newest whole snapshot that counts; undefined when all are damaged. */
  readonly mark: SnapshotMark | undefined;
  /** What the state machine holds durably; undefined when nobody says. */
  readonly stateIndex: Index | undefined;
  /** Whether the state machine's membership at `stateIndex` is this one; undefined when it knows none. */
  readonly holdsMembership: ((confState: ConfState) => boolean) | undefined;
  readonly memberId: number;
}

export interface Repair {
  /** What the log begins after. */
  readonly base: SnapshotMark;
  /** `state`: there is no such file yet, it has to be written. `nothing`: the member begins without any state. */
  readonly baseIs: 'file' | 'state' | 'nothing';
  readonly entries: readonly Entry[];
  /** May have been acknowledged, and are gone. */
  readonly lost: { readonly from: Index; readonly upTo: Index } | undefined;
}

export function planRepair(input: RepairInput): Repair {
  const { replay, mark } = input;
  const runs = runsOf(replay);
  const upTo = Math.max(replay.knownLastIndex, ...runs.map(lastOf)) as Index;
  const byFile = mark && goOn(mark, 'file', runs, upTo);
  const meta = metaOfState(input, runs);
  const byState = meta && goOn({ meta, isReceived: true }, 'state', runs, upTo);
  if (byFile && byState) return keptUpTo(byState) > keptUpTo(byFile) ? byState : byFile;
  const beginning = { meta: { index: 0 as Index, term: 0 as Term, confState: nobody }, isReceived: true };
  return byFile ?? byState ?? goOn(beginning, 'nothing', [], upTo);
}

/** Whether nobody but this member has a say in what is committed. */
export function isOnlyVoter(replay: Replay, memberId: number): boolean {
  const { voters, votersOutgoing } =
    replay.confMarks[replay.confMarks.length - 1]?.confState ?? present(replay.marks[0], 'a mark').meta.confState;
  return voters.length === 1 && voters[0] === memberId && votersOutgoing.length === 0;
}

/** What was read before and after the hole. */
function runsOf({ startIndex, entries, after }: Replay): readonly Run[] {
  const before = { startIndex, entries };
  return after && after.entries.length > 0 ? [before, after] : [before];
}

function lastOf({ startIndex, entries }: Run): number {
  return startIndex + entries.length - 1;
}

function keptUpTo(repair: Repair): number {
  return repair.lost ? repair.lost.from - 1 : Number.POSITIVE_INFINITY;
}

function goOn(base: SnapshotMark, baseIs: Repair['baseIs'], runs: readonly Run[], upTo: Index): Repair {
  const { index } = base.meta;
  const run = runs.find((candidate) => candidate.startIndex <= index + 1 && lastOf(candidate) >= index);
  const entries = run ? run.entries.slice(index + 1 - run.startIndex) : [];
  assert(entries.length === 0 || entries[0]?.index === index + 1, 'entries begin right after the snapshot');
  const kept = index + entries.length;
  return { base, baseIs, entries, lost: kept < upTo ? { from: (kept + 1) as Index, upTo } : undefined };
}

/**
 * The state as a snapshot. It needs the term of its last entry, because others compare it with their logs; a member that
 * is alone has nobody who would.
 */
function metaOfState(input: RepairInput, runs: readonly Run[]): SnapshotMeta | undefined {
  const { replay, stateIndex, memberId } = input;
  if (stateIndex === undefined || stateIndex === 0) return undefined;
  const index = stateIndex;
  const term = termAt(replay, runs, index) ?? (isOnlyVoter(replay, memberId) ? replay.hardState.term : undefined);
  const confState = confStateAt(input, runs, index);
  return term === undefined || confState === undefined ? undefined : { index, term, confState };
}

/** Terms in a log never fall: between two places of one term every entry has it. */
function termAt(replay: Replay, runs: readonly Run[], index: Index): Term | undefined {
  const marks = replay.marks.map(({ meta }) => meta);
  const known: readonly { readonly index: Index; readonly term: Term }[] = [
    ...marks,
    ...runs.flatMap((run) => run.entries),
  ];
  let before: Term | undefined;
  // Nothing in the log is of a later term than the hard state.
  let after = replay.isHardStateKnown ? replay.hardState.term : undefined;
  for (const { index: at, term } of known) {
    if (at === index) return term;
    if (at < index && (before === undefined || term > before)) before = term;
    if (at > index && (after === undefined || term < after)) after = term;
  }
  return before === after ? before : undefined;
}

/**
 * The newest outcome at or before `index`, then the entries after it. When some of these are gone, a membership change may
 * be among them, and its outcome with it: then the state machine has to hold the same, or the membership is not known.
 */
function confStateAt(
  { replay, holdsMembership }: RepairInput,
  runs: readonly Run[],
  index: Index,
): ConfState | undefined {
  const mark = replay.confMarks.findLast((candidate) => candidate.index <= index);
  const snapshot = replay.marks.find(({ meta }) => meta.index <= index)?.meta;
  const newest = mark && mark.index >= (snapshot?.index ?? 0) ? mark : snapshot;
  if (!newest) return undefined;
  const after = runs
    .flatMap((run) => run.entries)
    .filter((entry) => entry.index > newest.index && entry.index <= index);
  let { confState } = newest;
  for (const entry of after) {
    if (entry.kind !== 'confChange') continue;
    const outcome = changeMembership(confState, decodeConfChange(entry.data));
    if (outcome.kind === 'changed') confState = outcome.conf;
  }
  const isWhole = after.length === index - newest.index;
  return isWhole || holdsMembership?.(confState) !== false ? confState : undefined;
}
