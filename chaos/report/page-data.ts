/**
 * What the script of the page gets: the record with its operations as rows, because a hundred thousand objects with the same
 * names are a file twice as long. `page/record.js` is the other side.
 */
import type { RecordedOperation, RecordedViolation, RunRecord } from './run-record.ts';

/** id, client, member or -1, kind, text, start, end or -1, outcome, answer or null */
export type OperationRow = readonly [
  id: number,
  client: number,
  member: number,
  kind: string,
  text: string,
  startMs: number,
  endMs: number,
  outcome: RecordedOperation['outcome'],
  answer: string | null,
];

export interface PageData {
  readonly durationMs: number;
  readonly members: RunRecord['members'];
  readonly states: RunRecord['states'];
  readonly links: RunRecord['links'];
  readonly faults: RunRecord['faults'];
  readonly violation: RecordedViolation | null;
  /** By start. */
  readonly operations: readonly OperationRow[];
}

export function pageData(record: RunRecord): PageData {
  const operations = record.operations.map(
    (one): OperationRow => [
      one.id,
      one.client,
      one.member ?? -1,
      one.kind,
      one.text,
      one.startMs,
      one.endMs ?? -1,
      one.outcome,
      one.answer ?? null,
    ],
  );
  return {
    durationMs: record.durationMs,
    members: record.members,
    states: record.states.toSorted((a, b) => a.atMs - b.atMs),
    links: record.links.toSorted((a, b) => a.atMs - b.atMs),
    faults: record.faults.toSorted((a, b) => a.atMs - b.atMs),
    violation: record.violation ?? null,
    operations: operations.sort((a, b) => a[5] - b[5]),
  };
}
