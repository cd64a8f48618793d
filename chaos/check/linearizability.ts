/**
 * Is there an order of a history's operations that respects real time and explains every answer? Asked key by key, as keys do
 * not influence each other.
 *
 * First the order that the store itself names is tried, by the revisions it answered with: an order that passes proves the
 * case, whoever named it, and takes no time. Only when it does not pass is every order looked for, blind to revisions, by Wing
 * and Gong's search with Lowe's memory: a store that lies about its revisions and answers right is not blamed here
 * (revisions.ts does that), and one whose lies hide a wrong answer is.
 *
 * Cost: n log n when the store's own order passes; else near linear when little overlaps.
 */
import { valuesOf } from './answers.ts';
import type { HistoryEntry, Operation } from './history.ts';
import type { StoreModel } from './model.ts';
import { Violation } from './violation.ts';
import { findOrder, firstBreak, type RegisterItem, refused } from './wing-gong.ts';

export type Verdict = 'linearizable' | 'unknown';

/**
 * Throws Violation when there is no such order. `committed`, where it is known, decides about operations that got no answer,
 * and the verdict is then never `unknown`: a search that is given up has an order to be judged by.
 */
export function checkLinearizable(entries: readonly HistoryEntry[], committed?: StoreModel): Verdict {
  const byKey = new Map<string, HistoryEntry[]>();
  const shared = new Set<string>();
  for (const entry of entries) {
    for (const key of sharedKeysOf(entry.operation)) shared.add(key);
    // A read nobody got an answer to says nothing.
    if (entry.outcome === undefined && entry.operation.kind === 'get') continue;
    const key = keyOf(entry.operation);
    if (key === undefined) continue;
    const list = byKey.get(key) ?? [];
    list.push(entry);
    byKey.set(key, list);
  }
  const seen = seenRevisions(entries, committed);
  let verdict: Verdict = 'linearizable';
  for (const [key, list] of byKey)
    if (!shared.has(key) && checkKey(key, list, seen, committed) === 'unknown') verdict = 'unknown';
  return verdict;
}

function keyOf(operation: Operation): string | undefined {
  switch (operation.kind) {
    case 'put':
    case 'get':
    case 'cas':
    case 'delete':
      return operation.key;
    case 'txn':
    case 'list':
    case 'compact':
      return undefined;
  }
}

/** Keys that leases or whole transactions change are left to the other checkers. */
function sharedKeysOf(operation: Operation): readonly string[] {
  if (operation.kind === 'put') return operation.lease === undefined ? [] : [operation.key];
  if (operation.kind !== 'txn') return [];
  return [...operation.success, ...operation.failure].flatMap((step) => (step.kind === 'get' ? [] : [step.key]));
}

/** By value: the revision that a write took effect at, from what was committed, or else from who read it. */
function seenRevisions(
  entries: readonly HistoryEntry[],
  committed: StoreModel | undefined,
): ReadonlyMap<string, number> {
  const seen = new Map<string, number>();
  for (const { outcome } of entries)
    if (outcome?.kind === 'get' && outcome.value !== undefined) seen.set(outcome.value, outcome.modRevision);
  for (const { now } of committed?.events ?? []) if (now !== undefined) seen.set(now.value, now.modRevision);
  return seen;
}

function checkKey(
  key: string,
  entries: readonly HistoryEntry[],
  seen: ReadonlyMap<string, number>,
  committed: StoreModel | undefined,
): Verdict {
  const order = ownOrder(key, entries, seen, committed);
  const broken = firstBreak(order);
  if (broken === undefined) return 'linearizable';
  // What nobody saw and the log does not have has not happened.
  const isPossible = ({ outcome, operation }: HistoryEntry) =>
    committed === undefined || outcome !== undefined || valuesOf(operation).every((value) => seen.has(value));
  const items = readWritesReturn(entries.filter(isPossible).map(toItem));
  const found = findOrder(items);
  if (found === 'found') return 'linearizable';
  if (found === 'given up' && committed === undefined) return 'unknown';
  const detail =
    found === 'given up'
      ? `the order in which the ${items.length} operations on ${key} were committed does not explain their answers`
      : `no order of the ${items.length} operations on ${key} explains their answers`;
  throw new Violation(
    'operations on a key happen one at a time (linearizability)',
    detail,
    order.slice(Math.max(0, broken - 1), broken + 1).map((item) => item.source),
  );
}

