/** Mistakes that other implementations of Raft have made, each with the test that would have caught it here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toIndex, toPersistToken, toReplicaId, toTerm } from '../../../src/raft/core/numbers.ts';
import type { ConfChangeStep, Entry, Message, MessageType, SnapshotMeta } from '../../../src/raft/core/types.ts';
import { confStateOf, describeConf, emptyDisk, RaftHarness } from '../../support/raft-harness.ts';
import { messageOf } from '../../support/raft-messages.ts';

function entry(index: number, term: number): Entry {
  return { index: toIndex(index), term: toTerm(term), kind: 'normal', data: new Uint8Array(8) };
}

/** Everything `id` has to say, with a disk that is done at once. */
function flush(harness: RaftHarness, id: number): Message[] {
  harness.network = [];
  while (harness.core(id).hasReady()) {
    harness.ready(id);
    harness.persist(id);
  }
  harness.apply(id);
  return harness.network;
}

function step(harness: RaftHarness, type: MessageType, fields: Record<string, unknown>): void {
  const message = messageOf(type, fields);
  harness.do(message.to, (core) => core.step(message));
}

function candidate(voters: number): RaftHarness {
  const harness = RaftHarness.of(voters, { preVote: false });
  harness.do(1, (core) => core.campaign());
  flush(harness, 1);
  return harness;
}

function cutOff(harness: RaftHarness, ...ids: number[]): void {
  harness.isCut = (from, to) => ids.includes(from) || ids.includes(to);
}

function change(harness: RaftHarness, id: number, ...steps: ConfChangeStep[]): string {
  const result = harness.do(id, (core) => core.proposeConfChange({ steps, context: new Uint8Array(0) }));
  return result.kind === 'dropped' ? result.reason : 'accepted';
}

const addVoter = (id: number): ConfChangeStep => ({ kind: 'addVoter', replica: toReplicaId(id) });
const addLearner = (id: number): ConfChangeStep => ({ kind: 'addLearner', replica: toReplicaId(id) });
const remove = (id: number): ConfChangeStep => ({ kind: 'remove', replica: toReplicaId(id) });

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

test('an append that is older than the commit index is acknowledged up to it and cuts nothing', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commit: 3 });
  flush(harness, 1);
  step(harness, 'app', { term: 1, entries: [entry(1, 1)], commit: 1 });
  const [answer] = flush(harness, 1);
  assert.ok(answer?.type === 'appResp' && !answer.reject && answer.index === 3);
  assert.equal(harness.core(1).status().lastIndex, 3);
});

test('a heartbeat never carries a commit index beyond what its receiver holds', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 3);
  harness.propose(1, 'a');
  harness.stabilize();
  harness.tick(1);
  const beats = flush(harness, 1).filter((message) => message.type === 'heartbeat');
  assert.deepEqual(
    beats.map(({ to, commit }) => [to, commit]),
    [
      [2, 2],
      [3, 1],
    ],
  );
});

test('a snapshot behind the commit index is ignored', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commit: 3 });
  flush(harness, 1);
  const snapshot: SnapshotMeta = { index: toIndex(2), term: toTerm(1), confState: confStateOf([1, 2, 3]) };
  step(harness, 'snap', { term: 1, snapshot });
  const ready = harness.ready(1);
  assert.equal(ready.persist?.snapshot, undefined);
  assert.deepEqual([harness.core(1).status().firstIndex, harness.core(1).status().lastIndex], [1, 3]);
});

test('a snapshot behind what is compacted already is ignored as well', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commit: 3 });
  flush(harness, 1);
  harness.compact(1, 3);
  const snapshot: SnapshotMeta = { index: toIndex(2), term: toTerm(1), confState: confStateOf([1, 2, 3]) };
  step(harness, 'snap', { term: 1, snapshot });
  const [answer] = flush(harness, 1);
  assert.ok(answer?.type === 'appResp' && answer.index === 3);
  assert.equal(harness.core(1).status().applied, 3);
});

test('log, membership, commit and snapshot change as one step, and the log matches at the edge', () => {
  const harness = RaftHarness.of(3);
  const snapshot: SnapshotMeta = { index: toIndex(7), term: toTerm(3), confState: confStateOf([1, 2], [3]) };
  step(harness, 'snap', { term: 4, snapshot });
  const { committed, lastIndex, firstIndex, confState } = harness.core(1).status();
  assert.deepEqual([committed, lastIndex, firstIndex, describeConf(confState)], [7, 7, 8, 'voters(1 2) learners(3)']);
  step(harness, 'app', { term: 4, prevIndex: 7, prevTerm: 3, entries: [entry(8, 4)] });
  assert.equal(harness.core(1).status().lastIndex, 8);
});

