/**
 * Append messages sent to one follower and not yet acknowledged: the last index of each, oldest first. The limit keeps a
 * slow follower from collecting a whole log in the network's buffers.
 */
import { assert } from '../../env/assert.ts';
import type { Index } from './types.ts';

export class Inflights {
  readonly messagesMax: number;
  #lastIndexes: Index[] = [];

  constructor(messagesMax: number) {
    assert(Number.isInteger(messagesMax) && messagesMax > 0, 'at least one message may be in flight');
    this.messagesMax = messagesMax;
  }

  get count(): number {
    return this.#lastIndexes.length;
  }

  isFull(): boolean {
    return this.count >= this.messagesMax;
  }

  /** A message whose last entry is `lastIndex` was sent. */
  add(lastIndex: Index): void {
    assert(!this.isFull(), 'nothing is sent when the window is full');
    assert(lastIndex > (this.#lastIndexes.at(-1) ?? -1), 'messages in flight are in log order');
    this.#lastIndexes.push(lastIndex);
  }

  /** Everything up to `index` was acknowledged. */
  freeUpTo(index: Index): void {
    let freed = 0;
    for (const lastIndex of this.#lastIndexes) {
      if (lastIndex > index) break;
      freed += 1;
    }
    this.#lastIndexes.splice(0, freed);
    assert((this.#lastIndexes[0] ?? Number.POSITIVE_INFINITY) > index, 'what remains is not acknowledged');
  }

  clear(): void {
    this.#lastIndexes = [];
  }
}
