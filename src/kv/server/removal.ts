/**
 * How a member learns that it is out, and what it does then.
 *
 * It learns it from the entry that removes it. One that was removed while it could not listen is not told any more, as nobody
 * sends it anything: without a leader for long it asks the others whether it still belongs to them, or whether its cluster
 * was given up for lost and goes on as another one.
 *
 * Who was removed goes on voting and acknowledging for a while. The others may not know yet that the removal is committed, and
 * of two members the one that stays could never learn it alone: it still needs both.
 *
 * `onGone` is called at most once for each way to learn it, and never after `stop`.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Member } from '../api.ts';
import type { JoinInfo } from './beginning.ts';
import type { GoneBecause } from './member-options.ts';

/** Two elections are time for one. */
const lingerElections = 2;
/** Elections that would long have been won if the others still counted this member. */
const removalCheckElections = 5;

export interface RemovalOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly electionMs: number;
  /** Asks members by their peer URLs, until one answers. */
  readonly join: (peerUrls: readonly string[]) => Promise<JoinInfo>;
  readonly onGone: (because: GoneBecause) => void;
}

/** Who asks, and whom. */
export interface RemovalSubject {
  readonly clusterId: number;
  readonly memberId: number;
  readonly hasLeader: () => boolean;
  readonly members: () => readonly Member[];
}

export class Removal {
  readonly #options: RemovalOptions;
  #cancelLinger: Cancel | undefined;
  #cancelWatch: Cancel | undefined;
  #isStopped = false;
  #isAsking = false;
  #asked = 0;

  constructor(options: RemovalOptions) {
    assert(options.electionMs > 0, 'an election takes time');
    this.#options = options;
  }

  /** The entry that removes this member was applied. */
  removed(): void {
    if (this.#isStopped) return;
    const { clock, electionMs } = this.#options;
    this.#cancelLinger ??= clock.after(lingerElections * electionMs, () => this.#gone('removed'));
  }

  watch(subject: RemovalSubject): void {
    assert(this.#cancelWatch === undefined && !this.#isStopped, 'a member that runs is watched once');
    const { clock, electionMs } = this.#options;
    this.#cancelWatch = clock.every(removalCheckElections * electionMs, () => void this.#ask(subject));
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLinger?.();
    this.#cancelWatch?.();
  }

  async #ask(subject: RemovalSubject): Promise<void> {
    const { log, join } = this.#options;
    const others = subject.members().filter((member) => member.id !== subject.memberId);
    if (this.#isAsking || others.length === 0 || subject.hasLeader()) return;
    this.#isAsking = true;
    // Whoever answers first is heard; it is somebody else's turn each time, as not all may know the same.
    const from = this.#asked++ % others.length;
    const inTurn = [...others.slice(from), ...others.slice(0, from)];
    try {
      const because = goneBecause(subject, await join(inTurn.flatMap((member) => member.peerUrls)));
      if (because !== undefined) this.#gone(because);
    } catch (error) {
      // The others have no quorum either, or cannot be reached: then nothing is known.
      log.debug('nobody could say who belongs to the cluster', { error: errorText(error) });
    } finally {
      this.#isAsking = false;
    }
  }

  #gone(because: GoneBecause): void {
    if (!this.#isStopped) this.#options.onGone(because);
  }
}

/** Undefined while nothing says that this member is gone. */
function goneBecause(
  { clusterId, memberId }: RemovalSubject,
  { clusterId: theirs, members, isUnconfirmed, succeeds }: JoinInfo,
): GoneBecause | undefined {
  // One that lags may not know this member yet.
  if (isUnconfirmed) return undefined;
  if (theirs !== clusterId) return succeeds?.includes(clusterId) ? 'succeeded' : undefined;
  return members.some((member) => member.id === memberId) ? undefined : 'removed';
}
