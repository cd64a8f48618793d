/**
 * One write of a revision: what it wrote and what was there before. Made for every write, so it holds places of rows and
 * makes values of them only when a watcher or an answer asks.
 */
import { assert } from '../../env/assert.ts';
import type { KeyValue, KvEvent, LeaseId } from '../api.ts';
import type { KeyEntry } from './key-index.ts';
import { decodeRow, decodeRowAt, leaseAt } from './row.ts';
import type { Slab } from './row-arena.ts';

/** A row in a slab, which never changes there, written at `main`. */
export interface RowPlace {
  readonly slab: Slab;
  readonly at: number;
  readonly length: number;
  readonly main: number;
}

export class Change {
  readonly entry: KeyEntry;
  readonly main: number;
  readonly type: KvEvent['type'];
  /** The row as it goes to the backend. */
  readonly row: Uint8Array;
  /** Undefined for a key that was not alive. */
  readonly replaced: RowPlace | undefined;
  #event: KvEvent | undefined = undefined;
  #withPrevious: KvEvent | undefined = undefined;

  constructor(write: Pick<Change, 'entry' | 'main' | 'type' | 'row' | 'replaced'>) {
    assert(write.main > 0 && write.row.length > 0, 'a change has a revision and a row');
    this.entry = write.entry;
    this.main = write.main;
    this.type = write.type;
    this.row = write.row;
    this.replaced = write.replaced;
  }

  /** The version that was replaced. */
  previous(): KeyValue | undefined {
    const { replaced } = this;
    return replaced && decodeRowAt(replaced.slab.bytes, replaced.at, replaced.length, replaced.main);
  }

  /** Lease of the version that was replaced; 0n without one. */
  previousLease(): LeaseId {
    return this.replaced === undefined ? 0n : leaseAt(this.replaced.slab.bytes, this.replaced.at);
  }

  /** The same object each time, so that what is made of it can be shared. */
  event(): KvEvent {
    const event = this.#event ?? { type: this.type, kv: decodeRow(this.row, this.main) };
    this.#event = event;
    return event;
  }

  eventWithPrevious(): KvEvent {
    if (this.#withPrevious === undefined) {
      const prevKv = this.previous();
      this.#withPrevious = prevKv === undefined ? this.event() : { ...this.event(), prevKv };
    }
    return this.#withPrevious;
  }
}
