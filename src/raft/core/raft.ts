/**
 * The Raft core: takes what happened, decides which rule applies, and hands out what is to be done. The rules
 * themselves are in the other files of this folder; types.ts holds the contract with the host.
 *
 *   term-rules   every message first          election     votes, pre-votes, campaigns
 *   follower     append, heartbeat, snapshot  leader       ticks and answers, with replicate, proposal,
 *   membership   changes of who votes                      read-index and transfer
 *   log, unstable, hard-state                 what is known, and what of it is on disk
 */
import { assert } from '../../env/assert.ts';
import { type CoreView, checkState, viewOf } from './check-state.ts';
import { encodeConfChange } from './conf-change-codec.ts';
import { campaign, handleVoteRequest, handleVoteResponse, tickElection, leaderHasEnded } from './election.ts';
import { stepFollower } from './follower.ts';
import { HardStateTracker } from './hard-state.ts';
import { stepLeader, tickLeader } from './leader.ts';
import { type LogPoint, RaftLog } from './log.ts';
import { lossOf } from './loss.ts';
import {
  applyConfChange,
  committedByLaterChange,
  maybeAutoLeave,
  maybeStepDown,
  replayMembership,
} from './membership.ts';
import { maxIndex, minIndex, noIndex, nobody, toIndex, toPersistToken } from './numbers.ts';
import { Outbox } from './outbox.ts';
import { propose } from './proposal.ts';
import { requestRead, tickForwardedReads } from './read-index.ts';
import { ReadQueue } from './read-queue.ts';
import { hasReady, persisted, takeReady } from './ready.ts';
import { becomeFollower, drawPatience, type RaftState } from './state.ts';
import { admit } from './term-rules.ts';
import { Tracker } from './tracker.ts';
import { requestTransfer } from './transfer.ts';
import { compactionPoint, droppableByWitness, isWitness } from './witness.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  Index,
  Message,
  PersistToken,
  ProposeResult,
  RaftConfig,
  RaftCore,
  RaftStatus,
  Ready,
  ReplicaId,
  RestoredState,
  SnapshotMeta,
  Standing,
  Term,
} from './types.ts';

export class Raft implements RaftCore {
  readonly #state: RaftState;

