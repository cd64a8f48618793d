/**
 * Taking membership changes into force. A change counts from the moment its entry is *applied*, on every replica alike;
 * until then the old membership decides. A leader has at most one change under way, so any two memberships in use at
 * the same time have overlapping quorums.
 */
import { assert, present } from '../../env/assert.ts';
import { decodeConfChange, encodeConfChange } from './conf-change-codec.ts';
import { changeMembership, isJoint } from './conf-change.ts';
import { nobody, toIndex } from './numbers.ts';
import { releaseReads } from './read-index.ts';
import { flushBroadcast, maybeCommit } from './replicate.ts';
import { appendOwn, becomeFollower, hasCommittedInTerm, type RaftState } from './state.ts';
import { abortTransfer } from './transfer.ts';
import type { ConfChange, ConfState, Entry } from './types.ts';

/** The host applies the next confChange entry; `undefined` when its state machine refused it. */
export function applyConfChange(state: RaftState, change: ConfChange | undefined): ConfState {
  const index = state.confChangesOwed.shift();
  assert(index !== undefined, 'a membership change is applied after its entry was handed out');
  // A snapshot accepted meanwhile already holds the outcome of every entry before it.
  const isSuperseded = index <= state.log.restoring;
  if (change === undefined || isSuperseded) return state.tracker.conf;
  const outcome = changeMembership(state.tracker.conf, change);
  assert(outcome.kind === 'changed', () => `entry ${index} changes the membership in a way that leaders refuse`);
  state.tracker.changeTo(outcome.conf, state.log.lastIndex);
  afterMembershipChange(state);
  return state.tracker.conf;
}

/** A new membership may shrink the quorum, end a transfer, or leave this replica out. */
function afterMembershipChange(state: RaftState): void {
  if (!state.tracker.isVoter(state.id)) {
    stepDownAsNonVoter(state);
    return;
  }
  if (state.role !== 'leader') return;
  if (state.transferee !== nobody && !state.tracker.conf.voters.includes(state.transferee)) abortTransfer(state);
  maybeCommit(state);
  releaseReads(state);
  // Newcomers are probed at once.
  state.isBroadcastWanted = true;
}

/** The change that removed this replica is committed: its work is done. Followers still learn that it is committed. */
function stepDownAsNonVoter(state: RaftState): void {
  if (state.role === 'follower') return;
  if (state.role === 'leader') {
    state.isBroadcastWanted = true;
    flushBroadcast(state);
  }
  becomeFollower(state, state.term, nobody);
  assert(state.leader === nobody, 'who has stepped down follows nobody yet');
}

/** Leader: leaves a joint configuration by itself, also one that an earlier leader entered. */
export function maybeAutoLeave(state: RaftState): void {
  const { conf } = state.tracker;
  if (state.role !== 'leader' || !isJoint(conf) || !conf.autoLeave) return;
  if (state.log.applied < state.pendingConfIndex || !hasCommittedInTerm(state)) return;
  const leave: ConfChange = { steps: [], context: new Uint8Array(0) };
  appendOwn(state, [{ kind: 'confChange', data: encodeConfChange(leave) }]);
  state.pendingConfIndex = state.log.lastIndex;
  assert(state.pendingConfIndex > state.log.applied, 'the leave is not applied yet');
}

/** True while a committed change is not applied here: this replica does not know yet who votes. */
export function hasUnappliedConfChange(state: RaftState): boolean {
  if (state.log.restoring !== 0) return true;
  assert(state.log.applied >= state.log.base.index, 'what is not applied is not compacted');
  const unapplied = state.log.slice(toIndex(state.log.applied + 1), state.log.committed);
  return unapplied.some((entry) => entry.kind === 'confChange');
}

/** Membership as of `applied`: the snapshot's, and the changes of the applied entries after it. */
export function replayMembership(conf: ConfState, appliedEntries: readonly Entry[]): ConfState {
  let replayed = conf;
  for (const entry of appliedEntries) {
    if (entry.kind !== 'confChange') continue;
    const outcome = changeMembership(replayed, decodeConfChange(entry.data));
    assert(outcome.kind === 'changed', () => `entry ${entry.index} cannot be replayed: was it vetoed?`);
    replayed = outcome.conf;
  }
  return present(replayed, 'membership');
}
