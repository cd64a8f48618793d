/**
 * Every answer against the model of what was committed: at the revision that the answer names, the store held just that. With
 * the revisions in the order of real time (revisions.ts), this is strict serializability of whole transactions. And what was
 * asked once happened at most once, also when nobody got an answer.
 */
import type { HistoryEntry, Operation, Outcome, TxnStep } from './history.ts';
import type { ModelEvent, StoreModel } from './model.ts';
import { Violation } from './violation.ts';

/** Throws Violation. Values in a history are unique, so each names the request it came with. */
export function checkAnswers(entries: readonly HistoryEntry[], model: StoreModel): void {
  checkOnce(entries, model);
  for (const entry of entries) if (entry.outcome !== undefined) checkAnswer(entry.operation, entry.outcome, model);
}

function checkOnce(entries: readonly HistoryEntry[], model: StoreModel): void {
  const asked = new Set(entries.flatMap((entry) => valuesOf(entry.operation)));
  const written = new Map<string, number>();
  for (const { now, revision } of model.events) {
    if (now === undefined) continue;
    if (!asked.has(now.value))
      throw new Violation('only what was asked for happens', `revision ${revision} wrote ${now.value} to ${now.key}`);
    const before = written.get(now.value);
    if (before !== undefined)
      throw new Violation('a request is carried out once', `revisions ${before} and ${revision} wrote ${now.value}`);
    written.set(now.value, revision);
  }
}

function valuesOf(operation: Operation): readonly string[] {
  if (operation.kind === 'put' || operation.kind === 'cas') return [operation.value];
  if (operation.kind !== 'txn') return [];
  const steps = [...operation.success, ...operation.failure];
  return steps.flatMap((step) => (step.kind === 'put' ? [step.value] : []));
}

function checkAnswer(operation: Operation, outcome: Outcome, model: StoreModel): void {
  const fail = (want: unknown): never => {
    throw new Violation(
      'an answer is what its revision holds',
      `${JSON.stringify(operation)} -> ${JSON.stringify(outcome)}, want ${JSON.stringify(want)}`,
    );
  };
  const { revision } = outcome;
  if (revision > model.revision) return fail(`a revision up to ${model.revision}`);
  const wrote = model.eventsAt(revision);
  if (outcome.kind === 'put' && operation.kind === 'put') {
    if (!isPut(wrote, operation)) fail(wrote);
  } else if (outcome.kind === 'get' && operation.kind === 'get') {
    const held = model.at(operation.key, revision);
    if (held?.value !== outcome.value || (held?.modRevision ?? 0) !== outcome.modRevision) fail(held);
  } else if (outcome.kind === 'cas' && operation.kind === 'cas') {
    const held = model.at(operation.key, revision);
    if (outcome.succeeded ? !isPut(wrote, operation) : held?.value === operation.expected) fail(held);
  } else if (outcome.kind === 'delete' && operation.kind === 'delete') {
    const isGone = wrote.length === 1 && wrote[0]?.type === 'delete' && wrote[0].key === operation.key;
    if (outcome.deleted ? !isGone : model.at(operation.key, revision) !== undefined) fail(wrote);
  } else if (outcome.kind === 'list' && operation.kind === 'list') {
    const held = model
      .list(operation.at || revision)
      .map(({ key, value, modRevision }) => ({ key, value, modRevision }));
    if (JSON.stringify(held) !== JSON.stringify(outcome.keys)) fail(held);
  } else if (outcome.kind === 'txn' && operation.kind === 'txn') {
    checkTxn(operation, outcome, model, fail);
  } else if (outcome.kind !== 'compact') fail(`an answer to ${operation.kind}`);
}

function isPut(wrote: readonly ModelEvent[], asked: { readonly key: string; readonly value: string }): boolean {
  return wrote.length === 1 && wrote[0]?.now?.value === asked.value && wrote[0].key === asked.key;
}

function checkTxn(
  operation: Operation & { readonly kind: 'txn' },
  outcome: Outcome & { readonly kind: 'txn' },
  model: StoreModel,
  fail: (want: unknown) => never,
): void {
  const { revision } = outcome;
  const steps = outcome.succeeded ? operation.success : operation.failure;
  const puts = steps.filter((step) => step.kind === 'put');
  if (puts.length === 0 && steps.some((step) => step.kind === 'delete'))
    return fail('a put beside every deletion, or nobody knows whether the revision is its own');
  const before = puts.length > 0 ? revision - 1 : revision;
  const holds = operation.compare.every(({ key, value }) => model.at(key, before)?.value === value);
  if (holds !== outcome.succeeded) fail({ succeeded: holds });
  const gets = steps.filter((step) => step.kind === 'get');
  const found = gets.map((step) => model.at(step.key, revision)?.value);
  if (JSON.stringify(found) !== JSON.stringify(outcome.found)) fail(found);
  if (puts.length === 0) return;
  const wrote = model.eventsAt(revision);
  if (!wrote.every((event) => steps.some((step) => isStep(event, step)))) fail(wrote);
  if (!puts.every((step) => wrote.some((event) => isStep(event, step)))) fail(wrote);
}

function isStep(event: ModelEvent, step: TxnStep): boolean {
  if (event.key !== step.key || step.kind === 'get') return false;
  return step.kind === 'put' ? event.now?.value === step.value : event.type === 'delete';
}
