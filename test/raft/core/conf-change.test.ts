/** Membership algebra: single steps, joint consensus, and the bytes a change becomes in the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeConfChange, encodeConfChange } from '../../../src/raft/core/conf-change-codec.ts';
import { changeMembership, enterJoint, leaveJoint, membersOf, simple } from '../../../src/raft/core/conf-change.ts';
import { toReplicaId } from '../../../src/raft/core/numbers.ts';
import { quorumVote } from '../../../src/raft/core/quorum.ts';
import type { ConfChange, ConfChangeStep, ConfState, ReplicaId } from '../../../src/raft/core/types.ts';
import { confStateOf, describeConf } from '../../support/raft-harness.ts';

const noContext = new Uint8Array(0);
const step: fc.Arbitrary<ConfChangeStep> = fc
  .tuple(fc.constantFrom('addVoter' as const, 'addLearner' as const, 'remove' as const), fc.integer({ min: 1, max: 6 }))
  .map(([kind, replica]) => ({ kind, replica: toReplicaId(replica) }));
const change: fc.Arbitrary<ConfChange> = fc
  .tuple(fc.array(step, { maxLength: 4 }), fc.uint8Array({ maxLength: 20 }))
  .map(([steps, context]) => ({ steps, context }));

function changed(outcome: ReturnType<typeof changeMembership>): string {
  return outcome.kind === 'refused' ? outcome.why : describeConf(outcome.conf);
}

function after(conf: ConfState, ...steps: ConfChangeStep[]): string {
  return changed(changeMembership(conf, { steps, context: noContext }));
}

function quorumsOf(conf: ConfState): ReplicaId[][] {
  const voters = { incoming: new Set(conf.voters), outgoing: new Set(conf.votersOutgoing) };
  const quorums: ReplicaId[][] = [];
  for (let bits = 0; bits < 64; bits += 1) {
    const subset = [1, 2, 3, 4, 5, 6].filter((id) => (bits >> (id - 1)) & 1).map(toReplicaId);
    if (quorumVote(voters, (id) => subset.includes(id)) === 'won') quorums.push(subset);
  }
  return quorums;
}

test('one step changes the voters directly', () => {
  const conf = confStateOf([1, 2, 3]);
  assert.equal(after(conf, { kind: 'addVoter', replica: toReplicaId(4) }), 'voters(1 2 3 4)');
  assert.equal(after(conf, { kind: 'remove', replica: toReplicaId(3) }), 'voters(1 2)');
  assert.equal(after(conf, { kind: 'addLearner', replica: toReplicaId(4) }), 'voters(1 2 3) learners(4)');
  assert.equal(after(conf, { kind: 'addLearner', replica: toReplicaId(3) }), 'voters(1 2) learners(3)');
});

test('several steps enter joint consensus, and a demoted voter waits until it is left', () => {
  const entered = changeMembership(confStateOf([1, 2, 3]), {
    steps: [
      { kind: 'addVoter', replica: toReplicaId(4) },
      { kind: 'addLearner', replica: toReplicaId(3) },
    ],
    context: noContext,
  });
  assert.equal(changed(entered), 'voters(1 2 4) outgoing(1 2 3) learnersNext(3) autoLeave');
  assert.ok(entered.kind === 'changed');
  assert.equal(changed(leaveJoint(entered.conf)), 'voters(1 2 4) learners(3)');
});

test('what makes no sense is refused and says why', () => {
  const conf = confStateOf([1]);
  assert.match(after(conf, { kind: 'remove', replica: toReplicaId(1) }), /no voter/);
  assert.match(after(conf), /no joint configuration/);
  const twice: ConfChangeStep = { kind: 'addVoter', replica: toReplicaId(2) };
  assert.match(after(conf, twice, twice), /twice/);
  assert.match(after(conf, { kind: 'addVoter', replica: toReplicaId(0) }), /nobody/);
  const joint = enterJoint(conf, [twice], false);
  assert.ok(joint.kind === 'changed');
  assert.match(after(joint.conf, twice), /must be left/);
});

test('after any change every quorum shares a member with every quorum of before', () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      let conf = confStateOf([1, 2, 3]);
      for (const next of changes) {
        const outcome = changeMembership(conf, next);
        if (outcome.kind === 'refused') continue;
        const before = quorumsOf(conf);
        for (const quorum of quorumsOf(outcome.conf)) {
          assert.ok(
            before.every((old) => old.some((id) => quorum.includes(id))),
            `${describeConf(conf)} and ${describeConf(outcome.conf)} can decide apart`,
          );
        }
        assert.ok(membersOf(outcome.conf).size > 0);
        conf = outcome.conf;
      }
    }),
    { numRuns: 100, seed: 3 },
  );
});

test('a simple change moves at most one voter', () => {
  fc.assert(
    fc.property(fc.subarray([1, 2, 3, 4, 5], { minLength: 1 }), step, (voters, single) => {
      const outcome = simple(confStateOf(voters), [single]);
      if (outcome.kind === 'refused') return;
      const now = new Set<number>(outcome.conf.voters);
      const moved = [...voters.filter((id) => !now.has(id)), ...[...now].filter((id) => !voters.includes(id))];
      assert.ok(moved.length <= 1);
    }),
    { numRuns: 500, seed: 4 },
  );
});

test('a change survives its way through the log', () => {
  fc.assert(
    fc.property(change, (original) => assert.deepEqual(decodeConfChange(encodeConfChange(original)), original)),
    { numRuns: 500, seed: 5 },
  );
});

test('a damaged change stops the replica instead of being half understood', () => {
  const bytes = encodeConfChange({ steps: [{ kind: 'remove', replica: toReplicaId(9) }], context: noContext });
  assert.throws(() => decodeConfChange(bytes.slice(0, 8)), /cut off/);
  assert.throws(() => decodeConfChange(bytes.slice(0, 2)), /cut off/);
  assert.throws(() => decodeConfChange(Uint8Array.of(9, 0, 0)), /format 9/);
  assert.throws(() => decodeConfChange(bytes.with(3, 7)), /known kind/);
});
