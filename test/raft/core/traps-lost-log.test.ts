/**
 * Trap 16 of the catalogue (protocol-aware recovery): a member whose log lost entries that it had acknowledged. Cutting
 * the damage off and going on as if the log had always been short loses what was committed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toIndex } from '../../../src/raft/core/numbers.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { cutOff, flush, step } from '../../support/raft-steps.ts';

/** 1 leads; entry 2 is on 1 and 2 only, committed; then 2 loses it, and 1 is gone. */
function lostAcknowledgement(): RaftHarness {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 3);
  harness.propose(1, 'a');
  harness.stabilize();
  assert.equal(harness.core(1).status().committed, 2);
  harness.crashAndLose(2, 2);
  harness.restart(2);
  return harness;
}

test('a member that lost an acknowledged entry helps nobody to lead who lacks it', () => {
  const harness = lostAcknowledgement();
  harness.crash(1);
  harness.isCut = () => false;
  harness.tickAll(100);
  assert.deepEqual(harness.leaders(), []);
  harness.restart(1);
  harness.tickAll(60);
  assert.deepEqual(harness.leaders(), [1], 'only who holds everything can lead');
  harness.tickAll(2);
  for (const id of [1, 2, 3]) assert.ok(harness.core(id).inspectLog().entries.length >= 3);
  assert.equal(harness.core(2).status().lostUpTo, undefined);
});

test('a member that lost part of its log does not campaign, not even when it is told to', () => {
  const harness = lostAcknowledgement();
  cutOff(harness, 2);
  harness.tick(2, 100);
  harness.do(2, (core) => core.campaign());
  step(harness, 'timeoutNow', { from: 1, to: 2, term: 1 });
  assert.equal(harness.core(2).status().role, 'follower');
  assert.equal(harness.core(2).status().term, 1);
});

test('a member that lost part of its log votes for who holds as much as it may have held', () => {
  const harness = lostAcknowledgement();
  harness.tick(2, 20);
  step(harness, 'vote', { from: 3, to: 2, term: 2, lastIndex: 1, lastTerm: 1 });
  const [refused] = flush(harness, 2);
  assert.ok(refused?.type === 'voteResp' && refused.reject);
  step(harness, 'vote', { from: 1, to: 2, term: 3, lastIndex: 2, lastTerm: 1 });
  const [granted] = flush(harness, 2);
  assert.ok(granted?.type === 'voteResp' && !granted.reject);
});

test('the leader that believed a member to have everything brings it up again, without new writes', () => {
  const harness = lostAcknowledgement();
  harness.isCut = () => false;
  assert.equal(harness.core(1).status().progress.get(harness.at(2).id)?.match, 2);
  harness.tickAll(3);
  assert.equal(harness.core(2).status().lastIndex, 2);
  assert.equal(harness.core(2).status().lostUpTo, undefined);
  assert.deepEqual(harness.leaders(), [1]);
});

test('the leader that believed a member to have everything brings it up again, under writes', () => {
  const harness = lostAcknowledgement();
  harness.isCut = () => false;
  for (const text of ['b', 'c', 'd']) {
    harness.propose(1, text);
    harness.stabilize();
  }
  assert.equal(harness.core(2).status().applied, 5);
  assert.equal(harness.core(2).status().lostUpTo, undefined);
});

test('an ordinary refusal that is late does not make the leader forget what was acknowledged since', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.propose(1, 'a');
  harness.stabilize();
  step(harness, 'appResp', { from: 2, to: 1, term: 1, reject: true, index: 1, hintIndex: 0, hintTerm: 0 });
  step(harness, 'appResp', { from: 2, to: 1, term: 1, reject: true, index: 0, hintIndex: 0, hintTerm: 0 });
  assert.equal(harness.core(1).status().progress.get(harness.at(2).id)?.match, 2);
  assert.equal(harness.core(1).status().progress.get(harness.at(2).id)?.state, 'replicate');
});

test('a late acknowledgement of what was lost since does not leave the member behind for ever', () => {
  const harness = lostAcknowledgement();
  harness.isCut = () => false;
  harness.tick(1);
  harness.tick(1);
  for (let turn = 0; turn < 3; turn += 1) harness.turn();
  step(harness, 'appResp', { from: 2, to: 1, term: 1, index: 2 });
  harness.tickAll(4);
  assert.equal(harness.core(2).status().lostUpTo, undefined);
  assert.equal(harness.core(2).status().lastIndex, 2);
});

test('a log that was lost as a whole comes back from the leader, or from its snapshot', () => {
  for (const isCompacted of [false, true]) {
    const harness = RaftHarness.of(3);
    harness.elect(1);
    for (const text of ['a', 'b', 'c']) harness.propose(1, text);
    harness.stabilize();
    harness.crashAndLose(3, 1);
    if (isCompacted) harness.compact(1, 4);
    harness.restart(3);
    harness.tickAll(4);
    assert.equal(harness.core(3).status().applied, 4, `compacted: ${isCompacted}`);
    assert.equal(harness.core(3).status().lostUpTo, undefined);
  }
});

test('a shorter log of a later leader ends the search for entries that were never committed', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 1);
  for (const text of ['a', 'b', 'c']) harness.propose(1, text);
  harness.stabilize();
  // 1 alone has 2, 3 and 4; it loses them, and nobody else ever had them.
  harness.crashAndLose(1, 3);
  harness.restart(1);
  harness.tickAll(40);
  harness.isCut = () => false;
  harness.tickAll(4);
  assert.equal(harness.core(1).status().lastIndex, 2, 'the others wrote less than was lost');
  assert.equal(harness.core(1).status().lostUpTo, undefined);
});

test('two voters elect a leader again after one of them lost part of its log', () => {
  const harness = RaftHarness.of(2);
  harness.elect(1);
  for (const text of ['a', 'b']) harness.propose(1, text);
  harness.stabilize();
  harness.crash(1);
  harness.crashAndLose(2, 2);
  harness.restart(2);
  harness.tickAll(30);
  harness.restart(1);
  harness.tickAll(60);
  assert.deepEqual(harness.leaders(), [1]);
  assert.equal(harness.core(2).status().lostUpTo, undefined);
  assert.equal(harness.core(2).status().applied, harness.core(1).status().applied);
});

test('a commit index on disk that is beyond what is left of the log counts as lost as well', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.propose(1, 'a');
  harness.tickAll(2);
  const { disk } = harness.at(2);
  assert.equal(disk.hardState.commit, 2);
  harness.crashAndLose(2, 1);
  disk.lostUpTo = toIndex(1);
  harness.restart(2);
  assert.deepEqual([harness.core(2).status().committed, harness.core(2).status().lostUpTo], [0, 2]);
});
