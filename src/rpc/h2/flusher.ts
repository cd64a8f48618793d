/** One write for all that a turn of the event loop has made, for each socket; all of them share one output. */
import { OutputBuffer } from './output-buffer.ts';

export interface Flushable {
  /** Writes what is due. */
  flush(output: OutputBuffer): void;
}

/** Writes to all sockets that have something to say, once the turn of the event loop is over. */
export class Flusher {
  readonly output = new OutputBuffer();
  #waiting: Flushable[] = [];

  add(host: Flushable): void {
    this.#waiting.push(host);
    // Behind all promises that are settled in this turn: their answers go into the same write.
    if (this.#waiting.length === 1) queueMicrotask(() => process.nextTick(() => this.#flush()));
  }

  #flush(): void {
    const hosts = this.#waiting;
    this.#waiting = [];
    for (const host of hosts) host.flush(this.output);
  }
}
