/**
 * Which part of the log is on disk.
 *
 *     1 … durable … submitted … lastIndex
 *         on disk   handed to   only in
 *                   the WAL     memory
 *
 * Records are in flight between `submitted` and `durable`; tokens order them. When the log is cut at an index, every
 * record in flight stops vouching for entries from there on: the entry of that index it carried is no longer ours, even
 * if a later leader brings back one of the same index and term (the ABA race of asynchronous storage).
 */
import { assert } from '../../env/assert.ts';
import { minIndex } from './numbers.ts';
import type { Index, PersistToken } from './types.ts';

interface RecordInFlight {
  readonly token: PersistToken;
  /** When this record is durable, the log is up to here. Lowered by a cut. */
  through: Index;
}

export class Unstable {
  /** Everything up to here is on disk as the log holds it now. Invariant: durable <= submitted <= lastIndex. */
  durable: Index;
  /** Everything up to here was handed out to be persisted. */
  submitted: Index;
  #inFlight: RecordInFlight[] = [];

  constructor(durable: Index) {
    this.durable = durable;
    this.submitted = durable;
  }

  /** Records in flight, for tests and for bounding. */
  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  /** The log from `from` on is about to be replaced. */
  cut(from: Index): void {
    assert(from > 0, 'a log is cut at an entry');
    const last = (from - 1) as Index;
    this.durable = minIndex(this.durable, last);
    this.submitted = minIndex(this.submitted, last);
    for (const record of this.#inFlight) record.through = minIndex(record.through, last);
  }

  /** A snapshot replaces the log; only what was committed before stays known to be durable. */
  replaceBySnapshot(committed: Index, snapshotIndex: Index): void {
    assert(snapshotIndex > committed, 'a snapshot is only accepted when it is ahead');
    this.cut((committed + 1) as Index);
    this.submitted = snapshotIndex;
  }

  /** Everything up to `through` goes out with the record of `token`. */
  submit(token: PersistToken, through: Index): void {
    const newest = this.#inFlight.at(-1);
    assert(newest === undefined || newest.token < token, 'tokens grow');
    assert(through >= this.submitted, 'a record carries everything not yet submitted');
    this.submitted = through;
    this.#inFlight.push({ token, through });
  }

  /** Everything up to and including `token` reached the disk. */
  complete(token: PersistToken): void {
    let done = 0;
    for (const record of this.#inFlight) {
      if (record.token > token) break;
      if (record.through > this.durable) this.durable = record.through;
      done += 1;
    }
    this.#inFlight.splice(0, done);
    assert(this.durable <= this.submitted, 'only what was submitted can be durable');
  }
}
