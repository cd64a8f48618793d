/**
 * Brings committed entries and accepted snapshots to the state machine, strictly in order and one at a time.
 *
 * A long backlog is applied in batches with a pause between them, so that ticks and messages get their turn; without it
 * a restarted member that re-applies a million entries would miss its heartbeats and disturb the cluster.
 */
import { assert, present } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { decodeConfChange } from '../core/conf-change-codec.ts';
import type { ConfState, Entry, Index, RaftCore, SnapshotMeta, Term } from '../core/types.ts';
import type { Wal } from '../wal/wal.ts';
import type { StateMachine } from './contract.ts';

/** At about 5 µs an entry a batch takes some milliseconds, and what a thousand clients wrote at once needs no pause. */
const batchEntriesMax = 1024;
const batchBytesMax = 4 * 1024 * 1024;

type Work =
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'snapshot'; readonly meta: SnapshotMeta; readonly durable: Promise<unknown> };

export interface ApplierOptions {
  readonly core: RaftCore;
  readonly wal: Wal;
  readonly stateMachine: StateMachine;
  readonly clock: Clock;
  /** Where the state machine stands, with the term of its last entry. */
  readonly start: { readonly index: Index; readonly term: Term };
  /** Called after every batch and every restore, with applied and core in step. */
  readonly onApplied: () => void;
  readonly onFatal: (error: unknown) => void;
}

export class Applier {
  readonly #options: ApplierOptions;
  /** Bounded by the core's log, which holds the same entries in memory. */
  #queue: Work[] = [];
  #running: Promise<void> | undefined;
  #isStopped = false;
  #applied: { readonly index: Index; readonly term: Term };
  #entriesApplied = 0;

  constructor(options: ApplierOptions) {
    assert(options.stateMachine.appliedIndex() === options.start.index, 'the state machine is where the log says');
    this.#options = options;
    this.#applied = options.start;
  }

  /** Last applied entry. */
  get applied(): { readonly index: Index; readonly term: Term } {
    return this.#applied;
  }

  /** Normal entries with data that were applied since the start. */
  get entriesApplied(): number {
    return this.#entriesApplied;
  }

  entries(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#queue.push({ kind: 'entries', entries });
    this.#wake();
  }

  /** The snapshot's file is there; `durable` resolves once the log has switched to it. */
  snapshot(meta: SnapshotMeta, durable: Promise<unknown>): void {
    this.#queue.push({ kind: 'snapshot', meta, durable });
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#queue = [];
    await this.#running;
  }

  #wake(): void {
    if (this.#running || this.#isStopped) return;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        const work = this.#queue.shift();
        if (!work) break;
        if (work.kind === 'snapshot') await this.#restore(work.meta, work.durable);
        else await this.#applyAll(work.entries);
      }
    } catch (error) {
      this.#isStopped = true;
      this.#options.onFatal(error);
    } finally {
      // In the same turn as the last look at the queue, so that nothing can be left lying.
      this.#running = undefined;
    }
  }

  async #applyAll(entries: readonly Entry[]): Promise<void> {
    let position = 0;
    while (position < entries.length && !this.#isStopped) {
      const batch = takeBatch(entries, position);
      const first = present(batch[0], 'an entry of the batch');
      position += batch.length;
      if (first.kind === 'confChange') await this.#applyConfChange(first);
      else this.#applyNormal(batch);
      if (position < entries.length || this.#queue.length > 0) await this.#pause();
    }
  }

  #applyNormal(batch: readonly Entry[]): void {
    const { stateMachine, core } = this.#options;
    const first = present(batch[0], 'a first entry');
    const last = present(batch[batch.length - 1], 'a last entry');
    assert(first.index === this.#applied.index + 1, () => `entry ${first.index} applied after ${this.#applied.index}`);
    stateMachine.apply(batch);
    assert(stateMachine.appliedIndex() === last.index, () => `the state machine says it applied up to ${last.index}`);
    this.#applied = { index: last.index, term: last.term };
    for (const entry of batch) if (entry.data.length > 0) this.#entriesApplied += 1;
    core.applied(last.index);
    this.#options.onApplied();
  }

  async #applyConfChange(entry: Entry): Promise<void> {
    const { stateMachine, core, wal } = this.#options;
    assert(entry.index === this.#applied.index + 1, () => `entry ${entry.index} applied after ${this.#applied.index}`);
    const change = decodeConfChange(entry.data);
    const isTaken = stateMachine.applyConfChange(entry, change);
    assert(stateMachine.appliedIndex() === entry.index, () => `the state machine says it applied ${entry.index}`);
    const confState: ConfState = core.applyConfChange(isTaken ? change : undefined);
    if (isTaken) stateMachine.membershipChanged(confState);
    this.#applied = { index: entry.index, term: entry.term };
    const marked = wal.appendConfMark({ index: entry.index, confState });
    core.applied(entry.index);
    this.#options.onApplied();
    // A veto is decided on a state that is gone after a restart; so its outcome is on disk before the state moves on.
    await marked;
  }

  async #restore(meta: SnapshotMeta, durable: Promise<unknown>): Promise<void> {
    const { stateMachine, core, wal } = this.#options;
    await durable;
    assert(meta.index > this.#applied.index, () => `snapshot ${meta.index} is ahead of ${this.#applied.index}`);
    await restoreSnapshot(wal, stateMachine, meta);
    if (this.#isStopped) return;
    this.#applied = { index: meta.index, term: meta.term };
    stateMachine.membershipChanged(meta.confState);
    core.applied(meta.index);
    this.#options.onApplied();
  }

  /** Lets timers and sockets have their turn, which a resolved promise would not. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(0, resolve);
    });
  }
}

/** Replaces the state machine's content by the stored snapshot. */
export async function restoreSnapshot(wal: Wal, stateMachine: StateMachine, meta: SnapshotMeta): Promise<void> {
  const reader = await wal.openSnapshot(meta);
  try {
    await stateMachine.restore(reader.meta, reader.chunks());
  } finally {
    await reader.close();
  }
  const applied = stateMachine.appliedIndex();
  assert(applied === meta.index, () => `after a restore the state machine is at ${applied}, not at ${meta.index}`);
}

/** A run of normal entries within the limits, or a single membership entry. */
function takeBatch(entries: readonly Entry[], from: number): readonly Entry[] {
  const first = present(entries[from], 'an entry to apply');
  if (first.kind === 'confChange') return [first];
  let to = from;
  let bytes = 0;
  while (to < entries.length && to - from < batchEntriesMax && (to === from || bytes < batchBytesMax)) {
    const entry = present(entries[to], 'an entry to apply');
    if (entry.kind === 'confChange') break;
    bytes += entry.data.length;
    to += 1;
  }
  assert(to > from, 'a batch has an entry');
  return entries.slice(from, to);
}
