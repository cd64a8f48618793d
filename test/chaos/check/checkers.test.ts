/** The checkers must refuse bad histories: each one here is made by hand, with the mistake in plain sight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, type Operation, type Outcome } from '../../../chaos/check/history.ts';
import { checkLinearizable } from '../../../chaos/check/linearizability.ts';
import { StoreModel } from '../../../chaos/check/model.ts';
import { RequestsOnce } from '../../../chaos/check/requests-once.ts';
import { checkRevisions } from '../../../chaos/check/revisions.ts';
import { encodeEntry } from '../../../src/kv/server/entry.ts';
import type { Index, Term } from '../../../src/raft/index.ts';

type Step = readonly ['invoke', string, Operation] | readonly ['ok', string, Outcome];

/** Builds a history from steps in order; operations are named so that they can overlap. */
function history(...steps: readonly Step[]) {
  const made = new History();
  const open = new Map<string, ReturnType<History['invoke']>>();
  for (const [kind, name, what] of steps) {
    if (kind === 'invoke') open.set(name, made.invoke(open.size, what));
    else {
      const entry = open.get(name);
      assert.ok(entry);
      made.succeed(entry, what);
    }
  }
  return made.entries;
}

const put = (value: string): Operation => ({ kind: 'put', key: 'k', value });
const get: Operation = { kind: 'get', key: 'k' };
const cas = (expected: string | undefined, value: string): Operation => ({ kind: 'cas', key: 'k', expected, value });
const remove: Operation = { kind: 'delete', key: 'k' };
const did = (revision: number): Outcome => ({ kind: 'put', revision });
const saw = (value: string | undefined, modRevision: number, revision: number): Outcome => ({
  kind: 'get',
  value,
  modRevision,
  revision,
});

test('a write seen by the next read is linearizable', () => {
  const entries = history(
    ['invoke', 'w', put('a')],
    ['ok', 'w', did(2)],
    ['invoke', 'r', get],
    ['ok', 'r', saw('a', 2, 2)],
  );
  assert.equal(checkLinearizable(entries), 'linearizable');
  checkRevisions(entries);
});

test('a read that misses a write which had returned is a violation', () => {
  const entries = history(
    ['invoke', 'w', put('a')],
    ['ok', 'w', did(2)],
    ['invoke', 'r', get],
    ['ok', 'r', saw(undefined, 0, 2)],
  );
  assert.throws(() => checkLinearizable(entries), /linearizability/);
});

test('two reads may not see overlapping writes in opposite orders', () => {
  const entries = history(
    ['invoke', 'a', put('a')],
    ['invoke', 'b', put('b')],
    ['ok', 'a', did(2)],
    ['ok', 'b', did(3)],
    ['invoke', 'r1', get],
    ['ok', 'r1', saw('a', 2, 3)],
    ['invoke', 'r2', get],
    ['ok', 'r2', saw('b', 3, 3)],
  );
  assert.throws(() => checkLinearizable(entries), /linearizability/);
});

test('a write of unknown outcome may be seen later, or never, but not be taken back', () => {
  const late = history(
    ['invoke', 'u', put('u')],
    ['invoke', 'r', get],
    ['ok', 'r', saw(undefined, 0, 1)],
    ['invoke', 's', get],
    ['ok', 's', saw('u', 2, 2)],
  );
  assert.equal(checkLinearizable(late), 'linearizable');
  const back = history(
    ['invoke', 'u', put('u')],
    ['invoke', 'r', get],
    ['ok', 'r', saw('u', 2, 2)],
    ['invoke', 's', get],
    ['ok', 's', saw(undefined, 0, 2)],
  );
  assert.throws(() => checkLinearizable(back), /linearizability/);
});

test('two compare-and-sets cannot both win from the same value', () => {
  const won = (revision: number): Outcome => ({ kind: 'cas', succeeded: true, revision });
  const entries = history(
    ['invoke', 'a', cas(undefined, 'a')],
    ['invoke', 'b', cas(undefined, 'b')],
    ['ok', 'a', won(2)],
    ['ok', 'b', won(3)],
  );
  assert.throws(() => checkLinearizable(entries), /linearizability/);
});

test('a deletion cannot find a key that was never there', () => {
  const entries = history(['invoke', 'd', remove], ['ok', 'd', { kind: 'delete', deleted: true, revision: 2 }]);
  assert.throws(() => checkLinearizable(entries), /linearizability/);
});

test('revisions: two writes may not share one', () => {
  const entries = history(
    ['invoke', 'a', put('a')],
    ['invoke', 'b', put('b')],
    ['ok', 'a', did(2)],
    ['ok', 'b', did(2)],
  );
  assert.throws(() => checkRevisions(entries), /a write has a revision of its own/);
});

test('revisions: none goes back in real time', () => {
  const entries = history(
    ['invoke', 'a', put('a')],
    ['ok', 'a', did(5)],
    ['invoke', 'r', get],
    ['ok', 'r', saw(undefined, 0, 4)],
  );
  assert.throws(() => checkRevisions(entries), /revisions follow real time/);
});

test('revisions: a read names the newest write at its revision', () => {
  const entries = history(
    ['invoke', 'a', put('a')],
    ['ok', 'a', did(2)],
    ['invoke', 'b', put('b')],
    ['ok', 'b', did(3)],
    ['invoke', 'r', get],
    ['ok', 'r', saw('a', 2, 3)],
  );
  assert.throws(() => checkRevisions(entries), /a read returns the newest write/);
});

test('revisions: a value that was written once has one revision', () => {
  const entries = history(
    ['invoke', 'a', put('a')],
    ['ok', 'a', did(2)],
    ['invoke', 'r', get],
    ['ok', 'r', saw('a', 3, 3)],
  );
  assert.throws(() => checkRevisions(entries), /a write happens once/);
});

test('a request that is two entries happened twice', () => {
  const entry = (index: number, requestId: number) => ({
    index: index as Index,
    term: index as Term,
    kind: 'normal' as const,
    data: encodeEntry({ proposer: 1, request: { requestId, op: { kind: 'leaseRevoke', id: 9n } } }),
  });
  const requests = new RequestsOnce();
  requests.committed(entry(4, 70));
  requests.committed(entry(5, 71));
  requests.committed({ index: 6 as Index, term: 6 as Term, kind: 'normal', data: new Uint8Array(0) });
  assert.equal(requests.count, 2);
  assert.throws(
    () => requests.committed(entry(7, 70)),
    /a request happens once: .*entry 4 of term 4, and again entry 7/,
  );
});

test('what was committed decides about operations that got no answer', () => {
  const entries = history(
    ['invoke', 'w', put('a')],
    ['ok', 'w', did(2)],
    ['invoke', 'lost', put('never')],
    ['invoke', 'gone', remove],
    ['invoke', 'r', get],
    ['ok', 'r', saw(undefined, 0, 3)],
  );
  const committed = new StoreModel();
  committed.apply({ kind: 'put', key: 'k', value: 'a', lease: '0' });
  committed.apply({ kind: 'delete', key: 'k', end: '' });
  assert.equal(checkLinearizable(entries, committed), 'linearizable');
  const read = history(
    ['invoke', 'w', put('a')],
    ['ok', 'w', did(2)],
    ['invoke', 'lost', cas('a', 'never')],
    ['invoke', 'x', cas('never', 'x')],
    ['ok', 'x', { kind: 'cas', succeeded: true, revision: 3 }],
  );
  assert.equal(checkLinearizable(read), 'linearizable', 'it may have been');
  assert.throws(() => checkLinearizable(read, committed), /linearizability/, 'the log says that it was not');
});
