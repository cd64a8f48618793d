/**
 * Whether a member still answers, asked for as long as somebody waits for it.
 *
 * A member whose network is cut closes nothing: its connection looks well, streams stay open and calls hang until their
 * time is up. HTTP/2 pings would notice, but etcd ends connections that ping more often than every 5 s; so a tiny call
 * is made whenever nothing has been heard for a while. A member that does not answer it in time is given up, at the
 * latest `askAfterMs` + `answerWithinMs` after it fell silent.
 *
 * A stall of this process is no silence of the member: a timer that comes late only begins a new wait, and answers that
 * lie in the socket are read before the member is judged.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';

export const askAfterMs = 1_500;
/** Two election time-outs: a member that is merely busy answers within that. */
export const answerWithinMs = 2_000;
/** A timer later than this says that the process was held up. */
const stallMs = 250;

export interface PulseOptions {
  readonly clock: Clock;
  /** Asks the member for a sign of life; any answer counts. The returned function gives the question up. */
  readonly ask: (onAnswer: () => void) => Cancel;
  /** Called once; the pulse is over then. */
  readonly onSilent: () => void;
}

export class Pulse {
  readonly #options: PulseOptions;
  readonly #guests = new Set<() => void>();
  /** When something came last, or somebody began to wait. */
  #heardMs = 0;
  #isOver = false;
  #cancelTimer: Cancel | undefined;
  #cancelQuestion: Cancel | undefined;

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** Somebody waits for the member: `onSilent` is called when it is given up. Returns how to leave. */
  join(onSilent: () => void): Cancel {
    assert(!this.#isOver, 'a member that was given up is not waited for');
    // A function of its own, so that the same callback may join twice.
    const guest = () => onSilent();
    this.#guests.add(guest);
    if (!this.#cancelTimer) {
      this.heard();
      this.#rest();
    }
    return () => {
      this.#guests.delete(guest);
      if (this.#guests.size === 0) this.#stop();
    };
  }

  /** Something came from the member. */
  heard(): void {
    this.#heardMs = this.#options.clock.monotonicMs();
  }

  close(): void {
    this.#isOver = true;
    this.#guests.clear();
    this.#stop();
  }

  #rest(): void {
    const { clock, ask } = this.#options;
    this.#cancelTimer = clock.after(Math.max(1, this.#heardMs + askAfterMs - clock.monotonicMs()), () => {
      if (clock.monotonicMs() < this.#heardMs + askAfterMs) return this.#rest();
      let isAnswered = false;
      this.#cancelQuestion = ask(() => {
        isAnswered = true;
        this.heard();
      });
      const askedMs = clock.monotonicMs();
      this.#await(() => isAnswered || this.#heardMs > askedMs);
    });
  }

  #await(isHeard: () => boolean): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + answerWithinMs;
    this.#cancelTimer = clock.after(answerWithinMs, () => {
      if (!isHeard() && clock.monotonicMs() > dueMs + stallMs) return this.#await(isHeard);
      // Timers run before sockets are read: one more turn for what has arrived.
      this.#cancelTimer = clock.after(0, () => this.#judge(isHeard()));
    });
  }

  #judge(isHeard: boolean): void {
    this.#cancelQuestion?.();
    this.#cancelQuestion = undefined;
    if (isHeard) return this.#rest();
    const guests = [...this.#guests];
    assert(guests.length > 0, 'nobody is asked for nobody');
    this.close();
    this.#options.onSilent();
    for (const guest of guests) guest();
  }

  #stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#cancelQuestion?.();
    this.#cancelQuestion = undefined;
  }
}
