/**
 * Watchers held against each other, whatever is known of the store: all were told the same of a revision, in the same order, and
 * none missed what another one was told within what both cover. Finds what a store forgets on one member only.
 */
import { startOf } from './event-log.ts';
import type { Evidence, WatchEvidence } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import { isWithin, type ModelKey } from './model.ts';
import { Violation } from './violation.ts';
import type { SeenEvent } from './watch.ts';

interface Told {
  readonly event: SeenEvent;
  readonly by: string;
}

/** Throws Violation. */
export function checkWatchAgreement({ watches }: Evidence): Finding {
  const created = watches.filter(({ record }) => record.createdRevision !== undefined);
  if (created.length < 2) return notApplicable('there are no two watches');
  const all = new Map<string, Told>();
  const own = created.map((watch) => {
    const told = new Set<string>();
    let last = 0;
    for (const event of eventsOf(watch)) {
      const { name } = watch.record;
      if (event.revision < last)
        throw new Violation('watches are ordered', `${name} was told ${text(event)} after revision ${last}`);
      last = event.revision;
      const place = placeOf(event);
      if (told.has(place)) throw new Violation('watches are unique', `${name} was told ${text(event)} again`);
      told.add(place);
      const other = all.get(place);
      if (other === undefined) all.set(place, { event, by: name });
      else checkSame(other, { event, by: name });
    }
    return { watch, told };
  });
  const together = [...all.values()].sort((a, b) => a.event.revision - b.event.revision);
  for (const { watch, told } of own) checkComplete(watch, told, together);
  return passed(`${created.length} watches agree on ${together.length} events`);
}

function checkSame(a: Told, b: Told): void {
  const areSame =
    isSame(a.event.now, b.event.now) &&
    // Asked for by one of them only, or compacted meanwhile.
    (a.event.before === undefined || b.event.before === undefined || isSame(a.event.before, b.event.before));
  if (areSame) return;
  const detail = `of revision ${a.event.revision}, ${a.by} was told ${JSON.stringify(a.event)} and ${b.by} ${JSON.stringify(b.event)}`;
  throw new Violation('watchers agree on what happened', detail);
}

function checkComplete(watch: WatchEvidence, told: ReadonlySet<string>, together: readonly Told[]): void {
  const { record } = watch;
  const start = startOf(watch);
  const end = coveredBy(watch);
  for (const { event, by } of together) {
    if (event.revision < start || event.revision > end || !isWithin(record.range, event.key)) continue;
    if (!(event.type === 'put' ? record.wantsPuts : record.wantsDeletes) || told.has(placeOf(event))) continue;
    const detail = `${by} was told ${text(event)}; ${record.name}, which covers ${start} to ${end}, was not`;
    throw new Violation('no watcher misses what another is told', detail);
  }
}

/** The newest revision of which it claims to have told all. */
function coveredBy({ record }: WatchEvidence): number {
  const isOver = record.answers.some((answer) => answer.kind === 'compacted');
  if (record.isOpen && !isOver) return Number.POSITIVE_INFINITY;
  let end = 0;
  for (const answer of record.answers) {
    if (answer.kind === 'progress') end = Math.max(end, answer.revision);
    else if (answer.kind === 'events')
      end = Math.max(end, (answer.events.at(-1)?.revision ?? 0) - (answer.isPart ? 1 : 0));
  }
  return end;
}

function eventsOf({ record }: WatchEvidence): readonly SeenEvent[] {
  return record.answers.flatMap((answer) => (answer.kind === 'events' ? answer.events : []));
}

/** A key is changed once in a revision. */
function placeOf({ revision, key }: SeenEvent): string {
  return `${revision} ${key}`;
}

function isSame(a: ModelKey | undefined, b: ModelKey | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.modRevision === b.modRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function text(event: SeenEvent): string {
  return `${event.type} ${event.key}@${event.revision}`;
}
