/**
 * A leader's side of replication: what is sent to a follower, what its answer teaches, and when an entry is committed.
 * How the knowledge about a follower changes is in progress.ts; this file decides what to do about it.
 */
import { assert } from '../../env/assert.ts';
import { toIndex } from './numbers.ts';
import type { Progress } from './progress.ts';
import { maybeOpenRound } from './read-index.ts';
import { type RaftState, send } from './state.ts';
import { maybeFinishTransfer } from './transfer.ts';
import { entryBytes } from './log.ts';
import type { Message, ReplicaId } from './types.ts';
import { heldFor, isWitness, sendStanding } from './witness.ts';

/** Sends appends that were asked for since the last Ready. Called before a Ready is taken. */
export function flushBroadcast(state: RaftState): void {
  if (!state.isBroadcastWanted) return;
  assert(state.role === 'leader', 'only a leader has appends to send');
  state.isBroadcastWanted = false;
  for (const to of state.tracker.members()) {
    if (to === state.id) continue;
    // The first message carries the commit index even when it has no entries; the following ones only fill the window.
    let more = sendAppend(state, to, 'evenIfEmpty');
    while (more) more = sendAppend(state, to, 'entriesOnly');
  }
}

/** One append message to `to`, if the flow control lets one out. True when it carried entries, so there may be more. */
export function sendAppend(state: RaftState, to: ReplicaId, when: 'evenIfEmpty' | 'entriesOnly'): boolean {
  const progress = state.tracker.progressOf(to);
  assert(progress !== undefined && to !== state.id, 'appends go to other members');
  if (progress.isPaused()) return false;
  const prevIndex = toIndex(progress.next - 1);
  const prevTerm = state.log.termAt(prevIndex);
  if (prevTerm === undefined || progress.needsSnapshot) {
    sendSnapshot(state, to, progress);
    return false;
  }
  // With a full window an empty message still goes out after a heartbeat's answer: if the window was lost, the
  // follower refuses it, and that reopens the flow.
  const isWindowFull = progress.state === 'replicate' && progress.inflights.isFull();
  const { lastIndex } = state.log;
  const entries = isWindowFull ? [] : state.log.slice(progress.next, lastIndex, state.config.messageBytesMax);
  if (entries.length === 0 && when === 'entriesOnly') return false;
  send(state, { type: 'app', to, prevIndex, prevTerm, entries, commit: state.log.committed, ...heldFor(state, to) });
  progress.sent(entries.length);
  return entries.length > 0;
}

function sendSnapshot(state: RaftState, to: ReplicaId, progress: Progress): void {
  const { snapshot } = state.log;
  // A stream to somebody who is not there would only fail; wait for a sign of life.
  if (!progress.recentActive) return;
  if (state.tracker.isWitness(to)) return sendStanding(state, to, progress);
  // Somebody with state leads soon, and has a snapshot.
  if (isWitness(state)) return;
  if (snapshot.index === 0 || snapshot.index < state.log.base.index) {
    state.isSnapshotWanted = true;
    return;
  }
  assert(!isWitness(state), 'a witness has no state to send');
  send(state, { type: 'snap', to, snapshot });
  progress.becomeSnapshot(snapshot.index);
}

/** A follower answered an append. */
export function handleAppendResp(state: RaftState, progress: Progress, message: Message & { type: 'appResp' }): void {
  progress.recentActive = true;
  if (message.reject) return handleReject(state, progress, message);
  assert(
    message.index <= state.log.lastIndex,
    () => `${message.from} acknowledged ${message.index}, which is not ours`,
  );
  const wasPaused = progress.isPaused();
  const isNews = progress.maybeUpdate(message.index);
  if (isNews) progress.needsSnapshot = false;
  if (!isNews && !(progress.state === 'probe' && progress.match === message.index)) return;
  if (progress.state === 'snapshot' && state.log.termAt(progress.match) !== undefined) progress.becomeProbe();
  if (progress.state === 'probe') progress.becomeReplicate();
  if (progress.state === 'replicate') progress.inflights.freeUpTo(message.index);
  if (progress.state === 'replicate') progress.paused = progress.inflights.isFull();
  maybeCommit(state);
  // When something goes to everybody anyway, this follower gets its share then. Otherwise the window it just opened is
  // filled, and one that was held up learns the commit index it missed.
  let more = !state.isBroadcastWanted && sendAppend(state, message.from, wasPaused ? 'evenIfEmpty' : 'entriesOnly');
  while (more) more = sendAppend(state, message.from, 'entriesOnly');
  maybeFinishTransfer(state, message.from, progress);
}

function handleReject(state: RaftState, progress: Progress, message: Message & { type: 'appResp' }): void {
  assert(message.reject, 'a refusal is handled here');
  // Everybody has the empty prefix. Who refuses even that has lost what it had, or does not know the membership yet.
  const isWithoutLog = message.index === 0 && progress.state !== 'snapshot';
  if (isWithoutLog && message.hintTerm > 0) {
    progress.forget(state.log.agreementHint(message.hintIndex, message.hintTerm).index);
  } else if (isWithoutLog && progress.match === 0) {
    progress.becomeProbe();
    progress.needsSnapshot = true;
  } else {
    const hint = state.log.agreementHint(message.hintIndex, message.hintTerm);
    if (!progress.maybeDecrease(message.index, hint.index)) return;
    if (progress.state === 'replicate') progress.becomeProbe();
  }
  sendAppend(state, message.from, 'evenIfEmpty');
}

/** A follower answered a heartbeat: it is there, so whatever was lost meanwhile is tried again. */
export function resumeAfterHeartbeat(state: RaftState, from: ReplicaId, progress: Progress): void {
  assert(state.role === 'leader', 'heartbeats are answered to a leader');
  progress.recentActive = true;
  progress.paused = false;
  if (progress.match < state.log.lastIndex || progress.state === 'probe') sendAppend(state, from, 'evenIfEmpty');
}

/** Moves the commit index to what a quorum holds durably, but only onto an entry of the own term (Raft 5.4.2). */
export function maybeCommit(state: RaftState): boolean {
  assert(state.role === 'leader', 'only a leader decides what is committed');
  const quorumIndex = state.tracker.matchedByQuorum();
  if (quorumIndex <= state.log.committed) return false;
  if (state.log.termAt(quorumIndex) !== state.term) return false;
  for (const entry of state.log.slice(toIndex(state.log.committed + 1), quorumIndex)) {
    state.uncommittedBytes -= entryBytes(entry);
  }
  assert(state.uncommittedBytes >= 0, 'what is committed was counted');
  state.log.commitTo(quorumIndex);
  state.isBroadcastWanted = true;
  if (state.reads.rounds.length === 0) maybeOpenRound(state);
  return true;
}
