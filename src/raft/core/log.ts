/**
 * The log as one replica holds it: entries after a base (the last compacted entry), and the pointers into it.
 *
 *     base <= applied <= handed <= committed <= lastIndex      handed <= durable <= submitted <= lastIndex
 *
 * `committed` may be ahead of `durable` (others hold the entry already); what is handed to the state machine is both.
 * After a snapshot was accepted, base and committed jump ahead of applied until the host reports the restore.
 *
 * The entries after the base live in memory. Their number is bounded by the host: it compacts with each snapshot, and trims
 * what the state machine's own disk holds in between, so that the base may be ahead of the newest snapshot.
 */
import { assert } from '../../env/assert.ts';
import { maxIndex, minIndex, noIndex, toIndex } from './numbers.ts';
import type { Entry, Index, SnapshotMeta, Term } from './types.ts';
import { Unstable } from './unstable.ts';

/** One Ready never hands out more than this, so that applying it cannot stall the loop for long. One entry always fits. */
const committedBytesPerReadyMax = 16 * 1024 * 1024;
/** What an entry costs beside its data (term, index, kind, framing), so that empty entries count as well. */
const entryOverheadBytes = 32;

export interface AppendRequest {
  readonly prevIndex: Index;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
}

export interface LogPoint {
  readonly index: Index;
  readonly term: Term;
}

export interface RestoredLog {
  readonly snapshot: SnapshotMeta;
  readonly entries: readonly Entry[];
  readonly committed: Index;
  readonly applied: Index;
}

/** Size of an entry as the limits count it. */
export function entryBytes(entry: { readonly data: Uint8Array }): number {
  return entry.data.byteLength + entryOverheadBytes;
}

export class RaftLog {
  readonly unstable: Unstable;
  /** Latest snapshot that may be sent to a follower, unless the base is ahead of it: then a newer one is wanted first. */
  snapshot: SnapshotMeta;
  /** Accepted from the leader, not yet in a Persist. */
  incoming: SnapshotMeta | undefined;
  /** Index of an accepted snapshot whose restore the host has not reported; 0 = none. */
  restoring: Index = noIndex;
  /** Never goes back. */
  committed: Index;
  /** Handed to the host to be applied. */
  handed: Index;
  /** Applied, as the host reported. */
  applied: Index;
  /** How often a tail was cut off. A leader never does it (leader append-only). */
  truncations = 0;
  #base: LogPoint;
  #entries: Entry[];

