/** The events of a history put together: who asked what, and was told what; what watches heard; what is known beyond that. */
import type { Operation, Outcome } from './history.ts';
import type {
  AnyOperation,
  AnyOutcome,
  HistoryEvent,
  RecordedHistory,
  ToldEvent,
  ToldValue,
} from './history-events.ts';
import { isStoreOperation } from './history-events.ts';
import type { ModelKey } from './model.ts';
import type { SeenEvent, WatchAnswer, WatchRecord } from './watch.ts';

/** Positions are those of the lines, so they are also the order of real time. */
export interface Exchange<O extends AnyOperation = AnyOperation, R extends AnyOutcome = AnyOutcome> {
  readonly id: number;
  readonly client: number;
  readonly operation: O;
  readonly invokedAt: number;
  readonly invokedMs: number | undefined;
  /** Of its answer, good or bad; undefined: it may still happen. */
  returnedAt: number | undefined;
  returnedMs: number | undefined;
  outcome: R | undefined;
  /** It did not happen. */
  hasFailed: boolean;
  isCompacted: boolean;
}

export interface WatchEvidence {
  readonly record: WatchRecord;
  /** Of each answer. */
  readonly positions: number[];
  readonly times: (number | undefined)[];
  openedAt: number;
}

export type Expectation = Omit<HistoryEvent & { readonly type: 'expect' }, 'type' | 'atMs'>;

export interface Evidence {
  readonly exchanges: readonly Exchange[];
  readonly watches: readonly WatchEvidence[];
  readonly commits: readonly (HistoryEvent & { readonly type: 'commit' })[];
  readonly states: readonly (HistoryEvent & { readonly type: 'state' })[];
  /** Positions. */
  readonly powerLosses: readonly number[];
  readonly calmMs: number | undefined;
  readonly endMs: number | undefined;
  readonly expect: Expectation;
}

/** The history must have been read by `readHistory`, or be as it would let pass. */
export function gather({ events }: RecordedHistory): Evidence {
  const exchanges = new Map<number, Exchange>();
  const watches = new Map<string, WatchEvidence>();
  const commits: (HistoryEvent & { readonly type: 'commit' })[] = [];
  const states: (HistoryEvent & { readonly type: 'state' })[] = [];
  const powerLosses: number[] = [];
  let expect: Expectation = {};
  let calmMs: number | undefined;
  let endMs: number | undefined;
  for (const [position, event] of events.entries()) {
    endMs = event.atMs ?? endMs;
    switch (event.type) {
      case 'invoke':
        exchanges.set(event.id, invoked(event, position));
        break;
      case 'ok':
      case 'fail': {
        const exchange = exchanges.get(event.id);
        if (exchange === undefined) break;
        exchange.returnedAt = position;
        exchange.returnedMs = event.atMs;
        if (event.type === 'ok') exchange.outcome = event.outcome;
        else {
          exchange.hasFailed = true;
          exchange.isCompacted = event.isCompacted ?? false;
        }
        break;
      }
      case 'watch':
        watches.set(event.watch, opened(event, position));
        break;
      case 'watchCreated':
      case 'watchEvents':
      case 'watchProgress':
      case 'watchCompacted':
      case 'watchClosed': {
        const watch = watches.get(event.watch);
        if (watch !== undefined) hear(watch, event, position);
        break;
      }
      case 'commit':
        commits.push(event);
        break;
      case 'state':
        states.push(event);
        break;
      case 'powerLoss':
        powerLosses.push(position);
        break;
      case 'calm':
        calmMs = event.atMs;
        break;
      case 'expect': {
        const { type: _type, atMs: _atMs, ...more } = event;
        expect = { ...expect, ...more };
        break;
      }
      case 'info':
    }
  }
  const all = { exchanges: [...exchanges.values()], watches: [...watches.values()] };
  return { ...all, commits, states, powerLosses, calmMs, endMs, expect };
}

function invoked(event: HistoryEvent & { readonly type: 'invoke' }, position: number): Exchange {
  const { id, client, operation, atMs } = event;
  return {
    id,
    client,
    operation,
    invokedAt: position,
    invokedMs: atMs,
    returnedAt: undefined,
    returnedMs: undefined,
    outcome: undefined,
    hasFailed: false,
    isCompacted: false,
  };
}

function opened(event: HistoryEvent & { readonly type: 'watch' }, position: number): WatchEvidence {
  const { watch: name, range, startRevision, wantsPrevious, wantsPuts, wantsDeletes } = event;
  const record: WatchRecord = {
    name,
    range,
    startRevision,
    wantsPrevious,
    wantsPuts,
    wantsDeletes,
    createdRevision: undefined,
    answers: [],
    isOpen: true,
  };
  return { record, positions: [], times: [], openedAt: position };
}

type Heard = Extract<
  HistoryEvent,
  { readonly type: 'watchCreated' | 'watchEvents' | 'watchProgress' | 'watchCompacted' | 'watchClosed' }
>;

function hear(watch: WatchEvidence, event: Heard, position: number): void {
  const { record } = watch;
  if (event.type === 'watchClosed') {
    record.isOpen = false;
    return;
  }
  if (event.type === 'watchCreated') {
    record.createdRevision = event.revision;
    return;
  }
  record.answers.push(answerOf(event));
  watch.positions.push(position);
  watch.times.push(event.atMs);
}

function answerOf(event: Exclude<Heard, { readonly type: 'watchCreated' | 'watchClosed' }>): WatchAnswer {
  const { revision } = event;
  switch (event.type) {
    case 'watchProgress':
      return { kind: 'progress', revision };
    case 'watchCompacted':
      return { kind: 'compacted', revision };
    case 'watchEvents':
      return { kind: 'events', revision, isPart: event.isPart, events: event.events.map(toSeen) };
  }
}

function toSeen({ key, revision, now, before }: ToldEvent): SeenEvent {
  const withKey = (told: ToldValue | undefined): ModelKey | undefined =>
    told === undefined ? undefined : { key, ...told };
  const type = now === undefined ? 'delete' : 'put';
  return { revision, type, key, now: withKey(now), before: withKey(before) };
}

type StoreExchange = Exchange<Operation, Outcome>;

/** What was asked of a store, with failures as what nobody knows anything of. */
export function storeExchanges(evidence: Evidence): readonly StoreExchange[] {
  return evidence.exchanges.filter((exchange): exchange is StoreExchange => isStoreOperation(exchange.operation));
}

type OfKind<T, K> = T extends { readonly kind: infer N } ? ([Extract<N, K>] extends [never] ? never : T) : never;

/** Those of some kinds, typed. */
export function exchangesOf<K extends AnyOperation['kind']>(
  evidence: Evidence,
  ...kinds: readonly K[]
): readonly Exchange<OfKind<AnyOperation, K>, OfKind<AnyOutcome, K>>[] {
  const wanted: ReadonlySet<string> = new Set(kinds);
  return evidence.exchanges.filter(({ operation }) => wanted.has(operation.kind)) as never;
}