  constructor(config: RaftConfig, restored: RestoredState) {
    assertConfig(config);
    const { hardState, snapshot, entries, applied } = restored;
    const loss = lossOf(restored);
    const lastIndex = entries.at(-1)?.index ?? snapshot.index;
    const known = maxIndex(maxIndex(hardState.commit, applied), committedByLaterChange(entries));
    // Without a loss the log reaches what is known to be committed, or RaftLog refuses it.
    const committed = loss === undefined ? known : minIndex(known, lastIndex);
    const log = new RaftLog({ snapshot, entries, committed, applied });
    assert(
      log.lastTerm <= hardState.term,
      () => `the log holds term ${log.lastTerm}, the hard state ${hardState.term}`,
    );
    const replayed = log.slice(toIndex(snapshot.index + 1), applied);
    const conf = restored.appliedConfState ?? replayMembership(snapshot.confState, replayed);
    const tracker = new Tracker(conf, log.lastIndex, config.inflightMessagesMax);
    this.#state = {
      config,
      id: config.id,
      log,
      tracker,
      outbox: new Outbox(),
      reads: new ReadQueue(),
      hardStates: new HardStateTracker(hardState),
      loss,
      term: hardState.term,
      vote: hardState.vote,
      role: 'follower',
      leader: nobody,
      electionElapsed: 0,
      heartbeatElapsed: 0,
      electionTimeoutTicks: drawPatience({ config, tracker, id: config.id }),
      transferee: nobody,
      pendingConfIndex: noIndex,
      handoverIndex: noIndex,
      uncommittedBytes: 0,
      isBroadcastWanted: false,
      isSnapshotWanted: false,
      leaseUntilMs: Number.NEGATIVE_INFINITY,
      isLeaseForfeited: false,
      droppable: noIndex,
      ticksSinceStart: 0,
      confChangesOwed: [],
      softStateTaken: { role: 'follower', leader: nobody },
      tokenLast: toPersistToken(0),
      tokenSyncLast: toPersistToken(0),
    };
    this.checkState();
  }

  tick(): void {
    const state = this.#state;
    if (state.ticksSinceStart < state.config.electionTicks) state.ticksSinceStart += 1;
    if (state.role === 'leader') return tickLeader(state);
    tickForwardedReads(state);
    tickElection(state);
  }

  step(message: Message): void {
    const state = this.#state;
    assert(message.to === state.id, () => `a message to ${message.to} arrived at ${state.id}`);
    assert(message.from > 0 && message.from !== state.id, () => `a message from ${message.from} cannot be`);
    if (!admit(state, message)) return;
    if (message.type === 'vote' || message.type === 'preVote') return handleVoteRequest(state, message);
    if (state.role === 'leader') return stepLeader(state, message);
    if (state.role !== 'follower') return this.#stepCandidate(message);
    stepFollower(state, message);
  }

  #stepCandidate(message: Message): void {
    const state = this.#state;
    if (message.type === 'voteResp' || message.type === 'preVoteResp') return handleVoteResponse(state, message);
    if (message.type !== 'app' && message.type !== 'heartbeat' && message.type !== 'snap') return;
    // Somebody else won this term.
    becomeFollower(state, message.term, message.from);
    stepFollower(state, message);
  }

  campaign(): void {
    campaign(this.#state, this.#state.config.preVote ? 'preElection' : 'election');
  }

  propose(data: Uint8Array): ProposeResult {
    return propose(this.#state, [{ kind: 'normal', data }]);
  }

  proposeConfChange(change: ConfChange): ProposeResult {
    return propose(this.#state, [{ kind: 'confChange', data: encodeConfChange(change) }]);
  }

  readIndex(context: number): void {
    requestRead(this.#state, context);
  }

  transferLeader(to: ReplicaId): void {
    requestTransfer(this.#state, to);
  }

  reportUnreachable(peer: ReplicaId): void {
    const progress = this.#state.role === 'leader' ? this.#state.tracker.progressOf(peer) : undefined;
    // What was sent optimistically is probably lost: go back to what is known.
    if (progress?.state === 'replicate') progress.becomeProbe();
  }

  reportEnded(peer: ReplicaId): void {
    leaderHasEnded(this.#state, peer);
  }

  reportSnapshot(peer: ReplicaId, outcome: 'delivered' | 'failed'): void {
    const progress = this.#state.role === 'leader' ? this.#state.tracker.progressOf(peer) : undefined;
    if (progress?.state !== 'snapshot') return;
    if (outcome === 'failed') progress.abortSnapshot();
    progress.becomeProbe();
    // Delivered: its acknowledgement is on the way. Failed: not at once again. Either way a heartbeat's answer goes on.
    progress.paused = true;
  }

  hasReady(): boolean {
    return hasReady(this.#state);
  }

  takeReady(): Ready {
    return takeReady(this.#state);
  }

  persisted(token: PersistToken): void {
    persisted(this.#state, token);
  }

  applied(index: Index): void {
    const state = this.#state;
    state.log.applyTo(index);
    assert(
      state.confChangesOwed.every((owed) => owed > index),
      () => `entry ${index} is reported applied before applyConfChange was called for ${state.confChangesOwed[0]}`,
    );
    maybeAutoLeave(state);
    maybeStepDown(state);
  }

  applyConfChange(change: ConfChange | undefined): ConfState {
    return applyConfChange(this.#state, change);
  }

  compactLog(snapshot: SnapshotMeta, upTo: Index): void {
    const state = this.#state;
    assert(
      !isWitness(state) || upTo <= droppableByWitness(state),
      () => `entries up to ${upTo} are in a witness's log for full voters that lack them`,
    );
    state.log.compact(snapshot, upTo);
  }

  compactionPoint(): LogPoint | undefined {
    return compactionPoint(this.#state);
  }

  trimLog(upTo: Index, keep: { readonly entries: number; readonly bytes: number }): void {
    const { log, tracker, role, id } = this.#state;
    const wanted = maxIndex(toIndex(Math.max(0, log.applied - keep.entries)), log.indexBefore(keep.bytes));
    const droppable = isWitness(this.#state) ? minIndex(upTo, droppableByWitness(this.#state)) : upTo;
    const allowed = minIndex(droppable, wanted);
    // Whoever is on the way to the snapshot must find the entries after it, or it would be sent one after another.
    const isAwaited = (peer: ReplicaId) => {
      const progress = tracker.progressOf(peer);
      return progress?.recentActive === true && (progress.state === 'snapshot' || progress.match < log.base.index);
    };
    const isHeld = role === 'leader' && tracker.members().some((peer) => peer !== id && isAwaited(peer));
    log.trim(isHeld ? minIndex(allowed, log.snapshot.index) : allowed);
  }

  term(): Term {
    return this.#state.term;
  }

  standing(): Standing {
    const { term, role, leader, log, loss, reads } = this.#state;
    const { committed, lastIndex } = log;
    return { term, role, leader, committed, lastIndex, hasLost: loss !== undefined, readRoundLast: reads.roundLast };
  }

  status(): RaftStatus {
    const { id, term, vote, role, leader, log, tracker, transferee, loss } = this.#state;
    const { committed, applied, firstIndex, lastIndex } = log;
    const progress = role === 'leader' ? tracker.describe() : new Map();
    const confState = tracker.conf;
    const lost = loss === undefined ? {} : { lostUpTo: loss.upTo };
    const logPart = { committed, applied, firstIndex, lastIndex, ...lost };
    return { id, term, vote, role, leader, ...logPart, confState, transferee, progress };
  }

  checkState(): void {
    checkState(this.#state);
  }

  /** The log as it is in memory, for checkers that compare replicas. */
  inspectLog(): { readonly base: LogPoint; readonly entries: readonly Entry[] } {
    const { log } = this.#state;
    return { base: log.base, entries: log.slice(log.firstIndex, log.lastIndex) };
  }

  /** What checkTransition compares: the state as of now, cheap to take. */
  view(): CoreView {
    return viewOf(this.#state);
  }
}

function assertConfig(config: RaftConfig): void {
  assert(config.id > 0, 'a replica has an id');
  assert(config.heartbeatTicks > 0, 'heartbeats take at least one tick');
  assert(config.electionTicks > config.heartbeatTicks, 'an election takes longer than a heartbeat');
  const isSticky = config.preVote && config.checkQuorum;
  assert(config.lease === undefined || isSticky, 'leases need pre-vote and check-quorum');
  assert(config.messageBytesMax >= 0 && config.uncommittedBytesMax > 0, 'limits on bytes are positive');
}
