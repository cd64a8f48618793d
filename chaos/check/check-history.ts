/**
 * Every checker over one history. Each judges what the history has of its kind, and says so when there is nothing or too little;
 * none knows anything of the store but what stands in the history.
 *
 *   const results = checkHistory(readHistory(text));
 *   const isGood = results.every((result) => result.verdict === 'passed' || result.verdict === 'notApplicable');
 */
import { checkAnswers, valuesOf } from './answers.ts';
import { checkCompaction } from './compaction.ts';
import { checkCounters, checkIds } from './counters.ts';
import { checkDurability } from './durability.ts';
import { type EventLog, eventLog } from './event-log.ts';
import { type Evidence, gather, storeExchanges, type WatchEvidence } from './evidence.ts';
import { checkFailures } from './failures.ts';
import { type Finding, notApplicable, passed, unknown } from './finding.ts';
import type { RecordedHistory } from './history-events.ts';
import { checkLeaseEvidence } from './lease-evidence.ts';
import { checkLinearizable } from './linearizability.ts';
import { checkListAppend } from './list-append.ts';
import { checkLocks } from './locks.ts';
import { checkMembers } from './members.ts';
import { checkRevisions } from './revisions.ts';
import { checkBank, checkRing, checkSets } from './totals.ts';
import { Violation } from './violation.ts';
import { checkWatchAgreement } from './watch-agreement.ts';
import { checkWatches, type WatchRecord } from './watch.ts';

export interface CheckResult {
  readonly name: string;
  /** `unknown`: it could not be judged, which is no pass. `notApplicable`: the history has nothing of that kind. */
  readonly verdict: 'passed' | 'failed' | 'unknown' | 'notApplicable';
  /** In one sentence: what was broken, or what this checker sees to. */
  readonly property: string;
  readonly detail: string;
  /** Ids of the operations that show it. */
  readonly operations: readonly number[];
}

interface Context {
  readonly evidence: Evidence;
  readonly log: EventLog | undefined;
  /** Of what was asked of the store, what did not fail for certain. */
  readonly entries: ReturnType<typeof storeExchanges>;
  readonly newestRevision: number;
  /** Written by two operations, so that nobody can tell them apart. */
  readonly repeatedValue: string | undefined;
}

interface Checker {
  readonly name: string;
  readonly property: string;
  readonly check: (context: Context) => Finding;
}

const checkers: readonly Checker[] = [
  {
    name: 'linearizability',
    property: 'every key behaves as if operations happened one at a time, between their call and their return',
    check: checkKeys,
  },
  {
    name: 'revisions',
    property: 'the revisions of all answers tell one story that follows real time',
    check: checkStory,
  },
  {
    name: 'answers',
    property: 'every answer is what its revision holds, and every request is carried out at most once',
    check: checkModel,
  },
  {
    name: 'failures',
    property: 'what failed did not happen',
    check: ({ evidence, log }) => checkFailures(evidence, log?.model),
  },
  {
    name: 'watches',
    property: 'every watch is told exactly what concerns it, once, in order, whole',
    check: checkTold,
  },
  {
    name: 'watchAgreement',
    property: 'watchers agree on what happened, and none misses what another is told',
    check: ({ evidence }) => checkWatchAgreement(evidence),
  },
  {
    name: 'compaction',
    property: 'what is compacted is read no more, and is said to be compacted only when it was',
    check: ({ evidence }) => checkCompaction(evidence),
  },
  {
    name: 'leases',
    property: 'a lease lives as long as its holder was told, and ends when nobody renews it',
    check: ({ evidence, log }) => checkLeaseEvidence(evidence, log),
  },
  {
    name: 'members',
    property: 'members at the same revision hold the same',
    check: ({ evidence, log }) => checkMembers(evidence, log),
  },
  {
    name: 'durability',
    property: 'what was acknowledged survives a power loss',
    check: ({ evidence }) => checkDurability(evidence),
  },
  {
    name: 'listAppend',
    property: 'transactions over lists are strictly serializable',
    check: ({ evidence }) => checkListAppend(evidence),
  },
  { name: 'bank', property: 'money is neither made nor lost', check: ({ evidence }) => checkBank(evidence) },
  { name: 'ring', property: 'the nodes of a ring stay one ring', check: ({ evidence }) => checkRing(evidence) },
  {
    name: 'sets',
    property: 'a set holds what was added, once, and forgets nothing',
    check: ({ evidence }) => checkSets(evidence),
  },
  { name: 'ids', property: 'every id is handed out once', check: ({ evidence }) => checkIds(evidence) },
  {
    name: 'counters',
    property: 'a counter counts what was added',
    check: ({ evidence }) => checkCounters(evidence),
  },
  {
    name: 'locks',
    property: 'what a lock guards is written by one holder after the other',
    check: ({ evidence }) => checkLocks(evidence),
  },
];

