/**
 * When the loop of a member runs: once, in a microtask, for everything that the outside calls in one turn. Callers that ask
 * again as soon as they are answered are put off to a later turn now and then, so that ticks and sockets get theirs.
 */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';

/**
 * Rounds of the loop in microtasks before one waits for a timer. A single member answers reads without any input or
 * output: callers that read again and again would otherwise keep every timer of the process from running. At some 20 µs a
 * round it is a few milliseconds, far below a tick; the millisecond that the timer costs is spread over all of them.
 */
const roundsInOneTurnMax = 256;

export class Rounds {
  readonly #clock: Clock;
  readonly #run: () => void;
  #isDue = false;
  /** Since the last one that a timer or a message began. */
  #inThisTurn = 0;

  constructor(clock: Clock, carryOut: () => void) {
    this.#clock = clock;
    this.#run = () => {
      assert(this.#isDue, 'a round was asked for');
      this.#isDue = false;
      carryOut();
    };
  }

  /** There is something to carry out. */
  wake(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#inThisTurn += 1;
    assert(this.#inThisTurn <= roundsInOneTurnMax, 'the last round of a turn ends it');
    if (this.#inThisTurn < roundsInOneTurnMax) return queueMicrotask(this.#run);
    this.#inThisTurn = 0;
    // Not 0: in simulated time that would be no time at all.
    this.#clock.after(1, this.#run);
  }

  /** Something came over the network: timers have had their turn. */
  beginTurn(): void {
    this.#inThisTurn = 0;
  }
}
