/**
 * Messages on their way to one peer, in order and up to the limits. Knows no connection: whoever has one takes batches.
 *
 * What only repeats what is already waiting takes its place (patience.ts says what may wait, and what supersedes what).
 */
import { assert, present } from '../../env/assert.ts';
import type { Message } from '../core/types.ts';
import { peerLimits } from './grpc-wire.ts';
import { messageBytes } from './message-codec.ts';
import { supersedes } from './patience.ts';

export interface Batch {
  readonly messages: readonly Message[];
  readonly bytes: number;
}

export class PeerQueue {
  #messages: Message[] = [];
  #bytes = 0;
  #mayWait = false;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** All that is queued may wait for something to go along with. */
  get mayWait(): boolean {
    return this.#mayWait;
  }

  hasRoomFor(bytes: number): boolean {
    assert(bytes > 0, 'a message has bytes');
    return this.#messages.length < peerLimits.queueMessagesMax && this.#bytes + bytes <= peerLimits.queueBytesMax;
  }

  /** There is room for it. `bytes` are its own. */
  push(message: Message, bytes: number, mayWait: boolean): void {
    const last = this.#messages.at(-1);
    if (this.#mayWait && last !== undefined && supersedes(message, last)) {
      this.#messages.pop();
      this.#bytes -= messageBytes(last);
    }
    this.#mayWait = mayWait && (this.#mayWait || this.isEmpty);
    this.#messages.push(message);
    this.#bytes += bytes;
    assert(this.#bytes <= peerLimits.queueBytesMax, 'a full queue takes nothing');
  }

  /** Nothing waits any longer. */
  hurry(): void {
    this.#mayWait = false;
  }

  /** As many as travel together, from the oldest on; there is one. */
  take(): Batch {
    assert(!this.isEmpty, 'a batch has messages');
    let bytes = 0;
    let count = 0;
    while (count < this.#messages.length && count < peerLimits.batchMessagesMax) {
      const next = messageBytes(present(this.#messages[count], 'a message'));
      if (count > 0 && bytes + next > peerLimits.batchBytesMax) break;
      bytes += next;
      count += 1;
    }
    const isAll = count === this.#messages.length;
    const messages = isAll ? this.#messages : this.#messages.splice(0, count);
    if (isAll) this.#messages = [];
    this.#bytes -= bytes;
    assert(this.#bytes >= 0, 'what leaves the queue was counted');
    return { messages, bytes };
  }

  /** The connection is gone, and Raft repeats all but these. */
  keepProposals(): void {
    this.#messages = this.#messages.filter(({ type }) => type === 'prop');
    this.#bytes = this.#messages.reduce((sum, message) => sum + messageBytes(message), 0);
    this.#mayWait = false;
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
    this.#mayWait = false;
  }
}
