/**
 * Raft snapshots of one member: taken when enough was applied or somebody needs one, sent to followers that are too far
 * behind, received from the leader.
 *
 * A snapshot is the whole state, and the state machine's disk holds that already: one is only taken when the log has grown by
 * a good part of the last one's size, so that writing snapshots costs about as much as writing the log. In between, the
 * log in memory is trimmed to what slow followers may want.
 *
 * At most one is taken and one received at a time; one is sent per follower, which the core sees to.
 */
import { assert } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Index, Message, RaftCore, SnapshotMeta } from '../core/types.ts';
import type { SnapshotWriter, Wal } from '../wal/wal.ts';
import type { Applier } from './applier.ts';
import { evenChunks } from './even-chunks.ts';
import { StagedSnapshots } from './staged-snapshots.ts';
import type { PeerTransport, StateMachine } from './contract.ts';

/** The log on disk grows by half of the last snapshot before the next one is worth it, … */
const logShareOfSnapshot = 0.5;
/** … but never by more than this, which a start has to read again. */
const logBytesMax = 256 * 1024 * 1024;
/** Entries for slow followers take no more memory than this; one that is further behind is sent a snapshot. */
const keptBytesMax = 16 * 1024 * 1024;

export interface SnapshotsOptions {
  readonly core: RaftCore;
  readonly wal: Wal;
  readonly stateMachine: StateMachine;
  readonly applier: Applier;
  readonly transport: PeerTransport;
  readonly log: Log;
  readonly snapshotEntries: number;
  readonly snapshotLogBytes: number;
  readonly catchUpEntries: number;
  /** Steps a snapshot that is stored, unless it has become false meanwhile: then it throws. */
  readonly step: (message: Message & { readonly type: 'snap' }) => void;
  /** The core was given something: see what it wants done. */
  readonly wake: () => void;
  readonly onFatal: (error: unknown) => void;
}

type SnapMessage = Message & { readonly type: 'snap' };

export class Snapshots {
  readonly #options: SnapshotsOptions;
  /** Next applied index at which one is due. */
  #dueAt: number;
  /** Bytes written to the log as of which one is due. */
  #dueAtBytes: number;
  /** Durable index from which it is worth trimming again. */
  #trimAt: number;
  /** Bytes written to the log from which it is, too. */
  #trimAtBytes = 0;
  #trimmedAtDurable = -1;
  #isWanted = false;
  #taking: Promise<void> | undefined;
  #isReceiving = false;
  readonly #staged: StagedSnapshots;
  readonly #sending = new Set<Promise<void>>();
  #isStopped = false;
  readonly counts = { taken: 0, sent: 0, received: 0 };

  constructor(options: SnapshotsOptions) {
    assert(options.snapshotEntries > 0 && options.catchUpEntries >= 0, 'snapshot limits are positive');
    this.#options = options;
    this.#staged = new StagedSnapshots(options);
    this.#dueAt = options.wal.latestSnapshot().index + options.snapshotEntries;
    this.#dueAtBytes = options.snapshotLogBytes;
    this.#trimAt = options.wal.latestSnapshot().index + options.catchUpEntries;
  }

  /** A follower needs a snapshot and there is none. */
  want(): void {
    this.#isWanted = true;
    this.maybeTake();
  }

