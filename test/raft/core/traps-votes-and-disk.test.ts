/** Mistakes that other implementations of Raft have made, each with a test: votes, and what must be on disk before anybody hears of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPersistToken, toReplicaId } from '../../../src/raft/core/numbers.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { entry, flush, step, candidate, change, remove } from '../../support/raft-steps.ts';

test('a repeated vote counts once', () => {
  const harness = candidate(5);
  for (let at = 0; at < 3; at += 1) step(harness, 'voteResp', { term: 1 });
  assert.equal(harness.core(1).status().role, 'candidate');
});

test('a vote of an earlier term does not count', () => {
  const harness = candidate(3);
  harness.tick(1, 20);
  assert.equal(harness.core(1).status().term, 3);
  step(harness, 'voteResp', { term: 1 });
  assert.equal(harness.core(1).status().role, 'candidate');
});

test('a granted pre-vote does not count as a vote', () => {
  const harness = candidate(3);
  step(harness, 'preVoteResp', { term: 1 });
  step(harness, 'preVoteResp', { term: 2 });
  assert.equal(harness.core(1).status().role, 'candidate');
});

test('a vote of a stranger does not count', () => {
  const harness = candidate(3);
  step(harness, 'voteResp', { from: 8, term: 1 });
  step(harness, 'voteResp', { from: 9, term: 1 });
  assert.equal(harness.core(1).status().role, 'candidate');
});

test('an acknowledgement of a removed member does not count', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  change(harness, 1, remove(3));
  harness.stabilize();
  harness.propose(1, 'a');
  flush(harness, 1);
  const { lastIndex, committed } = harness.core(1).status();
  step(harness, 'appResp', { from: 3, term: 1, index: lastIndex });
  assert.equal(harness.core(1).status().committed, committed);
});

test('an acknowledgement of an earlier leadership does not count', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.elect(2);
  harness.elect(1);
  harness.propose(1, 'a');
  flush(harness, 1);
  const { lastIndex, committed } = harness.core(1).status();
  step(harness, 'appResp', { from: 3, term: 1, index: lastIndex });
  assert.equal(harness.core(1).status().committed, committed);
});

test('a vote is on disk before it is sent, together with its term', () => {
  const harness = RaftHarness.of(3);
  harness.at(1).isSlowDisk = true;
  step(harness, 'vote', { term: 5, lastIndex: 1, lastTerm: 1 });
  const ready = harness.ready(1);
  assert.deepEqual(harness.network, []);
  assert.deepEqual(ready.persist?.hardState, { term: 5, vote: 2, commit: 0 });
  assert.equal(ready.persist?.mustSync, true);
  assert.equal(ready.messagesAfterPersist?.token, ready.persist?.token);
  harness.persist(1);
  assert.deepEqual(
    harness.network.map(({ type }) => type),
    ['voteResp'],
  );
});

test('a vote survives a crash: the same term gives no second one', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'vote', { term: 5, lastIndex: 1, lastTerm: 1 });
  flush(harness, 1);
  harness.crash(1);
  harness.restart(1);
  step(harness, 'vote', { from: 3, term: 5, lastIndex: 9, lastTerm: 4 });
  const [answer] = flush(harness, 1);
  assert.ok(answer?.type === 'voteResp' && answer.reject);
});

test('a vote is not forgotten when its term is lost: following and stepping down keep it', () => {
  const harness = candidate(3);
  step(harness, 'heartbeat', { term: 1 });
  assert.equal(harness.core(1).status().vote, 1);
  step(harness, 'vote', { from: 3, term: 1, lastIndex: 9, lastTerm: 9 });
  const answer = flush(harness, 1).find(({ type }) => type === 'voteResp');
  assert.ok(answer?.type === 'voteResp' && answer.reject);
});

test('a candidate counts its own vote when it is on disk, and nobody hears of it before', () => {
  const harness = RaftHarness.of(1);
  harness.tick(1, 10);
  const ready = harness.ready(1);
  assert.equal(harness.core(1).status().role, 'candidate');
  assert.deepEqual(ready.messages, []);
  harness.persist(1);
  assert.equal(harness.core(1).status().role, 'leader');
});

test('a vote of an earlier term that reaches the disk is not the vote of this one', () => {
  const harness = RaftHarness.of(1);
  for (const term of [1, 2]) {
    harness.tick(1, 10);
    assert.equal(harness.ready(1).persist?.hardState?.term, term);
  }
  harness.persist(1, 1);
  assert.equal(harness.core(1).status().role, 'candidate');
  harness.persist(1, 1);
  assert.equal(harness.core(1).status().role, 'leader');
});

test('a leader counts its own entry when it is on disk: one member acknowledges nothing before', () => {
  const harness = RaftHarness.of(1);
  harness.elect(1);
  harness.propose(1, 'a');
  harness.ready(1);
  assert.equal(harness.core(1).status().committed, 1);
  harness.persist(1);
  assert.equal(harness.core(1).status().committed, 2);
});

test('what is handed out to be applied is durable here, even if others committed it', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1)], commit: 2 });
  const ready = harness.ready(1);
  assert.equal(harness.core(1).status().committed, 2);
  assert.deepEqual(ready.committed, []);
  harness.persist(1);
  assert.equal(harness.ready(1).committed.length, 2);
});

test('a record that was overwritten while it was written vouches for nothing (asynchronous append, ABA)', () => {
  const harness = RaftHarness.of(3);
  const versions = [1, 2, 3].map((term) => {
    const from = toReplicaId(term === 2 ? 3 : 2);
    step(harness, 'app', { from, term, entries: [entry(1, term === 2 ? 2 : 1)], commit: term === 3 ? 1 : 0 });
    return harness.ready(1).persist?.token;
  });
  assert.deepEqual(versions, [1, 2, 3]);
  for (const token of [1, 2]) {
    harness.do(1, (core) => core.persisted(toPersistToken(token)));
    assert.deepEqual([harness.core(1).view().durable, harness.ready(1).committed.length], [0, 0]);
  }
  harness.do(1, (core) => core.persisted(toPersistToken(3)));
  assert.equal(harness.ready(1).committed.length, 1);
});
