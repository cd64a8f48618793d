/** One follower in a leader's eyes: a table of transitions, a story, and random sequences of everything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toIndex } from '../../../src/raft/core/numbers.ts';
import { Progress } from '../../../src/raft/core/progress.ts';

const lastIndex = toIndex(20);

function progressAt(match: number, next: number): Progress {
  const progress = new Progress({ next: toIndex(next), inflightMessagesMax: 3 });
  progress.match = toIndex(match);
  return progress;
}

test('a probe waits for its answer; a refusal moves it back, an acceptance lets it run', () => {
  const progress = progressAt(0, 11);
  progress.sent(0);
  assert.ok(progress.isPaused());
  assert.equal(progress.maybeDecrease(toIndex(10), toIndex(4)), true);
  assert.equal(progress.next, 5);
  assert.equal(progress.isPaused(), false);
  assert.equal(progress.maybeUpdate(toIndex(4)), true);
  progress.becomeReplicate();
  assert.deepEqual([progress.match, progress.next, progress.state], [4, 5, 'replicate']);
});

test('a refusal that does not belong to the last probe is old news', () => {
  const progress = progressAt(0, 11);
  progress.sent(0);
  assert.equal(progress.maybeDecrease(toIndex(7), toIndex(3)), false);
  assert.equal(progress.next, 11);
});

test('a replicating follower’s late refusal of what it acknowledged since changes nothing', () => {
  const progress = progressAt(5, 6);
  progress.becomeReplicate();
  progress.sent(3);
  assert.equal(progress.maybeDecrease(toIndex(5), toIndex(2)), false);
  assert.equal(progress.next, 9);
});

test('next never falls to match or below, whatever the hint says', () => {
  const progress = progressAt(5, 11);
  progress.sent(0);
  progress.maybeDecrease(toIndex(10), toIndex(1));
  assert.equal(progress.next, 6);
});

test('a full window pauses, an acknowledgement frees it', () => {
  const progress = progressAt(4, 5);
  progress.becomeReplicate();
  for (let sent = 0; sent < 3; sent += 1) progress.sent(2);
  assert.ok(progress.isPaused());
  progress.maybeUpdate(toIndex(6));
  progress.inflights.freeUpTo(toIndex(6));
  assert.deepEqual([progress.inflights.count, progress.next], [2, 11]);
});

test('while a snapshot is under way nothing else is sent; afterwards the probe starts behind it', () => {
  const progress = progressAt(2, 3);
  progress.becomeSnapshot(toIndex(9));
  assert.ok(progress.isPaused());
  assert.equal(progress.maybeDecrease(toIndex(2), toIndex(1)), false);
  progress.becomeProbe();
  assert.deepEqual([progress.state, progress.next], ['probe', 10]);
});

test('a snapshot that failed leaves everything as it was', () => {
  const progress = progressAt(2, 3);
  progress.becomeSnapshot(toIndex(9));
  progress.abortSnapshot();
  progress.becomeProbe();
  assert.deepEqual([progress.state, progress.next], ['probe', 3]);
});

/** One thing that can happen to a follower's progress, if its state allows it. */
function happen(progress: Progress, kind: number, value: number): void {
  const index = toIndex(Math.min(value, lastIndex));
  const { state } = progress;
  if (kind === 0 && state !== 'snapshot' && !progress.isPaused()) {
    progress.sent(Math.min(value % 4, lastIndex + 1 - progress.next));
  } else if (kind === 1) {
    progress.maybeUpdate(index);
    if (state === 'probe' && progress.match === index) progress.becomeReplicate();
    progress.inflights.freeUpTo(index);
  } else if (kind === 2) {
    if (progress.maybeDecrease(index, toIndex(value % (index + 1))) && state === 'replicate') progress.becomeProbe();
  } else if (kind === 3) {
    progress.paused = false;
  } else if (kind === 4 && state !== 'snapshot' && value > 0) {
    progress.becomeSnapshot(toIndex(Math.max(index, 1)));
  } else if (kind === 5) {
    if (state === 'snapshot' && value % 2 === 0) progress.abortSnapshot();
    progress.becomeProbe();
  }
}

test('no sequence of sends, answers, losses and snapshots breaks the promises of a progress', () => {
  const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(20)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (sequence) => {
      const progress = progressAt(0, 21);
      let match = 0;
      for (const [kind, value] of sequence) {
        happen(progress, kind, value);
        progress.checkState(lastIndex);
        assert.ok(progress.match >= match, 'match never goes back');
        match = progress.match;
      }
    }),
    { numRuns: 2000, seed: 6 },
  );
});
