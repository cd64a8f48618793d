import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RaftLog } from '../../../src/raft/core/log.ts';
import type { ConfState, Entry, Index, Term } from '../../../src/raft/core/types.ts';

const confState = {
  voters: [1],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
} as unknown as ConfState;
const index = (value: number) => value as Index;

/** Entries 1 to `count` of 100 bytes each, the first `applied` of them applied. */
function log(count: number, applied: number): RaftLog {
  const entries = Array.from({ length: count }, (_, at): Entry => {
    return { term: 1 as Term, index: index(at + 1), kind: 'normal', data: new Uint8Array(100) };
  });
  const snapshot = { index: index(0), term: 0 as Term, confState };
  return new RaftLog({ snapshot, entries, committed: index(count), applied: index(applied) });
}

test('a log is trimmed ahead of its snapshot, and goes on from there', () => {
  const trimmed = log(10, 8);
  trimmed.trim(index(6));
  assert.deepEqual([trimmed.firstIndex, trimmed.lastIndex, trimmed.snapshot.index], [7, 10, 0]);
  assert.equal(trimmed.termAt(index(6)), 1);
  assert.equal(trimmed.termAt(index(5)), undefined);
  trimmed.trim(index(3));
  assert.equal(trimmed.firstIndex, 7, 'a log never grows back');
});

test('what is not applied is not trimmed', () => {
  assert.throws(() => log(10, 8).trim(index(9)), /not all applied/);
});

test('the bytes that are kept are counted from the end, and reach no further than what is applied', () => {
  const kept = log(10, 8);
  assert.equal(kept.indexBefore(5 * 132), 5);
  assert.equal(kept.indexBefore(5 * 132 - 1), 6);
  assert.equal(kept.indexBefore(0), 8);
  assert.equal(kept.indexBefore(1_000_000), 0);
});
