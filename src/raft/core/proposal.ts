/**
 * Proposals: at a leader every reason to refuse one, in order; elsewhere the way to the leader. A forwarded proposal is
 * not answered: whoever made it sees it applied, or gives up after a time of its own. The transport must not deliver
 * it twice.
 *
 * What was accepted in term T is an entry of term T or none: a forwarded proposal carries T, only the leader of T appends
 * it, nobody passes it on a second time, and to whoever is in another term it means nothing. So once an entry of a newer
 * term is applied somewhere, whatever of T is not applied there never will be, and may be proposed again.
 */
import { assert } from '../../env/assert.ts';
import { decodeConfChange } from './conf-change-codec.ts';
import { changeMembership, isJoint } from './conf-change.ts';
import { entryBytes } from './log.ts';
import { nobody } from './numbers.ts';
import { appendOwn, hasCommittedInTerm, type RaftState, send } from './state.ts';
import type { ProposedEntry, ProposeResult } from './types.ts';

type Refusal = (ProposeResult & { kind: 'dropped' })['reason'];

/** Takes proposals in at the leader, or passes them on to it. */
export function propose(state: RaftState, proposed: readonly ProposedEntry[]): ProposeResult {
  assert(proposed.length > 0, 'a proposal proposes something');
  if (state.role !== 'leader') return forward(state, proposed);
  const reason = refusalOf(state, proposed);
  if (reason !== undefined) return { kind: 'dropped', reason };
  appendOwn(state, proposed);
  if (isConfChange(proposed)) state.pendingConfIndex = state.log.lastIndex;
  return { kind: 'accepted', index: state.log.lastIndex, term: state.term };
}

function forward(state: RaftState, proposed: readonly ProposedEntry[]): ProposeResult {
  if (state.tracker.hasVoters() && !state.tracker.isMember(state.id)) return { kind: 'dropped', reason: 'removed' };
  // A witness takes no proposals; it hands leadership to somebody who does.
  if (state.leader === nobody || state.tracker.isWitness(state.leader)) return { kind: 'dropped', reason: 'noLeader' };
  assert(state.leader !== state.id, 'only a leader follows itself');
  assert(state.role === 'follower', 'who knows a leader follows it');
  send(state, { type: 'prop', to: state.leader, entries: proposed });
  return { kind: 'accepted', term: state.term };
}

function refusalOf(state: RaftState, proposed: readonly ProposedEntry[]): Refusal | undefined {
  if (!state.tracker.isMember(state.id)) return 'removed';
  if (state.transferee !== nobody || state.handoverIndex !== 0) return 'transferring';
  if (state.tracker.isWitness(state.id)) return 'transferring';
  if (isConfChange(proposed)) {
    const reason = confChangeRefusal(state, proposed);
    if (reason !== undefined) return reason;
  }
  const bytes = proposed.reduce((sum, entry) => sum + entryBytes(entry), 0);
  // One proposal always fits, however large, or it could never be made.
  if (state.uncommittedBytes > 0 && state.uncommittedBytes + bytes > state.config.uncommittedBytesMax) {
    return 'tooMuchUncommitted';
  }
  return undefined;
}

function isConfChange(proposed: readonly ProposedEntry[]): boolean {
  return proposed.some((entry) => entry.kind === 'confChange');
}

/**
 * Membership changes go one at a time, and only after the leader committed in its own term: otherwise two leaders could
 * each add to memberships whose quorums do not overlap (Ongaro, raft-dev, 10 July 2015).
 */
function confChangeRefusal(state: RaftState, proposed: readonly ProposedEntry[]): Refusal | undefined {
  const [entry] = proposed;
  if (entry === undefined || proposed.length > 1) return 'confChangePending';
  if (!hasCommittedInTerm(state)) return 'notReady';
  if (state.pendingConfIndex > state.log.applied) return 'confChangePending';
  const change = decodeConfChange(entry.data);
  if (isJoint(state.tracker.conf) && change.steps.length > 0) return 'confChangePending';
  return changeMembership(state.tracker.conf, change).kind === 'refused' ? 'invalidChange' : undefined;
}
