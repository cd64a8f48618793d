/** Things that are done one after the other, in the order in which they were asked for. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Rejects as `action` does. Whatever became of it, the next one begins. */
  take(action: () => Promise<void>): Promise<void> {
    const done = this.#last.then(action);
    const next = () => undefined;
    // Its failure is told to whoever waits for `done`, and is nobody else's.
    this.#last = done.then(next, next);
    return done;
  }

  /** Resolves when all that was asked for by now is over, well or not. */
  settled(): Promise<void> {
    return this.#last;
  }
}
