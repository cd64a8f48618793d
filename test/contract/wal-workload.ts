/**
 * A workload over the log and the model it is judged by. The model keeps the state after every hand-over; whatever a
 * crash leaves must be one of these states, at or after the last one that was acknowledged.
 */
import assert from 'node:assert/strict';
import type { SeededRandom } from '../../chaos/sim/random.ts';
import type { ConfState, Entry, HardState, Index, Persist, PersistToken } from '../../src/raft/core/types.ts';
import type { ReplicaId, SnapshotMeta, Term } from '../../src/raft/core/types.ts';
import type { OpenedWal, Wal } from '../../src/raft/wal/wal.ts';

export const confState: ConfState = {
  voters: [1, 2, 3].map((id) => id as ReplicaId),
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export interface ModelState {
  readonly hardState: HardState;
  /** Index of the received snapshot that the log begins after, 0 when none. */
  readonly base: number;
  readonly entries: readonly Entry[];
}

/** What every snapshot at `index` contains. */
export function snapshotContent(index: number): Uint8Array[] {
  return [0, 1, 2].map((part) => new Uint8Array(100 + index * 7 + part).fill(index + part));
}

export class WalModel {
  readonly #wal: Wal;
  readonly #random: SeededRandom;
  readonly states: ModelState[] = [];
  /** Position in `states` of the newest acknowledged one. */
  acknowledged = 0;
  /** Newest snapshot that is acknowledged to be durable and to count. */
  acknowledgedSnapshot = 0;
  /** Every snapshot that was begun. */
  readonly snapshots = new Map<number, SnapshotMeta>();
  #token = 0;
  readonly #inFlight: Promise<void>[] = [];

  constructor(opened: OpenedWal, random: SeededRandom) {
    this.#wal = opened.wal;
    this.#random = random;
    const { hardState, snapshot, entries } = opened.restored;
    this.acknowledgedSnapshot = snapshot.index;
    this.snapshots.set(snapshot.index, snapshot);
    this.states.push({ hardState, base: snapshot.index, entries });
  }

  get #state(): ModelState {
    return this.states[this.states.length - 1] as ModelState;
  }

  get #lastIndex(): number {
    return this.#state.base + this.#state.entries.length;
  }

  /** One drawn step; what it starts may still be under way when it resolves. */
  async step(): Promise<void> {
    const draw = this.#random.next();
    if (draw < 0.45) return this.#appendEntries();
    if (draw < 0.6) return this.#newTerm();
    if (draw < 0.72) return this.#advanceCommit();
    if (draw < 0.8) return this.#confMark();
    if (draw < 0.9) return this.#localSnapshot();
    if (draw < 0.94) return this.#receivedSnapshot();
    return this.drain();
  }

  async drain(): Promise<void> {
    await Promise.all(this.#inFlight.splice(0));
  }

  #append(next: ModelState, persist: Omit<Persist, 'token'>): void {
    this.states.push(next);
    const position = this.states.length - 1;
    const token = ++this.#token as PersistToken;
    const done = this.#wal.append({ ...persist, token }).then((durable) => {
      assert.equal(durable.token, token);
      assert.ok(position >= this.acknowledged, 'acknowledgements come in order');
      this.acknowledged = position;
      if (persist.snapshot) this.acknowledgedSnapshot = persist.snapshot.index;
    });
    this.#inFlight.push(done);
  }

  async #appendEntries(): Promise<void> {
    const { hardState, base, entries } = this.#state;
    // Now and then a new leader replaces what was never committed.
    const isConflict = this.#random.next() < 0.2;
    const first = isConflict ? Math.max(hardState.commit, base, 0) + 1 : this.#lastIndex + 1;
    const term = (isConflict ? hardState.term + 1 : Math.max(hardState.term, 1)) as Term;
    const added = Array.from(
      { length: this.#random.integer(1, 4) },
      (_, position): Entry => ({
        term,
        index: (first + position) as Index,
        kind: this.#random.next() < 0.1 ? 'confChange' : 'normal',
        data: this.#random.bytes(this.#random.integer(0, 900)),
      }),
    );
    const nextHardState: HardState =
      term === hardState.term ? hardState : { term, vote: 0 as ReplicaId, commit: hardState.commit };
    this.#append(
      { hardState: nextHardState, base, entries: [...entries.slice(0, first - base - 1), ...added] },
      { entries: added, mustSync: true, ...(nextHardState === hardState ? {} : { hardState: nextHardState }) },
    );
  }

  async #newTerm(): Promise<void> {
    const { hardState } = this.#state;
    const next = { ...hardState, term: (hardState.term + 1) as Term, vote: this.#random.integer(1, 3) as ReplicaId };
    this.#append({ ...this.#state, hardState: next }, { hardState: next, entries: [], mustSync: true });
  }

  async #advanceCommit(): Promise<void> {
    const { hardState } = this.#state;
    if (this.#lastIndex === hardState.commit) return;
    const commit = this.#random.integer(hardState.commit, this.#lastIndex) as Index;
    const next = { ...hardState, commit };
    this.#append({ ...this.#state, hardState: next }, { hardState: next, entries: [], mustSync: false });
  }

  async #confMark(): Promise<void> {
    if (this.#lastIndex === 0) return;
    await this.#wal.appendConfMark({ index: this.#lastIndex as Index, confState });
  }

  async #localSnapshot(): Promise<void> {
    // The host snapshots what is applied, which is committed and durable here.
    await this.drain();
    const { hardState, base, entries } = this.#state;
    const index = hardState.commit;
    if (index <= Math.max(base, this.acknowledgedSnapshot)) return;
    const entry = entries[index - base - 1] as Entry;
    await this.#writeSnapshot({ index, term: entry.term, confState }, 'local');
    this.acknowledgedSnapshot = index;
    await this.#wal.release(index);
  }

  async #receivedSnapshot(): Promise<void> {
    await this.drain();
    const { hardState } = this.#state;
    const index = (this.#lastIndex + this.#random.integer(1, 5)) as Index;
    const meta = { index, term: Math.max(1, hardState.term) as Term, confState };
    await this.#writeSnapshot(meta, 'received');
    const next = { ...hardState, term: meta.term, commit: index };
    this.#append(
      { hardState: next, base: index, entries: [] },
      { hardState: next, entries: [], snapshot: meta, mustSync: true },
    );
    await this.drain();
    await this.#wal.release(index);
  }

  async #writeSnapshot(meta: SnapshotMeta, origin: 'local' | 'received'): Promise<void> {
    this.snapshots.set(meta.index, meta);
    const writer = await this.#wal.createSnapshot(meta, origin);
    for (const chunk of snapshotContent(meta.index)) await writer.write(chunk);
    await writer.finish();
  }

  /** Judges what was found after a crash (or a clean close) of this model's log. */
  async check(opened: OpenedWal): Promise<void> {
    const { hardState, snapshot, entries } = opened.restored;
    assert.deepEqual(opened.setAside, [], 'no snapshot that counts is damaged by a crash');
    assert.deepEqual(opened.damage, [], 'what a crash leaves is not taken for damage');
    assert.equal(opened.lost, undefined, 'a crash loses nothing that was acknowledged');
    assert.ok(snapshot.index >= this.acknowledgedSnapshot, 'the acknowledged snapshot is there');
    assert.ok(this.snapshots.has(snapshot.index), `snapshot ${snapshot.index} was never begun`);
    const lastIndex = snapshot.index + entries.length;
    const fits = this.states.findIndex((state, position) => {
      if (position < this.acknowledged) return false;
      if (state.hardState.term !== hardState.term || state.hardState.vote !== hardState.vote) return false;
      if (state.base > snapshot.index || state.base + state.entries.length !== lastIndex) return false;
      return entries.every((entry, at) => sameEntry(entry, state.entries[snapshot.index + at - state.base]));
    });
    assert.ok(
      fits >= 0,
      `found term ${hardState.term} vote ${hardState.vote} entries ${snapshot.index + 1}..${lastIndex}, which is no ` +
        `state from ${this.acknowledged} to ${this.states.length - 1}`,
    );
    assert.ok(hardState.commit <= (this.states[fits] as ModelState).hardState.commit, 'commit is never ahead');
    assert.ok(hardState.commit <= lastIndex, 'commit lies in the log');
    if (snapshot.index === 0 || snapshot.index === this.states[0]?.base) return;
    const reader = await opened.wal.openSnapshot(snapshot);
    const chunks: Uint8Array[] = [];
    for await (const chunk of reader.chunks()) chunks.push(new Uint8Array(chunk));
    await reader.close();
    assert.deepEqual(chunks, snapshotContent(snapshot.index));
  }
}

function sameEntry(a: Entry, b: Entry | undefined): boolean {
  return (
    b !== undefined &&
    a.index === b.index &&
    a.term === b.term &&
    a.kind === b.kind &&
    Buffer.compare(a.data, b.data) === 0
  );
}
