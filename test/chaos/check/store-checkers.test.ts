/** Histories made by hand: good ones that look odd must pass, bad ones must be refused, with the mistake in plain sight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAnswers } from '../../../chaos/check/answers.ts';
import type { HistoryEntry, Operation, Outcome } from '../../../chaos/check/history.ts';
import { type ModelKey, type ModelRequest, StoreModel } from '../../../chaos/check/model.ts';
import { checkWatches, type SeenEvent, type WatchAnswer, type WatchRecord } from '../../../chaos/check/watch.ts';

const put = (key: string, value: string, lease = '0'): ModelRequest => ({ kind: 'put', key, value, lease });
const remove = (key: string): ModelRequest => ({ kind: 'delete', key, end: '' });

/** Revision 2: a=1. 3: b=1 and c=1 at once. 4: a=2. 5: a goes. 6: b=2. */
function committed(...more: readonly ModelRequest[]): StoreModel {
  const model = new StoreModel();
  const both: ModelRequest = {
    kind: 'txn',
    compare: [{ key: 'a', value: '1' }],
    success: [put('b', 'b1'), put('c', 'c1')] as never,
    failure: [],
  };
  for (const request of [put('a', '1'), both, put('a', '2'), remove('a'), put('b', 'b2'), ...more])
    model.apply(request);
  return model;
}

test('the model: revisions, versions, a transaction whole or not, a lease that takes its keys with it', () => {
  const model = committed();
  assert.equal(model.revision, 6);
  const b: ModelKey = { key: 'b', value: 'b2', createRevision: 3, modRevision: 6, version: 2, lease: '0' };
  assert.deepEqual(model.at('b', 9), b);
  assert.equal(model.at('a', 4)?.value, '2');
  assert.equal(model.at('a', 5), undefined);
  assert.deepEqual(
    model.eventsAt(3).map((event) => event.key),
    ['b', 'c'],
  );
  model.apply({ kind: 'delete', key: 'none', end: '' });
  assert.equal(model.revision, 6, 'what deletes nothing takes no revision');
  assert.equal(model.apply(put('x', 'x', '7')), false, 'no such lease');
  model.apply({ kind: 'grant', lease: '7', ttlSeconds: 1 });
  model.apply(put('x', 'x', '7'));
  model.apply(put('y', 'y', '7'));
  model.apply(put('y', 'y2'));
  model.apply({ kind: 'revoke', lease: '7' });
  assert.deepEqual(
    model.list(model.revision).map((one) => one.key),
    ['b', 'c', 'y'],
  );
  assert.equal(model.apply({ kind: 'compact', revision: 99 }), false);
});

const everything = { key: '\0', end: '\0' };

function watch(given: Partial<WatchRecord>, ...answers: readonly WatchAnswer[]): WatchRecord {
  return {
    name: 'w',
    range: everything,
    startRevision: 2,
    wantsPrevious: false,
    wantsPuts: true,
    wantsDeletes: true,
    createdRevision: 1,
    isOpen: false,
    ...given,
    answers: [...answers],
  };
}

/** What the model says happened at these revisions, as it would be told. */
function told(model: StoreModel, revisions: readonly number[], isPart = false): WatchAnswer {
  const events = revisions
    .flatMap((revision) => model.eventsAt(revision))
    .map((event) => ({ ...event, before: undefined }));
  return { kind: 'events', revision: revisions.at(-1) ?? 0, events, isPart };
}

function refuses(model: StoreModel, record: WatchRecord, rule: RegExp): void {
  assert.throws(() => checkWatches([record], model), rule);
}

test('a watch may be told all at once, one by one, or be cut off anywhere', () => {
  const model = committed();
  const all = told(model, [2, 3, 4, 5, 6]);
  const oneByOne = [2, 3, 4, 5, 6].map((revision) => told(model, [revision]));
  const progress: WatchAnswer = { kind: 'progress', revision: 6 };
  checkWatches([watch({ isOpen: true }, all, progress), watch({ isOpen: true }, ...oneByOne), watch({})], model);
  checkWatches(
    [watch({}, told(model, [2, 3])), watch({ startRevision: 0, createdRevision: 4 }, told(model, [5]))],
    model,
  );
  checkWatches([watch({ startRevision: 0, createdRevision: 6, isOpen: true }, progress)], model);
  checkWatches([watch({ createdRevision: undefined })], model);
});

test('a watch that misses an event, in the middle or at the end, is a violation', () => {
  const model = committed();
  refuses(model, watch({}, told(model, [2, 4])), /watches are reliable/);
  refuses(model, watch({ isOpen: true }, told(model, [2, 3, 4, 5])), /watches are reliable/);
  refuses(model, watch({}, told(model, [3])), /watches are resumable/);
  refuses(model, watch({ startRevision: 4 }, told(model, [3, 4])), /watches are resumable/);
});

