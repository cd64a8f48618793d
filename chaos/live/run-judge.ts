/**
 * The verdict over a run: every promise by itself, so that one that is broken does not hide the others. Pure: everything that was
 * seen goes in, checks and the first broken promise come out.
 */
import { checkAnswers } from '../check/answers.ts';
import { checkHistory } from '../check/check-history.ts';
import type { HistoryEvent } from '../check/history-events.ts';
import type { HistoryEntry } from '../check/history.ts';
import { checkLinearizable } from '../check/linearizability.ts';
import type { StoreModel } from '../check/model.ts';
import { checkRevisions } from '../check/revisions.ts';
import { Violation } from '../check/violation.ts';
import { checkWatches, type WatchRecord } from '../check/watch.ts';
import type { RecordedCheck, RecordedViolation } from '../report/run-record.ts';
import type { Expectation } from '../scenario/scenario.ts';
import type { JournalEntry } from './run-journal.ts';
import { modelOf, resolveUnknown } from './run-resolve.ts';

export interface ExpectedWindow {
  readonly expect: Expectation;
  readonly fromMs: number;
  readonly toMs: number;
  /** The fault, for whoever reads the verdict. */
  readonly text: string;
}

export interface RunEvidence {
  readonly operations: readonly JournalEntry[];
  readonly history: readonly HistoryEntry[];
  /** The watch of everything that the verdict rests on. */
  readonly log: WatchRecord;
  readonly watches: readonly WatchRecord[];
  readonly baseRevision: number;
  /** The highest revision that any answer at the end named; undefined: nobody answered. */
  readonly headRevision: number | undefined;
  readonly compactions: ReadonlySet<number>;
  readonly windows: readonly ExpectedWindow[];
  /** What did not happen in time after faults had ended; empty: everything did. */
  readonly unready: readonly string[];
  /** What members did by themselves that they must not do, such as ending. */
  readonly misdeeds: readonly string[];
  /** The same once more, in the documented format; empty: it is judged by what is above alone. */
  readonly events: readonly HistoryEvent[];
}

export interface Verdict {
  readonly verdict: 'passed' | 'failed' | 'unknown';
  readonly checks: readonly RecordedCheck[];
  readonly violation: RecordedViolation | undefined;
  /** Undefined when there is no complete log. */
  readonly model: StoreModel | undefined;
}

export function judge(evidence: RunEvidence): Verdict {
  const checks: RecordedCheck[] = [];
  let violation: RecordedViolation | undefined;
  /** A text back: what was seen; undefined with `unknown`: no verdict. */
  const check = (name: string, run: () => { readonly detail: string; readonly isUnknown?: boolean }) => {
    try {
      const { detail, isUnknown } = run();
      checks.push({ name, verdict: isUnknown === true ? 'unknown' : 'passed', detail });
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const message = printable(error.message);
      checks.push({ name, verdict: 'failed', detail: message });
      const detail = message.slice(error.property.length + 2);
      violation ??= { property: error.property, detail, check: name, ...shownBy(evidence.operations, error) };
    }
  };
  const { history, watches, windows } = evidence;
  const logFault = faultOfLog(evidence);
  let model: StoreModel | undefined;
  let resolved = history;
  check('log', () => {
    if (logFault !== undefined) return { detail: logFault, isUnknown: true };
    const made = modelOf(evidence.log, evidence.baseRevision);
    const events = made.events.length;
    made.revision = Math.max(made.revision, evidence.headRevision ?? 0);
    for (const revision of evidence.compactions) made.compactions.add(revision);
    made.compactRevision = Math.max(0, ...evidence.compactions);
    model = made;
    resolved = resolveUnknown(history, made);
    return { detail: `${events} events explain ${resolved.length} operations` };
  });
  check('linearizability', () => {
    const isUnknown = checkLinearizable(resolved) === 'unknown';
    return { detail: isUnknown ? 'the search was given up' : `${resolved.length} operations`, isUnknown };
  });
  check('revisions', () => {
    checkRevisions(resolved);
    return { detail: 'every answer tells the same story' };
  });
  check('answers', () => {
    if (model === undefined) return { detail: 'no complete log to hold them against', isUnknown: true };
    checkAnswers([...resolved, ...history.filter((entry) => entry.outcome === undefined)], model);
    return { detail: 'every answer is what its revision holds' };
  });
  check('watches', () => {
    if (model === undefined) return { detail: 'no complete log to hold them against', isUnknown: true };
    checkWatches(watches, model);
    return { detail: `${watches.length} watches` };
  });
  // What begins at another revision than the first is a part of somebody else's history, which that judge does not take.
  if (evidence.baseRevision === 1 && evidence.events.length > 0) {
    for (const result of checkHistory({ events: evidence.events })) {
      const { name, verdict, detail, property } = result;
      const judged = checks.find((one) => one.name === name);
      if (verdict === 'notApplicable' || (judged && (verdict !== 'failed' || judged.verdict === 'failed'))) continue;
      const shown = evidence.operations.filter(({ id }) => result.operations.includes(id));
      check(judged ? `${name} of the whole history` : name, () => {
        if (verdict === 'failed') throw new Violation(property, detail, shown);
        return { detail, isUnknown: verdict === 'unknown' };
      });
    }
  }
  if (windows.length > 0)
    check('writes as expected', () => ({ detail: windows.map((window) => checkWindow(window, evidence)).join('; ') }));
  check('members stay up', () => {
    const [first] = evidence.misdeeds;
    if (first !== undefined) throw new Violation('a member ends only when it is made to', evidence.misdeeds.join('; '));
    return { detail: 'nobody ended by itself' };
  });
  check('liveness', () => {
    const [first] = evidence.unready;
    if (first !== undefined)
      throw new Violation('everything goes on once faults have ended', evidence.unready.join('; '));
    return { detail: 'every member answered once faults had ended' };
  });
  const isUnknown = checks.some(({ verdict }) => verdict === 'unknown');
  const verdict = violation !== undefined ? 'failed' : isUnknown ? 'unknown' : 'passed';
  return { verdict, checks, violation, model };
}

