/**
 * The record of a run as JSON lines, for programs that read one event after the other: the first line is the head (the
 * record without its events, with their number), each further line an event, in time order.
 *
 * What happens in the same millisecond stands in the order of `ranks`; an operation begins before it ends.
 */
import type { RunRecord } from './run-record.ts';

const ranks = ['fault', 'link', 'state', 'invoke', 'return', 'faultEnd', 'violation'] as const;

type EventName = (typeof ranks)[number];

interface Line {
  readonly atMs: number;
  readonly event: EventName;
}

function eventsOf(record: RunRecord): readonly Line[] {
  const lines: Line[] = [];
  const add = (event: EventName, atMs: number, rest: object) => lines.push({ event, atMs, ...rest });
  for (const { atMs, ...rest } of record.states) add('state', atMs, rest);
  for (const { atMs, ...rest } of record.links) add('link', atMs, rest);
  for (const { atMs, endMs, ...rest } of record.faults) {
    add('fault', atMs, { ...rest, ...(endMs === undefined ? {} : { endMs }) });
    if (endMs !== undefined) add('faultEnd', endMs, { kind: rest.kind, members: rest.members });
  }
  for (const { startMs, endMs, outcome, answer, ...asked } of record.operations) {
    add('invoke', startMs, asked);
    // One that was never answered has no return: its outcome is unknown, and says so by its absence.
    if (endMs === undefined) continue;
    add('return', endMs, { id: asked.id, client: asked.client, outcome, ...(answer === undefined ? {} : { answer }) });
  }
  if (record.violation !== undefined) add('violation', record.violation.atMs ?? record.durationMs, record.violation);
  const rankOf = new Map<EventName, number>(ranks.map((name, rank) => [name, rank]));
  const rank = (line: Line) => rankOf.get(line.event) ?? 0;
  return lines.sort((a, b) => a.atMs - b.atMs || rank(a) - rank(b));
}

/** One line per event, each ended by a line feed. */
export function renderJsonLines(record: RunRecord): string {
  const { states, links, faults, operations, ...head } = record;
  const counts = {
    states: states.length,
    links: links.length,
    faults: faults.length,
    operations: operations.length,
  };
  const lines: string[] = [JSON.stringify({ event: 'run', ...head, counts })];
  for (const line of eventsOf(record)) lines.push(JSON.stringify(line));
  return `${lines.join('\n')}\n`;
}
