import { assert } from '../../env/assert.ts';
import type { SharedMessage } from '../shared-message.ts';

/** One message to several receivers on one stream, to each with its number; most often there is one receiver. */
export class SharedRun {
  readonly message: SharedMessage;
  readonly #first: number;
  #more: number[] | undefined = undefined;
  /** Those before it have been written. */
  at = 0;

  constructor(message: SharedMessage, number: number) {
    this.message = message;
    this.#first = number;
  }

  get isOver(): boolean {
    return this.at > (this.#more?.length ?? 0);
  }

  /** The next receiver's. */
  get number(): number {
    return this.at === 0 ? this.#first : (this.#more?.[this.at - 1] as number);
  }

  add(number: number): void {
    if (this.#more === undefined) this.#more = [number];
    else this.#more.push(number);
  }

  /** The next receiver's message. */
  bytes(): Uint8Array {
    const { message, number } = this;
    const bytes = Buffer.allocUnsafe(message.length(number));
    const end = message.writeTo(bytes, 0, number);
    assert(end === bytes.length, 'a message is as long as it says');
    return bytes;
  }
}
