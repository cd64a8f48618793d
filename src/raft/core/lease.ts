/**
 * Reads by lease (Raft thesis 6.4.1), off unless configured: a leader that a quorum heard of within less than an election
 * time-out need not ask again before it answers a read, as nobody else can have been elected meanwhile.
 *
 * The promise rests on what followers do and on clocks, so it ends early rather than late:
 *   - it runs from the moment a round of heartbeats was *sent*, for `durationMs` of the leader's monotonic clock, which goes
 *     on while the process stands still. `durationMs` is an election time-out less what clocks may differ.
 *   - stickiness (check-quorum, pre-vote) keeps followers from voting meanwhile. A replica that has just started does not know
 *     whom it heard before, so it is sticky for its first election time-out (isLeaderAlive).
 *   - a transfer makes followers vote at once, perhaps late: from its beginning there is no lease for the rest of the term.
 *   - a change of membership ends it, since other voters have promised nothing.
 */
import { assert } from '../../env/assert.ts';
import { hasCommittedInTerm, type RaftState } from './state.ts';

/** When rounds that were begun before count for nothing. */
const never = Number.NEGATIVE_INFINITY;

/** The time to write on a round of heartbeats that goes out now. */
export function roundSentAtMs(state: RaftState): number {
  return state.config.lease?.nowMs() ?? never;
}

/** Leader: a quorum answered a round that was sent at `sentAtMs`. */
export function extendLease(state: RaftState, sentAtMs: number): void {
  assert(state.role === 'leader', 'only a leader has a lease');
  const { lease } = state.config;
  if (lease === undefined || state.isLeaseForfeited) return;
  state.leaseUntilMs = Math.max(state.leaseUntilMs, sentAtMs + lease.durationMs);
}

/** Leader: a read may be answered at once with what is committed. */
export function isLeaseValid(state: RaftState): boolean {
  const { lease } = state.config;
  if (lease === undefined || state.role !== 'leader' || state.isLeaseForfeited) return false;
  return hasCommittedInTerm(state) && lease.nowMs() < state.leaseUntilMs;
}

/** Leader: the voters are others now. Rounds on their way count for nothing either. */
export function lapseLease(state: RaftState): void {
  state.leaseUntilMs = never;
  for (const round of state.reads.rounds) round.sentAtMs = never;
}

/** Leader: somebody may be told to campaign against it. */
export function forfeitLease(state: RaftState): void {
  assert(state.role === 'leader', 'only a leader gives leadership away');
  state.isLeaseForfeited = true;
  lapseLease(state);
}
