/**
 * The loop of one member: takes each Ready from the core and carries it out.
 *
 *   requests, messages, ticks ─▶ core ─▶ Ready ─┬─▶ messages ───────────────────────────▶ transport
 *                                 ▲             ├─▶ persist ──▶ WAL ─▶ proof ─▶ sealed ──▶ transport
 *                                 │             └─▶ committed ─▶ applier ─▶ state machine
 *                                 └── persisted(token), applied(index), reportSnapshot ◀── all of these
 *
 * Promises: several Readys are in flight at once (the log groups their syncs); nothing sealed leaves without a proof;
 * any error of the log and any broken invariant ends in one call of `onFatal`, after which nothing is sent, written or
 * applied any more. Whatever the outside calls in one turn is carried out together after it (rounds.ts).
 *
 * Ticks: one per timer callback and none made up for. After a long stall of the process a follower therefore sees one
 * tick, then the messages that arrived meanwhile, and does not campaign against a live leader.
 */
import { assert, InvariantViolation } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type {
  ConfChange,
  ConfState,
  Index,
  Message,
  Persist,
  ProposeResult,
  RaftCore,
  RaftStatus,
  Ready,
  ReplicaId,
  Sealed,
  SoftState,
  Term,
} from '../core/types.ts';
import { type Durable, openSealed } from '../wal/durable.ts';
import type { Wal } from '../wal/wal.ts';
import { Applier } from './applier.ts';
import type { RaftCounter, RaftNode, RaftNodeOptions } from './contract.ts';
import { MessageIntake } from './message-intake.ts';
import { ReadWaiters } from './read-waiters.ts';
import { Rounds } from './rounds.ts';
import { Snapshots } from './snapshots.ts';

export interface RunningParts {
  readonly core: RaftCore;
  readonly wal: Wal;
  /** Where the state machine stands. */
  readonly start: { readonly index: Index; readonly term: Term };
}

type LoopCounter = Exclude<
  RaftCounter,
  | 'walSyncs'
  | 'walBytes'
  | 'snapshotsTaken'
  | 'snapshotsSent'
  | 'snapshotsReceived'
  | 'proposalsApplied'
  | 'messagesReceived'
  | 'messagesRefused'
>;