test('two snapshots in a short time: the later one wins, and nothing is applied in between', () => {
  const harness = RaftHarness.of(3);
  const meta = (index: number): SnapshotMeta => ({
    index: toIndex(index),
    term: toTerm(1),
    confState: confStateOf([1, 2, 3]),
  });
  step(harness, 'snap', { term: 1, snapshot: meta(5) });
  harness.do(1, (core) => core.takeReady());
  step(harness, 'snap', { term: 1, snapshot: meta(9) });
  const second = harness.do(1, (core) => core.takeReady());
  assert.equal(second.persist?.snapshot?.index, 9);
  harness.do(1, (core) => core.persisted(toPersistToken(2)));
  harness.do(1, (core) => core.applied(toIndex(5)));
  assert.deepEqual(harness.do(1, (core) => core.takeReady()).committed, []);
  harness.do(1, (core) => core.applied(toIndex(9)));
  assert.equal(harness.core(1).status().applied, 9);
});

test('a membership change handed out before a snapshot does not change what the snapshot brought', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  change(harness, 1, addLearner(4));
  harness.at(3).isSlowDisk = true;
  for (let turn = 0; turn < 12; turn += 1) harness.turn();
  harness.network = [];
  while (harness.core(3).hasReady()) harness.ready(3);
  harness.persist(3);
  const ready = harness.ready(3);
  assert.ok(ready.committed.some(({ kind }) => kind === 'confChange'));
  const snapshot: SnapshotMeta = { index: toIndex(9), term: toTerm(1), confState: confStateOf([1, 2, 3], [5]) };
  step(harness, 'snap', { from: 1, to: 3, term: 1, snapshot });
  const conf = harness.do(3, (core) => core.applyConfChange({ steps: [addLearner(4)], context: new Uint8Array(0) }));
  assert.equal(describeConf(conf), 'voters(1 2 3) learners(5)');
});

test('a follower that catches up while its snapshot is under way is not stuck', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 3);
  harness.propose(1, 'a');
  harness.stabilize();
  harness.compact(1, 2);
  step(harness, 'heartbeatResp', { from: 3, term: 1 });
  step(harness, 'appResp', { from: 3, term: 1, index: 2, reject: true, hintIndex: 1, hintTerm: 1 });
  assert.equal(harness.core(1).status().progress.get(toReplicaId(3))?.state, 'snapshot');
  step(harness, 'appResp', { from: 3, term: 1, index: 2 });
  assert.equal(harness.core(1).status().progress.get(toReplicaId(3))?.state, 'replicate');
});

test('a slow follower is not flooded, and goes on after its log was compacted away', () => {
  const harness = RaftHarness.of(3, { inflightMessagesMax: 2 });
  harness.elect(1);
  cutOff(harness, 3);
  for (let at = 0; at < 6; at += 1) {
    harness.propose(1, `p${at}`);
    const toSlow = harness.network.length;
    harness.ready(1);
    const sent = harness.network.slice(toSlow).filter(({ to, type }) => to === 3 && type === 'app');
    assert.equal(sent.length, at < 2 ? 1 : 0);
    harness.stabilize();
  }
  harness.compact(1, harness.core(1).status().applied);
  harness.isCut = () => false;
  harness.tickAll(4);
  assert.deepEqual(harness.at(3).state, harness.at(1).state);
});

test('lost appends reopen with the answer to a heartbeat', () => {
  const harness = RaftHarness.of(2, { inflightMessagesMax: 1 });
  harness.elect(1);
  harness.propose(1, 'a');
  flush(harness, 1);
  harness.network = [];
  harness.tickAll(2);
  assert.equal(harness.core(2).status().committed, 2);
});

test('what could not be sent is probed again from what is known', () => {
  const harness = RaftHarness.of(2);
  harness.elect(1);
  harness.propose(1, 'a');
  flush(harness, 1);
  harness.do(1, (core) => core.reportUnreachable(toReplicaId(2)));
  assert.equal(harness.core(1).status().progress.get(toReplicaId(2))?.next, 2);
});

test('a message has a size: many entries go in several, a large one still goes', () => {
  const harness = RaftHarness.of(2, { messageBytesMax: 100, inflightMessagesMax: 16 });
  harness.elect(1);
  for (let at = 0; at < 4; at += 1) harness.propose(1, 'x'.repeat(10));
  harness.propose(1, 'y'.repeat(500));
  const sizes = flush(harness, 1).flatMap((message) => (message.type === 'app' ? [message.entries.length] : []));
  assert.deepEqual(sizes, [2, 2, 1]);
});

