/**
 * The promises of a watch, against what really happened. Each watch that was ever opened is judged by itself: it must have been told
 * exactly what concerns it from its beginning on, so a client that goes on elsewhere from where it was misses nothing.
 *
 *   filter        only keys and kinds of events that were asked for
 *   ordered       revisions never go back; what one revision did comes in its order
 *   unique        no event twice
 *   reliable      no gap between the first event and the last; a watch that lives at the end was told everything
 *   resumable     the first event is the first one at or after the revision asked for
 *   atomic        a response never ends within a revision
 *   bookmarkable  a progress response at a revision: everything up to there has been told; it never goes back, neither behind an
 *                 earlier one nor behind what was told or where the watch begins, or who goes on from there hears things again
 *   previous      the value before, when asked for, unless it was compacted; and nothing when not
 *   compacted     said only of a beginning that is compacted
 */
import { isWithin, type ModelEvent, type ModelKey, type ModelRange, type StoreModel } from './model.ts';
import { Violation } from './violation.ts';

export interface SeenEvent {
  readonly revision: number;
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** Of a put. */
  readonly now: ModelKey | undefined;
  readonly before: ModelKey | undefined;
}

export type WatchAnswer =
  /** `isPart`: more of the same response follows. */
  | {
      readonly kind: 'events';
      readonly revision: number;
      readonly events: readonly SeenEvent[];
      readonly isPart: boolean;
    }
  | { readonly kind: 'progress'; readonly revision: number }
  | { readonly kind: 'compacted'; readonly revision: number };

export interface WatchRecord {
  /** For whoever reads the verdict. */
  readonly name: string;
  readonly range: ModelRange;
  /** 0 = from the moment on. */
  readonly startRevision: number;
  readonly wantsPrevious: boolean;
  readonly wantsPuts: boolean;
  readonly wantsDeletes: boolean;
  /** The store's revision when the watch was made; undefined: the client never heard that it was. */
  createdRevision: number | undefined;
  readonly answers: WatchAnswer[];
  /** The client still listened at the end. */
  isOpen: boolean;
}

/** Throws Violation. `head`: what a watch that lives at the end must have been told up to. */
export function checkWatches(records: readonly WatchRecord[], model: StoreModel): void {
  for (const record of records) checkWatch(record, model);
}

function checkWatch(record: WatchRecord, model: StoreModel): void {
  if (record.createdRevision === undefined) {
    if (record.answers.length > 0) fail('created', record, 'was told something before it was made');
    return;
  }
  const start = record.startRevision === 0 ? record.createdRevision + 1 : record.startRevision;
  const wanted = model.events.filter((event) => event.revision >= start && concerns(record, event));
  let told = 0;
  let isOver = false;
  /** Everything up to here has been promised or told, or was not asked for. */
  let bookmark = start - 1;
  for (const answer of record.answers) {
    if (isOver) fail('compacted', record, 'was told something after its end');
    if (answer.kind === 'events') {
      for (const event of answer.events) {
        checkEvent(record, event, { wanted, told, start }, model);
        told += 1;
      }
      checkResponse(record, answer, wanted, told);
      bookmark = Math.max(bookmark, answer.events.at(-1)?.revision ?? 0);
    } else if (answer.kind === 'progress') {
      const missing = wanted[told];
      if (missing !== undefined && missing.revision <= answer.revision)
        fail(
          'bookmarkable',
          record,
          `was told that it had seen all up to ${answer.revision}, but not ${text(missing)}`,
        );
      if (answer.revision < bookmark)
        fail('bookmarkable', record, `was told of progress to ${answer.revision} after it had come to ${bookmark}`);
      bookmark = answer.revision;
      if (answer.revision > model.revision)
        fail('bookmarkable', record, `was told of progress to ${answer.revision}; the store ends at ${model.revision}`);
    } else {
      isOver = true;
      const next = Math.max(start, (wanted[told - 1]?.revision ?? 0) + 1);
      if (!model.compactions.has(answer.revision) || next >= answer.revision)
        fail('compacted', record, `ended as compacted at ${answer.revision}, but had yet to see ${next} and later`);
    }
  }
  const missing = wanted[told];
  if (record.isOpen && !isOver && missing !== undefined)
    fail('reliable', record, `was never told ${text(missing)}, although it listened to the end`);
}

interface Place {
  readonly wanted: readonly ModelEvent[];
  readonly told: number;
  readonly start: number;
}

function checkEvent(record: WatchRecord, event: SeenEvent, { wanted, told, start }: Place, model: StoreModel): void {
  if (!concerns(record, event)) fail('filter', record, `was told ${text(event)}, which it did not ask for`);
  if (event.revision < start) fail('resumable', record, `began at ${start} and was told ${text(event)}`);
  const expected = wanted[told];
  if (expected === undefined || expected.revision !== event.revision || expected.key !== event.key) {
    const isRepeated = wanted.slice(0, told).some((one) => one.revision === event.revision && one.key === event.key);
    const last = wanted[told - 1];
    if (isRepeated) fail('unique', record, `was told ${text(event)} again`);
    if (last !== undefined && event.revision < last.revision)
      fail('ordered', record, `was told ${text(event)} after ${text(last)}`);
    const isReal = model.eventsAt(event.revision).some((one) => one.key === event.key);
    if (!isReal) fail('true', record, `was told ${text(event)}, which never happened`);
    const rule = told === 0 ? 'resumable' : 'reliable';
    fail(rule, record, `was told ${text(event)} without ${expected === undefined ? 'a reason' : text(expected)}`);
  }
  if (expected.type !== event.type || !isSame(expected.now, event.now))
    fail(
      'true',
      record,
      `was told ${text(event)} ${JSON.stringify(event.now)}, but it was ${JSON.stringify(expected)}`,
    );
  const isLost = event.before === undefined && model.compactRevision > event.revision - 1;
  const before = record.wantsPrevious && !isLost ? expected.before : undefined;
  if (!isSame(before, event.before))
    fail(
      'previous',
      record,
      `was told ${text(event)} with ${JSON.stringify(event.before)} before it, want ${JSON.stringify(before)}`,
    );
}

/** After all events of one response. */
function checkResponse(
  record: WatchRecord,
  answer: WatchAnswer & { readonly kind: 'events' },
  wanted: readonly ModelEvent[],
  told: number,
): void {
  const last = answer.events.at(-1);
  if (last === undefined) return fail('reliable', record, 'was told of no event at all');
  if (last.revision > answer.revision)
    fail('ordered', record, `was told ${text(last)} under revision ${answer.revision}`);
  const next = wanted[told];
  if (!answer.isPart && next?.revision === last.revision)
    fail('atomic', record, `was told ${text(last)} apart from ${text(next)}`);
}

function concerns(record: WatchRecord, event: { readonly key: string; readonly type: 'put' | 'delete' }): boolean {
  return isWithin(record.range, event.key) && (event.type === 'put' ? record.wantsPuts : record.wantsDeletes);
}

function isSame(a: ModelKey | undefined, b: ModelKey | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.key === b.key &&
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.modRevision === b.modRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function text(event: { readonly type: string; readonly key: string; readonly revision: number }): string {
  return `${event.type} ${event.key}@${event.revision}`;
}

function fail(rule: string, record: WatchRecord, what: string): never {
  const { key, end } = record.range;
  throw new Violation(`watches are ${rule}`, `${record.name} on [${key},${end}) from ${record.startRevision} ${what}`);
}
