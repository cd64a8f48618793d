/** Whether a membership is the one that the state holds, as is asked after damage to the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Member } from '../../../src/kv/api.ts';
import { openKvState } from '../../../src/kv/apply/index.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { StoreMachine } from '../../../src/kv/server/state-machine.ts';
import { Waiters } from '../../../src/kv/server/waiters.ts';
import type { ConfState, ReplicaId } from '../../../src/raft/index.ts';
import { StepClock } from '../../support/step-clock.ts';

const ids = (...given: number[]) => given as ReplicaId[];
const conf = (voters: number[], learners: number[] = [], more: Partial<ConfState> = {}): ConfState => {
  return {
    voters: ids(...voters),
    votersOutgoing: [],
    learners: ids(...learners),
    learnersNext: [],
    autoLeave: false,
    ...more,
  };
};

test('a membership is held when the table has the same voters, learners and witnesses', async () => {
  const clock = new StepClock();
  const kv = await openKvState({ backend: createMemoryBackend() });
  const machine = new StoreMachine({
    memberId: 1,
    kv,
    requests: new Waiters(clock),
    changes: new Waiters(clock),
    learnersMax: 1,
    onApplied: () => undefined,
    onUnpublished: () => undefined,
    onMembers: () => undefined,
    onRestored: () => undefined,
    onRemoved: () => undefined,
  });
  const add = (index: number, id: number, more: Partial<Member> = {}) => {
    const member = { id, name: '', peerUrls: [`http://m${id}:2380`], clientUrls: [], isLearner: false, ...more };
    kv.changeMember(index, { kind: 'set', member });
  };
  add(1, 1);
  add(2, 2);
  add(3, 3, { isLearner: true });
  assert.equal(machine.holdsMembership(conf([2, 1], [3])), true);
  for (const other of [
    conf([1, 2]),
    conf([1, 2, 3]),
    conf([1], [3]),
    conf([1, 2], [4]),
    conf([1, 2], [3], { votersOutgoing: ids(1, 2) }),
    conf([1, 2], [3], { witnesses: ids(2) }),
  ]) {
    assert.equal(machine.holdsMembership(other), false, JSON.stringify(other));
  }
  add(4, 4, { isWitness: true });
  assert.equal(machine.holdsMembership(conf([1, 2, 4], [3], { witnesses: ids(4) })), true);
  assert.equal(machine.holdsMembership(conf([1, 2, 4], [3])), false);
});
