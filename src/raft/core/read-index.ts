/**
 * Linearizable reads without writing to the log (Raft thesis 6.4).
 *
 *   1. The leader notes its commit index, once an entry of its own term is committed.
 *   2. It opens a round: a heartbeat with the round's number goes to everybody. A quorum of answers to this round or a
 *      later one, all sent after the request, proves that nobody else led at the time of the request.
 *   3. The read may be served when the state machine has applied the noted index.
 *
 * Requests that arrive while a round is under way wait and share the next one. Round numbers are never used twice by
 * a leader, and answers of an earlier leadership carry an earlier term and were dropped before they come here.
 * A follower forwards; what is not answered within an election time-out is dropped, and so is everything when the
 * role changes. The caller may then ask again, with a new context.
 */
import { assert, present } from '../../env/assert.ts';
import { extendLease, isLeaseValid, roundSentAtMs } from './lease.ts';
import { nobody } from './numbers.ts';
import { pendingReadsMax, type ReadRequest } from './read-queue.ts';
import { hasCommittedInTerm, type RaftState, send } from './state.ts';
import type { Index, Message, ReplicaId } from './types.ts';
import { heldFor } from './witness.ts';

/** Rounds under way at once for the sake of a lease; heartbeats are sent anyway, and ask about the newest round. */
const emptyRoundsMax = 16;

/** A read asked for at this replica. */
export function requestRead(state: RaftState, context: number): void {
  assert(Number.isSafeInteger(context) && context > 0, 'a read context is a positive whole number');
  assert(!state.reads.forwarded.has(context), () => `read context ${context} is used twice`);
  if (state.reads.pendingCount >= pendingReadsMax) return state.outbox.dropRead(context);
  if (state.role === 'leader') return enqueueRead(state, { from: state.id, context });
  if (state.leader === nobody) return state.outbox.dropRead(context);
  state.reads.forwarded.set(context, state.config.electionTicks);
  send(state, { type: 'readIndex', to: state.leader, context });
}

/** Leader: a read of its own or one that a follower forwarded. */
export function enqueueRead(state: RaftState, request: ReadRequest): void {
  assert(state.role === 'leader', 'only a leader knows a read index');
  if (state.reads.pendingCount >= pendingReadsMax) {
    if (request.from === state.id) state.outbox.dropRead(request.context);
    return;
  }
  if (isLeaseValid(state)) return answerRequest(state, request, state.log.committed);
  state.reads.waiting.push(request);
  if (state.reads.rounds.length === 0) maybeOpenRound(state);
}

/** Leader: opens a round for everything that waits, if the leader knows what is committed. */
export function maybeOpenRound(state: RaftState): void {
  if (state.reads.waiting.length === 0 || !hasCommittedInTerm(state)) return;
  openRound(state);
}

/** Leader: the round that comes with every heartbeat, when the answers extend a lease. */
export function openRoundForLease(state: RaftState): void {
  if (state.config.lease === undefined || !hasCommittedInTerm(state)) return;
  // Rounds that nobody answers do not pile up.
  if (state.reads.rounds.length < emptyRoundsMax) openRound(state);
}

function openRound(state: RaftState): void {
  const { reads } = state;
  reads.roundLast += 1;
  const sentAtMs = roundSentAtMs(state);
  reads.rounds.push({ number: reads.roundLast, index: state.log.committed, requests: reads.waiting, sentAtMs });
  reads.waiting = [];
  broadcastHeartbeat(state);
  answerRound(state, state.id, reads.roundLast);
}

/** Leader: `from` answered a heartbeat that asked about `round`. */
export function answerRound(state: RaftState, from: ReplicaId, round: number): void {
  const { reads } = state;
  if (round === 0) return;
  assert(round <= reads.roundLast, () => `round ${round} was never opened; the newest is ${reads.roundLast}`);
  if (round > (reads.answered.get(from) ?? 0)) reads.answered.set(from, round);
  releaseReads(state);
}

/** Leader: answers the reads whose round a quorum has confirmed, and opens the next round. */
export function releaseReads(state: RaftState): void {
  const { reads } = state;
  assert(state.role === 'leader', 'leadership is checked at the time of the answer');
  if (reads.rounds.length === 0) return;
  const confirmed = state.tracker.reachedByQuorum((id) => reads.answered.get(id) ?? 0);
  while (reads.rounds[0] !== undefined && reads.rounds[0].number <= confirmed) {
    const round = present(reads.rounds.shift(), 'a round');
    extendLease(state, round.sentAtMs);
    for (const request of round.requests) answerRequest(state, request, round.index);
  }
  if (reads.rounds.length === 0) maybeOpenRound(state);
}

function answerRequest(state: RaftState, { from, context }: ReadRequest, index: Index): void {
  assert(index <= state.log.committed, 'a read index is committed');
  if (from === state.id) return state.outbox.answerRead({ context, index });
  send(state, { type: 'readIndexResp', to: from, context, index });
}

/** Follower: the leader's answer. An answer to a read that was dropped, or a repeated one, is not expected any more. */
export function handleReadIndexResp(state: RaftState, message: Message & { type: 'readIndexResp' }): void {
  if (message.from !== state.leader) return;
  if (!state.reads.forwarded.delete(message.context)) return;
  state.outbox.answerRead({ context: message.context, index: message.index });
}

/** Follower: gives up on forwarded reads that the network lost. */
export function tickForwardedReads(state: RaftState): void {
  for (const [context, ticksLeft] of state.reads.forwarded) {
    if (ticksLeft > 1) {
      state.reads.forwarded.set(context, ticksLeft - 1);
      continue;
    }
    state.reads.forwarded.delete(context);
    state.outbox.dropRead(context);
  }
}

/** Leader: tells everybody that it leads, and asks about the newest round. Never promises more than a follower holds. */
export function broadcastHeartbeat(state: RaftState): void {
  assert(state.role === 'leader', 'only a leader sends heartbeats');
  for (const to of state.tracker.members()) {
    if (to === state.id) continue;
    const match = state.tracker.progressOf(to)?.match ?? 0;
    const commit = Math.min(match, state.log.committed) as Index;
    send(state, { type: 'heartbeat', to, commit, readContext: state.reads.roundAsked, ...heldFor(state, to) });
  }
}
