/** Histories as text: what is written reads back equal, what is wrong is refused with the line, the field and the reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AnyOperation, AnyOutcome, HistoryEvent } from '../../../chaos/check/history-events.ts';
import { HistoryFormatError, readHistory, writeHistory } from '../../../chaos/check/history-file.ts';

const text = fc.string({ unit: 'binary', maxLength: 6 });
const count = fc.nat(1_000_000);
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0));
const orNone = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const few = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 3 });
const plain = <T>(of: fc.Arbitrary<T>) => of;
const kind = <const K extends string>(name: K) => ({ kind: fc.constant(name) });
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true }) as unknown as fc.Arbitrary<T>;

type Exchange = readonly [AnyOperation, AnyOutcome];

/** What was asked beside an answer of the same kind. */
const exchange: fc.Arbitrary<Exchange> = plain(
  fc.oneof(
    fc.tuple(
      record({ ...kind('put'), key: text, value: text }),
      record({ ...kind('put'), revision: count }),
    ) as fc.Arbitrary<Exchange>,
    fc.tuple(
      record({ ...kind('put'), key: text, value: text, lease: text }),
      record({ ...kind('put'), revision: count }),
    ) as fc.Arbitrary<Exchange>,
    fc.tuple(
      record({ ...kind('get'), key: text }),
      record({ ...kind('get'), revision: count, value: orNone(text), modRevision: count }),
    ) as fc.Arbitrary<Exchange>,
    fc.tuple(
      record({ ...kind('cas'), key: text, expected: orNone(text), value: text }),
      record({ ...kind('cas'), revision: count, succeeded: fc.boolean() }),
    ) as fc.Arbitrary<Exchange>,
    fc.tuple(few(text), few(orNone(text)), count).map(
      ([keys, found, revision]): Exchange => [
        {
          kind: 'txn',
          compare: keys.map((key, position) => ({ key, value: found[position] })),
          success: keys.map((key) => ({ kind: 'delete', key })),
          failure: found.map(() => ({ kind: 'get', key: 'k' })),
        },
        { kind: 'txn', revision, succeeded: false, found },
      ],
    ),
    fc.tuple(
      record({ ...kind('list'), at: count, isLocal: fc.boolean() }),
      record({
        ...kind('list'),
        revision: count,
        keys: few(record({ key: text, value: text, modRevision: count })),
      }),
    ) as fc.Arbitrary<Exchange>,
    few(few(text)).map(
      (lists): Exchange => [
        { kind: 'listTxn', steps: lists.map((_list, position) => ({ kind: 'read', key: String(position) })) },
        { kind: 'listTxn', lists },
      ],
    ),
    fc.tuple(
      record({ ...kind('leaseGrant'), lease: text, ttlSeconds: number }),
      record({ ...kind('leaseGrant'), ttlSeconds: number }),
    ) as fc.Arbitrary<Exchange>,
    fc.tuple(
      record(kind('bankRead')),
      record({ ...kind('bankRead'), accounts: few(record({ account: text, amount: number })) }),
    ) as fc.Arbitrary<Exchange>,
    fc.tuple(
      record({ ...kind('lockAcquire'), lock: text }),
      record({ ...kind('lockAcquire'), token: orNone(count) }),
    ) as fc.Arbitrary<Exchange>,
  ),
);

const told = record({ value: text, createRevision: count, modRevision: count, version: count, lease: text });
const events = few(record({ key: text, revision: count, now: orNone(told), before: orNone(told) }));

/** What a watch may hear, under its name. */
function watchEvents(watch: string): fc.Arbitrary<readonly HistoryEvent[]> {
  const opened: HistoryEvent = {
    type: 'watch',
    watch,
    range: { key: watch, end: '\0' },
    startRevision: 0,
    wantsPrevious: true,
    wantsPuts: true,
    wantsDeletes: false,
  };
  const heard = fc.oneof(
    record({ type: fc.constant('watchCreated' as const), watch: fc.constant(watch), revision: count }),
    record({
      type: fc.constant('watchEvents' as const),
      watch: fc.constant(watch),
      revision: count,
      isPart: fc.boolean(),
      events,
    }),
    record({ type: fc.constant('watchProgress' as const), watch: fc.constant(watch), revision: count }),
    record({ type: fc.constant('watchCompacted' as const), watch: fc.constant(watch), revision: count }),
  ) as fc.Arbitrary<HistoryEvent>;
  return few(heard).map((all) => [opened, ...all, { type: 'watchClosed', watch }]);
}

const history = fc
  .tuple(
    few(fc.tuple(exchange, fc.constantFrom('ok', 'fail', 'info', 'none'), text)),
    fc.uniqueArray(text, { maxLength: 2 }).chain((names) => fc.tuple(...names.map(watchEvents))),
    few(
      fc.oneof(
        record({ type: fc.constant('powerLoss' as const) }),
        record({ type: fc.constant('expect' as const), bankTotal: number, mayOwe: fc.boolean() }),
        record({
          type: fc.constant('commit' as const),
          request: record({ ...kind('put'), key: text, value: text, lease: text }),
        }),
      ),
    ) as fc.Arbitrary<HistoryEvent[]>,
    fc.boolean(),
  )
  .map(([exchanges, watches, others, isTimed]) => {
    const all: HistoryEvent[] = [];
    for (const [id, [[operation, outcome], end, reason]] of exchanges.entries()) {
      all.push({ type: 'invoke', id, client: 1 - id, operation });
      if (end === 'ok') all.push({ type: 'ok', id, outcome });
      else if (end === 'fail') all.push({ type: 'fail', id, reason, isCompacted: true });
      else if (end === 'info') all.push({ type: 'info', id, reason });
    }
    all.push(...watches.flat(), ...others);
    return { events: isTimed ? all.map((event, atMs) => ({ ...event, atMs })) : all };
  });

