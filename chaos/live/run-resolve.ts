/**
 * What became of operations that nobody got an answer to: the log of events tells. A value is in the log of a whole run or it is not,
 * so its write happened, at the revision of its event, or never did. It happened before the first answer
 * that names that revision or a later one, which is how long it may take in the order of real time.
 *
 * Deletions leave events without a value: one that no answered request owns belongs to some unanswered deletion of that key.
 * Which one does not matter as long as it had been asked for by then, so the earliest is taken.
 */
import type { HistoryEntry, Operation, Outcome } from '../check/history.ts';
import { type ModelStep, StoreModel } from '../check/model.ts';
import { Violation } from '../check/violation.ts';
import type { WatchRecord } from '../check/watch.ts';

/** The store as a watch of everything saw it. Revisions that it was told nothing of belong to other keys. */
export function modelOf(log: WatchRecord, baseRevision: number): StoreModel {
  const model = new StoreModel();
  model.revision = baseRevision;
  let steps: ModelStep[] = [];
  let revision = baseRevision;
  const close = () => {
    if (steps.length === 0) return;
    model.revision = revision - 1;
    model.apply({ kind: 'txn', compare: [], success: steps, failure: [] });
    steps = [];
  };
  for (const answer of log.answers) {
    if (answer.kind !== 'events') continue;
    for (const event of answer.events) {
      if (event.revision < revision)
        throw new Violation('watches are ordered', `${log.name} was told of ${event.revision} after ${revision}`);
      if (event.revision > revision) close();
      revision = event.revision;
      steps.push(
        event.now === undefined
          ? { kind: 'delete', key: event.key, end: '' }
          : { kind: 'put', key: event.key, value: event.now.value, lease: event.now.lease },
      );
    }
  }
  close();
  return model;
}

/** The same history with nothing open. Throws Violation when the log holds what nobody can have asked for. */
export function resolveUnknown(entries: readonly HistoryEntry[], model: StoreModel): readonly HistoryEntry[] {
  const deadlines = new Deadlines(entries);
  const writtenAt = new Map(model.events.flatMap(({ now, revision }) => (now ? [[now.value, revision] as const] : [])));
  const owned = new Set<string>();
  const resolved: HistoryEntry[] = [];
  const deletions = new Map<string, HistoryEntry[]>();
  const take = (entry: HistoryEntry, outcome: Outcome, returnedAt: number) => {
    if (returnedAt <= entry.invokedAt)
      throw new Violation(
        'nothing happens before it was asked for',
        `revision ${outcome.revision} had been seen before ${JSON.stringify(entry.operation)} was asked`,
        [entry],
      );
    resolved.push({ ...entry, outcome, returnedAt });
    for (const key of deletedBy(entry.operation, outcome)) owned.add(`${key}@${outcome.revision}`);
  };
  for (const entry of entries) {
    const { operation, outcome, returnedAt } = entry;
    if (outcome !== undefined && returnedAt !== undefined) take(entry, outcome, returnedAt);
    else if (operation.kind === 'delete') {
      const open = deletions.get(operation.key) ?? [];
      deletions.set(operation.key, [...open, entry]);
    } else {
      const value = valueOf(operation);
      const revision = value === undefined ? undefined : writtenAt.get(value);
      if (revision !== undefined) take(entry, happened(operation, revision), deadlines.of(revision));
    }
  }
  for (const { type, key, revision } of model.events) {
    if (type !== 'delete' || owned.has(`${key}@${revision}`)) continue;
    const entry = deletions.get(key)?.shift();
    if (entry === undefined)
      throw new Violation(
        'only what was asked for happens',
        `revision ${revision} deleted ${key}, which nobody asked for`,
      );
    take(entry, { kind: 'delete', revision, deleted: true }, deadlines.of(revision));
  }
  return resolved.sort((a, b) => a.invokedAt - b.invokedAt);
}

/** One of the values that it writes if it writes; undefined: none. */
function valueOf(operation: Operation): string | undefined {
  if (operation.kind === 'put' || operation.kind === 'cas') return operation.value;
  if (operation.kind !== 'txn') return undefined;
  return operation.success.flatMap((step) => (step.kind === 'put' ? [step.value] : []))[0];
}

function happened(operation: Operation, revision: number): Outcome {
  if (operation.kind === 'cas') return { kind: 'cas', revision, succeeded: true };
  if (operation.kind === 'txn') return { kind: 'txn', revision, succeeded: true, found: [] };
  return { kind: 'put', revision };
}

function deletedBy(operation: Operation, outcome: Outcome): readonly string[] {
  if (operation.kind === 'delete') return outcome.kind === 'delete' && outcome.deleted ? [operation.key] : [];
  if (operation.kind !== 'txn' || outcome.kind !== 'txn') return [];
  const steps = outcome.succeeded ? operation.success : operation.failure;
  return steps.flatMap((step) => (step.kind === 'delete' ? [step.key] : []));
}

/** When a revision had been seen at the latest. */
class Deadlines {
  readonly #seen: readonly { readonly at: number; readonly revision: number }[];
  readonly #end: number;

  constructor(entries: readonly HistoryEntry[]) {
    let highest = 0;
    this.#seen = entries
      .flatMap(({ returnedAt, outcome }) =>
        returnedAt && outcome ? [{ at: returnedAt, revision: outcome.revision }] : [],
      )
      .sort((a, b) => a.at - b.at)
      .map(({ at, revision }) => ({ at, revision: (highest = Math.max(highest, revision)) }));
    this.#end = 1 + Math.max(0, ...entries.slice(-1).map((entry) => entry.invokedAt), this.#seen.at(-1)?.at ?? 0);
  }

  /** A position in the history, just before the answer that shows it. */
  of(revision: number): number {
    let [low, high] = [0, this.#seen.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#seen[middle]?.revision ?? 0) >= revision) high = middle;
      else low = middle + 1;
    }
    const seen = this.#seen[low];
    return seen === undefined ? this.#end : seen.at - 0.5;
  }
}