/** The order that the store names; operations without an answer only when they are known to have happened. */
function ownOrder(
  key: string,
  entries: readonly HistoryEntry[],
  seen: ReadonlyMap<string, number>,
  committed: StoreModel | undefined,
): readonly RegisterItem[] {
  const deleted = unansweredDeletions(key, entries, committed);
  const placed = entries.flatMap((entry) => {
    const { outcome, operation } = entry;
    const [value] = valuesOf(operation);
    const revision = outcome?.revision ?? deleted.get(entry) ?? (value === undefined ? undefined : seen.get(value));
    if (revision === undefined) return [];
    return [{ item: toItem(entry), revision, rank: isWrite(entry) ? 0 : 1 }];
  });
  placed.sort((a, b) => a.revision - b.revision || a.rank - b.rank || a.item.call - b.item.call);
  return placed.map(({ item }) => item);
}

/** Deletions do not say who made them: what the log has and nobody was told of is given to those who got no answer, in turn. */
function unansweredDeletions(
  key: string,
  entries: readonly HistoryEntry[],
  committed: StoreModel | undefined,
): ReadonlyMap<HistoryEntry, number> {
  const given = new Map<HistoryEntry, number>();
  const open = entries.filter(({ operation, outcome }) => operation.kind === 'delete' && outcome === undefined);
  if (committed === undefined || open.length === 0) return given;
  const told = new Set(entries.flatMap((entry) => (isWrite(entry) ? [entry.outcome?.revision] : [])));
  const deletions = committed.eventsOf(key).filter((event) => event.type === 'delete' && !told.has(event.revision));
  for (const [position, { revision }] of deletions.entries()) {
    const entry = open[position];
    if (entry !== undefined) given.set(entry, revision);
  }
  return given;
}

function isWrite({ operation, outcome }: HistoryEntry): boolean {
  if (operation.kind === 'get') return false;
  if (outcome?.kind === 'cas') return outcome.succeeded;
  return outcome?.kind === 'delete' ? outcome.deleted : true;
}

/** A write that got no answer had happened when somebody who read it returned; whose value is whose must be plain. */
function readWritesReturn(items: readonly RegisterItem[]): readonly RegisterItem[] {
  const readBy = new Map<string, number>();
  const writers = new Map<string, number>();
  for (const { source, ret } of items) {
    const { operation, outcome } = source as HistoryEntry;
    if (outcome?.kind === 'get' && outcome.value !== undefined)
      readBy.set(outcome.value, Math.min(ret, readBy.get(outcome.value) ?? ret));
    for (const value of valuesOf(operation)) writers.set(value, (writers.get(value) ?? 0) + 1);
  }
  return items.map((item) => {
    const { operation, outcome } = item.source as HistoryEntry;
    const [value] = valuesOf(operation);
    const ret = value === undefined || writers.get(value) !== 1 ? undefined : readBy.get(value);
    if (outcome !== undefined || ret === undefined) return item;
    if (operation.kind !== 'cas') return { ...item, ret };
    const apply = (held: string | undefined) => (held === operation.expected ? operation.value : refused);
    return { ...item, ret, apply, needs: { value: operation.expected } };
  });
}

function toItem(entry: HistoryEntry): RegisterItem {
  const ret = entry.outcome === undefined ? Number.POSITIVE_INFINITY : (entry.returnedAt ?? Number.POSITIVE_INFINITY);
  const base = { source: entry, call: entry.invokedAt, ret, apply: (value: string | undefined) => apply(entry, value) };
  const { operation, outcome } = entry;
  switch (operation.kind) {
    case 'get':
      return { ...base, isRead: true, ...(outcome?.kind === 'get' ? { needs: { value: outcome.value } } : {}) };
    case 'cas': {
      const makes = { value: operation.value };
      if (outcome?.kind !== 'cas') return { ...base, isRead: false, makes };
      if (!outcome.succeeded) return { ...base, isRead: true };
      return { ...base, isRead: false, needs: { value: operation.expected }, makes };
    }
    case 'delete':
      if (outcome?.kind === 'delete' && !outcome.deleted) return { ...base, isRead: true, needs: { value: undefined } };
      return { ...base, isRead: false, makes: { value: undefined } };
    case 'put':
      return { ...base, isRead: false, makes: { value: operation.value } };
    case 'txn':
    case 'list':
    case 'compact':
      return { ...base, isRead: false };
  }
}

function apply({ operation, outcome }: HistoryEntry, value: string | undefined): string | undefined | typeof refused {
  switch (operation.kind) {
    case 'put':
      return operation.value;
    case 'get':
      return outcome?.kind === 'get' && outcome.value === value ? value : refused;
    case 'cas': {
      const succeeds = value === operation.expected;
      if (outcome?.kind === 'cas' && outcome.succeeded !== succeeds) return refused;
      return succeeds ? operation.value : value;
    }
    case 'delete':
      if (outcome?.kind === 'delete' && outcome.deleted !== (value !== undefined)) return refused;
      return undefined;
    case 'txn':
    case 'list':
    case 'compact':
      return refused;
  }
}