test('any history that is written reads back equal', () => {
  fc.assert(
    fc.property(history, (given) => {
      const written = writeHistory(given);
      assert.deepEqual(toPlain(readHistory(written)), toPlain(given));
    }),
    { numRuns: 300 },
  );
});

/** Prototypes apart, and nothing else: undefined and absent stay two things. */
function toPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toPlain(one)]));
}

test('cut off after any character but its last, a history is refused', () => {
  const whole = writeHistory({
    events: [
      { type: 'invoke', id: 1, client: 1, operation: { kind: 'put', key: 'ä', value: '1' } },
      { type: 'ok', id: 1, outcome: { kind: 'put', revision: 2 } },
    ],
  });
  for (let length = 0; length < whole.length - 1; length++)
    assert.throws(() => readHistory(whole.slice(0, length)), HistoryFormatError, `cut off after ${length}`);
  readHistory(whole.slice(0, -1));
});

const first = '{"format":"keelson-history","version":1}';
const invoke = '{"type":"invoke","id":1,"client":1,"operation":{"kind":"get","key":"a"}}';
const watch =
  '{"type":"watch","watch":"w","range":{"key":"a","end":""},"startRevision":0,"wantsPrevious":false,"wantsPuts":true,"wantsDeletes":true}';

const wrong: readonly (readonly [string, readonly string[], number, string, RegExp])[] = [
  ['nothing', [], 1, '', /empty/],
  ['no JSON', ['keelson'], 1, '', /no JSON/],
  ['another format', ['{"format":"other","version":1}'], 1, 'format', /want one of keelson-history, have "other"/],
  ['a newer version', ['{"format":"keelson-history","version":2,"x":1}'], 1, 'version', /2 is newer than 1/],
  ['version 0', ['{"format":"keelson-history","version":0}'], 1, 'version', /want 1, have 0/],
  ['no version', ['{"format":"keelson-history"}'], 1, 'version', /is missing/],
  ['no end', [first, invoke], 3, '', /cut short/],
  ['an empty line', [first, '', invoke], 2, '', /is empty/],
  ['a list', [first, '[]'], 2, '', /want an object, have \[\]/],
  ['no type', [first, '{}'], 2, 'type', /is missing/],
  ['an unknown type', [first, '{"type":"toString"}'], 2, 'type', /want one of invoke, ok, fail/],
  [
    'a misspelt field',
    [first, invoke.replace('"client"', '"klient":1,"client"')],
    2,
    'klient',
    /not known here; want type, atMs, id, client, operation/,
  ],
  ['a missing field', [first, invoke.replace(',"key":"a"', '')], 2, 'operation.key', /is missing/],
  ['a field of another kind', [first, invoke.replace('"key":"a"', '"key":7')], 2, 'operation.key', /text, have 7/],
  ['an id that is used twice', [first, invoke, invoke], 3, 'id', /1 is used/],
  ['a return of nothing', [first, '{"type":"info","id":4,"reason":""}'], 2, 'id', /no invocation above has the id 4/],
  [
    'two returns',
    [first, invoke, '{"type":"fail","id":1,"reason":""}', '{"type":"info","id":1,"reason":""}'],
    4,
    'id',
    /1 has returned/,
  ],
  [
    'an answer to another question',
    [first, invoke, '{"type":"ok","id":1,"outcome":{"kind":"put","revision":2}}'],
    3,
    'outcome.kind',
    /want get/,
  ],
  [
    'a revision below 0',
    [first, invoke, '{"type":"ok","id":1,"outcome":{"kind":"get","revision":-1,"value":null,"modRevision":0}}'],
    3,
    'outcome.revision',
    /want 0 or more, have -1/,
  ],
  [
    'a read without a list',
    [
      first,
      '{"type":"invoke","id":1,"client":1,"operation":{"kind":"listTxn","steps":[{"kind":"read","key":"a"}]}}',
      '{"type":"ok","id":1,"outcome":{"kind":"listTxn","lists":[]}}',
    ],
    3,
    'outcome.lists',
    /want 1, one for each read; have 0/,
  ],
  [
    'a wrong step',
    [
      first,
      '{"type":"invoke","id":1,"client":1,"operation":{"kind":"listTxn","steps":[{"kind":"read","key":"a"},{"kind":"wipe"}]}}',
    ],
    2,
    'operation.steps[1].kind',
    /want one of append, read, have "wipe"/,
  ],
  [
    'time that goes back',
    [first, '{"type":"calm","atMs":5}', '{"type":"calm","atMs":4}'],
    3,
    'atMs',
    /4 is before 5, of a line above/,
  ],
  ['a watch that is not there', [first, '{"type":"watchClosed","watch":"w"}'], 2, 'watch', /no watch above/],
  [
    'a watch that is closed',
    [first, watch, '{"type":"watchClosed","watch":"w"}', '{"type":"watchProgress","watch":"w","revision":1}'],
    4,
    'watch',
    /w was closed above/,
  ],
  ['two watches of one name', [first, watch, watch], 3, 'watch', /the name of one above/],
  ['a wrong count at the end', [first, invoke, '{"type":"end","events":2}'], 3, 'events', /want 1/],
  ['more after the end', [first, '{"type":"end","events":0}', invoke], 3, '', /after the last line/],
];

test('a wrong history is refused with the line, the field and the reason', () => {
  for (const [name, lines, line, field, reason] of wrong) {
    assert.throws(
      () => readHistory(lines),
      (error) => {
        assert.ok(error instanceof HistoryFormatError, name);
        assert.deepEqual([error.line, error.field, error.code], [line, field, 'HISTORY_FORMAT'], name);
        assert.match(error.reason, reason, name);
        return true;
      },
      name,
    );
  }
});