/** The end of all keys is a zero byte, which terminals and XML do not take. */
function printable(text: string): string {
  return text.replaceAll('\0', '∞');
}

/** Why the log cannot be taken for all that happened; undefined: it can. */
function faultOfLog({ log, headRevision }: RunEvidence): string | undefined {
  if (log.createdRevision === undefined) return `${log.name} was never made`;
  if (!log.isOpen) return `${log.name} ended before the run did`;
  if (headRevision === undefined) return 'no member told at the end how far the store is';
  return undefined;
}

function checkWindow({ expect, fromMs, toMs, text }: ExpectedWindow, { operations }: RunEvidence): string {
  const writes = operations.filter(
    ({ startMs, endMs, outcome, operation }) =>
      startMs >= fromMs &&
      endMs !== undefined &&
      endMs <= toMs &&
      outcome !== undefined &&
      didWrite(operation.kind, outcome),
  );
  const [first] = writes;
  const when = `${text} from ${Math.round(fromMs)} to ${Math.round(toMs)} ms`;
  if (expect === 'noWrites' && first !== undefined)
    throw new Violation(
      'without a majority nothing is confirmed',
      `${when}: operation ${first.id} ${JSON.stringify(first.operation)} was confirmed at ${Math.round(first.endMs ?? 0)} ms`,
      [first],
    );
  if (expect === 'writes' && first === undefined)
    throw new Violation('a majority goes on', `${when}: no write that was asked for then was confirmed`);
  return `${when}: ${writes.length} writes`;
}

function didWrite(kind: string, outcome: NonNullable<JournalEntry['outcome']>): boolean {
  if (outcome.kind === 'put') return true;
  if (outcome.kind === 'cas') return outcome.succeeded;
  if (outcome.kind === 'delete') return outcome.deleted;
  return kind === 'txn' && outcome.kind === 'txn' && outcome.succeeded;
}

/** Operations that a verdict names, or quotes. */
function shownBy(
  operations: readonly JournalEntry[],
  { entries, message }: Violation,
): Pick<RecordedViolation, 'atMs' | 'operations'> {
  // However often an entry was copied on the way, what was asked is the same object.
  const named = new Set(entries.map((entry) => ('operation' in entry ? entry.operation : undefined)));
  const shown = operations.filter(({ operation, outcome }) => {
    if (named.size > 0) return named.has(operation);
    const answer = outcome === undefined ? '' : JSON.stringify(outcome);
    return message.includes(`${JSON.stringify(operation)} -> ${answer}`);
  });
  const atMs = shown.at(-1)?.endMs;
  return { operations: shown.map(({ id }) => id), ...(atMs === undefined ? {} : { atMs }) };
}
