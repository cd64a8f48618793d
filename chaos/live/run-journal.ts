/**
 * What clients of a run asked and were told, with the time of each: a history for the checkers, and lines for the record.
 * `events` is all of it, watches included, in the documented format (docs/history-format.md).
 */
import { errorText } from '../../src/env/errors.ts';
import { KvError } from '../../src/kv/errors.ts';
import type { HistoryEvent } from '../check/history-events.ts';
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
  readonly events: HistoryEvent[] = [];
  readonly #nowMs: () => number;
  acknowledged = 0;
  unanswered = 0;

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
    this.note({ type: 'invoke', id: journalEntry.id, client, operation });
    return journalEntry;
  }

  succeed(journalEntry: JournalEntry, outcome: Outcome | undefined): void {
    journalEntry.endMs = this.#nowMs();
    journalEntry.outcome = outcome;
    this.acknowledged += 1;
    const { id } = journalEntry;
    if (journalEntry.entry !== undefined && outcome !== undefined) {
      this.history.succeed(journalEntry.entry, outcome);
      this.note({ type: 'ok', id, outcome });
    } else this.note({ type: 'info', id, reason: 'confirmed, without a revision' });
  }

  /** Takes down whatever else happens, with the time. */
  note(event: HistoryEvent): void {
    this.events.push({ ...event, atMs: this.#nowMs() });
  }

  /** Whatever the error says, a write may have been proposed: the outcome stays open. */
  fail(journalEntry: JournalEntry, error: unknown): void {
    journalEntry.endMs = this.#nowMs();
    journalEntry.error = errorText(error);
    this.unanswered += 1;
    const { id } = journalEntry;
    const isCompacted = error instanceof KvError && error.kv === 'compacted';
    const isRead = journalEntry.operation.kind === 'list';
    if (isCompacted && isRead) this.note({ type: 'fail', id, reason: journalEntry.error, isCompacted });
    else this.note({ type: 'info', id, reason: journalEntry.error });
  }
}
