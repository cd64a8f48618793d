/**
 * Every answer against the model of what was committed: at the revision that the answer names, the store held just that. With
 * the revisions in the order of real time (revisions.ts), this is strict serializability of whole transactions. And what was
 * asked once happened at most once, also when nobody got an answer.
 */
import type { HistoryEntry, Operation, Outcome, TxnStep } from './history.ts';
import type { ModelEvent, StoreModel } from './model.ts';
import { Violation } from './violation.ts';

/**
 * Throws Violation. Values in a history are unique, so each names the request it came with. `isAlone`: nobody but these
 * clients writes.
 */
export function checkAnswers(entries: readonly HistoryEntry[], model: StoreModel, isAlone = true): void {
  checkOnce(entries, model, isAlone);
  for (const entry of entries) if (entry.outcome !== undefined) checkAnswer(entry, entry.outcome, model);
}

function checkOnce(entries: readonly HistoryEntry[], model: StoreModel, isAlone: boolean): void {
  const asked = new Map<string, HistoryEntry>();
  for (const entry of entries) for (const value of valuesOf(entry.operation)) asked.set(value, entry);
  const written = new Map<string, number>();
  for (const { now, revision } of model.events) {
    if (now === undefined) continue;
    const entry = asked.get(now.value);
    if (entry === undefined) {
      if (!isAlone) continue;
      throw new Violation('only what was asked for happens', `revision ${revision} wrote ${now.value} to ${now.key}`);
    }
    const before = written.get(now.value);
    if (before !== undefined) {
      const detail = `revisions ${before} and ${revision} wrote ${now.value}`;
      throw new Violation('a request is carried out once', detail, [entry]);
    }
    written.set(now.value, revision);
  }
}

/** What an operation may write. */
export function valuesOf(operation: Operation): readonly string[] {
  if (operation.kind === 'put' || operation.kind === 'cas') return [operation.value];
  if (operation.kind !== 'txn') return [];
  const steps = [...operation.success, ...operation.failure];
  return steps.flatMap((step) => (step.kind === 'put' ? [step.value] : []));
}

function checkAnswer(entry: HistoryEntry, outcome: Outcome, model: StoreModel): void {
  const { operation } = entry;
  const fail = (want: unknown): never => {
    throw new Violation(
      'an answer is what its revision holds',
      `${JSON.stringify(operation)} -> ${JSON.stringify(outcome)}, want ${JSON.stringify(want)}`,
      [entry],
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
  const deletes = steps.filter((step) => step.kind === 'delete');
  const wrote = model.eventsAt(revision);
  const isOwn = wrote.length > 0 && wrote.every((event) => steps.some((step) => isStep(event, step)));
  // Deletions alone may have found nothing to delete, and then the revision is not their own.
  const befores =
    puts.length > 0 ? [revision - 1] : deletes.length > 0 && isOwn ? [revision - 1, revision] : [revision];
  const holds = (before: number) =>
    operation.compare.every(({ key, value }) => model.at(key, before)?.value === value) === outcome.succeeded;
  const before = befores.find(holds);
  if (before === undefined) return fail({ succeeded: !outcome.succeeded });
  const found = foundBy(steps, model, before);
  if (JSON.stringify(found) !== JSON.stringify(outcome.found)) fail(found);
  const left = deletes.find((step) => model.at(step.key, revision) !== undefined);
  if (left !== undefined && !puts.some((step) => step.key === left.key)) fail({ deleted: left.key });
  if (puts.length === 0) return;
  if (!isOwn || !puts.every((step) => wrote.some((event) => isStep(event, step)))) fail(wrote);
}

/** Steps see what the steps before them did. */
function foundBy(steps: readonly TxnStep[], model: StoreModel, before: number): readonly (string | undefined)[] {
  const own = new Map<string, string | undefined>();
  const found: (string | undefined)[] = [];
  for (const step of steps) {
    if (step.kind === 'get') found.push(own.has(step.key) ? own.get(step.key) : model.at(step.key, before)?.value);
    else own.set(step.key, step.kind === 'put' ? step.value : undefined);
  }
  return found;
}

function isStep(event: ModelEvent, step: TxnStep): boolean {
  if (event.key !== step.key || step.kind === 'get') return false;
  return step.kind === 'put' ? event.now?.value === step.value : event.type === 'delete';
}
