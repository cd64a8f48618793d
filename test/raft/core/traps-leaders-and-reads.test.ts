/** Mistakes that other implementations of Raft have made, each with a test: leaders that should go, transfers and reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toIndex } from '../../../src/raft/core/numbers.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { flush, step } from '../../support/raft-steps.ts';

test('a leader that can send but hears nothing makes room, so the others are not held up for ever', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (_, to) => to === 1;
  harness.tickAll(60);
  const [leader = 0] = harness.leaders();
  assert.ok(leader > 1, 'somebody who is heard leads');
});

test('who answers is seen to be there at every moment, also just after the leader has begun to count anew', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.tickAll(20);
  for (let at = 0; at < 25; at += 1) {
    // Ticks alone, so that the moment between the check and the next answers is looked at too.
    harness.tick(1);
    const { progress } = harness.core(1).status();
    for (const id of [2, 3]) assert.equal(progress.get(harness.at(id).id)?.recentActive, true, `tick ${at}`);
    harness.stabilize();
  }
  harness.isCut = (from) => from === 3;
  harness.tickAll(21);
  assert.equal(harness.core(1).status().progress.get(harness.at(3).id)?.recentActive, false);
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
