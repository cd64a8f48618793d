/**
 * What was answered with an error that says "it did not happen" did not: nobody ever sees its value. (An error that says
 * nothing of the kind is an `info` of the history, and may come true.)
 */
import { valuesOf } from './answers.ts';
import { type Evidence, storeExchanges } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import type { Outcome } from './history.ts';
import type { StoreModel } from './model.ts';
import { Violation } from './violation.ts';

const property = 'what failed did not happen';

export function checkFailures(evidence: Evidence, model: StoreModel | undefined): Finding {
  const exchanges = storeExchanges(evidence);
  const failed = new Map<string, object>();
  for (const exchange of exchanges)
    if (exchange.hasFailed) for (const value of valuesOf(exchange.operation)) failed.set(value, exchange);
  for (const { hasFailed, operation } of exchanges)
    if (!hasFailed) for (const value of valuesOf(operation)) failed.delete(value);
  if (failed.size === 0) return notApplicable('no write has failed for certain');
  for (const exchange of exchanges) {
    for (const value of shownBy(exchange.outcome)) {
      const write = failed.get(value);
      if (write !== undefined)
        throw new Violation(property, `the failed write of ${JSON.stringify(value)} was read`, [write, exchange]);
    }
  }
  const told = evidence.watches.flatMap(({ record }) => record.answers);
  const events = [
    ...(model?.events ?? []),
    ...told.flatMap((answer) => (answer.kind === 'events' ? answer.events : [])),
  ];
  for (const { now, revision } of events) {
    const write = now === undefined ? undefined : failed.get(now.value);
    if (write === undefined) continue;
    const detail = `the failed write of ${JSON.stringify(now?.value)} is revision ${revision}`;
    throw new Violation(property, detail, [write]);
  }
  return passed(`${failed.size} values of failed writes were seen by nobody`);
}

/** Values that an answer shows. */
function shownBy(outcome: Outcome | undefined): readonly string[] {
  if (outcome?.kind === 'get') return outcome.value === undefined ? [] : [outcome.value];
  if (outcome?.kind === 'list') return outcome.keys.map(({ value }) => value);
  return outcome?.kind === 'txn' ? outcome.found.flatMap((value) => value ?? []) : [];
}
