/** A writing transaction of the store: gathers changes and rows under one main revision until it ends. */
import { assert, present } from '../../env/assert.ts';
import type { KeyValue, KvErrorCode, LeaseId, RangeRequest, RangeResult } from '../api.ts';
import type { BackendWrite } from '../backend/contract.ts';
import type { ReadView, Replaced, WriteTxn } from './contract.ts';
import type { FoundRevision, KeyEntry } from './key-index.ts';
import { encodeRevision } from './revision.ts';
import type { Change } from './change.ts';

/** What a transaction needs of the store it belongs to. */
export interface TxnStore extends ReadView {
  /** Writes one version into memory; what it replaced is in the change. */
  applyPut(
    put: { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: LeaseId },
    at: FoundRevision,
  ): Change;
  /** The live entries of an interval, in key order. */
  liveEntries(key: Uint8Array, rangeEnd: Uint8Array): KeyEntry[];
  /** Deletes one live key in memory. */
  applyDelete(entry: KeyEntry, at: FoundRevision): Change;
  /** Makes the writes the head, hands them to the backend and then to the watchers; returns the revision. */
  finish(txn: StoreTxn, changes: readonly Change[], rows: readonly BackendWrite[]): number;
}

/** The one open transaction. Its writes are in memory as soon as they are made, so its reads see them. */
export class StoreTxn implements WriteTxn {
  readonly #store: TxnStore;
  readonly #changes: Change[] = [];
  readonly #rows: BackendWrite[] = [];
  #isOpen = true;

  constructor(store: TxnStore) {
    this.#store = store;
  }

  /** The revision that its writes have, once there is one; the head before. */
  revision(): number {
    return this.#store.revision() + (this.#isOpen && this.#changes.length > 0 ? 1 : 0);
  }

  compactRevision(): number {
    return this.#store.compactRevision();
  }

  range(request: RangeRequest): RangeResult | KvErrorCode {
    assert(this.#isOpen, 'an ended transaction does not read');
    // Its own revision is what memory holds now.
    const isOwn = this.#changes.length > 0 && request.revision === this.revision();
    return this.#store.range(isOwn ? { ...request, revision: 0 } : request);
  }

  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): Replaced {
    assert(this.#isOpen, 'an ended transaction does not write');
    assert(key.length > 0, 'a put has a key');
    const change = this.#store.applyPut({ key, value, lease }, this.#nextRevision());
    this.#record(change);
    return change;
  }

  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): readonly KeyValue[] {
    assert(this.#isOpen, 'an ended transaction does not write');
    const deleted: KeyValue[] = [];
    for (const entry of this.#store.liveEntries(key, rangeEnd)) {
      const change = this.#store.applyDelete(entry, this.#nextRevision());
      this.#record(change);
      deleted.push(present(change.previous(), 'the version of a deleted key'));
    }
    return deleted;
  }

  end(): number {
    assert(this.#isOpen, 'a transaction ends once');
    this.#isOpen = false;
    return this.#store.finish(this, this.#changes, this.#rows);
  }

  #nextRevision(): FoundRevision {
    return { main: this.#store.revision() + 1, sub: this.#changes.length };
  }

  #record(change: Change): void {
    const { main, sub } = this.#nextRevision();
    this.#changes.push(change);
    this.#rows.push({ type: 'put', key: encodeRevision(main, sub), value: change.row });
  }
}
