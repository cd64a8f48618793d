/**
 * Ids that are handed out once, and counters that count what was added: every read lies between what was certainly added when
 * it began and what can have been added when it ended, and a counter that only grows never goes back.
 */
import { type Evidence, type Exchange, exchangesOf } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import { Violation } from './violation.ts';

/** Throws Violation. */
export function checkIds(evidence: Evidence): Finding {
  const taken = new Map<string, Exchange>();
  for (const exchange of exchangesOf(evidence, 'idTake')) {
    const { operation, outcome } = exchange;
    if (outcome === undefined) continue;
    const name = JSON.stringify([operation.pool, outcome.id]);
    const other = taken.get(name);
    if (other !== undefined) {
      const detail = `clients ${other.client} and ${exchange.client} were both given ${outcome.id} of ${operation.pool}`;
      throw new Violation('every id is handed out once', detail, [other, exchange]);
    }
    taken.set(name, exchange);
  }
  return taken.size === 0 ? notApplicable('nobody was given an id') : passed(`${taken.size} ids, all different`);
}

type CounterExchange = ReturnType<typeof exchangesOf<'counterAdd' | 'counterRead'>>[number];

/** Throws Violation. */
export function checkCounters(evidence: Evidence): Finding {
  const exchanges = exchangesOf(evidence, 'counterAdd', 'counterRead');
  if (exchanges.length === 0) return notApplicable('nobody counted');
  const byCounter = Map.groupBy(exchanges, ({ operation }) => operation.counter);
  let reads = 0;
  for (const [counter, own] of byCounter) reads += checkCounter(counter, own);
  return passed(`${reads} reads of ${byCounter.size} counters`);
}

/** Additions and subtractions apart. */
interface Sums {
  up: number;
  down: number;
}

function add(sums: Sums, amount: number): void {
  if (amount > 0) sums.up += amount;
  else sums.down += amount;
}

function checkCounter(counter: string, exchanges: readonly CounterExchange[]): number {
  const asked: Sums = { up: 0, down: 0 };
  const done: Sums = { up: 0, down: 0 };
  const atBegin = new Map<CounterExchange, Sums & { readonly seen: Seen | undefined }>();
  const onlyGrows = exchanges.every(({ operation }) => operation.kind !== 'counterAdd' || operation.amount >= 0);
  let seen: Seen | undefined;
  let reads = 0;
  for (const { exchange, isReturn } of momentsOf(exchanges)) {
    const { operation, outcome } = exchange;
    if (operation.kind === 'counterAdd') {
      if (!exchange.hasFailed) add(isReturn ? done : asked, operation.amount);
    } else if (!isReturn) atBegin.set(exchange, { ...done, seen });
    else if (outcome?.kind === 'counterRead') {
      reads += 1;
      const begin = atBegin.get(exchange);
      if (begin === undefined) continue;
      const [least, most] = [begin.up + asked.down, asked.up + begin.down];
      if (outcome.value < least || outcome.value > most) {
        const detail = `${counter} was read as ${outcome.value}, but lay between ${least} and ${most}`;
        throw new Violation('a counter counts what was added', detail, [exchange]);
      }
      if (onlyGrows && begin.seen !== undefined && outcome.value < begin.seen.value) {
        const detail = `${counter} was ${begin.seen.value}, and then ${outcome.value}`;
        throw new Violation('a counter that only grows does not go back', detail, [begin.seen.exchange, exchange]);
      }
      if (seen === undefined || outcome.value > seen.value) seen = { value: outcome.value, exchange };
    }
  }
  return reads;
}

interface Seen {
  readonly value: number;
  readonly exchange: CounterExchange;
}

function momentsOf(exchanges: readonly CounterExchange[]) {
  return exchanges
    .flatMap((exchange) => {
      const begin = { at: exchange.invokedAt, exchange, isReturn: false };
      if (exchange.outcome === undefined) return [begin];
      return [begin, { at: exchange.returnedAt ?? 0, exchange, isReturn: true }];
    })
    .sort((a, b) => a.at - b.at);
}
