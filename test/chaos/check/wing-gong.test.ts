/** The search for an order, held against trying every order there is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HistoryEntry, Operation, Outcome } from '../../../chaos/check/history.ts';
import { checkLinearizable } from '../../../chaos/check/linearizability.ts';
import { Violation } from '../../../chaos/check/violation.ts';
import { findOrder, type RegisterItem, refused } from '../../../chaos/check/wing-gong.ts';

/** A register that holds a few small values, so that many orders are possible; some answers are lies. */
const operation = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), value: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constant('get' as const), saw: fc.constantFrom('a', 'b', 'c', undefined) }),
  fc.record({
    kind: fc.constant('cas' as const),
    expected: fc.constantFrom('a', 'b', undefined),
    value: fc.constantFrom('a', 'b', 'c'),
    succeeded: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('delete' as const), deleted: fc.boolean() }),
);

const history = fc
  .array(fc.tuple(operation, fc.nat(12), fc.nat(6), fc.boolean()), { minLength: 1, maxLength: 6 })
  .map((all) =>
    all.map(([one, from, length, isUnknown], position): HistoryEntry => {
      // No two moments are the same.
      const invokedAt = from + position / 10;
      const returnedAt = invokedAt + length + 0.05;
      const [asked, told] = ask(one);
      if (isUnknown && position % 2 === 0)
        return { client: position, operation: asked, invokedAt, returnedAt: undefined, outcome: undefined };
      return { client: position, operation: asked, invokedAt, returnedAt, outcome: told };
    }),
  );

type Drawn = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function ask(one: Drawn): readonly [Operation, Outcome] {
  const at = { revision: 0 };
  if (one.kind === 'put')
    return [
      { kind: 'put', key: 'k', value: one.value },
      { kind: 'put', ...at },
    ];
  if (one.kind === 'get')
    return [
      { kind: 'get', key: 'k' },
      { kind: 'get', value: one.saw, modRevision: 0, ...at },
    ];
  if (one.kind === 'delete')
    return [
      { kind: 'delete', key: 'k' },
      { kind: 'delete', deleted: one.deleted, ...at },
    ];
  const { expected, value, succeeded } = one;
  return [
    { kind: 'cas', key: 'k', expected, value },
    { kind: 'cas', succeeded, ...at },
  ];
}

/** What the register holds after one more, or undefined as an object when the answer does not fit. */
function next(held: string | undefined, { operation: asked, outcome }: HistoryEntry): { value: string | undefined }[] {
  if (asked.kind === 'put') return [{ value: asked.value }];
  if (asked.kind === 'get')
    return outcome === undefined || (outcome.kind === 'get' && outcome.value === held) ? [{ value: held }] : [];
  if (asked.kind === 'cas') {
    const wins = held === asked.expected;
    if (outcome?.kind === 'cas' && outcome.succeeded !== wins) return [];
    return [{ value: wins ? asked.value : held }];
  }
  if (outcome?.kind === 'delete' && outcome.deleted !== (held !== undefined)) return [];
  return [{ value: undefined }];
}

function tryAll(left: readonly HistoryEntry[], held: string | undefined): boolean {
  if (left.every((entry) => entry.outcome === undefined)) return true;
  return left.some((entry) => {
    const isFirst = left.every((other) => other.outcome === undefined || (other.returnedAt ?? 0) > entry.invokedAt);
    if (!isFirst) return false;
    const rest = left.filter((other) => other !== entry);
    return next(held, entry).some(({ value }) => tryAll(rest, value));
  });
}

test('it finds an order exactly where there is one', () => {
  let orders = 0;
  fc.assert(
    fc.property(history, (entries) => {
      const expected = tryAll(entries, undefined);
      if (expected) orders += 1;
      const check = () => checkLinearizable(entries);
      if (expected) assert.equal(check(), 'linearizable');
      else assert.throws(check, Violation);
    }),
    { numRuns: 5_000 },
  );
  assert.ok(orders > 500, `a fair share of them has an order: ${orders}`);
});

test('a long history is no matter of depth, and many that never returned are no matter of trying them all', () => {
  const items: RegisterItem[] = [];
  const putBy = (value: string, call: number, ret: number) =>
    items.push({ source: {}, call, ret, isRead: false, makes: { value }, apply: () => value });
  const readOf = (value: string, call: number) => {
    const apply: RegisterItem['apply'] = (held) => (held === value ? held : refused);
    items.push({ source: {}, call, ret: call + 2, isRead: true, needs: { value }, apply });
  };
  for (let number = 0; number < 200; number++) putBy(`unseen ${number}`, number, Number.POSITIVE_INFINITY);
  for (let number = 0; number < 20_000; number++) {
    const [value, call] = [`${number}`, 1_000 + number * 4];
    putBy(value, call, call + 2);
    readOf(value, call + 1);
  }
  assert.equal(findOrder(items), 'found');
  readOf('never written', 100_000);
  assert.equal(findOrder(items), 'none');
});
