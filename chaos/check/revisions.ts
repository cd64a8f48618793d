/**
 * The same history by the store's own account: every answer carries a revision, and those must tell one story. Writes
 * have revisions of their own; revisions never go back in real time; a read's value is the newest write at or before its
 * revision, and is never seen with another revision than its write was answered with. Clients write every value once.
 */
import type { HistoryEntry } from './history.ts';
import { Violation } from './violation.ts';

export function checkRevisions(entries: readonly HistoryEntry[]): void {
  checkUnique(entries);
  checkRealTime(entries);
  checkReads(entries);
  checkOnce(entries);
}

function isWrite(entry: HistoryEntry): boolean {
  const { operation, outcome } = entry;
  if (operation.kind === 'txn' && outcome?.kind === 'txn') {
    const steps = outcome.succeeded ? operation.success : operation.failure;
    return steps.some((step) => step.kind === 'put');
  }
  return (
    outcome?.kind === 'put' ||
    (outcome?.kind === 'cas' && outcome.succeeded) ||
    (outcome?.kind === 'delete' && outcome.deleted)
  );
}

function describe(entry: HistoryEntry): string {
  return `${JSON.stringify(entry.operation)} -> ${JSON.stringify(entry.outcome)}`;
}

function checkUnique(entries: readonly HistoryEntry[]): void {
  const writers = new Map<number, HistoryEntry>();
  for (const entry of entries.filter(isWrite)) {
    const revision = entry.outcome?.revision ?? 0;
    const other = writers.get(revision);
    if (other !== undefined)
      throw new Violation('a write has a revision of its own', `${describe(other)} and ${describe(entry)}`, [
        other,
        entry,
      ]);
    writers.set(revision, entry);
  }
}

/** What returned before something was invoked has a revision no higher; a later write's is higher than all of them. */
function checkRealTime(entries: readonly HistoryEntry[]): void {
  const moments = entries
    // What one member has may be old; what it says is checked against the model (answers.ts).
    .filter(({ operation, outcome }) => outcome !== undefined && !(operation.kind === 'list' && operation.isLocal))
    .flatMap((entry) => [
      { at: entry.invokedAt, entry, isReturn: false },
      { at: entry.returnedAt ?? 0, entry, isReturn: true },
    ])
    .sort((a, b) => a.at - b.at);
  const floor = new Map<HistoryEntry, number>();
  let highest = 0;
  for (const { entry, isReturn } of moments) {
    const revision = entry.outcome?.revision ?? 0;
    if (!isReturn) {
      floor.set(entry, highest);
      continue;
    }
    const before = floor.get(entry) ?? 0;
    if (revision < before)
      throw new Violation(
        'revisions follow real time',
        `${describe(entry)} was invoked after revision ${before} had been seen`,
        [entry],
      );
    if (isWrite(entry) && revision === before)
      throw new Violation('a write is newer than what was seen before it', describe(entry), [entry]);
    highest = Math.max(highest, revision);
  }
}

interface Write {
  readonly revision: number;
  readonly value: string | undefined;
  readonly entry: HistoryEntry;
}

/** `writes` by their revisions. */
function newestUpTo(writes: readonly Write[], revision: number): Write | undefined {
  let [from, to] = [0, writes.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((writes[middle] as Write).revision <= revision) from = middle + 1;
    else to = middle;
  }
  return writes[from - 1];
}

function checkReads(entries: readonly HistoryEntry[]): void {
  const writes = new Map<string, Write[]>();
  for (const entry of entries.filter(isWrite)) {
    const { operation, outcome } = entry;
    if (operation.kind !== 'put' && operation.kind !== 'cas' && operation.kind !== 'delete') continue;
    const list = writes.get(operation.key) ?? [];
    list.push({
      revision: outcome?.revision ?? 0,
      value: operation.kind === 'delete' ? undefined : operation.value,
      entry,
    });
    writes.set(operation.key, list);
  }
  for (const list of writes.values()) list.sort((a, b) => a.revision - b.revision);
  for (const entry of entries) {
    const { operation, outcome } = entry;
    if (operation.kind !== 'get' || outcome?.kind !== 'get') continue;
    const newest = newestUpTo(writes.get(operation.key) ?? [], outcome.revision);
    // A write nobody got an answer to may lie in between, so only what is known can contradict.
    if (newest === undefined) continue;
    const saysSame = outcome.modRevision === newest.revision;
    if (saysSame && outcome.value !== newest.value)
      throw new Violation(
        'a read returns what was written',
        `${describe(entry)}, but revision ${newest.revision} wrote ${JSON.stringify(newest.value)}`,
        [entry, newest.entry],
      );
    if (outcome.value !== undefined && outcome.modRevision < newest.revision) {
      throw new Violation(
        'a read returns the newest write',
        `${describe(entry)}, but revision ${newest.revision} wrote ${JSON.stringify(newest.value)}`,
        [entry, newest.entry],
      );
    }
  }
}

/** A write that happened a second time shows its value under a second revision. */
function checkOnce(entries: readonly HistoryEntry[]): void {
  const writes = new Map<string, HistoryEntry>();
  const nameOf = (key: string, value: string) => JSON.stringify([key, value]);
  for (const entry of entries.filter(isWrite)) {
    const { operation } = entry;
    if (operation.kind === 'put' || operation.kind === 'cas') writes.set(nameOf(operation.key, operation.value), entry);
  }
  for (const entry of entries) {
    const { operation, outcome } = entry;
    if (operation.kind !== 'get' || outcome?.kind !== 'get' || outcome.value === undefined) continue;
    const write = writes.get(nameOf(operation.key, outcome.value));
    if (write !== undefined && write.outcome?.revision !== outcome.modRevision) {
      throw new Violation('a write happens once', `${describe(write)}, but ${describe(entry)}`, [write, entry]);
    }
  }
}
