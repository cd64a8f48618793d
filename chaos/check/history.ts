/** What clients did and saw, in the order of the simulated (or real) clock. Keys and values are text. */

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'get'; readonly key: string }
  /** Puts `value` when the key holds `expected`; undefined = when it is absent. */
  | { readonly kind: 'cas'; readonly key: string; readonly expected: string | undefined; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

export type Outcome =
  | { readonly kind: 'put'; readonly revision: number }
  | {
      readonly kind: 'get';
      readonly revision: number;
      readonly value: string | undefined;
      readonly modRevision: number;
    }
  | { readonly kind: 'cas'; readonly revision: number; readonly succeeded: boolean }
  | { readonly kind: 'delete'; readonly revision: number; readonly deleted: boolean };

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
