/** Which messages between members wait for company, and which never may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Index, Message, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { Patience, supersedes } from '../../../src/raft/host/patience.ts';

const ends = { from: 1 as ReplicaId, to: 2 as ReplicaId };
const entry = (index: number, term: number) => ({
  index: index as Index,
  term: term as Term,
  kind: 'normal' as const,
  data: new Uint8Array([1]),
});
const append = (prevIndex: number, count: number, commit: number, term = 3): Message & { readonly type: 'app' } => ({
  ...ends,
  type: 'app',
  term: term as Term,
  prevIndex: prevIndex as Index,
  prevTerm: term as Term,
  entries: Array.from({ length: count }, (_, at) => entry(prevIndex + 1 + at, term)),
  commit: commit as Index,
});
const ack = (index: number, { term = 3, reject = false } = {}): Message => ({
  ...ends,
  type: 'appResp',
  term: term as Term,
  index: index as Index,
  reject,
  hintIndex: 0 as Index,
  hintTerm: 0 as Term,
});

test('an append that only tells of a commit waits when nobody there asked for it', () => {
  const patience = new Patience();
  assert.equal(patience.mayWait(append(6, 1, 6)), false, 'entries never wait');
  assert.equal(patience.mayWait(append(7, 0, 7)), true);
  assert.equal(patience.mayWait(append(7, 2, 7)), false);
  assert.equal(patience.mayWait(append(9, 0, 9)), true);
});

test('the commit of what the peer proposed goes at once, and the one after it may wait again', () => {
  const patience = new Patience();
  patience.mayWait(append(6, 1, 6));
  patience.proposed();
  assert.equal(patience.mayWait(append(7, 0, 7)), false, 'its own entry has not been sent yet, and may be this one');
  assert.equal(patience.mayWait(append(7, 2, 7)), false);
  assert.equal(patience.mayWait(append(9, 0, 8)), false, 'its entry is 8 or 9');
  assert.equal(patience.mayWait(append(9, 0, 9)), false);
  assert.equal(patience.mayWait(append(9, 1, 9)), false);
  assert.equal(patience.mayWait(append(10, 0, 10)), true);
});

test('a probe goes at once: it follows something else than what was sent last', () => {
  const patience = new Patience();
  assert.equal(patience.mayWait(append(9, 0, 4)), false, 'the first of a connection');
  assert.equal(patience.mayWait(append(5, 0, 4)), false, 'another place');
  assert.equal(patience.mayWait(append(5, 0, 4, 4)), false, 'another term');
  patience.reset();
  assert.equal(patience.mayWait(append(5, 0, 4, 4)), false, 'after a reconnect nobody knows what arrived');
});

test('only an acknowledgement that was given before waits', () => {
  const patience = new Patience();
  assert.equal(patience.mayWait(ack(5)), false);
  assert.equal(patience.mayWait(ack(5)), true);
  assert.equal(patience.mayWait(ack(5, { reject: true })), false);
  assert.equal(patience.mayWait(ack(6)), false);
  assert.equal(patience.mayWait(ack(6, { term: 4 })), false);
  patience.reset();
  assert.equal(patience.mayWait(ack(6, { term: 4 })), false);
});

test('what takes the place of a waiting message says all that it said', () => {
  assert.equal(supersedes(append(7, 2, 7), append(7, 0, 7)), true);
  assert.equal(supersedes(append(7, 0, 8), append(7, 0, 7)), true);
  assert.equal(supersedes(append(7, 1, 6), append(7, 0, 7)), false, 'an older commit');
  assert.equal(supersedes(append(5, 0, 7), append(7, 0, 7)), false, 'another place');
  assert.equal(supersedes(append(7, 0, 7, 4), append(7, 0, 7)), false, 'another term');
  assert.equal(supersedes(append(7, 0, 7), append(6, 1, 7)), false, 'entries are never left out');
  assert.equal(supersedes(ack(6), ack(5)), true);
  assert.equal(supersedes(ack(4), ack(5)), false);
  assert.equal(supersedes(ack(6, { reject: true }), ack(5)), false);
  assert.equal(supersedes(append(7, 0, 7), ack(5)), false);
});
