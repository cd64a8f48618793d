/**
 * Raft paper, sections 5.3, 5.4.2, 6, 7 and 8, and thesis 3.10, 4.1 and 6.4: replication, commitment, membership,
 * snapshots, transfer and reads, one test per rule.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noIndex, toIndex, toReplicaId, toTerm } from '../../../src/raft/core/numbers.ts';
import type { ConfChangeStep, Entry, Message } from '../../../src/raft/core/types.ts';
import { confStateOf, describeConf, RaftHarness } from '../../support/raft-harness.ts';
import { messageOf } from '../../support/raft-messages.ts';

function entry(index: number, term: number, text = ''): Entry {
  return { index: toIndex(index), term: toTerm(term), kind: 'normal', data: new TextEncoder().encode(text) };
}

function termsOf(harness: RaftHarness, id: number): number[] {
  return harness
    .core(id)
    .inspectLog()
    .entries.map(({ term }) => term);
}

function change(harness: RaftHarness, id: number, ...steps: ConfChangeStep[]): string {
  const result = harness.do(id, (core) => core.proposeConfChange({ steps, context: new Uint8Array(0) }));
  return result.kind === 'dropped' ? result.reason : 'accepted';
}

/** Takes one Ready of `id` and makes it durable, and returns what it sends. */
function flush(harness: RaftHarness, id: number): Message[] {
  harness.network = [];
  while (harness.core(id).hasReady()) harness.ready(id);
  harness.persist(id);
  return harness.network;
}

test('5.3: a leader appends a proposal and sends it with the entry before', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  assert.equal(harness.propose(1, 'a'), 2);
  const sends = flush(harness, 1);
  assert.deepEqual(
    sends.map(
      (message) => message.type === 'app' && [message.to, message.prevIndex, message.prevTerm, message.entries.length],
    ),
    [
      [2, 1, 1, 1],
      [3, 1, 1, 1],
    ],
  );
});

test('5.3: an entry on a majority is committed, and followers learn it with the next message', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 3 || to === 3;
  harness.propose(1, 'a');
  harness.stabilize();
  assert.equal(harness.core(1).status().committed, 2);
  assert.equal(harness.core(2).status().committed, 2);
  assert.equal(harness.core(3).status().committed, 1);
});

test('5.3: an entry on less than a majority is not committed', () => {
  const harness = RaftHarness.of(5);
  harness.elect(1);
  harness.isCut = (from, to) => from > 2 || to > 2;
  harness.propose(1, 'a');
  harness.stabilize();
  assert.equal(harness.core(1).status().committed, 1);
});

test('5.3: everybody applies the same entries in the same order', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  for (const text of ['a', 'b', 'c']) harness.propose(1, text);
  harness.stabilize();
  for (const id of [1, 2, 3]) assert.deepEqual(harness.at(id).state, ['1/1 no-op', '2/1 a', '3/1 b', '4/1 c']);
});

for (const [prevIndex, prevTerm, rejects] of [
  [2, 2, false],
  [1, 1, false],
  [2, 1, true],
  [3, 3, true],
] as const) {
  test(`5.3: a follower with terms 1, 2 ${rejects ? 'refuses' : 'takes'} what follows ${prevIndex}/${prevTerm}`, () => {
    const harness = RaftHarness.of(3);
    harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(3), entries: [entry(1, 1), entry(2, 2)] })));
    flush(harness, 1);
    const fields = { prevIndex: toIndex(prevIndex), prevTerm: toTerm(prevTerm), entries: [entry(prevIndex + 1, 3)] };
    harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(3), ...fields })));
    const answer = flush(harness, 1).find(({ type }) => type === 'appResp');
    assert.ok(answer?.type === 'appResp');
    assert.equal(answer.reject, rejects);
  });
}

test('5.3: a conflicting entry and all after it are replaced', () => {
  const harness = RaftHarness.of(3);
  const old = [entry(1, 1), entry(2, 1, 'x'), entry(3, 1, 'y')];
  harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(1), entries: old })));
  const fields = { from: toReplicaId(3), prevIndex: toIndex(1), prevTerm: toTerm(1), entries: [entry(2, 2, 'z')] };
  harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(2), ...fields })));
  assert.deepEqual(termsOf(harness, 1), [1, 2]);
});

test('5.3: the commit index of a follower ends at the last entry the message vouches for', () => {
  const harness = RaftHarness.of(3);
  const entries = [entry(1, 1), entry(2, 1), entry(3, 1)];
  harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(1), entries })));
  const fields = { prevIndex: toIndex(1), prevTerm: toTerm(1), commit: toIndex(3) };
  harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(1), ...fields })));
  assert.equal(harness.core(1).status().committed, 1);
});

test('5.4.2: an entry of an earlier term is committed only together with one of the own term (figure 8)', () => {
  const harness = RaftHarness.of(3, { messageBytesMax: 1 });
  harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(1), entries: [entry(1, 1, 'x')] })));
  flush(harness, 1);
  harness.tick(1, 10);
  harness.do(1, (core) => core.step(messageOf('preVoteResp', { term: toTerm(2) })));
  flush(harness, 1);
  harness.do(1, (core) => core.step(messageOf('voteResp', { term: toTerm(2) })));
  flush(harness, 1);
  harness.do(1, (core) => core.step(messageOf('appResp', { term: toTerm(2), index: toIndex(1) })));
  assert.equal(harness.core(1).status().committed, 0, 'entry 1 is on a majority, but of term 1');
  harness.do(1, (core) => core.step(messageOf('appResp', { term: toTerm(2), index: toIndex(2) })));
  assert.equal(harness.core(1).status().committed, 2);
});