test('a leader that commits nothing stops taking proposals, but one always fits', () => {
  const harness = RaftHarness.of(3, { uncommittedBytesMax: 100 });
  harness.elect(1);
  cutOff(harness, 2, 3);
  assert.equal(harness.propose(1, 'x'.repeat(1000)), 2);
  const refused = harness.do(1, (core) => core.propose(new Uint8Array(1)));
  assert.deepEqual(refused, { kind: 'dropped', reason: 'tooMuchUncommitted' });
  harness.isCut = () => false;
  harness.tickAll(2);
  assert.equal(harness.propose(1, 'y'), 3);
});

test('a new leader takes no membership change before an entry of its own term is committed', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.do(2, (core) => core.step(messageOf('timeoutNow', { from: toReplicaId(1), to: toReplicaId(2), term: 1 })));
  for (let turn = 0; turn < 20 && harness.core(2).status().role !== 'leader'; turn += 1) harness.turn();
  assert.equal(change(harness, 2, addLearner(4)), 'notReady');
  harness.stabilize();
  assert.equal(change(harness, 2, addLearner(4)), 'accepted');
});

test('an inherited membership change is applied before another one is taken', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 3);
  change(harness, 1, addLearner(4));
  harness.turn();
  harness.crash(1);
  harness.isCut = () => false;
  harness.tickAll(30);
  const [leader = 0] = harness.leaders();
  harness.stabilize();
  assert.equal(describeConf(harness.core(leader).status().confState), 'voters(1 2 3) learners(4)');
  assert.equal(change(harness, leader, addLearner(5)), 'accepted');
});

test('a joint configuration is left by a later leader, also after everybody crashed', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  change(harness, 1, addLearner(3), addLearner(4));
  for (let turn = 0; turn < 4; turn += 1) harness.turn();
  for (const id of [1, 2, 3]) harness.crash(id);
  for (const id of [1, 2, 3]) harness.restart(id);
  harness.add(4);
  harness.tickAll(60);
  const [leader = 0] = harness.leaders();
  assert.equal(describeConf(harness.core(leader).status().confState), 'voters(1 2) learners(3 4)');
});

test('a leader that is removed leads until the others know, then hands over', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  change(harness, 1, remove(1));
  harness.stabilize();
  const [leader = 0] = harness.leaders();
  assert.ok(leader === 2 || leader === 3);
  for (const id of [2, 3]) assert.equal(describeConf(harness.core(id).status().confState), 'voters(2 3)');
  assert.deepEqual(
    harness.do(1, (core) => core.propose(new Uint8Array(1))),
    { kind: 'dropped', reason: 'removed' },
  );
});

test('a leader that is removed does not count itself any more', () => {
  const harness = RaftHarness.of(2);
  harness.elect(1);
  change(harness, 1, remove(1));
  for (let turn = 0; turn < 20 && harness.core(1).status().confState.voters.length > 1; turn += 1) harness.turn();
  cutOff(harness, 2);
  const { committed } = harness.core(1).status();
  harness.stabilize();
  assert.equal(harness.core(1).status().committed, committed);
});

test('the last message of a removed leader is lost with the leader: the voter that remains learns of it by asking', () => {
  const harness = RaftHarness.of(2);
  harness.elect(1);
  change(harness, 1, remove(1));
  for (let turn = 0; turn < 20 && harness.core(1).status().confState.voters.length > 1; turn += 1) harness.turn();
  harness.ready(1);
  harness.persist(1);
  harness.crash(1);
  harness.network = [];
  harness.restart(1);
  harness.at(1).isVetoing = false;
  harness.tickAll(60);
  assert.deepEqual(harness.leaders(), [2]);
});

test('a learner votes when it is asked: it may be a voter in a membership it has not seen', () => {
  const harness = new RaftHarness();
  for (const id of [1, 2, 3]) harness.add(id, emptyDisk(confStateOf([1, 2], [3])));
  step(harness, 'vote', { from: 2, to: 3, term: 1 });
  const [answer] = flush(harness, 3);
  assert.ok(answer?.type === 'voteResp' && !answer.reject);
});

test('a replica that was removed or never added does not campaign', () => {
  const harness = RaftHarness.of(3);
  harness.add(4);
  harness.tick(4, 100);
  assert.equal(harness.core(4).status().role, 'follower');
});

