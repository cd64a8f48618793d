/** Trap 4 of the catalogue: pre-vote, check-quorum and stickiness together, on networks that are cut in part or one way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toReplicaId } from '../../../src/raft/core/numbers.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { flush, step } from '../../support/raft-steps.ts';

test('one cut link does not depose a leader whom a quorum hears', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => (from === 1 && to === 2) || (from === 2 && to === 1);
  for (let at = 0; at < 20; at += 1) {
    harness.propose(1, `p${at}`);
    harness.tickAll(5);
  }
  assert.deepEqual(harness.leaders(), [1]);
  for (const id of [1, 3]) assert.equal(harness.core(id).status().term, 1);
  assert.equal(harness.core(3).status().committed, 21);
});

test('a deaf follower that asks for ever moves nobody’s term, and follows again when it hears', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (_, to) => to === 2;
  harness.tickAll(200);
  assert.deepEqual(harness.leaders(), [1]);
  for (const id of [1, 2, 3]) assert.equal(harness.core(id).status().term, 1);
  harness.isCut = () => false;
  harness.propose(1, 'a');
  harness.tickAll(3);
  assert.equal(harness.core(2).status().leader, 1);
  assert.equal(harness.core(2).status().applied, 2);
});

test('a mute follower hears everything and counts for nothing, and the leader goes on with the other', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from) => from === 2;
  harness.propose(1, 'a');
  harness.tickAll(50);
  assert.deepEqual(harness.leaders(), [1]);
  assert.equal(harness.core(1).status().committed, 2);
  assert.equal(harness.core(2).status().applied, 2);
});

test('a leader that hears only a minority makes room for one that hears a quorum', () => {
  const harness = RaftHarness.of(5);
  harness.elect(1);
  // 1 has a link to 2 alone; everybody else is connected.
  harness.isCut = (from, to) => (from === 1 && to > 2) || (to === 1 && from > 2);
  harness.tickAll(80);
  const [leader = 0, ...others] = harness.leaders();
  assert.ok(leader > 1 && others.length === 0);
  harness.propose(leader, 'a');
  harness.tickAll(5);
  assert.ok(harness.core(leader).status().committed >= 3);
});

test('a star of one hub elects the hub when it holds everything', () => {
  const harness = RaftHarness.of(5);
  harness.elect(1);
  harness.isCut = (from, to) => from !== 3 && to !== 3;
  harness.tickAll(120);
  assert.deepEqual(harness.leaders(), [3]);
});

test('a replica with a later term is taken in again: it costs one election, not one after another', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 2 || to === 2;
  // A transfer that came to nothing left it in a later term.
  for (let term = 1; term < 6; term += 1) {
    step(harness, 'timeoutNow', { from: 1, to: 2, term });
    flush(harness, 2);
    harness.tick(2, 1);
  }
  assert.ok(harness.core(2).status().term > 1);
  harness.isCut = () => false;
  harness.tickAll(60);
  const { term } = harness.core(2).status();
  const [leader = 0] = harness.leaders();
  harness.tickAll(100);
  assert.deepEqual(harness.leaders(), [leader]);
  assert.equal(harness.core(2).status().term, term, 'nothing moves any more');
});

test('a pre-candidate starts over clean: what it was told in the round before does not count', () => {
  const harness = RaftHarness.of(5);
  harness.tick(1, 10);
  flush(harness, 1);
  assert.equal(harness.core(1).status().role, 'preCandidate');
  step(harness, 'preVoteResp', { from: 2, term: 1 });
  harness.tick(1, 10);
  flush(harness, 1);
  step(harness, 'preVoteResp', { from: 3, term: 1 });
  assert.equal(harness.core(1).status().role, 'preCandidate', 'one of each round is no quorum');
  assert.equal(harness.core(1).status().leader, 0);
});

test('writes are refused while leadership moves, and taken again when it did not', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 2 || to === 2;
  harness.do(1, (core) => core.transferLeader(toReplicaId(2)));
  const refused = harness.do(1, (core) => core.propose(new Uint8Array(1)));
  assert.deepEqual(refused, { kind: 'dropped', reason: 'transferring' });
  harness.tickAll(11);
  assert.ok(harness.propose(1, 'a') !== undefined);
  harness.tickAll(2);
  assert.equal(harness.core(3).status().applied, 2);
});

test('a transferee that is told too late campaigns in a term that is over, and harms nobody', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.elect(3);
  step(harness, 'timeoutNow', { from: 1, to: 2, term: 1 });
  assert.equal(harness.core(2).status().role, 'follower');
  harness.tickAll(20);
  assert.deepEqual(harness.leaders(), [3]);
});
