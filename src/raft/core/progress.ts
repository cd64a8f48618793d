/**
 * What a leader knows about one follower, and every way that knowledge changes.
 *
 *                 accepted                     entry compacted, or the follower asks
 *       probe ───────────────▶ replicate ─────────────────────▶ snapshot
 *         ▲      rejected, unreachable │                             │
 *         └────────────────────────────┘◀────────────────────────────┘  delivered, failed, or caught up otherwise
 *
 *   probe      does not know where the logs agree: one message at a time, the next after an answer or a heartbeat's
 *   replicate  knows: sends on without waiting (pipelining), as far as the window of inflights allows
 *   snapshot   sends no entries until the host reports the stream's end
 */
import { assert } from '../../env/assert.ts';
import { Inflights } from './inflights.ts';
import { maxIndex, minIndex, noIndex, toIndex } from './numbers.ts';
import type { Index, PeerProgress } from './types.ts';

export interface ProgressOptions {
  readonly next: Index;
  readonly inflightMessagesMax: number;
}

export class Progress {
  /** The follower holds, durably, everything up to here as the leader has it. Invariant: 0 <= match < next. */
  match: Index = noIndex;
  /** The next entry to send. */
  next: Index;
  state: PeerProgress['state'] = 'probe';
  /** Sending waits for an answer: always after a probe, and when the window is full. A heartbeat's answer lifts it. */
  paused = false;
  /** Index of the snapshot under way; 0 outside state snapshot. */
  pendingSnapshot: Index = noIndex;
  /** The follower refused even the empty prefix: it does not know the membership and needs a snapshot. */
  needsSnapshot = false;
  /** It was heard of since the last check of the quorum. */
  recentActive = false;
  /** It was heard of between the two checks before. */
  #wasActive = false;
  /** How often forget() was called. */
  forgotten = 0;
  readonly inflights: Inflights;

  constructor(options: ProgressOptions) {
    assert(options.next > 0, 'the next entry is at least the first one');
    this.next = options.next;
    this.inflights = new Inflights(options.inflightMessagesMax);
  }

  /** Back to looking for the point where the logs agree. */
  becomeProbe(): void {
    // After a snapshot the follower is taken to be at it; if the stream failed, abortSnapshot() was called before.
    const next = this.state === 'snapshot' ? maxIndex(this.match, this.pendingSnapshot) : this.match;
    this.#enter('probe');
    this.next = toIndex(next + 1);
  }

  becomeReplicate(): void {
    assert(this.state === 'probe', 'replicating follows a successful probe');
    this.#enter('replicate');
    this.next = toIndex(this.match + 1);
  }

  becomeSnapshot(snapshotIndex: Index): void {
    assert(snapshotIndex > 0, 'a snapshot has an index');
    this.#enter('snapshot');
    this.pendingSnapshot = snapshotIndex;
    this.next = maxIndex(toIndex(this.match + 1), toIndex(snapshotIndex + 1));
    this.needsSnapshot = false;
  }

  /** The stream failed: nothing was gained. */
  abortSnapshot(): void {
    assert(this.state === 'snapshot', 'only a snapshot under way can fail');
    this.pendingSnapshot = noIndex;
  }

  /** The follower acknowledged `index`. False when that is old news. */
  maybeUpdate(index: Index): boolean {
    const isNews = index > this.match;
    if (isNews) this.match = index;
    this.next = maxIndex(this.next, toIndex(index + 1));
    if (isNews) this.paused = false;
    assert(this.match < this.next, 'match is before next');
    return isNews;
  }

  /** The follower refused the append after `rejected`; the logs may agree at `hint`. False when that is old news. */
  maybeDecrease(rejected: Index, hint: Index): boolean {
    if (this.state === 'snapshot') return false;
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = toIndex(this.match + 1);
      return true;
    }
    if (rejected !== this.next - 1) return false;
    this.next = maxIndex(minIndex(rejected, toIndex(hint + 1)), toIndex(this.match + 1));
    this.paused = false;
    assert(this.match < this.next, 'match is before next');
    return true;
  }

  /**
   * The follower lost entries that it had acknowledged; its log may agree with the leader's up to `hint`. The one way for
   * `match` to go back: an ordinary refusal cannot do it, as it may be older than what was acknowledged since.
   */
  forget(hint: Index): void {
    assert(this.state !== 'snapshot', 'what a follower lost does not matter while it gets a snapshot');
    this.#enter('probe');
    this.match = noIndex;
    this.next = toIndex(hint + 1);
    this.forgotten += 1;
  }

  /** An append message with `entryCount` entries from `next` on was sent. */
  sent(entryCount: number): void {
    assert(this.state !== 'snapshot', 'no entries are sent while a snapshot is under way');
    if (this.state === 'probe') {
      this.paused = true;
      return;
    }
    if (entryCount > 0) {
      this.next = toIndex(this.next + entryCount);
      this.inflights.add(toIndex(this.next - 1));
    }
    this.paused = this.inflights.isFull();
  }

  isPaused(): boolean {
    return this.state === 'snapshot' || this.paused;
  }

  /** The leader counts anew who is there. */
  forgetActivity(): void {
    this.#wasActive = this.recentActive;
    this.recentActive = false;
  }

  /** For status and for people. Just after a check nobody has been heard of yet, so the time before it counts as well. */
  describe(isLearner: boolean): PeerProgress {
    const { match, next, state } = this;
    const recentActive = this.recentActive || this.#wasActive;
    return { match, next, state, isLearner, recentActive };
  }

  checkState(lastIndex: Index): void {
    assert(this.match < this.next, () => `match ${this.match} must be before next ${this.next}`);
    assert(this.next <= lastIndex + 1, () => `next ${this.next} is beyond the log's end ${lastIndex}`);
    assert((this.state === 'snapshot') === this.pendingSnapshot > 0, 'a snapshot is pending in state snapshot only');
    assert(this.state === 'replicate' || this.inflights.count === 0, 'only a replicating follower has a window');
    assert(this.inflights.count <= this.inflights.messagesMax, 'the window has its limit');
  }

  #enter(state: PeerProgress['state']): void {
    this.state = state;
    this.paused = false;
    this.pendingSnapshot = noIndex;
    this.inflights.clear();
  }
}
