/**
 * Where frames are written before they go to a socket: one large block that is used up piece by piece, so that answers of
 * many streams leave in one write and nothing is allocated for each. One for a whole server: a run between `begin` and
 * `take` belongs to one connection.
 */
import { assert } from '../../env/assert.ts';

/** Some thousand small answers; a slow connection may pin a block until the system has taken its part. */
const blockBytes = 128 * 1024;

export class OutputBuffer {
  /** Write at `at` and move it on, never beyond `room`. */
  block: Buffer = Buffer.allocUnsafeSlow(blockBytes);
  at = 0;
  #start = 0;
  #parts: Buffer[] = [];

  get room(): number {
    return this.block.length - this.at;
  }

  /** What the run holds so far. */
  get runBytes(): number {
    let bytes = this.at - this.#start;
    for (const part of this.#parts) bytes += part.length;
    return bytes;
  }

  /** A new run with room for `bytes` at least. */
  begin(bytes: number): void {
    assert(bytes <= blockBytes, 'a run begins within one block');
    assert(this.#parts.length === 0 && this.#start === this.at, 'the run before was taken');
    if (this.room >= bytes) return;
    this.block = Buffer.allocUnsafeSlow(blockBytes);
    this.at = 0;
    this.#start = 0;
  }

  /** Copies what fits, and hands on what does not as it is: it must not change any more. */
  append(bytes: Buffer): void {
    if (bytes.length <= this.room) {
      this.at += bytes.copy(this.block, this.at);
      return;
    }
    this.#cut();
    this.#parts.push(bytes);
  }

  /** The run, in order. */
  take(): readonly Buffer[] {
    this.#cut();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #cut(): void {
    if (this.at > this.#start) this.#parts.push(this.block.subarray(this.#start, this.at));
    this.#start = this.at;
  }
}
