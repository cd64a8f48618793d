/** Quorum arithmetic against an implementation that is too simple to be wrong: it tries every value and counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toReplicaId } from '../../../src/raft/core/numbers.ts';
import { majoritySize, majorityVote, quorumValue, quorumVote, type VoterSets } from '../../../src/raft/core/quorum.ts';
import type { ReplicaId } from '../../../src/raft/core/types.ts';

const ids = [1, 2, 3, 4, 5, 6, 7].map(toReplicaId);
const someVoters = fc.subarray(ids, { minLength: 1 }).map((voters) => new Set(voters));
const sets: fc.Arbitrary<VoterSets> = fc.record({
  incoming: someVoters,
  outgoing: fc.oneof(fc.constant(new Set<ReplicaId>()), someVoters),
});
const values = fc.array(fc.nat(6), { minLength: 7, maxLength: 7 });
const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 7, maxLength: 7 });

function isMajority(voters: ReadonlySet<ReplicaId>, agrees: (id: ReplicaId) => boolean): boolean {
  return voters.size === 0 || [...voters].filter(agrees).length * 2 > voters.size;
}

function isQuorum({ incoming, outgoing }: VoterSets, agrees: (id: ReplicaId) => boolean): boolean {
  return isMajority(incoming, agrees) && isMajority(outgoing, agrees);
}

test('a quorum has reached the highest value that a majority of both halves has reached', () => {
  fc.assert(
    fc.property(sets, values, (voters, reached) => {
      const valueOf = (id: ReplicaId): number => reached[id - 1] ?? 0;
      let highest = 0;
      for (let value = 0; value <= 6; value += 1) if (isQuorum(voters, (id) => valueOf(id) >= value)) highest = value;
      assert.equal(quorumValue(voters, valueOf), highest);
    }),
    { numRuns: 2000, seed: 1 },
  );
});

test('a vote is won when a majority of both halves granted, and lost when that cannot happen any more', () => {
  fc.assert(
    fc.property(sets, votes, (voters, given) => {
      const voteOf = (id: ReplicaId): boolean | undefined => given[id - 1];
      const isWon = isQuorum(voters, (id) => voteOf(id) === true);
      const canBeWon = isQuorum(voters, (id) => voteOf(id) !== false);
      assert.equal(quorumVote(voters, voteOf), isWon ? 'won' : canBeWon ? 'pending' : 'lost');
    }),
    { numRuns: 2000, seed: 2 },
  );
});

test('two majorities of the same voters share a member', () => {
  for (let count = 1; count <= 9; count += 1) assert.ok(majoritySize(count) * 2 > count);
});

test('an empty half agrees with everything', () => {
  assert.equal(
    majorityVote(new Set(), () => false),
    'won',
  );
});
