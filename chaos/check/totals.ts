/** What has to stay the same whatever happens: the money of a bank, the nodes of a ring, what was added to a set or a counter. */
import { type Evidence, type Exchange, exchangesOf } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import type { Outcome } from './history.ts';
import type { AnyOutcome } from './history-events.ts';
import { Violation } from './violation.ts';

/** Transfers move money, so at every moment all accounts together hold the same. Throws Violation. */
export function checkBank(evidence: Evidence): Finding {
  const reads = answered(exchangesOf(evidence, 'bankRead'));
  const [first] = reads;
  if (first === undefined) return notApplicable('nobody read a bank');
  const { mayOwe = false, bankTotal = totalOf(first.outcome) } = evidence.expect;
  for (const { exchange, outcome } of reads) {
    if (outcome.kind !== 'bankRead') continue;
    const names = outcome.accounts.map(({ account }) => account);
    if (new Set(names).size !== names.length)
      throw new Violation('an account is there once', `a read found ${names.join(', ')}`, [exchange]);
    const total = totalOf(outcome);
    if (total !== bankTotal) {
      const detail = `all accounts together hold ${total}, want ${bankTotal}`;
      throw new Violation('money is neither made nor lost', detail, [first.exchange, exchange]);
    }
    const owing = outcome.accounts.find(({ amount }) => amount < 0);
    if (owing !== undefined && !mayOwe)
      throw new Violation('no account owes', `${owing.account} holds ${owing.amount}`, [exchange]);
  }
  return passed(`${reads.length} reads found ${bankTotal} each`);
}

function totalOf(outcome: AnyOutcome): number {
  return outcome.kind === 'bankRead' ? outcome.accounts.reduce((sum, { amount }) => sum + amount, 0) : 0;
}

/** Every node links to one other, and who follows the links passes all of them before he is back. Throws Violation. */
export function checkRing(evidence: Evidence): Finding {
  const reads = answered(exchangesOf(evidence, 'ringRead'));
  let nodes = evidence.expect.ringNodes;
  for (const { exchange, outcome } of reads) {
    if (outcome.kind !== 'ringRead') continue;
    const fail = (detail: string): never => {
      throw new Violation('the nodes of a ring stay one ring', detail, [exchange]);
    };
    const links = new Map(outcome.links.map(({ from, to }) => [from, to]));
    nodes ??= links.size;
    if (links.size !== outcome.links.length) fail('a node has two links');
    if (links.size !== nodes) fail(`there are ${links.size} nodes, want ${nodes}`);
    const start = outcome.links[0]?.from;
    let at = start;
    for (let step = 1; step <= links.size && at !== undefined; step++) {
      at = links.get(at);
      if (at === start && step < links.size) fail(`from ${start} on, it closes after ${step} of ${links.size} nodes`);
    }
    if (at !== start) fail(`from ${start} on, the links do not come back`);
  }
  return reads.length === 0 ? notApplicable('nobody read a ring') : passed(`${reads.length} reads found one ring each`);
}

/** What was added is there for whoever looks afterwards, once, and nothing else is. Throws Violation. */
export function checkSets(evidence: Evidence): Finding {
  const reads = answered(exchangesOf(evidence, 'setRead'));
  if (reads.length === 0) return notApplicable('nobody read a set');
  const sets = Map.groupBy(exchangesOf(evidence, 'setAdd'), ({ operation }) => setOf(operation));
  const groups = Map.groupBy(reads, ({ exchange }) => setOf(exchange.operation));
  for (const [set, own] of groups) checkSet(set, sets.get(set) ?? [], own);
  return passed(`${reads.length} reads of ${groups.size} sets`);
}

function setOf(operation: object): string {
  return 'set' in operation ? String(operation.set) : '';
}

interface Answered {
  readonly exchange: Exchange;
  readonly outcome: Exclude<AnyOutcome, Outcome>;
  readonly returnedAt: number;
}

function checkSet(set: string, adds: readonly Exchange[], reads: readonly Answered[]): void {
  const asked = new Map<string, Exchange>();
  /** From where on an element is certainly in: its add, or somebody who saw it, had returned. */
  const certain = new Map<string, { readonly at: number; readonly by: Exchange }>();
  const note = (element: string, at: number, by: Exchange) => {
    if (at < (certain.get(element)?.at ?? Number.POSITIVE_INFINITY)) certain.set(element, { at, by });
  };
  for (const add of adds) {
    if (add.operation.kind !== 'setAdd' || add.hasFailed) continue;
    asked.set(add.operation.element, add);
    if (add.outcome !== undefined) note(add.operation.element, add.returnedAt ?? 0, add);
  }
  for (const { exchange, outcome, returnedAt } of reads) {
    if (outcome.kind !== 'setRead') continue;
    const found = new Set<string>();
    for (const element of outcome.elements) {
      const add = asked.get(element);
      if (add === undefined || add.invokedAt > returnedAt)
        throw new Violation('a set holds what was added', `${element} in ${set} was added by nobody`, [exchange]);
      if (found.has(element))
        throw new Violation('a set holds everything once', `${element} is in ${set} twice`, [exchange]);
      found.add(element);
      note(element, returnedAt, exchange);
    }
  }
  const inOrder = [...certain].sort(([, a], [, b]) => a.at - b.at);
  for (const { exchange, outcome } of reads) {
    if (outcome.kind !== 'setRead') continue;
    const found = new Set(outcome.elements);
    for (const [element, { at, by }] of inOrder) {
      if (at > exchange.invokedAt) break;
      if (!found.has(element))
        throw new Violation('a set forgets nothing', `${element} had been in ${set}, and is not`, [by, exchange]);
    }
  }
}

function answered(exchanges: readonly Exchange[]): readonly Answered[] {
  return exchanges.flatMap((exchange) => {
    const { outcome, returnedAt } = exchange;
    return outcome === undefined
      ? []
      : [{ exchange, outcome: outcome as Answered['outcome'], returnedAt: returnedAt ?? 0 }];
  });
}
