/** Whom a leader that stops hands leadership to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { successorOf } from '../../../src/kv/server/leadership.ts';
import type { Index, PeerProgress, RaftStatus, ReplicaId } from '../../../src/raft/core/types.ts';

type Peer = readonly [ReplicaId, PeerProgress];

const one = 1 as ReplicaId;
const two = 2 as ReplicaId;
const three = 3 as ReplicaId;
const four = 4 as ReplicaId;

function peer(match: number, more: Partial<PeerProgress> = {}): PeerProgress {
  const indexes = { match: match as Index, next: (match + 1) as Index };
  return { ...indexes, state: 'replicate', isLearner: false, recentActive: true, ...more };
}

function leaderOf(progress: readonly Peer[]): Pick<RaftStatus, 'id' | 'role' | 'progress' | 'confState'> {
  return {
    id: one,
    role: 'leader',
    confState: {
      voters: [one, ...progress.filter(([, { isLearner }]) => !isLearner).map(([id]) => id)],
      votersOutgoing: [],
      learners: progress.filter(([, { isLearner }]) => isLearner).map(([id]) => id),
      learnersNext: [],
      autoLeave: false,
    },
    progress: new Map([[one, peer(20)], ...progress]),
  };
}

test('leadership goes to the member that is furthest', () => {
  const status = leaderOf([
    [two, peer(17)],
    [three, peer(20)],
    [four, peer(18)],
  ]);
  assert.equal(successorOf(status, undefined), three);
  assert.equal(successorOf({ ...status, role: 'follower' }, undefined), undefined);
});

test('leadership is not handed to a member that has just stopped, though it was heard a moment ago', () => {
  const status = leaderOf([
    [two, peer(20)],
    [three, peer(19)],
    [four, peer(18)],
  ]);
  assert.equal(
    successorOf(status, (id) => (id === two ? undefined : 1_000)),
    three,
  );
  assert.equal(
    successorOf(status, () => undefined),
    undefined,
  );
});

test('leadership is not handed to a learner, a witness, or a member that was not heard', () => {
  const status = leaderOf([
    [two, peer(20, { isLearner: true })],
    [three, peer(20, { isWitness: true })],
    [four, peer(20, { recentActive: false })],
  ]);
  assert.equal(successorOf(status, undefined), undefined);
});
