/**
 * From the state to a Ready, and from a finished sync back to the state. The rules of durability meet here: what goes
 * into one record, which token seals which messages, and what becomes true when a token is durable.
 */
import { assert } from '../../env/assert.ts';
import { countOwnDurableVote } from './election.ts';
import { minIndex, toIndex, toPersistToken } from './numbers.ts';
import { flushBroadcast, maybeCommit } from './replicate.ts';
import type { RaftState } from './state.ts';
import type { HardState, Persist, PersistToken, Ready, Sealed, SoftState } from './types.ts';

/** True when takeReady() would return anything to do. */
export function hasReady(state: RaftState): boolean {
  return (
    state.isBroadcastWanted ||
    state.isSnapshotWanted ||
    !state.outbox.isEmpty() ||
    state.log.incoming !== undefined ||
    state.log.unstable.submitted < state.log.lastIndex ||
    state.log.hasNextCommitted() ||
    state.hardStates.isChanged(hardStateOf(state)) ||
    isSoftStateChanged(state)
  );
}

/** Everything there is to do, once. */
export function takeReady(state: RaftState): Ready {
  flushBroadcast(state);
  const persist = takePersist(state);
  const { messages, sealed, readStates, droppedReads } = state.outbox.take();
  const committed = state.log.takeNextCommitted();
  for (const entry of committed) if (entry.kind === 'confChange') state.confChangesOwed.push(entry.index);
  const softState = takeSoftState(state);
  const snapshotWanted = state.isSnapshotWanted;
  state.isSnapshotWanted = false;
  assert(!hasReady(state) || state.log.hasNextCommitted(), 'after a Ready there is nothing left but more to apply');
  return {
    ...(softState !== undefined && { softState }),
    ...(persist !== undefined && { persist }),
    messages,
    ...(sealed.length > 0 && { messagesAfterPersist: seal(state, sealed) }),
    committed,
    readStates,
    droppedReads,
    ...(snapshotWanted && { snapshotWanted }),
  };
}

/** Everything up to and including `token` is durable: own entries and the own vote count from now on. */
export function persisted(state: RaftState, token: PersistToken): void {
  assert(token <= state.tokenLast, () => `token ${token} was never handed out; the newest is ${state.tokenLast}`);
  state.log.unstable.complete(token);
  state.hardStates.complete(token);
  countOwnDurableVote(state);
  if (state.role !== 'leader') return;
  // A leader is a voter like any other: it holds what is on its disk, not what is in its memory.
  state.tracker.progressOf(state.id)?.maybeUpdate(state.log.unstable.durable);
  maybeCommit(state);
}

/** Commit is only recorded up to what is durable, so that after a crash the log is never shorter than the commit index. */
function hardStateOf(state: RaftState): HardState {
  const { term, vote, log } = state;
  const commit = minIndex(log.committed, log.unstable.durable);
  return { term, vote, commit: commit > state.hardStates.handed.commit ? commit : state.hardStates.handed.commit };
}

function takePersist(state: RaftState): Persist | undefined {
  const { log, hardStates } = state;
  const hardState = hardStateOf(state);
  const snapshot = log.takeIncoming();
  const entries = log.slice(toIndex(log.unstable.submitted + 1), log.lastIndex);
  const isFirstSeal = state.outbox.hasSealed() && state.tokenSyncLast === 0;
  const mustSync =
    entries.length > 0 || snapshot !== undefined || hardStates.isPromiseChanged(hardState) || isFirstSeal;
  if (!mustSync && !hardStates.isChanged(hardState)) return undefined;
  const token = toPersistToken(state.tokenLast + 1);
  const hasHardState = hardStates.isChanged(hardState) || isFirstSeal;
  if (hasHardState) hardStates.submit(token, hardState, mustSync);
  if (mustSync) log.unstable.submit(token, log.lastIndex);
  state.tokenLast = token;
  if (mustSync) state.tokenSyncLast = token;
  return { token, entries, mustSync, ...(hasHardState && { hardState }), ...(snapshot !== undefined && { snapshot }) };
}

/** Everything a sealed message promises is in records up to the newest one that is synced. */
function seal(state: RaftState, sealedMessages: Sealed['sealedMessages']): Sealed {
  const token = state.tokenSyncLast;
  assert(token > 0, 'a seal has a token');
  assert(!state.hardStates.isPromiseChanged(hardStateOf(state)), 'term and vote are in a record before they are told');
  return { token, sealedMessages };
}

function isSoftStateChanged(state: RaftState): boolean {
  return state.role !== state.softStateTaken.role || state.leader !== state.softStateTaken.leader;
}

function takeSoftState(state: RaftState): SoftState | undefined {
  if (!isSoftStateChanged(state)) return undefined;
  state.softStateTaken = { role: state.role, leader: state.leader };
  return state.softStateTaken;
}
