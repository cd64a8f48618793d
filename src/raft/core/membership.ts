/**
 * Taking membership changes into force. A change counts from the moment its entry is *applied*, on every replica alike;
 * until then the old membership decides. A leader has at most one change under way, so any two memberships in use at
 * the same time have overlapping quorums.
 */
import { assert, present } from '../../env/assert.ts';
import { decodeConfChange, encodeConfChange } from './conf-change-codec.ts';
import { changeMembership, isJoint } from './conf-change.ts';
import { lapseLease } from './lease.ts';
import { nobody, noIndex, toIndex } from './numbers.ts';
import { releaseReads } from './read-index.ts';
import { flushBroadcast, maybeCommit } from './replicate.ts';
import { appendOwn, becomeFollower, hasCommittedInTerm, type RaftState, send } from './state.ts';
import { abortTransfer } from './transfer.ts';
import type { ConfChange, ConfState, Entry, Index } from './types.ts';

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
  const isVoter = state.tracker.isVoter(state.id);
  if (!isVoter && state.role !== 'follower' && state.role !== 'leader') becomeFollower(state, state.term, nobody);
  if (state.role !== 'leader') return;
  if (state.transferee !== nobody && !state.tracker.conf.voters.includes(state.transferee)) abortTransfer(state);
  lapseLease(state);
  if (!isVoter) startHandover(state);
  maybeCommit(state);
  releaseReads(state);
  // Newcomers are probed at once.
  state.isBroadcastWanted = true;
}

/**
 * The change that takes the leader's vote is committed, but perhaps nobody else knows. A leader that went now could leave
 * voters behind who wait for its vote. So it leads on without counting itself (thesis 4.2.2), until the voters that
 * remain have committed one more entry: they got it with a commit index that includes the change.
 */
function startHandover(state: RaftState): void {
  assert(state.handoverIndex === 0, 'a leader is removed once');
  appendOwn(state, [{ kind: 'normal', data: new Uint8Array(0) }]);
  state.handoverIndex = state.log.lastIndex;
}

/** Leader without a vote: its work is done. Somebody who has everything campaigns at once. */
export function maybeStepDown(state: RaftState): void {
  if (state.role !== 'leader' || state.handoverIndex === 0 || state.log.applied < state.handoverIndex) return;
  assert(!state.tracker.isVoter(state.id), 'only a leader without a vote hands over');
  const { lastIndex } = state.log;
  const upToDate = state.tracker.voters().filter((id) => state.tracker.progressOf(id)?.match === lastIndex);
  const successor = upToDate.find((id) => !state.tracker.isWitness(id)) ?? upToDate[0];
  flushBroadcast(state);
  if (successor !== undefined) send(state, { type: 'timeoutNow', to: successor });
  becomeFollower(state, state.term, nobody);
}

/** Leader: leaves a joint configuration by itself, also one that an earlier leader entered. */
export function maybeAutoLeave(state: RaftState): void {
  const { conf } = state.tracker;
  // A witness leaves it to the full voter that it hands leadership to.
  if (state.role !== 'leader' || !isJoint(conf) || !conf.autoLeave || state.tracker.isWitness(state.id)) return;
  if (state.log.applied < state.pendingConfIndex || !hasCommittedInTerm(state)) return;
  const leave: ConfChange = { steps: [], context: new Uint8Array(0) };
  appendOwn(state, [{ kind: 'confChange', data: encodeConfChange(leave) }]);
  state.pendingConfIndex = state.log.lastIndex;
  assert(state.pendingConfIndex > state.log.applied, 'the leave is not applied yet');
}

/**
 * What a restarted replica knows to be committed from the log alone. A leader proposes a membership change only after it
 * has applied the one before, so of two changes in a log the earlier one is committed, even if the commit index on disk
 * is older. Without this the replica could campaign with a membership two changes back, whose quorum need not overlap
 * with the one in force.
 */
export function committedByLaterChange(entries: readonly Entry[]): Index {
  const changes = entries.filter((entry) => entry.kind === 'confChange');
  const earlier = changes.at(-2);
  assert(
    earlier === undefined || earlier.index < present(changes.at(-1), 'last change').index,
    'changes are in log order',
  );
  return earlier?.index ?? noIndex;
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
