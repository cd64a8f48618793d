/** Trap 6 of the catalogue, second half: reads by lease. They are off unless configured, and end early rather than late. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toReplicaId } from '../../../src/raft/core/numbers.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { addLearner, change, cutOff, flush, step } from '../../support/raft-steps.ts';

const durationMs = 70;

/** 1 leads with a lease; the clock stands at 0. */
function leading(): { readonly harness: RaftHarness; readonly clock: { nowMs: number } } {
  const clock = { nowMs: 0 };
  const harness = RaftHarness.of(3, { lease: { durationMs, nowMs: () => clock.nowMs } });
  harness.elect(1);
  harness.tickAll(2);
  return { harness, clock };
}

/** True when a read at 1 is answered without a word to anybody. */
function isReadAnsweredAtOnce(harness: RaftHarness, context: number): boolean {
  harness.at(1).reads = [];
  harness.do(1, (core) => core.readIndex(context));
  const sent = flush(harness, 1);
  return sent.length === 0 && harness.at(1).reads.some((read) => read.context === context);
}

test('with a lease a leader answers reads at once, without one it asks first', () => {
  const { harness, clock } = leading();
  assert.ok(isReadAnsweredAtOnce(harness, 1));
  clock.nowMs = durationMs;
  assert.ok(!isReadAnsweredAtOnce(harness, 2), 'the lease ran out');
  const plain = RaftHarness.of(3);
  plain.elect(1);
  plain.tickAll(2);
  assert.ok(!isReadAnsweredAtOnce(plain, 1), 'leases are off by default');
});

test('a leader that stood still has no lease when it goes on, although no tick has told it', () => {
  const { harness, clock } = leading();
  clock.nowMs = 10_000;
  assert.ok(!isReadAnsweredAtOnce(harness, 1));
});

test('a lease runs from the sending of the heartbeats, not from their answers', () => {
  const { harness, clock } = leading();
  clock.nowMs = 100;
  harness.tick(1);
  harness.turn();
  clock.nowMs = 160;
  harness.stabilize();
  assert.ok(isReadAnsweredAtOnce(harness, 1));
  clock.nowMs = 100 + durationMs;
  assert.ok(!isReadAnsweredAtOnce(harness, 2));
});

test('a leader that hears of no quorum has no lease for long', () => {
  const { harness, clock } = leading();
  cutOff(harness, 1);
  for (let tick = 0; tick < 8; tick += 1) {
    clock.nowMs += 10;
    harness.tickAll();
  }
  assert.equal(harness.core(1).status().role, 'leader');
  assert.ok(!isReadAnsweredAtOnce(harness, 1));
});

test('a transfer ends the lease for the rest of the term, also when it comes to nothing', () => {
  const { harness } = leading();
  cutOff(harness, 2);
  harness.do(1, (core) => core.transferLeader(toReplicaId(2)));
  harness.tickAll(12);
  assert.equal(harness.core(1).status().transferee, 0, 'the transfer was given up');
  assert.equal(harness.core(1).status().role, 'leader');
  assert.ok(!isReadAnsweredAtOnce(harness, 1));
});

test('a change of membership ends the lease, and the next heartbeats bring it back', () => {
  const { harness } = leading();
  change(harness, 1, addLearner(4));
  for (let turn = 0; turn < 20 && harness.core(1).status().confState.learners.length === 0; turn += 1) harness.turn();
  assert.ok(!isReadAnsweredAtOnce(harness, 1));
  harness.tickAll(2);
  assert.ok(isReadAnsweredAtOnce(harness, 2));
});

test('a new leader has no lease of the one before, and none before it committed', () => {
  const { harness } = leading();
  step(harness, 'timeoutNow', { from: 1, to: 2, term: 1 });
  for (let turn = 0; turn < 20 && harness.core(2).status().role !== 'leader'; turn += 1) harness.turn();
  harness.do(2, (core) => core.readIndex(1));
  harness.ready(2);
  assert.deepEqual(harness.at(2).reads, []);
});

test('a follower that was started again does not vote in its first election time-out: a lease may rest on it', () => {
  const { harness } = leading();
  harness.crash(2);
  harness.restart(2);
  step(harness, 'vote', { from: 3, to: 2, term: 2, lastIndex: 9, lastTerm: 1 });
  assert.deepEqual(flush(harness, 2), []);
  harness.tick(2, 10);
  step(harness, 'vote', { from: 3, to: 2, term: 3, lastIndex: 9, lastTerm: 1 });
  assert.deepEqual(
    flush(harness, 2).map(({ type }) => type),
    ['voteResp'],
  );
});

test('leases without stickiness would promise what nobody keeps, so they are refused', () => {
  const lease = { durationMs, nowMs: () => 0 };
  assert.throws(() => RaftHarness.of(3, { lease, checkQuorum: false }), /need pre-vote and check-quorum/);
});