export const checkerNames: readonly string[] = checkers.map(({ name }) => name);

/** One result for each checker, in their order. */
export function checkHistory(history: RecordedHistory): readonly CheckResult[] {
  const evidence = gather(history);
  const entries = storeExchanges(evidence).filter((exchange) => !exchange.hasFailed);
  const context: Context = {
    evidence,
    log: eventLog(evidence),
    entries,
    newestRevision: entries.reduce((newest, { outcome }) => Math.max(newest, outcome?.revision ?? 0), 0),
    repeatedValue: repeated(entries.flatMap(({ operation }) => valuesOf(operation))),
  };
  return checkers.map((checker) => run(checker, context));
}

function run({ name, property, check }: Checker, context: Context): CheckResult {
  try {
    const { verdict, detail } = check(context);
    return { name, verdict, property, detail, operations: [] };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const detail = error.message.slice(error.property.length + 2);
    const operations = error.entries.flatMap((entry) =>
      'id' in entry && typeof entry.id === 'number' ? entry.id : [],
    );
    return { name, verdict: 'failed', property: error.property, detail, operations };
  }
}

function repeated(values: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return values.find((value) => seen.has(value) || !seen.add(value));
}

/** Whether all that was answered is in the log, so that what is not there has not happened. */
function isComplete({ log, newestRevision }: Context): boolean {
  return log !== undefined && log.broken === undefined && log.model.revision >= newestRevision;
}

function checkKeys(context: Context): Finding {
  const { entries, log, repeatedValue } = context;
  const singles = entries.filter(({ operation }) => ['put', 'get', 'cas', 'delete'].includes(operation.kind));
  if (singles.length === 0) return notApplicable('there are no operations on single keys');
  const isDecided = isComplete(context) && repeatedValue === undefined;
  const verdict = checkLinearizable(entries, isDecided ? log?.model : undefined);
  if (verdict === 'unknown') return unknown('the search for an order was given up: too much was unanswered at once');
  return passed(`${singles.length} operations have an order that explains every answer`);
}

function checkStory({ entries, newestRevision, repeatedValue }: Context): Finding {
  if (newestRevision === 0) return notApplicable('no answer has a revision');
  if (repeatedValue !== undefined) return unknown(`${JSON.stringify(repeatedValue)} was written by two operations`);
  checkRevisions(entries);
  return passed(`the answers tell of ${newestRevision} revisions`);
}

function checkModel({ entries, evidence, log, newestRevision, repeatedValue }: Context): Finding {
  if (newestRevision === 0) return notApplicable('no answer has a revision');
  if (log === undefined) return unknown('nothing tells what was committed: neither a log nor a watch of everything');
  if (repeatedValue !== undefined) return unknown(`${JSON.stringify(repeatedValue)} was written by two operations`);
  const { model } = log;
  const judged = log.source === 'commits' ? entries : entries.map((entry) => upTo(entry, model.revision));
  // What else is asked of the same store writes in words that this history does not have.
  const isAlone = entries.length === evidence.exchanges.filter(({ hasFailed }) => !hasFailed).length;
  checkAnswers(judged, model, isAlone || evidence.exchanges.every(({ operation }) => !isService(operation.kind)));
  const beyond = judged.filter(({ outcome }, position) => outcome !== entries[position]?.outcome).length;
  if (beyond > 0) return unknown(`${beyond} answers are newer than what watches of everything were told`);
  return passed(`${judged.length} operations fit ${model.revision} revisions`);
}

function isService(kind: string): boolean {
  return !kind.startsWith('lease') && !['put', 'get', 'cas', 'delete', 'txn', 'list', 'compact'].includes(kind);
}

/** As if it had got no answer, when that is newer than what is known. */
function upTo(entry: Context['entries'][number], revision: number): Context['entries'][number] {
  return entry.outcome === undefined || entry.outcome.revision <= revision ? entry : { ...entry, outcome: undefined };
}

function checkTold({ evidence, log }: Context): Finding {
  const { watches } = evidence;
  if (watches.length === 0) return notApplicable('nobody watched');
  if (log === undefined) return unknown('nothing tells what was committed: neither a log nor a watch of everything');
  const { model, source, broken } = log;
  const records = watches.map((watch) => (source === 'commits' ? watch.record : cutAt(watch, model.revision)));
  checkWatches(records, model);
  if (broken !== undefined) throw broken;
  return passed(`${watches.length} watches were told what they had to be`);
}

/** What was told of revisions that are known. */
function cutAt({ record }: WatchEvidence, revision: number): WatchRecord {
  const end = record.answers.findIndex(
    (answer) =>
      (answer.kind !== 'compacted' && answer.revision > revision) ||
      (answer.kind === 'events' && answer.events.some((event) => event.revision > revision)),
  );
  return end < 0 ? record : { ...record, answers: record.answers.slice(0, end), isOpen: false };
}
