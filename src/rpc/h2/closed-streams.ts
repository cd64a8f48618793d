/**
 * The streams of a connection that were closed last. Frames that cross with our own reset or early end are excused; those
 * for a stream that the other side itself has closed are its mistake, and have another code than frames for streams that it
 * has skipped.
 */
import { closedStreamsKept } from './limits.ts';

export class ClosedStreams {
  /** Twice the identifier, plus one when late frames are excused; a ring once it is full. */
  readonly #kept: number[] = [];
  #next = 0;

  add(streamId: number, isExcused: boolean): void {
    const entry = streamId * 2 + (isExcused ? 1 : 0);
    if (this.#kept.length < closedStreamsKept) this.#kept.push(entry);
    else {
      this.#kept[this.#next] = entry;
      this.#next = (this.#next + 1) % closedStreamsKept;
    }
  }

  /** The other side has closed it as well: what it sends from now on crosses with nothing. */
  blame(streamId: number): void {
    const at = this.#kept.indexOf(streamId * 2 + 1);
    if (at >= 0) this.#kept[at] = streamId * 2;
  }

  has(streamId: number): boolean {
    return this.#kept.includes(streamId * 2) || this.#kept.includes(streamId * 2 + 1);
  }

  isExcused(streamId: number): boolean {
    return this.#kept.includes(streamId * 2 + 1);
  }
}
