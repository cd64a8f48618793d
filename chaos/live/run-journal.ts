/** What clients of a run asked and were told, with the time of each: a history for the checkers, and lines for the record. */
import { errorText } from '../../src/env/errors.ts';
import { History, type HistoryEntry, type Operation, type Outcome } from '../check/history.ts';

export interface JournalEntry {
  readonly id: number;
  readonly client: number;
  /** Whom it asked; undefined: whoever would answer. */
  readonly member: number | undefined;
  readonly operation: Operation;
  /** In the history; compactions are not in it, as their answer says nothing. */
  readonly entry: HistoryEntry | undefined;
  readonly startMs: number;
  endMs: number | undefined;
  outcome: Outcome | undefined;
  /** Why there is no answer. */
  error: string | undefined;
}

export class RunJournal {
  readonly history = new History();
  readonly entries: JournalEntry[] = [];
  readonly #nowMs: () => number;
  acknowledged = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  begin(client: number, member: number | undefined, operation: Operation): JournalEntry {
    const entry = operation.kind === 'compact' ? undefined : this.history.invoke(client, operation);
    const journalEntry: JournalEntry = {
      id: this.entries.length,
      client,
      member,
      operation,
      entry,
      startMs: this.#nowMs(),
      endMs: undefined,
      outcome: undefined,
      error: undefined,
    };
    this.entries.push(journalEntry);
    return journalEntry;
  }

  succeed(journalEntry: JournalEntry, outcome: Outcome | undefined): void {
    journalEntry.endMs = this.#nowMs();
    journalEntry.outcome = outcome;
    this.acknowledged += 1;
    if (journalEntry.entry !== undefined && outcome !== undefined) this.history.succeed(journalEntry.entry, outcome);
  }

  /** Whatever the error says, a write may have been proposed: the outcome stays open. */
  fail(journalEntry: JournalEntry, error: unknown): void {
    journalEntry.endMs = this.#nowMs();
    journalEntry.error = errorText(error);
  }
}
