/** A leader whose process ends takes its connections with it: the others need not wait to miss its heartbeats. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RaftHarness } from '../../support/raft-harness.ts';

/** Below the harness's shortest election time-out of ten ticks. */
const shortOfATimeout = 9;

function withLeaderCutOff(): RaftHarness {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.tickAll(5);
  harness.isCut = (from, to) => from === 1 || to === 1;
  return harness;
}

test('who is told that its leader has ended waits only for what it drew beyond the shortest time-out', () => {
  const harness = withLeaderCutOff();
  for (const id of [2, 3]) harness.core(id).reportEnded(harness.at(1).id);
  harness.tickAll(shortOfATimeout);
  assert.ok(harness.leaders().some((id) => id > 1));
});

test('who is not told waits for the whole time-out', () => {
  const harness = withLeaderCutOff();
  harness.tickAll(shortOfATimeout);
  assert.deepEqual(harness.leaders(), [1]);
});

test('a connection that broke while the leader lives deposes nobody', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  for (let times = 0; times < 10; times += 1) {
    harness.core(2).reportEnded(harness.at(1).id);
    harness.tickAll(7);
  }
  assert.deepEqual(harness.leaders(), [1]);
  assert.equal(harness.core(1).status().term, 1);
});

test('the end of anybody but the leader changes nothing', () => {
  const harness = withLeaderCutOff();
  for (const id of [2, 3]) harness.core(id).reportEnded(harness.at(id === 2 ? 3 : 2).id);
  harness.tickAll(shortOfATimeout);
  assert.deepEqual(harness.leaders(), [1]);
});
