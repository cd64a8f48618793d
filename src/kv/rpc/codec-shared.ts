/**
 * A WatchResponse to many watches: the watch's id comes first, and what all have in common behind it is there as bytes.
 * Protobuf leaves the order of fields open.
 */
import { assert } from '../../env/assert.ts';
import { varintSize, writeVarint } from '../../proto/wire-format.ts';
import type { SharedMessage } from '../../rpc/shared-message.ts';

/** Field 2, a varint. */
const watchIdTag = 2 << 3;

export class WatchIdMessage implements SharedMessage {
  readonly #rest: Uint8Array;

  /** `rest`: all fields but the id. */
  constructor(rest: Uint8Array) {
    assert(rest.length > 0, 'an answer says something');
    this.#rest = rest;
  }

  length(watchId: number): number {
    return this.#rest.length + (watchId === 0 ? 0 : 1 + varintSize(watchId));
  }

  writeTo(target: Uint8Array, from: number, watchId: number): number {
    let at = from;
    if (watchId !== 0) {
      target[at] = watchIdTag;
      at = writeVarint(target, at + 1, watchId);
    }
    target.set(this.#rest, at);
    return at + this.#rest.length;
  }
}
