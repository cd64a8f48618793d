/**
 * Transactions that append to lists and read them, each value once: what a read shows is the order of all appends so far, so the
 * order of transactions can be read off, and a cycle in it is a contradiction (Elle's idea). Adya's names:
 *
 *   G1a  read what a failed transaction appended      G1b  read what a transaction replaced by a later append of its own
 *   G0   a cycle of appends only                      G1c  a cycle of appends and reads of them
 *   G-single, G2  cycles with one, or more, reads that missed an append
 *
 * `-realtime`: the cycle needs that one transaction had returned before another one was invoked. No cycle of any kind is
 * strict serializability, which is what is asked for. Cost: linear in what was read.
 */
import { type Evidence, exchangesOf } from './evidence.ts';
import { type Finding, notApplicable, passed, unknown } from './finding.ts';
import { addOrder, edgeKinds, findCycle } from './list-order.ts';
import { Violation } from './violation.ts';

export type ListExchange = ReturnType<typeof exchangesOf<'listTxn'>>[number];

/** What one transaction did to one list. */
export interface ListAccess {
  readonly exchange: ListExchange;
  /** What others had appended when it read; undefined: it did not look. */
  base: readonly string[] | undefined;
  readonly own: string[];
}

export interface ListStory {
  readonly key: string;
  /** The longest that was read: the order of its values is that of their transactions. */
  longest: readonly string[];
  readonly accesses: ListAccess[];
  readonly writers: Map<string, ListExchange>;
}

/** Throws Violation. */
export function checkListAppend(evidence: Evidence): Finding {
  const exchanges = exchangesOf(evidence, 'listTxn');
  if (exchanges.length === 0) return notApplicable('there are no transactions over lists');
  const lists = new Map<string, ListStory>();
  for (const exchange of exchanges) {
    for (const step of exchange.operation.steps) {
      const { key } = step;
      const story: ListStory = lists.get(key) ?? { key, longest: [], accesses: [], writers: new Map() };
      lists.set(key, story);
      if (step.kind === 'read') continue;
      if (story.writers.has(step.value)) return unknown(`${JSON.stringify(step.value)} was appended to ${key} twice`);
      story.writers.set(step.value, exchange);
    }
  }
  for (const exchange of exchanges) takeDown(exchange, lists);
  for (const story of lists.values()) for (const access of story.accesses) checkRead(story, access);
  const seen = seenTransactions(lists);
  const committed = exchanges.filter((exchange) => exchange.outcome !== undefined || seen.has(exchange));
  const { graph, nodes } = addOrder(committed, [...lists.values()]);
  const cycle = findCycle(graph);
  if (cycle === undefined) return passed(`${committed.length} transactions over ${lists.size} lists have an order`);
  const names = new Map([...nodes].map(([exchange, node]) => [node, exchange]));
  const shown = cycle.edges.flatMap(({ from }) => names.get(from) ?? []);
  const way = cycle.edges.map(({ from, kind }) => {
    const name = names.get(from);
    return name === undefined ? '' : `${name.id} -${edgeKinds.get(kind) ?? ''}-> `;
  });
  const detail = `${cycle.name}: ${way.join('')}${shown[0]?.id ?? ''}`;
  throw new Violation('transactions over lists are strictly serializable', detail, shown);
}

/** One transaction's accesses, and whether it saw its own appends. */
function takeDown(exchange: ListExchange, lists: ReadonlyMap<string, ListStory>): void {
  const { operation, outcome, hasFailed } = exchange;
  if (hasFailed) return;
  const own = new Map<string, ListAccess>();
  let reads = 0;
  for (const step of operation.steps) {
    const story = lists.get(step.key);
    if (story === undefined) continue;
    let access = own.get(step.key);
    if (access === undefined) {
      access = { exchange, base: undefined, own: [] };
      own.set(step.key, access);
      story.accesses.push(access);
    }
    if (step.kind === 'append') {
      access.own.push(step.value);
      continue;
    }
    const list = outcome?.lists[reads++];
    if (list === undefined) continue;
    const base = list.slice(0, Math.max(0, list.length - access.own.length));
    const isOwnThere = access.own.every((value, position) => list[base.length + position] === value);
    const isStable = access.base === undefined || areEqual(access.base, base);
    if (!isOwnThere || !isStable)
      throw new Violation(
        'a transaction sees its own appends and one state of everything else',
        `${step.key} was read as ${shorten(list)}`,
        [exchange],
      );
    access.base = base;
    if (list.length > story.longest.length) story.longest = list;
  }
}

function checkRead(story: ListStory, { exchange, base }: ListAccess): void {
  if (base === undefined) return;
  const { key, longest, writers } = story;
  const differs = base.findIndex((value, position) => longest[position] !== value);
  if (differs >= 0)
    throw new Violation(
      'all who read a list see its values in one order',
      `${key} was read as ${shorten(base)} and as ${shorten(longest)}`,
      [exchange, ...accessOf(story, longest)],
    );
  for (const [position, value] of base.entries()) {
    const writer = writers.get(value);
    const isLast = position === base.length - 1;
    if (writer === undefined)
      throw new Violation('what is read was appended', `nobody appended ${value} to ${key}`, [exchange]);
    if (writer.hasFailed)
      throw new Violation('what is read was committed', `G1a: ${value} in ${key} failed`, [writer, exchange]);
    if (writer.invokedAt > (exchange.returnedAt ?? Number.POSITIVE_INFINITY))
      throw new Violation('what is read was appended', `${value} in ${key} was not asked for yet`, [exchange, writer]);
    if (isLast && writer !== exchange && lastOf(writer, key) !== value)
      throw new Violation('no half of a transaction is read', `G1b: ${value} in ${key}`, [writer, exchange]);
  }
  if (new Set(base).size !== base.length)
    throw new Violation('a value is appended once', `${key} was read as ${shorten(base)}`, [exchange]);
}

function accessOf(story: ListStory, list: readonly string[]): readonly ListExchange[] {
  const access = story.accesses.find(
    ({ base, own }) => base !== undefined && base.length + own.length >= list.length && base[0] === list[0],
  );
  return access === undefined ? [] : [access.exchange];
}

function lastOf({ operation }: ListExchange, key: string): string | undefined {
  const last = operation.steps.findLast((step) => step.kind === 'append' && step.key === key);
  return last?.kind === 'append' ? last.value : undefined;
}

/** Whose appends were read by somebody: they happened, whatever they were told. */
function seenTransactions(lists: ReadonlyMap<string, ListStory>): ReadonlySet<ListExchange> {
  const seen = new Set<ListExchange>();
  for (const { longest, writers } of lists.values()) {
    for (const value of longest) {
      const writer = writers.get(value);
      if (writer !== undefined) seen.add(writer);
    }
  }
  return seen;
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, position) => value === b[position]);
}

/** Values of a list that are shown. */
const shownMax = 12;

function shorten(list: readonly string[]): string {
  if (list.length <= shownMax) return JSON.stringify(list);
  return `${JSON.stringify(list.slice(-shownMax))}, the last of ${list.length}`;
}
