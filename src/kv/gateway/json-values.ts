/** Cuts a stream of JSON objects, one after another with or without space between them, into the text of each. */
import { JsonMismatch } from './json-messages.ts';

const quote = 0x22;
const backslash = 0x5c;
const opening = new Set([0x7b, 0x5b]);
const closing = new Set([0x7d, 0x5d]);
const space = new Set([0x20, 0x09, 0x0a, 0x0d]);

export class JsonValues {
  readonly #bytesMax: number;
  #pending: Buffer = Buffer.alloc(0);
  /** How far `#pending` has been looked at. */
  #at = 0;
  #depth = 0;
  #isText = false;
  #isEscaped = false;

  /** A single object may have `bytesMax` bytes. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The objects that are complete now. Throws JsonMismatch for anything that is no object, or too large. */
  push(chunk: Buffer): readonly string[] {
    const found: string[] = [];
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#at < this.#pending.length) {
      const byte = this.#pending[this.#at] as number;
      if (this.#depth === 0 && !this.#begin(byte)) continue;
      this.#at += 1;
      if (!this.#isEnd(byte)) continue;
      found.push(this.#pending.toString('utf8', 0, this.#at));
      this.#forget();
    }
    if (this.#pending.length > this.#bytesMax) throw new JsonMismatch('the request is too large');
    return found;
  }

  /** Whether an object has begun and not ended. */
  isHalfway(): boolean {
    return this.#depth > 0;
  }

  /** True when an object begins here; space is skipped. */
  #begin(byte: number): boolean {
    if (space.has(byte)) {
      this.#at += 1;
      this.#forget();
      return false;
    }
    if (byte === 0x7b) return true;
    throw new JsonMismatch(
      `invalid character ${JSON.stringify(String.fromCharCode(byte))} looking for beginning of value`,
    );
  }

  #isEnd(byte: number): boolean {
    if (this.#isText) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === backslash) this.#isEscaped = true;
      else if (byte === quote) this.#isText = false;
      return false;
    }
    if (byte === quote) this.#isText = true;
    else if (opening.has(byte)) this.#depth += 1;
    else if (closing.has(byte)) this.#depth -= 1;
    return this.#depth === 0;
  }

  #forget(): void {
    this.#pending = this.#pending.subarray(this.#at);
    this.#at = 0;
  }
}
