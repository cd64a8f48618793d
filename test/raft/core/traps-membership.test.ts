/** Mistakes that other implementations of Raft have made, each with a test: changes of membership. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toIndex, toReplicaId } from '../../../src/raft/core/numbers.ts';
import { confStateOf, describeConf, emptyDisk, RaftHarness } from '../../support/raft-harness.ts';
import { messageOf } from '../../support/raft-messages.ts';
import { flush, step, cutOff, change, addVoter, addLearner, remove } from '../../support/raft-steps.ts';

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
