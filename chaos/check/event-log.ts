/**
 * What a store has committed, as far as a history tells: from its own log when the history has it, else from watches of
 * everything, put end to end. A real store shows its log to nobody, but a watch from the first revision on is as good: with
 * it what became of requests that got no answer is known, and every answer can be held against the revision that it names.
 *
 *   watch a  2 3 4 5 (cut off)
 *   watch b      4 5 6 7 8          log: 2 … 8
 */
import type { Evidence, WatchEvidence } from './evidence.ts';
import { type ModelChange, StoreModel } from './model.ts';
import { Violation } from './violation.ts';
import type { SeenEvent } from './watch.ts';

export interface EventLog {
  readonly model: StoreModel;
  readonly source: 'commits' | 'watches';
  /** Position in the history at which a revision was first heard of; only from watches. */
  readonly heardAt: ReadonlyMap<number, number>;
  /** A watch that went on although nobody told what came before: as the log of no store does. */
  readonly broken: Violation | undefined;
}

/** Undefined when nothing in the history goes back to the first revision. */
export function eventLog(evidence: Evidence): EventLog | undefined {
  if (evidence.commits.length > 0) {
    const model = newModel(evidence);
    for (const { request } of evidence.commits) model.apply(request);
    return { model, source: 'commits', heardAt: new Map(), broken: undefined };
  }
  const whole = evidence.watches.filter(isWhole).sort((a, b) => startOf(a) - startOf(b));
  const model = newModel(evidence);
  if (whole[0] === undefined || startOf(whole[0]) > model.revision + 1) return undefined;
  const stops: Stop[] = [];
  for (const watch of whole) {
    if (startOf(watch) > model.revision + 1) break;
    const revision = takeAll(watch, model);
    if (revision !== undefined) stops.push({ revision, name: watch.record.name });
  }
  noteCompactions(evidence, model);
  return { model, source: 'watches', heardAt: firstHeard(evidence), broken: breakOf(stops, model) };
}

/** Where a watch could not be followed. */
interface Stop {
  readonly revision: number;
  readonly name: string;
}

function breakOf(stops: readonly Stop[], model: StoreModel): Violation | undefined {
  const stop = stops.find((one) => one.revision > model.revision);
  if (stop === undefined) return undefined;
  const detail = `${stop.name} on everything was told revision ${stop.revision}, which does not follow on what revision ${model.revision} left`;
  return new Violation('a watch of everything tells every revision as it was', detail);
}

function newModel({ expect }: Evidence): StoreModel {
  const model = new StoreModel();
  model.revision = expect.baseRevision ?? model.revision;
  return model;
}

function isWhole({ record }: WatchEvidence): boolean {
  const { range, wantsPuts, wantsDeletes, createdRevision } = record;
  const isEverything = range.end === '\0' && (range.key === '\0' || range.key === '');
  return isEverything && wantsPuts && wantsDeletes && createdRevision !== undefined;
}

export function startOf({ record }: WatchEvidence): number {
  return record.startRevision === 0 ? (record.createdRevision ?? 0) + 1 : record.startRevision;
}

/** Up to the first revision that does not follow, which it returns. */
function takeAll({ record }: WatchEvidence, model: StoreModel): number | undefined {
  let together: SeenEvent[] = [];
  const flush = (): boolean => {
    const revision = together[0]?.revision;
    const isTaken =
      revision === undefined || revision <= model.revision || model.takeRevision(revision, together.map(changeOf));
    together = [];
    return isTaken;
  };
  let isPart = false;
  for (const answer of record.answers) {
    if (answer.kind !== 'events') continue;
    ({ isPart } = answer);
    for (const event of answer.events) {
      const last = together[0];
      if (last !== undefined && last.revision !== event.revision && !flush()) return last.revision;
      together.push(event);
    }
  }
  // It may have been cut off within a revision.
  const last = together[0]?.revision;
  return isPart || flush() ? undefined : last;
}

function changeOf({ key, now }: SeenEvent): ModelChange {
  return { key, value: now?.value, lease: now?.lease ?? '0' };
}

/** Whatever was asked to be compacted may have been, except what failed. */
function noteCompactions({ exchanges }: Evidence, model: StoreModel): void {
  for (const { operation, hasFailed } of exchanges) {
    if (operation.kind !== 'compact' || hasFailed) continue;
    model.compactions.add(operation.revision);
    model.compactRevision = Math.max(model.compactRevision, operation.revision);
  }
}

function firstHeard({ watches }: Evidence): ReadonlyMap<number, number> {
  const heard = new Map<number, number>();
  for (const { record, positions } of watches) {
    for (const [place, answer] of record.answers.entries()) {
      const position = positions[place] ?? 0;
      if (answer.kind !== 'events') continue;
      for (const { revision } of answer.events) {
        if ((heard.get(revision) ?? Number.POSITIVE_INFINITY) > position) heard.set(revision, position);
      }
    }
  }
  return heard;
}