export class RaftHost implements RaftNode {
  readonly #options: RaftNodeOptions;
  readonly #core: RaftCore;
  readonly #wal: Wal;
  readonly #log: Log;
  readonly #applier: Applier;
  readonly #snapshots: Snapshots;
  readonly #reads: ReadWaiters;
  readonly #intake: MessageIntake;
  readonly #rounds: Rounds;
  readonly #cancelTicks: () => void;
  /** In token order; opened from the front. Bounded by the appends in flight. */
  #sealed: Sealed[] = [];
  #proof: Durable | undefined;
  /** Damage took entries that the leader still has to send again. */
  #isRepairing: boolean;
  #state: 'running' | 'failed' | 'stopped' = 'running';
  #leader: ReplicaId = 0 as ReplicaId;
  readonly #counts: Record<LoopCounter, number> = {
    proposalsAccepted: 0,
    proposalsDropped: 0,
    leaderChanges: 0,
    readIndexes: 0,
    messagesSent: 0,
  };

  constructor(options: RaftNodeOptions, parts: RunningParts) {
    const { env, stateMachine, transport } = options;
    this.#options = options;
    this.#core = parts.core;
    this.#wal = parts.wal;
    this.#isRepairing = parts.core.status().lostUpTo !== undefined;
    this.#log = env.log.with({ replica: options.raft.id });
    this.#reads = new ReadWaiters(env.random.integer(0, 2 ** 20 - 1));
    const { core } = parts;
    this.#intake = new MessageIntake({ id: options.raft.id, core, stateMachine, clock: env.clock, log: this.#log });
    this.#rounds = new Rounds(env.clock, () => this.#pump());
    const onFatal = (error: unknown) => this.#fail(error);
    this.#applier = new Applier({
      ...parts,
      stateMachine,
      clock: env.clock,
      onApplied: () => this.#onApplied(),
      onFatal,
    });
    this.#snapshots = new Snapshots({
      ...parts,
      stateMachine,
      applier: this.#applier,
      transport,
      log: this.#log,
      snapshotEntries: options.snapshotEntries,
      snapshotLogBytes: options.snapshotLogBytes ?? 0,
      catchUpEntries: options.catchUpEntries,
      step: (message) => {
        this.#intake.refuseFalse(message);
        this.#core.step(message);
        this.#wake();
      },
      wake: () => this.#wake(),
      onFatal,
    });
    this.#cancelTicks = env.clock.every(options.tickMs, () => this.#enter(() => this.#core.tick()));
    transport.start({
      message: (message) => this.#receive(message),
      unreachable: (peer) => this.#enter(() => this.#core.reportUnreachable(peer)),
      ended: (peer) => this.#enter(() => this.#core.reportEnded(peer)),
      refused: (peer, as) => {
        this.#log.error('a peer refuses this member', { peer, as });
        this.#options.onRefused?.(as);
      },
      snapshotStaged: (message) => this.#snapshots.stagedBytes(message),
      snapshot: (message, chunks) => this.#receiveSnapshot(message, chunks),
    });
    this.#wake();
  }

  propose(data: Uint8Array): ProposeResult {
    return this.#propose(() => this.#core.propose(data));
  }

  proposeConfChange(change: ConfChange): ProposeResult {
    return this.#propose(() => this.#core.proposeConfChange(change));
  }

  readIndex(signal?: AbortSignal): Promise<Index> {
    if (this.#state !== 'running') return Promise.reject(stoppedError());
    this.#counts.readIndexes += 1;
    const answer = this.#reads.add(signal);
    this.#wake();
    return answer;
  }

  transferLeader(to: ReplicaId): void {
    this.#enter(() => this.#core.transferLeader(to));
  }

  campaign(): void {
    this.#enter(() => this.#core.campaign());
  }

  status(): RaftStatus {
    return this.#core.status();
  }

  term(): Term {
    return this.#core.term();
  }

  confState(): ConfState {
    return this.#core.status().confState;
  }

  counters(): Readonly<Record<RaftCounter, number>> {
    const { syncs, bytes } = this.#wal.stats();
    const { taken, sent, received } = this.#snapshots.counts;
    return {
      ...this.#counts,
      proposalsApplied: this.#applier.entriesApplied,
      walSyncs: syncs,
      walBytes: bytes,
      snapshotsTaken: taken,
      snapshotsSent: sent,
      snapshotsReceived: received,
      messagesReceived: this.#intake.count,
      messagesRefused: this.#intake.refusedCount,
    };
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#cancelTicks();
    this.#reads.rejectAll(stoppedError());
    await this.#options.transport.close();
    await this.#applier.stop();
    await this.#snapshots.stop();
    await this.#wal.close();
  }

  #propose(action: () => ProposeResult): ProposeResult {
    const result = this.#enter(action) ?? { kind: 'dropped', reason: 'noLeader' };
    this.#counts[result.kind === 'accepted' ? 'proposalsAccepted' : 'proposalsDropped'] += 1;
    return result;
  }

  /** Everything that reaches the core from outside passes here. Undefined when the member does not run. */
  #enter<T>(action: () => T): T | undefined {
    if (this.#state !== 'running') return undefined;
    try {
      const result = action();
      this.#wake();
      return result;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #receive(message: Message): void {
    if (!this.#intake.takes(message)) return;
    this.#rounds.beginTurn();
    this.#enter(() => {
      if (this.#intake.isTrue(message)) this.#core.step(message);
    });
  }

  async #receiveSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#state !== 'running') throw stoppedError();
    try {
      this.#intake.takeSnapshot(message);
      await this.#snapshots.receive(message, chunks);
    } catch (error) {
      // A stream that breaks is the network's business; a disk that fails and a broken invariant are ours.
      if (isFatal(error)) this.#fail(error);
      throw error;
    }
  }

  #wake(): void {
    if (this.#state === 'running') this.#rounds.wake();
  }

  #pump(): void {
    if (this.#state !== 'running') return;
    try {
      const context = this.#reads.takeContext();
      if (context !== undefined) this.#core.readIndex(context);
      while (this.#core.hasReady()) this.#carryOut(this.#core.takeReady());
    } catch (error) {
      this.#fail(error);
    }
  }

  #carryOut(ready: Ready): void {
    // The persist goes first: its sync is what everything else waits for.
    if (ready.persist) this.#persist(ready.persist);
    this.#send(ready.messages);
    if (ready.messagesAfterPersist) this.#sealed.push(ready.messagesAfterPersist);
    if (this.#proof) this.#openUpTo(this.#proof);
    // The others have clients that wait for the news of the commit: it does not wait until it is applied here.
    if (ready.committed.length > 0 && ready.messages.length > 0) this.#options.transport.flush?.();
    this.#applier.entries(ready.committed);
    for (const { context, index } of ready.readStates) this.#reads.point(context, index, this.#applier.applied.index);
    for (const context of ready.droppedReads) this.#reads.drop(context, this.#droppedReadError());
    if (ready.snapshotWanted) this.#snapshots.want();
    if (ready.softState) this.#onSoftState(ready.softState);
  }

  #persist(persist: Persist): void {
    const durable = this.#wal.append(persist).then((proof) => {
      if (this.#state !== 'running') return;
      assert(proof.token > (this.#proof?.token ?? 0), 'proofs come in the order of their tokens');
      this.#proof = proof;
      this.#core.persisted(persist.token);
      this.#openUpTo(proof);
      this.#wake();
    });
    durable.catch((error: unknown) => this.#fail(error));
    if (persist.snapshot) this.#applier.snapshot(persist.snapshot, durable);
  }

  #openUpTo(proof: Durable): void {
    for (;;) {
      const [first] = this.#sealed;
      if (!first || first.token > proof.token) return;
      this.#sealed.shift();
      this.#send(openSealed(first, proof));
    }
  }

  #send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    this.#counts.messagesSent += messages.length;
    const plain: Message[] = [];
    for (const message of messages) {
      if (message.type === 'snap') this.#snapshots.send(message);
      else plain.push(message);
    }
    if (plain.length > 0) this.#options.transport.send(plain);
  }

  #onApplied(): void {
    this.#reads.applied(this.#applier.applied.index);
    const isRestored = this.#applier.applied.index === this.#wal.latestSnapshot().index;
    if (isRestored) this.#snapshots.restored().catch((error: unknown) => this.#fail(error));
    this.#snapshots.maybeTake();
    if (this.#isRepairing) this.#tellWhenRepaired();
    this.#wake();
  }

  /** Once in a lifetime: what damage had taken from the log is there again. */
  #tellWhenRepaired(): void {
    const { lostUpTo, lastIndex } = this.#core.status();
    if (lostUpTo !== undefined) return;
    this.#isRepairing = false;
    this.#log.info('the entries that damage had taken are there again, this member counts in full', { lastIndex });
  }

  #onSoftState(state: SoftState): void {
    if (state.leader !== this.#leader && state.leader !== 0) this.#counts.leaderChanges += 1;
    this.#leader = state.leader;
    this.#log.info('raft role', { role: state.role, leader: state.leader, term: this.#core.status().term });
    this.#options.onSoftState(state);
  }

  #droppedReadError(): KeelsonError {
    return this.#core.status().leader === 0
      ? new KeelsonError('NO_LEADER', 'read: there is no leader at the moment, try again')
      : new KeelsonError('LEADER_CHANGED', 'read: the leader changed before it answered, try again');
  }

  #fail(error: unknown): void {
    if (this.#state !== 'running') return;
    this.#state = 'failed';
    this.#cancelTicks();
    this.#reads.rejectAll(stoppedError());
    const cause = error instanceof Error ? error : new Error(errorText(error));
    this.#log.error('raft member stops', { error: cause.message, stack: cause.stack });
    this.#options.onFatal(cause);
  }
}

/** Errors of the log and of assertions end the member; those of a peer's stream do not. */
function isFatal(error: unknown): boolean {
  return error instanceof InvariantViolation || (error instanceof KeelsonError && error.code === 'WAL_SYNC_FAILED');
}

function stoppedError(): KeelsonError {
  return new KeelsonError('STOPPED', 'the member has stopped');
}
