/**
 * Writes a history down as it happens. Whoever tests a system in this process needs nothing else: every call adds an event, with
 * its time, and `history` is what `checkHistory` and `writeHistory` take. `toHistory` does the same for what was kept in memory.
 */
import type { History } from './history.ts';
import type {
  AnyOperation,
  AnyOutcome,
  HistoryEvent,
  RecordedHistory,
  ToldEvent,
  ToldValue,
} from './history-events.ts';
import type { LeaseCall } from './leases.ts';
import type { ModelKey, ModelRequest } from './model.ts';
import type { SeenEvent, WatchAnswer, WatchRecord } from './watch.ts';

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never;

export class HistoryRecorder {
  readonly #nowMs: () => number;
  readonly #events: HistoryEvent[] = [];
  #nextId = 0;

  /** `nowMs` never goes back. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get history(): RecordedHistory {
    return { events: this.#events };
  }

  /** To be called before anything is sent. Returns the id that the others take. */
  invoke(client: number, operation: AnyOperation): number {
    const id = this.#nextId++;
    this.add({ type: 'invoke', id, client, operation });
    return id;
  }

  ok(id: number, outcome: AnyOutcome): void {
    this.add({ type: 'ok', id, outcome });
  }

  /** Only when it is certain that it neither happened nor ever will. */
  fail(id: number, reason: string, isCompacted = false): void {
    this.add({ type: 'fail', id, reason, ...(isCompacted ? { isCompacted } : {}) });
  }

  /** Of every other error. */
  info(id: number, reason: string): void {
    this.add({ type: 'info', id, reason });
  }

  /** Watches and everything else. */
  add(event: WithoutTime<HistoryEvent>): void {
    this.#events.push({ ...event, atMs: this.#nowMs() } as HistoryEvent);
  }
}

export interface Remembered {
  readonly history: History;
  readonly watches: readonly WatchRecord[];
  readonly leaseCalls: readonly LeaseCall[];
  /** All that was committed, in order; none when that is not known. */
  readonly commits: readonly { readonly request: ModelRequest; readonly atMs: number }[];
  /** When faults ended, and when everything did. */
  readonly calmMs: number;
  readonly endMs: number;
  readonly clockRateMax: number;
  readonly leaseEndWithinMs: number;
}

/** Operations keep their order; watches, of which nobody knows when they heard what, follow after them. */
export function toHistory(remembered: Remembered): RecordedHistory {
  const { history, watches, leaseCalls, commits, calmMs, endMs, clockRateMax, leaseEndWithinMs } = remembered;
  const events: HistoryEvent[] = [{ type: 'expect', clockRateMax, leaseEndWithinMs }];
  const moments = history.entries.flatMap((entry, id) => {
    const { client, operation, outcome, invokedAt, returnedAt } = entry;
    const call: HistoryEvent = { type: 'invoke', id, client, operation };
    if (outcome === undefined || returnedAt === undefined) return [{ at: invokedAt, event: call }];
    const answer: HistoryEvent = { type: 'ok', id, outcome };
    return [
      { at: invokedAt, event: call },
      { at: returnedAt, event: answer },
    ];
  });
  events.push(...moments.sort((a, b) => a.at - b.at).map(({ event }) => event));
  for (const watch of watches) events.push(...watchEvents(watch));
  const timed: { readonly atMs: number; readonly event: HistoryEvent }[] = [];
  for (const [position, call] of leaseCalls.entries())
    timed.push(...leaseEvents(call, history.entries.length + position));
  for (const { request, atMs } of commits) timed.push({ atMs, event: { type: 'commit', request } });
  timed.push({ atMs: calmMs, event: { type: 'calm' } });
  events.push(...timed.sort((a, b) => a.atMs - b.atMs).map(({ atMs, event }) => ({ ...event, atMs })));
  // The last thing that is said, for its time.
  events.push({ type: 'expect', atMs: endMs });
  return { events };
}

const leaseKinds = {
  grant: 'leaseGrant',
  keepAlive: 'leaseKeepAlive',
  timeToLive: 'leaseTimeToLive',
  revoke: 'leaseRevoke',
} as const;

function leaseEvents({ kind: name, lease, invokedMs, returnedMs, ttlSeconds }: LeaseCall, id: number) {
  const kind = leaseKinds[name];
  const operation: AnyOperation = kind === 'leaseGrant' ? { kind, lease, ttlSeconds } : { kind, lease };
  const call: HistoryEvent = { type: 'invoke', id, client: 0, operation };
  if (returnedMs === undefined) return [{ atMs: invokedMs, event: call }];
  const answer: HistoryEvent = { type: 'ok', id, outcome: { kind, ttlSeconds } };
  return [
    { atMs: invokedMs, event: call },
    { atMs: returnedMs, event: answer },
  ];
}

function watchEvents(record: WatchRecord): readonly HistoryEvent[] {
  const { name: watch, range, startRevision, wantsPrevious, wantsPuts, wantsDeletes, createdRevision } = record;
  const events: HistoryEvent[] = [
    { type: 'watch', watch, range, startRevision, wantsPrevious, wantsPuts, wantsDeletes },
  ];
  if (createdRevision !== undefined) events.push({ type: 'watchCreated', watch, revision: createdRevision });
  for (const answer of record.answers) events.push(toWatchEvent(watch, answer));
  if (!record.isOpen) events.push({ type: 'watchClosed', watch });
  return events;
}

/** What a watch was told, as an event of the history. */
export function toWatchEvent(watch: string, answer: WatchAnswer): HistoryEvent {
  const { revision } = answer;
  switch (answer.kind) {
    case 'events':
      return { type: 'watchEvents', watch, revision, isPart: answer.isPart, events: answer.events.map(toToldEvent) };
    case 'progress':
      return { type: 'watchProgress', watch, revision };
    case 'compacted':
      return { type: 'watchCompacted', watch, revision };
  }
}

function toToldEvent({ key, revision, now, before }: SeenEvent): ToldEvent {
  return { key, revision, now: toTold(now), before: toTold(before) };
}

function toTold(held: ModelKey | undefined): ToldValue | undefined {
  if (held === undefined) return undefined;
  const { value, createRevision, modRevision, version, lease } = held;
  return { value, createRevision, modRevision, version, lease };
}