  /** Called after something was applied; takes a snapshot when it is time. */
  maybeTake(): void {
    if (this.#taking || this.#isStopped) return;
    const { applier, wal } = this.#options;
    if (!this.#isReceiving) this.#staged.dropUpTo(applier.applied.index);
    if (applier.applied.index <= wal.latestSnapshot().index) return;
    this.#trim();
    if (!this.#isWanted && (applier.applied.index < this.#dueAt || wal.stats().bytes < this.#dueAtBytes)) return;
    // Before what is applied only on a witness, whose state, the members, is the same there.
    const point = this.#options.core.compactionPoint();
    if (point === undefined || point.index <= wal.latestSnapshot().index) return;
    this.#isWanted = false;
    this.#dueAt = applier.applied.index + this.#options.snapshotEntries;
    const meta: SnapshotMeta = { ...point, confState: this.#options.core.status().confState };
    // The copy is fixed in this turn, together with index, term and membership; its content is pulled later.
    const content = this.#options.stateMachine.snapshot();
    this.#taking = this.#take(meta, content)
      .catch((error: unknown) => this.#failed(meta, error))
      .finally(() => {
        this.#taking = undefined;
        if (this.#isWanted) this.maybeTake();
      });
  }

  /** Keeps twice what slow followers may want at most; the array of entries is copied that seldom. */
  #trim(): void {
    const { core, stateMachine, wal, catchUpEntries } = this.#options;
    const durable = stateMachine.durableIndex();
    if (durable === this.#trimmedAtDurable) return;
    const { bytes } = wal.stats();
    if (durable < this.#trimAt && bytes < this.#trimAtBytes) return;
    this.#trimmedAtDurable = durable;
    this.#trimAt = durable + Math.max(catchUpEntries, 1);
    this.#trimAtBytes = bytes + keptBytesMax;
    core.trimLog(durable, { entries: catchUpEntries, bytes: keptBytesMax });
  }

  async #take(meta: SnapshotMeta, content: AsyncIterable<Uint8Array>): Promise<void> {
    const { wal, core, stateMachine, log, catchUpEntries, snapshotLogBytes } = this.#options;
    const writer = await this.#createFile(meta, content);
    const bytes = await this.#writeAll(writer, content);
    if (this.#isStopped) return;
    this.counts.taken += 1;
    const logBytes = Math.max(snapshotLogBytes, Math.min(bytes * logShareOfSnapshot, logBytesMax));
    this.#dueAtBytes = wal.stats().bytes + logBytes;
    const durable = stateMachine.durableIndex();
    core.compactLog(meta, Math.max(0, Math.min(meta.index - catchUpEntries, durable)) as Index);
    this.#options.wake();
    await wal.release(Math.min(wal.latestSnapshot().index, durable) as Index);
    log.info('saved snapshot', { 'snapshot-index': meta.index, term: meta.term, durableIndex: durable });
  }

  async #createFile(meta: SnapshotMeta, content: AsyncIterable<Uint8Array>): Promise<SnapshotWriter> {
    try {
      return await this.#options.wal.createSnapshot(meta, 'local');
    } catch (error) {
      // The content may hold a scan open, and gives back what it holds only once it was begun.
      const iterator = content[Symbol.asyncIterator]();
      await iterator.next();
      await iterator.return?.();
      throw error;
    }
  }

  #failed(meta: SnapshotMeta, error: unknown): void {
    if (this.#isStopped) return;
    if (error instanceof KeelsonError && error.code === 'NO_SPACE') {
      // The log goes on without: the next one is tried after as many entries again.
      this.#options.log.error('raft snapshot failed', { index: meta.index, error: errorText(error) });
      return;
    }
    this.#options.onFatal(error);
  }

  /** Returns the bytes of the content. */
  async #writeAll(writer: SnapshotWriter, content: AsyncIterable<Uint8Array>): Promise<number> {
    let bytes = 0;
    try {
      for await (const chunk of evenChunks(content)) {
        if (this.#isStopped) throw new KeelsonError('STOPPED', 'write snapshot: the member stops');
        await writer.write(chunk);
        bytes += chunk.length;
      }
      await writer.finish();
      return bytes;
    } catch (error) {
      // The temporary file is only in the way; what happened first is what is told.
      await writer.abort().catch(() => undefined);
      throw error;
    }
  }

  /** Streams the stored snapshot to the follower and tells the core how it went. */
  send(message: SnapMessage): void {
    if (this.#isStopped) return;
    const { confState } = message.snapshot;
    const isToWitness = confState.witnesses?.includes(message.to) === true;
    const sending: Promise<void> = (isToWitness ? this.#sendMembership(message) : this.#send(message))
      .then(
        () => 'delivered' as const,
        (error: unknown) => {
          this.#options.log.warn('sending a raft snapshot failed', { to: message.to, error: errorText(error) });
          return 'failed' as const;
        },
      )
      .then((outcome) => {
        this.#sending.delete(sending);
        if (this.#isStopped) return;
        if (outcome === 'delivered') {
          this.counts.sent += 1;
          this.#options.log.info('sent database snapshot', {
            to: message.to,
            'snapshot-index': message.snapshot.index,
          });
        }
        this.#options.core.reportSnapshot(message.to, outcome);
        this.#options.wake();
      });
    this.#sending.add(sending);
  }

  /** A witness keeps no state: it gets who the members are, as of the index that the message names. */
  async #sendMembership(message: SnapMessage): Promise<void> {
    const { stateMachine, transport } = this.#options;
    const { index } = message.snapshot;
    if (stateMachine.membershipSnapshot === undefined || stateMachine.appliedIndex() !== index) {
      throw new KeelsonError(
        'SNAPSHOT_PASSED',
        `send membership ${index}: more was applied meanwhile: it is sent anew`,
      );
    }
    await transport.sendSnapshot(message, stateMachine.membershipSnapshot());
  }

  async #send(message: SnapMessage): Promise<void> {
    const reader = await this.#options.wal.openSnapshot(message.snapshot);
    try {
      await this.#options.transport.sendSnapshot(message, reader.chunks(true));
    } finally {
      await reader.close();
    }
  }

  /** Stores what the leader streams, then lets the core decide. Rejects to make the leader try again. */
  async receive(message: SnapMessage, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { core, wal } = this.#options;
    if (this.#isReceiving) {
      throw new KeelsonError('SNAPSHOT_BUSY', `receive snapshot ${message.snapshot.index}: another one is on the way`);
    }
    this.#isReceiving = true;
    try {
      const isNews = () =>
        message.snapshot.index > core.status().committed && message.snapshot.index > wal.latestSnapshot().index;
      // One that is behind is not stored; the core answers it with where this member is.
      if (isNews()) await this.#staged.store(message, chunks);
      if (this.#isStopped) throw new KeelsonError('STOPPED', 'receive snapshot: the member stops');
      if (isNews()) this.counts.received += 1;
      this.#options.step(message);
    } finally {
      this.#isReceiving = false;
    }
  }

  /** Bytes of this snapshot's content that are here already. */
  stagedBytes(message: SnapMessage): number {
    return this.#isReceiving ? 0 : this.#staged.bytesOf(message);
  }

  /** A received snapshot took the state machine over: what it replaced can go. */
  async restored(): Promise<void> {
    const { wal, stateMachine, snapshotEntries, log } = this.#options;
    this.#dueAt = wal.latestSnapshot().index + snapshotEntries;
    log.info('applied snapshot', { 'snapshot-index': wal.latestSnapshot().index });
    await wal.release(Math.min(wal.latestSnapshot().index, stateMachine.durableIndex()) as Index);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#staged.stop();
    await Promise.all([this.#taking, ...this.#sending]);
  }
}