test('a watch told twice, or in another order, is a violation', () => {
  const model = committed();
  refuses(model, watch({}, told(model, [2, 3]), told(model, [3, 4])), /watches are unique/);
  const backwards = watch({ startRevision: 3 }, told(model, [3, 4]), {
    kind: 'events',
    revision: 4,
    isPart: false,
    events: [{ ...(model.eventsAt(2)[0] as SeenEvent), before: undefined }],
  });
  refuses(model, backwards, /watches are resumable/);
  const late = watch({}, told(model, [2]), told(model, [4]), told(model, [3]));
  refuses(model, late, /watches are reliable/);
});

test('a watch told half a transaction is a violation, unless more of the response follows', () => {
  const model = committed();
  const [first, second] = told(model, [3]).kind === 'events' ? model.eventsAt(3) : [];
  const part = (event: SeenEvent | undefined, isPart: boolean): WatchAnswer => {
    const seen = { ...(event as SeenEvent), before: undefined };
    return { kind: 'events', revision: 3, events: [seen], isPart };
  };
  checkWatches([watch({}, told(model, [2]), part(first, true), part(second, false))], model);
  refuses(model, watch({}, told(model, [2]), part(first, false), part(second, false)), /watches are atomic/);
});

test('a watch told what it did not ask for is a violation', () => {
  const model = committed();
  const onlyB = { range: { key: 'b', end: '' } };
  checkWatches(
    [watch({ ...onlyB, isOpen: true }, { ...told(model, []), revision: 6, ...eventsOf(model, 'b') })],
    model,
  );
  refuses(model, watch(onlyB, told(model, [2])), /watches are filter/);
  refuses(model, watch({ wantsDeletes: false, startRevision: 5 }, told(model, [5])), /watches are filter/);
  refuses(model, watch({ wantsPuts: false }, told(model, [2])), /watches are filter/);
});

function eventsOf(model: StoreModel, key: string): { readonly events: readonly SeenEvent[] } {
  return {
    events: model.events.filter((event) => event.key === key).map((event) => ({ ...event, before: undefined })),
  };
}

test('a watch told what never happened, or with another value, is a violation', () => {
  const model = committed();
  const [event] = model.eventsAt(2);
  const with_ = (given: Partial<SeenEvent>): WatchAnswer => {
    const seen: SeenEvent = { ...(event as SeenEvent), before: undefined, ...given };
    return { kind: 'events', revision: 6, events: [seen], isPart: false };
  };
  refuses(model, watch({}, with_({ key: 'z' })), /watches are true/);
  refuses(model, watch({}, with_({ now: { ...(event?.now as ModelKey), value: '9' } })), /watches are true/);
  refuses(model, watch({}, with_({ type: 'delete', now: undefined })), /watches are true/);
  refuses(model, watch({}, with_({ now: { ...(event?.now as ModelKey), lease: '4' } })), /watches are true/);
});

test('progress is a promise that everything before it was told', () => {
  const model = committed();
  const progress = (revision: number): WatchAnswer => ({ kind: 'progress', revision });
  checkWatches([watch({}, told(model, [2]), progress(2), told(model, [3]))], model);
  refuses(model, watch({}, told(model, [2]), progress(3), told(model, [3])), /watches are bookmarkable/);
  refuses(model, watch({}, progress(7)), /watches are bookmarkable/);
  // Only what concerns it: c is written at 3 and never again.
  checkWatches([watch({ range: { key: 'c', end: '' }, startRevision: 4 }, progress(6))], model);
});

test('progress never goes back, neither behind what was told nor behind where the watch begins', () => {
  const model = committed();
  const progress = (revision: number): WatchAnswer => ({ kind: 'progress', revision });
  const onlyC = { range: { key: 'c', end: '' }, startRevision: 3 };
  const told3: WatchAnswer = { kind: 'events', revision: 3, isPart: false, ...eventsOf(model, 'c') };
  checkWatches([watch(onlyC, told3, progress(3), progress(3), progress(6))], model);
  refuses(model, watch({}, told(model, [2, 3, 4]), progress(3), told(model, [5])), /watches are bookmarkable/);
  refuses(model, watch({ range: { key: 'z', end: '' } }, progress(6), progress(5)), /watches are bookmarkable/);
  // Whoever goes on from there would come to be before the revision that he asked for.
  refuses(model, watch({ startRevision: 20 }, progress(6)), /watches are bookmarkable/);
});

