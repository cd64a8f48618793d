/**
 * Quorum arithmetic: pure functions over one set of voters (majority) or two (joint consensus, Raft thesis 4.3).
 * A joint decision needs a majority of *both* sets. An empty set agrees with everything: outside joint consensus the
 * outgoing set is empty and so does not count.
 */
import { assert } from '../../env/assert.ts';
import type { ReplicaId } from './types.ts';

export interface VoterSets {
  readonly incoming: ReadonlySet<ReplicaId>;
  readonly outgoing: ReadonlySet<ReplicaId>;
}

export type VoteResult = 'won' | 'lost' | 'pending';

/** What the empty set agrees to: more than any index, and no index itself. */
export const everyIndex = Number.MAX_SAFE_INTEGER;

/** The smallest number of voters that is more than half of `voterCount`. */
export function majoritySize(voterCount: number): number {
  assert(Number.isInteger(voterCount) && voterCount > 0, 'a majority is of at least one voter');
  return Math.floor(voterCount / 2) + 1;
}

/** The highest value that a majority of `voters` has reached. */
export function majorityValue(voters: ReadonlySet<ReplicaId>, valueOf: (id: ReplicaId) => number): number {
  if (voters.size === 0) return everyIndex;
  const majority = majoritySize(voters.size);
  // Asked for with every acknowledgement: nothing is allocated for so few voters.
  let reached = -1;
  for (const id of voters) {
    const value = valueOf(id);
    assert(value >= 0, 'every voter has a value from 0');
    if (value <= reached) continue;
    let reachedBy = 0;
    for (const other of voters) if (valueOf(other) >= value) reachedBy++;
    if (reachedBy >= majority) reached = value;
  }
  assert(reached >= 0, 'the smallest value is reached by all');
  return reached;
}

/** The highest value that a majority of each set has reached: the commit rule, and the rule for reads. */
export function quorumValue(sets: VoterSets, valueOf: (id: ReplicaId) => number): number {
  assert(sets.incoming.size > 0, 'a quorum needs at least one voter');
  const reached = Math.min(majorityValue(sets.incoming, valueOf), majorityValue(sets.outgoing, valueOf));
  assert(reached < everyIndex, 'a quorum value is a real value');
  return reached;
}

/** Outcome of a vote in one set; `undefined` means the voter has not answered. */
export function majorityVote(
  voters: ReadonlySet<ReplicaId>,
  voteOf: (id: ReplicaId) => boolean | undefined,
): VoteResult {
  if (voters.size === 0) return 'won';
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = voteOf(id);
    if (vote === true) granted += 1;
    if (vote === undefined) missing += 1;
  }
  assert(granted + missing <= voters.size, 'a voter votes once');
  if (granted >= majoritySize(voters.size)) return 'won';
  return granted + missing >= majoritySize(voters.size) ? 'pending' : 'lost';
}

/** Outcome in both sets: lost when one is lost, won when both are won. */
export function quorumVote(sets: VoterSets, voteOf: (id: ReplicaId) => boolean | undefined): VoteResult {
  assert(sets.incoming.size > 0, 'a vote needs at least one voter');
  const incoming = majorityVote(sets.incoming, voteOf);
  const outgoing = majorityVote(sets.outgoing, voteOf);
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending';
}
