/** What clients did and saw, in the order of the simulated (or real) clock. Keys and values are text. */

export type TxnStep =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete' | 'get'; readonly key: string };

export type Operation =
  /** `lease`: hangs on that one; the key goes when the lease does. */
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: string }
  | { readonly kind: 'get'; readonly key: string }
  /** Puts `value` when the key holds `expected`; undefined = when it is absent. */
  | { readonly kind: 'cas'; readonly key: string; readonly expected: string | undefined; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string }
  /** `success` when every key holds its value (undefined = is absent), else `failure`. */
  | {
      readonly kind: 'txn';
      readonly compare: readonly { readonly key: string; readonly value: string | undefined }[];
      readonly success: readonly TxnStep[];
      readonly failure: readonly TxnStep[];
    }
  /** Every key there is, at revision `at` or, with 0, now. `isLocal`: as one member has it, which may be old. */
  | { readonly kind: 'list'; readonly at: number; readonly isLocal: boolean }
  | { readonly kind: 'compact'; readonly revision: number };

export type Outcome =
  | { readonly kind: 'put'; readonly revision: number }
  | {
      readonly kind: 'get';
      readonly revision: number;
      readonly value: string | undefined;
      readonly modRevision: number;
    }
  | { readonly kind: 'cas'; readonly revision: number; readonly succeeded: boolean }
  | { readonly kind: 'delete'; readonly revision: number; readonly deleted: boolean }
  | {
      readonly kind: 'txn';
      readonly revision: number;
      readonly succeeded: boolean;
      /** What its gets found, in order. */
      readonly found: readonly (string | undefined)[];
    }
  | {
      readonly kind: 'list';
      readonly revision: number;
      readonly keys: readonly { readonly key: string; readonly value: string; readonly modRevision: number }[];
    }
  | { readonly kind: 'compact'; readonly revision: number };

export interface HistoryEntry {
  readonly client: number;
  readonly operation: Operation;
  /** Positions in the order of all invocations and returns. */
  readonly invokedAt: number;
  /** Undefined: nobody knows whether it happened; it may still. */
  returnedAt: number | undefined;
  outcome: Outcome | undefined;
}

export class History {
  readonly entries: HistoryEntry[] = [];
  #position = 0;

  invoke(client: number, operation: Operation): HistoryEntry {
    const entry: HistoryEntry = {
      client,
      operation,
      invokedAt: this.#position++,
      returnedAt: undefined,
      outcome: undefined,
    };
    this.entries.push(entry);
    return entry;
  }

  succeed(entry: HistoryEntry, outcome: Outcome): void {
    entry.returnedAt = this.#position++;
    entry.outcome = outcome;
  }
}