test('the value before is told when it was asked for, and may only be missing once it is compacted', () => {
  const model = committed();
  const whole: WatchAnswer = { kind: 'events', revision: 4, events: model.eventsAt(4), isPart: false };
  checkWatches([watch({ startRevision: 4, wantsPrevious: true }, whole)], model);
  refuses(model, watch({ startRevision: 4 }, whole), /watches are previous/);
  refuses(model, watch({ startRevision: 4, wantsPrevious: true }, told(model, [4])), /watches are previous/);
  const compacted = committed({ kind: 'compact', revision: 4 });
  checkWatches([watch({ startRevision: 4, wantsPrevious: true }, told(compacted, [4]))], compacted);
});

test('a watch ends as compacted only where it had yet to be', () => {
  const model = committed({ kind: 'compact', revision: 5 });
  const end = (revision: number): WatchAnswer => ({ kind: 'compacted', revision });
  checkWatches([watch({}, end(5)), watch({}, told(model, [2, 3]), end(5))], model);
  refuses(model, watch({}, end(4)), /watches are compacted/);
  refuses(model, watch({ startRevision: 5 }, end(5)), /watches are compacted/);
  refuses(model, watch({}, end(5), told(model, [2])), /watches are compacted/);
});

function answered(...pairs: readonly (readonly [Operation, Outcome | undefined])[]): HistoryEntry[] {
  return pairs.map(([operation, outcome], position) => {
    const returnedAt = outcome === undefined ? undefined : 2 * position + 1;
    return { client: 1, operation, invokedAt: 2 * position, returnedAt, outcome };
  });
}

const asked: readonly (readonly [Operation, Outcome | undefined])[] = [
  [
    { kind: 'put', key: 'a', value: '1' },
    { kind: 'put', revision: 2 },
  ],
  [
    {
      kind: 'txn',
      compare: [{ key: 'a', value: '1' }],
      success: [
        { kind: 'put', key: 'b', value: 'b1' },
        { kind: 'put', key: 'c', value: 'c1' },
      ],
      failure: [],
    },
    { kind: 'txn', revision: 3, succeeded: true, found: [] },
  ],
  [{ kind: 'put', key: 'a', value: '2' }, undefined],
  [
    { kind: 'delete', key: 'a' },
    { kind: 'delete', revision: 5, deleted: true },
  ],
  [
    { kind: 'cas', key: 'b', expected: 'b1', value: 'b2' },
    { kind: 'cas', revision: 6, succeeded: true },
  ],
];

test('answers that say what their revisions hold are accepted, also to questions about the past', () => {
  const keys = [{ key: 'a', value: '1', modRevision: 2 }];
  const local: Operation = { kind: 'list', at: 2, isLocal: true };
  checkAnswers(answered(...asked, [local, { kind: 'list', revision: 4, keys }]), committed());
  const get: Operation = { kind: 'get', key: 'a' };
  checkAnswers(answered(...asked, [get, { kind: 'get', revision: 6, value: undefined, modRevision: 0 }]), committed());
});

test('answers that their revisions contradict are refused', () => {
  const wrong = (operation: Operation, outcome: Outcome) =>
    assert.throws(
      () => checkAnswers(answered(...asked, [operation, outcome]), committed()),
      /an answer is what its revision holds/,
      JSON.stringify([operation, outcome]),
    );
  wrong({ kind: 'get', key: 'a' }, { kind: 'get', revision: 4, value: '1', modRevision: 2 });
  wrong({ kind: 'get', key: 'a' }, { kind: 'get', revision: 9, value: undefined, modRevision: 0 });
  wrong({ kind: 'cas', key: 'b', expected: 'b2', value: 'n' }, { kind: 'cas', revision: 6, succeeded: false });
  wrong({ kind: 'delete', key: 'b' }, { kind: 'delete', revision: 6, deleted: false });
  wrong({ kind: 'put', key: 'a', value: 'lost' }, { kind: 'put', revision: 4 });
  wrong({ kind: 'list', at: 0, isLocal: false }, { kind: 'list', revision: 6, keys: [] });
  const half: Operation = {
    kind: 'txn',
    compare: [],
    success: [
      { kind: 'put', key: 'b', value: 'b1' },
      { kind: 'put', key: 'd', value: 'd1' },
    ],
    failure: [],
  };
  wrong(half, { kind: 'txn', revision: 3, succeeded: true, found: [] });
  const read: Operation = {
    kind: 'txn',
    compare: [{ key: 'a', value: '1' }],
    success: [],
    failure: [{ kind: 'get', key: 'b' }],
  };
  wrong(read, { kind: 'txn', revision: 3, succeeded: false, found: ['b1'] });
  wrong(read, { kind: 'txn', revision: 6, succeeded: false, found: ['b1'] });
});

test('a request that happens twice, or that nobody made, is a violation', () => {
  assert.throws(() => checkAnswers(answered(...asked), committed(put('a', '2'))), /a request is carried out once/);
  assert.throws(() => checkAnswers(answered(...asked), committed(put('a', '3'))), /only what was asked for happens/);
});