test('a replica with a committed membership change that it has not applied does not campaign', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  change(harness, 1, addVoter(4));
  for (let turn = 0; turn < 12; turn += 1) {
    for (const id of [1, 2, 3]) {
      while (harness.core(id).hasReady()) harness.ready(id);
      harness.persist(id);
      if (id !== 2) harness.apply(id);
    }
    for (const message of harness.network.splice(0)) harness.deliver(message);
  }
  assert.ok(harness.core(2).status().committed > harness.core(2).status().applied);
  harness.tick(2, 100);
  assert.equal(harness.core(2).status().role, 'follower');
  harness.apply(2);
  harness.tick(2, 1);
  assert.equal(harness.core(2).status().role, 'preCandidate');
});

test('two membership changes in a restarted log: the first one is known to be committed', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  for (const id of [4, 5]) {
    change(harness, 1, addLearner(id));
    harness.stabilize();
  }
  const { disk } = harness.at(2);
  disk.hardState = { ...disk.hardState, commit: toIndex(1) };
  harness.crash(2);
  harness.restart(2);
  assert.equal(harness.core(2).status().committed, 2);
});

test('a leader that can send but hears nothing makes room, so the others are not held up for ever', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (_, to) => to === 1;
  harness.tickAll(60);
  const [leader = 0] = harness.leaders();
  assert.ok(leader > 1, 'somebody who is heard leads');
});

test('partly connected replicas do not depose each other again and again', () => {
  const harness = RaftHarness.of(5);
  harness.elect(1);
  // 4 and 5 hear each other and 2 and 3, but not the leader.
  harness.isCut = (from, to) => (from === 1 && to > 3) || (to === 1 && from > 3);
  harness.tickAll(100);
  assert.deepEqual(harness.leaders(), [1]);
  assert.equal(harness.core(1).status().term, 1);
});

test('a transfer is not stopped by stickiness, and asks for no pre-vote', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  step(harness, 'timeoutNow', { from: 1, to: 2, term: 1 });
  assert.equal(harness.core(2).status().role, 'candidate');
  harness.stabilize();
  assert.deepEqual(harness.leaders(), [2]);
});

test('a read at a new leader waits for the commit of its own term', () => {
  const harness = RaftHarness.of(3);
  harness.do(1, (core) => core.campaign());
  for (let turn = 0; turn < 20 && harness.core(1).status().role !== 'leader'; turn += 1) harness.turn();
  harness.do(1, (core) => core.readIndex(7));
  flush(harness, 1);
  assert.deepEqual(harness.at(1).reads, []);
  harness.tickAll(2);
  assert.deepEqual(harness.at(1).reads, [{ context: 7, index: 1 }]);
});

test('a repeated or late answer to a forwarded read is not expected any more', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.do(2, (core) => core.readIndex(7));
  const answer = { from: 1, to: 2, term: 1, context: 7, index: 1 };
  for (let at = 0; at < 2; at += 1) step(harness, 'readIndexResp', answer);
  step(harness, 'readIndexResp', { ...answer, context: 8 });
  harness.ready(2);
  assert.deepEqual(harness.at(2).reads, [{ context: 7, index: 1 }]);
});

test('a forwarded read is dropped when the leader changes, and its late answer is ignored', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.do(2, (core) => core.readIndex(7));
  step(harness, 'heartbeat', { from: 3, to: 2, term: 2 });
  step(harness, 'readIndexResp', { from: 1, to: 2, term: 1, context: 7, index: 1 });
  harness.ready(2);
  assert.deepEqual([harness.at(2).reads, harness.at(2).droppedReads], [[], [7]]);
});

test('a member whose log lost committed entries refuses to start instead of voting as if nothing had happened', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  const { disk } = harness.at(2);
  harness.crash(2);
  disk.entries = [];
  disk.hardState = { ...disk.hardState, commit: toIndex(1) };
  assert.throws(() => harness.restart(2), /committed entries were lost/);
});

test('a vetoed change leaves the membership as it was, and the next one is taken', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  for (const id of [1, 2, 3]) harness.at(id).isVetoing = true;
  change(harness, 1, addVoter(4));
  harness.stabilize();
  for (const id of [1, 2, 3]) assert.equal(describeConf(harness.core(id).status().confState), 'voters(1 2 3)');
  assert.equal(change(harness, 1, addVoter(4)), 'accepted');
});

test('an applied index that runs ahead of a membership change is a mistake of the host', () => {
  const harness = RaftHarness.of(1);
  harness.elect(1);
  change(harness, 1, addLearner(2));
  flushWithoutApplying(harness);
  assert.throws(() => harness.core(1).applied(toIndex(2)), /before applyConfChange/);
});

function flushWithoutApplying(harness: RaftHarness): void {
  while (harness.core(1).hasReady()) {
    harness.ready(1);
    harness.persist(1);
  }
}
