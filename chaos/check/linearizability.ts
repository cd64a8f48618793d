/**
 * Is there an order of a history's operations that respects real time and explains every answer? Wing and Gong's search
 * with Lowe's memory, key by key, as keys do not influence each other. It does not look at revisions, so a store that
 * lies about them is still caught; src of the other view is revisions.ts.
 *
 * Cost: near linear when little overlaps; operations of unknown outcome overlap everything after them, so there should be few.
 */
import type { HistoryEntry, Operation } from './history.ts';
import { Violation } from './violation.ts';

/** Steps after which a key's search gives up. A verdict that was not reached is reported, never taken for a yes. */
const stepsMax = 2_000_000;

interface Item {
  readonly entry: HistoryEntry;
  readonly call: number;
  readonly ret: number;
}

export type Verdict = 'linearizable' | 'unknown';

/** Throws Violation when there is no such order. */
export function checkLinearizable(entries: readonly HistoryEntry[]): Verdict {
  const byKey = new Map<string, HistoryEntry[]>();
  for (const entry of entries) {
    // A read nobody got an answer to says nothing.
    if (entry.outcome === undefined && entry.operation.kind === 'get') continue;
    const key = keyOf(entry.operation);
    if (key === undefined) continue;
    const list = byKey.get(key) ?? [];
    list.push(entry);
    byKey.set(key, list);
  }
  let verdict: Verdict = 'linearizable';
  for (const [key, list] of byKey) if (checkKey(key, list) === 'unknown') verdict = 'unknown';
  return verdict;
}

/** Keys that leases or whole transactions change are left to the other checkers. */
function keyOf(operation: Operation): string | undefined {
  switch (operation.kind) {
    case 'put':
      return operation.lease === undefined ? operation.key : undefined;
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

/** The value after `entry` took effect on `value`, or `false` when it could not have answered as it did. */
function step(value: string | undefined, entry: HistoryEntry): { readonly next: string | undefined } | false {
  const { operation, outcome } = entry;
  switch (operation.kind) {
    case 'put':
      return { next: operation.value };
    case 'get':
      return outcome?.kind === 'get' && outcome.value === value ? { next: value } : false;
    case 'cas': {
      const succeeds = value === operation.expected;
      if (outcome?.kind === 'cas' && outcome.succeeded !== succeeds) return false;
      return { next: succeeds ? operation.value : value };
    }
    case 'delete': {
      const deletes = value !== undefined;
      if (outcome?.kind === 'delete' && outcome.deleted !== deletes) return false;
      return { next: undefined };
    }
    default:
      return false;
  }
}

function checkKey(key: string, entries: readonly HistoryEntry[]): Verdict {
  const items: Item[] = entries.map((entry) => ({
    entry,
    call: entry.invokedAt,
    ret: entry.returnedAt ?? Number.POSITIVE_INFINITY,
  }));
  items.sort((a, b) => a.call - b.call);
  const done = new Uint8Array(items.length);
  const seen = new Set<string>();
  let steps = 0;
  let certainLeft = items.filter((item) => item.ret !== Number.POSITIVE_INFINITY).length;
  let best = 0;
  let gaveUp = false;

  // First item that is not taken: everything before it need not be looked at again.
  const search = (first: number, value: string | undefined): boolean => {
    if (certainLeft === 0) return true;
    if (++steps > stepsMax) {
      gaveUp = true;
      return true;
    }
    let start = first;
    while (start < items.length && done[start] === 1) start += 1;
    const mark = `${start}|${taken(done, start)}|${value ?? '\0'}`;
    if (seen.has(mark)) return false;
    seen.add(mark);
    let earliestReturn = Number.POSITIVE_INFINITY;
    for (let index = start; index < items.length; index++) {
      const item = items[index] as Item;
      if (done[index] === 1) continue;
      // It was called after another one, still to come, had returned: it cannot be next, nor can any later one.
      if (item.call > earliestReturn) break;
      earliestReturn = Math.min(earliestReturn, item.ret);
      const result = step(value, item.entry);
      if (result === false) continue;
      const isCertain = item.ret !== Number.POSITIVE_INFINITY;
      done[index] = 1;
      if (isCertain) certainLeft -= 1;
      best = Math.max(best, items.length - certainLeft);
      if (search(start, result.next)) return true;
      done[index] = 0;
      if (isCertain) certainLeft += 1;
    }
    return false;
  };
  if (!search(0, undefined)) {
    throw new Violation(
      'linearizability',
      `no order of the ${items.length} operations on ${key} explains their answers`,
    );
  }
  return gaveUp ? 'unknown' : 'linearizable';
}

/** Which of the items after `start` are taken, compactly. */
function taken(done: Uint8Array, start: number): string {
  let text = '';
  let last = start;
  for (let index = start; index < done.length; index++) {
    if (done[index] === 1) {
      text += `${index - last},`;
      last = index;
    }
  }
  return text;
}