  constructor(restored: RestoredLog) {
    this.snapshot = restored.snapshot;
    this.#base = { index: restored.snapshot.index, term: restored.snapshot.term };
    this.#entries = [...restored.entries];
    this.committed = restored.committed;
    this.handed = restored.applied;
    this.applied = restored.applied;
    this.unstable = new Unstable(this.lastIndex);
    this.assertContiguous(this.#entries, this.#base);
    assert(this.applied >= this.#base.index, 'a state machine is at least as far as the snapshot the log begins after');
    assert(
      this.committed <= this.lastIndex,
      () => `the log ends at ${this.lastIndex}, but ${this.committed} was committed: committed entries were lost`,
    );
    assert(this.applied <= this.committed, 'what is applied was committed');
  }

  /** The last compacted entry. */
  get base(): LogPoint {
    return this.#base;
  }

  get firstIndex(): Index {
    return (this.#base.index + 1) as Index;
  }

  get lastIndex(): Index {
    return (this.#base.index + this.#entries.length) as Index;
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#base.term;
  }

  /** Term of the entry at `index`; undefined when it was compacted or is not there yet. */
  termAt(index: Index): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  /** True when the entry at `index` has `term`; by log matching everything before is then equal as well. */
  matches(index: Index, term: Term): boolean {
    return this.termAt(index) === term;
  }

  /** The voting rule (Raft 5.4.1): the later last term wins, then the longer log. */
  isUpToDate(lastIndex: Index, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Entries in [from, through], as many as fit in `bytesMax`, but at least one. */
  slice(from: Index, through: Index, bytesMax = Number.POSITIVE_INFINITY): Entry[] {
    assert(from > this.#base.index, () => `entry ${from} was compacted: the log begins at ${this.firstIndex}`);
    assert(through <= this.lastIndex, () => `entry ${through} is beyond the end ${this.lastIndex}`);
    const taken: Entry[] = [];
    let bytes = 0;
    for (let at = from - this.#base.index - 1; at < through - this.#base.index; at += 1) {
      const entry = this.#entries[at];
      assert(entry !== undefined, 'an entry inside the log is there');
      bytes += entryBytes(entry);
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(entry);
    }
    return taken;
  }

  /** Adds entries after the last one: what a leader does with its own. */
  append(entries: readonly Entry[]): void {
    this.assertContiguous(entries, { index: this.lastIndex, term: this.lastTerm });
    for (const entry of entries) this.#entries.push(entry);
  }

  /**
   * A follower's append (Raft 5.3). Undefined when the entry before does not match. Otherwise the last index that is now
   * known to be equal to the leader's; an existing entry is only cut away when it really conflicts, because the message
   * may be an old one and what follows may have been acknowledged since.
   */
  maybeAppend(request: AppendRequest): Index | undefined {
    this.assertContiguous(request.entries, { index: request.prevIndex, term: request.prevTerm });
    if (!this.matches(request.prevIndex, request.prevTerm)) return undefined;
    const lastNew = toIndex(request.prevIndex + request.entries.length);
    const firstNew = request.entries.findIndex((entry) => !this.matches(entry.index, entry.term));
    if (firstNew >= 0) {
      const fresh = request.entries.slice(firstNew);
      this.#cutFrom(toIndex(request.prevIndex + 1 + firstNew));
      this.append(fresh);
    }
    assert(this.lastIndex >= lastNew, 'after an append the entries are there');
    return lastNew;
  }

  /**
   * The highest index up to `index` whose term is not above `term`: where two logs may still agree. Both sides use it, so
   * that one round trip skips a whole term. Below the base the answer is only "before it".
   */
  agreementHint(index: Index, term: Term): LogPoint {
    let at = minIndex(index, this.lastIndex);
    while (at > 0) {
      const own = this.termAt(at);
      if (own === undefined) return { index: at, term: 0 as Term };
      if (own <= term) return { index: at, term: own };
      at = (at - 1) as Index;
    }
    return { index: noIndex, term: 0 as Term };
  }

  /** Moves `committed` forward; never back. */
  commitTo(index: Index): boolean {
    if (index <= this.committed) return false;
    assert(
      index <= this.lastIndex,
      () => `commit ${index} is beyond the last entry ${this.lastIndex}: was the log lost?`,
    );
    this.committed = index;
    return true;
  }

  /** True when nextCommitted() would return something. */
  hasNextCommitted(): boolean {
    return this.restoring === 0 && minIndex(this.committed, this.unstable.durable) > this.handed;
  }

  /** Committed entries to apply next: committed by a quorum *and* durable here. Moves `handed`. */
  takeNextCommitted(): Entry[] {
    if (!this.hasNextCommitted()) return [];
    const through = minIndex(this.committed, this.unstable.durable);
    const entries = this.slice((this.handed + 1) as Index, through, committedBytesPerReadyMax);
    this.handed = toIndex(this.handed + entries.length);
    assert(this.handed <= through, 'nothing uncommitted is handed out');
    return entries;
  }

  /** The host applied everything up to `index`. */
  applyTo(index: Index): void {
    assert(index >= this.applied, () => `applied went back from ${this.applied} to ${index}`);
    assert(index <= this.handed, () => `${index} was applied, but only ${this.handed} was handed out`);
    this.applied = index;
    if (this.restoring !== 0 && index >= this.restoring) this.restoring = noIndex;
  }

  /** Replaces the whole log by an accepted snapshot. */
  restore(snapshot: SnapshotMeta): void {
    assert(snapshot.index > this.committed, 'a snapshot at or behind the commit index is ignored, not restored');
    this.unstable.replaceBySnapshot(this.committed, snapshot.index);
    this.#base = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
    this.truncations += 1;
    this.committed = snapshot.index;
    this.snapshot = snapshot;
    this.incoming = snapshot;
    this.restoring = snapshot.index;
  }

  /** The accepted snapshot goes out to be persisted. */
  takeIncoming(): SnapshotMeta | undefined {
    const taken = this.incoming;
    if (taken === undefined) return undefined;
    assert(taken.index === this.restoring, 'the snapshot that goes out is the one being restored');
    this.handed = maxIndex(this.handed, taken.index);
    this.incoming = undefined;
    return taken;
  }

  /** Forgets entries up to `upTo`; `snapshot` covers them. */
  compact(snapshot: SnapshotMeta, upTo: Index): void {
    assert(snapshot.index <= this.applied, () => `a snapshot at ${snapshot.index} is ahead of applied ${this.applied}`);
    assert(upTo <= snapshot.index, () => `entries up to ${upTo} are not all in the snapshot at ${snapshot.index}`);
    if (snapshot.index > this.snapshot.index) this.snapshot = snapshot;
    this.trim(upTo);
  }

  /** Up to where entries would have to go for those after it to take no more than `bytes`; no further than what is applied. */
  indexBefore(bytes: number): Index {
    let kept = 0;
    for (let at = this.#entries.length - 1; at >= 0; at -= 1) {
      kept += entryBytes(this.#entries[at] as Entry);
      if (kept > bytes) return minIndex(toIndex(this.#base.index + at + 1), this.applied);
    }
    return this.#base.index;
  }

  /** Forgets entries up to `upTo`, which the state machine keeps by itself. */
  trim(upTo: Index): void {
    assert(upTo <= this.applied, () => `entries up to ${upTo} are not all applied: ${this.applied}`);
    if (upTo <= this.#base.index) return;
    const term = this.termAt(upTo);
    assert(term !== undefined, 'an applied entry after the base has a term');
    this.#entries = this.#entries.slice(upTo - this.#base.index);
    this.#base = { index: upTo, term };
  }

  #cutFrom(from: Index): void {
    assert(from > this.committed, () => `cutting the log at ${from} would lose committed entries (${this.committed})`);
    if (from > this.lastIndex) return;
    this.#entries.length = from - this.#base.index - 1;
    this.unstable.cut(from);
    this.truncations += 1;
  }

  assertContiguous(entries: readonly Entry[], before: LogPoint): void {
    let { index, term } = before;
    for (const entry of entries) {
      assert(entry.index === index + 1, () => `entry ${entry.index} follows ${index}: entries must be contiguous`);
      assert(
        entry.term >= term,
        () => `entry ${entry.index} has term ${entry.term} after ${term}: terms never go back`,
      );
      ({ index, term } = entry);
    }
  }
}