test('6: a learner gets every entry and counts for nothing', () => {
  const harness = new RaftHarness();
  const disk = () => ({
    hardState: { term: toTerm(0), vote: toReplicaId(0), commit: noIndex },
    snapshot: { index: noIndex, term: toTerm(0), confState: confStateOf([1, 2], [3]) },
    entries: [],
  });
  for (const id of [1, 2, 3]) harness.add(id, disk());
  harness.elect(1);
  harness.isCut = (from, to) => from === 2 || to === 2;
  harness.propose(1, 'a');
  harness.stabilize();
  assert.equal(harness.core(3).status().lastIndex, 2);
  assert.equal(harness.core(1).status().committed, 1);
  harness.tick(3, 50);
  assert.equal(harness.core(3).status().role, 'follower');
});

test('6: in joint consensus both halves must agree on an entry', () => {
  const harness = RaftHarness.of(3);
  harness.add(4);
  harness.add(5);
  harness.elect(1);
  harness.compact(1, 0);
  harness.isCut = (from, to) => from > 3 || to > 3;
  const steps = [4, 5].map((id): ConfChangeStep => ({ kind: 'addVoter', replica: toReplicaId(id) }));
  assert.equal(change(harness, 1, ...steps, { kind: 'remove', replica: toReplicaId(3) }), 'accepted');
  harness.stabilize();
  assert.equal(describeConf(harness.core(1).status().confState), 'voters(1 2 4 5) outgoing(1 2 3) autoLeave');
  const committed = harness.core(1).status().committed;
  harness.propose(1, 'a');
  harness.stabilize();
  assert.equal(harness.core(1).status().committed, committed, 'two of the new four are no majority');
  harness.isCut = () => false;
  harness.tickAll(3);
  assert.equal(describeConf(harness.core(1).status().confState), 'voters(1 2 4 5)');
});

test('thesis 4.1: one membership change at a time, after a commit in the own term', () => {
  const harness = RaftHarness.of(3);
  const learner = (id: number): ConfChangeStep => ({ kind: 'addLearner', replica: toReplicaId(id) });
  harness.elect(1);
  assert.equal(change(harness, 1, learner(4)), 'accepted');
  assert.equal(change(harness, 1, learner(5)), 'confChangePending');
  harness.stabilize();
  assert.equal(change(harness, 1, learner(5)), 'accepted');
});

test('7: a follower behind the compacted log gets a snapshot and goes on from there', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 3 || to === 3;
  for (const text of ['a', 'b', 'c']) harness.propose(1, text);
  harness.stabilize();
  harness.compact(1, 4);
  harness.isCut = () => false;
  harness.tickAll(3);
  assert.equal(harness.core(3).status().firstIndex, 5);
  assert.deepEqual(harness.at(3).state, harness.at(1).state);
});

test('7: a snapshot whose last entry the follower has only moves its commit index', () => {
  const harness = RaftHarness.of(3);
  const entries = [entry(1, 1), entry(2, 1), entry(3, 1)];
  harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(1), entries })));
  const snapshot = { index: toIndex(2), term: toTerm(1), confState: confStateOf([1, 2, 3]) };
  harness.do(1, (core) => core.step(messageOf('snap', { term: toTerm(1), snapshot })));
  const { committed, firstIndex, lastIndex } = harness.core(1).status();
  assert.deepEqual([committed, firstIndex, lastIndex], [2, 1, 3]);
});

test('8: a new leader begins with an entry of its own term', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.elect(2);
  assert.deepEqual(termsOf(harness, 2), [1, 2]);
  assert.equal(harness.core(2).status().committed, 2);
});

test('thesis 6.4: a read waits for a round of heartbeats that began after it', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.tick(1);
  const early = flush(harness, 1).filter(({ type }) => type === 'heartbeat');
  harness.do(1, (core) => core.readIndex(7));
  const late = flush(harness, 1).filter(({ type }) => type === 'heartbeat');
  for (const message of early) harness.deliver(message);
  for (const answer of flush(harness, 2)) harness.deliver(answer);
  harness.ready(1);
  assert.deepEqual(harness.at(1).reads, [], 'an answer to an earlier heartbeat proves nothing');
  for (const message of late) harness.deliver(message);
  for (const answer of flush(harness, 2)) harness.deliver(answer);
  harness.ready(1);
  assert.deepEqual(harness.at(1).reads, [{ context: 7, index: 1 }]);
});

test('thesis 6.4: a deposed leader answers no read', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 1 || to === 1;
  harness.do(1, (core) => core.readIndex(7));
  harness.tickAll(30);
  assert.deepEqual(harness.at(1).reads, []);
  assert.deepEqual(harness.at(1).droppedReads, [7]);
});

test('thesis 3.10: leadership moves to who was asked, and to nobody who is no voter', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.do(1, (core) => core.transferLeader(toReplicaId(9)));
  assert.equal(harness.core(1).status().transferee, 0);
  harness.do(1, (core) => core.transferLeader(toReplicaId(3)));
  harness.stabilize();
  assert.deepEqual(harness.leaders(), [3]);
});

test('thesis 3.10: a transfer that does not happen within an election time-out is given up', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 3 || to === 3;
  harness.do(1, (core) => core.transferLeader(toReplicaId(3)));
  const refused = harness.do(1, (core) => core.propose(new Uint8Array(1)));
  assert.deepEqual(refused, { kind: 'dropped', reason: 'transferring' });
  harness.tickAll(10);
  assert.equal(harness.propose(1, 'a'), 2);
});
