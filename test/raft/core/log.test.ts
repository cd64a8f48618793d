/** The log and its pointers: appending, cutting, hints, and what of it is on disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RaftLog } from '../../../src/raft/core/log.ts';
import { noIndex, noTerm, toIndex, toPersistToken, toTerm } from '../../../src/raft/core/numbers.ts';
import type { Entry } from '../../../src/raft/core/types.ts';
import { confStateOf } from '../../support/raft-harness.ts';

function entry(index: number, term: number): Entry {
  return { index: toIndex(index), term: toTerm(term), kind: 'normal', data: new Uint8Array(0) };
}

/** A log whose entries 1, 2, … have these terms. */
function logOf(...terms: number[]): RaftLog {
  return new RaftLog({
    snapshot: { index: noIndex, term: noTerm, confState: confStateOf([1, 2, 3]) },
    entries: terms.map((term, at) => entry(at + 1, term)),
    committed: noIndex,
    applied: noIndex,
  });
}

function termsOf(log: RaftLog): number[] {
  return log.slice(log.firstIndex, log.lastIndex).map(({ term }) => term);
}

function append(log: RaftLog, prev: readonly [number, number], ...entries: Entry[]): number | undefined {
  return log.maybeAppend({ prevIndex: toIndex(prev[0]), prevTerm: toTerm(prev[1]), entries });
}

test('an append that does not match is refused and changes nothing', () => {
  const log = logOf(1, 1);
  assert.equal(append(log, [2, 2], entry(3, 2)), undefined);
  assert.equal(append(log, [3, 1], entry(4, 2)), undefined);
  assert.deepEqual(termsOf(log), [1, 1]);
});

test('only a real conflict cuts the log: an old message takes nothing away', () => {
  const log = logOf(1, 1, 1);
  assert.equal(append(log, [1, 1], entry(2, 1)), 2);
  assert.deepEqual(termsOf(log), [1, 1, 1]);
  assert.equal(append(log, [1, 1], entry(2, 2)), 2);
  assert.deepEqual(termsOf(log), [1, 2]);
});

test('index 0 matches with term 0, so the first entry can be appended', () => {
  const log = logOf();
  assert.equal(append(log, [0, 0], entry(1, 1)), 1);
  assert.deepEqual(termsOf(log), [1]);
});

test('committed entries are never cut', () => {
  const log = logOf(1, 1);
  log.commitTo(toIndex(2));
  assert.throws(() => append(log, [1, 1], entry(2, 2)), /would lose committed entries/);
});

test('a hint skips a whole term in one answer', () => {
  const follower = logOf(1, 2, 2, 2, 2);
  const leader = logOf(1, 3, 3, 3, 3);
  const hint = follower.agreementHint(toIndex(5), toTerm(3));
  assert.deepEqual(hint, { index: 5, term: 2 });
  assert.equal(leader.agreementHint(hint.index, hint.term).index, 1);
});

test('a log that lost committed entries does not start', () => {
  const snapshot = { index: noIndex, term: noTerm, confState: confStateOf([1]) };
  const lost = () => new RaftLog({ snapshot, entries: [entry(1, 1)], committed: toIndex(2), applied: noIndex });
  assert.throws(lost, /committed entries were lost/);
});

test('entries are handed out when they are committed and durable, not before', () => {
  const log = logOf(1);
  log.append([entry(2, 1), entry(3, 1)]);
  log.commitTo(toIndex(3));
  assert.deepEqual(
    log.takeNextCommitted().map(({ index }) => index),
    [1],
  );
  log.unstable.submit(toPersistToken(1), toIndex(3));
  assert.equal(log.hasNextCommitted(), false);
  log.unstable.complete(toPersistToken(1));
  assert.deepEqual(
    log.takeNextCommitted().map(({ index }) => index),
    [2, 3],
  );
});

test('a record in flight does not vouch for an entry that was replaced, even by its own kind (ABA)', () => {
  const log = logOf(1);
  append(log, [1, 1], entry(2, 1));
  log.unstable.submit(toPersistToken(1), toIndex(2));
  append(log, [1, 1], entry(2, 2));
  log.unstable.submit(toPersistToken(2), toIndex(2));
  append(log, [1, 1], entry(2, 3));
  log.unstable.submit(toPersistToken(3), toIndex(2));
  const durableAfter = [1, 2, 3].map((token) => {
    log.unstable.complete(toPersistToken(token));
    return log.unstable.durable;
  });
  assert.deepEqual(durableAfter, [1, 1, 2]);
});

test('a compacted log still knows the term at its edge, and refuses what is before', () => {
  const log = logOf(1, 2, 2);
  log.commitTo(toIndex(3));
  log.takeNextCommitted();
  log.applyTo(toIndex(3));
  log.compact({ index: toIndex(3), term: toTerm(2), confState: confStateOf([1]) }, toIndex(2));
  assert.deepEqual([log.firstIndex, log.termAt(toIndex(2)), log.termAt(toIndex(1))], [3, 2, undefined]);
  assert.throws(() => log.slice(toIndex(2), toIndex(3)), /was compacted/);
});

test('what is durable is always a prefix that was really written as it is (against a model of the disk)', () => {
  const step = fc.oneof(
    { arbitrary: fc.tuple(fc.constant('append'), fc.nat(8)), weight: 4 },
    { arbitrary: fc.tuple(fc.constant('submit'), fc.constant(0)), weight: 3 },
    { arbitrary: fc.tuple(fc.constant('complete'), fc.constant(0)), weight: 3 },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const log = logOf(1);
      const disk: Entry[] = [entry(1, 1)];
      const inFlight: { token: number; entries: Entry[] }[] = [];
      let token = 0;
      let term = 1;
      for (const [kind, value] of steps) {
        if (kind === 'append') {
          // A leader of a new term appends behind some entry, as a conflict would make it.
          const prev = toIndex(1 + (value % log.lastIndex));
          term += 1;
          append(log, [prev, log.termAt(prev) ?? 0], entry(prev + 1, term), entry(prev + 2, term));
        } else if (kind === 'submit') {
          token += 1;
          const entries = log.slice(toIndex(log.unstable.submitted + 1), log.lastIndex);
          log.unstable.submit(toPersistToken(token), log.lastIndex);
          inFlight.push({ token, entries });
        } else {
          const record = inFlight.shift();
          if (record === undefined) continue;
          for (const written of record.entries) {
            disk.length = written.index - 1;
            disk.push(written);
          }
          log.unstable.complete(toPersistToken(record.token));
        }
        const durable = log.slice(toIndex(1), log.unstable.durable);
        assert.deepEqual(disk.slice(0, durable.length), durable);
      }
    }),
    { numRuns: 500, seed: 7 },
  );
});
