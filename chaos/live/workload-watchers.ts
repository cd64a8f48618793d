/**
 * Clients that watch real members. One watch follows everything through whoever answers: what it is told is the log that the
 * verdict rests on. One watch follows everything at each member. Others begin in the past or now, with filters, ask for progress,
 * and leave again. All that they are told is written down for check/watch.ts.
 */
import { type Clock, pause } from '../../src/env/clock.ts';
import { noBytes, type KeyValue, type KvEvent } from '../../src/kv/api.ts';
import type { KvClient } from '../../src/kv/client/contract.ts';
import type { ToldEvent, ToldValue } from '../check/history-events.ts';
import type { ModelKey } from '../check/model.ts';
import type { SeenEvent, WatchRecord } from '../check/watch.ts';
import type { SeededRandom } from '../sim/random.ts';
import type { KeySpace } from './client-perform.ts';
import type { RunJournal } from './run-journal.ts';

const decoder = new TextDecoder();

export interface WatcherOptions {
  readonly clock: Clock;
  readonly space: KeySpace;
  /** All watches that were ever opened. */
  readonly records: WatchRecord[];
  readonly journal: RunJournal;
}

interface Wanted {
  readonly name: string;
  /** One key; undefined: all of them. */
  readonly key?: string;
  readonly startRevision: number;
  readonly wantsPrevious: boolean;
  readonly wantsPuts?: boolean;
  readonly wantsDeletes?: boolean;
}

export interface OpenWatch {
  readonly record: WatchRecord;
  /** The revision of the last event it was told. */
  toldRevision(): number;
  requestProgress(): void;
  /** The client listens no more. */
  leave(): void;
  /** The run is over; it listened to the end. */
  cancel(): void;
}

/** Opens a watch and writes down what it is told until somebody leaves it. */
export function openWatch(client: KvClient, wanted: Wanted, { space, records, journal }: WatcherOptions): OpenWatch {
  const { name, key, startRevision, wantsPrevious, wantsPuts = true, wantsDeletes = true } = wanted;
  const record: WatchRecord = {
    name,
    range: key === undefined ? { key: '', end: '\0' } : { key, end: '' },
    startRevision,
    wantsPrevious,
    wantsPuts,
    wantsDeletes,
    createdRevision: undefined,
    answers: [],
    isOpen: true,
  };
  records.push(record);
  const { range: told } = record;
  journal.note({ type: 'watch', watch: name, range: told, startRevision, wantsPrevious, wantsPuts, wantsDeletes });
  let isOver = false;
  let toldRevision = startRevision - 1;
  /** Of events and of progress. */
  let newestRevision = 0;
  const range = key === undefined ? space.all() : { key: space.toBytes(key), rangeEnd: noBytes };
  const request = { ...range, startRevision, prevKv: wantsPrevious, noPut: !wantsPuts, noDelete: !wantsDeletes };
  const watch = client.watch(
    { ...request, progressNotify: false },
    {
      created(revision) {
        record.createdRevision = revision;
        journal.note({ type: 'watchCreated', watch: name, revision });
      },
      events(events, revision) {
        if (isOver) return;
        toldRevision = events.at(-1)?.kv.modRevision ?? toldRevision;
        newestRevision = Math.max(newestRevision, toldRevision);
        const seen = events.map((event) => toSeen(event, space));
        record.answers.push({ kind: 'events', revision, events: seen, isPart: false });
        journal.note({ type: 'watchEvents', watch: name, revision, isPart: false, events: seen.map(toTold) });
      },
      progress(revision) {
        // A watch that goes on at another member may find it behind: that takes back nothing that was told.
        if (isOver || revision < newestRevision) return;
        newestRevision = revision;
        record.answers.push({ kind: 'progress', revision });
        journal.note({ type: 'watchProgress', watch: name, revision });
      },
      ended(reason) {
        if (isOver) return;
        record.isOpen = false;
        if (reason.kind !== 'compacted') return journal.note({ type: 'watchClosed', watch: name });
        const { compactRevision: revision } = reason;
        record.answers.push({ kind: 'compacted', revision });
        journal.note({ type: 'watchCompacted', watch: name, revision });
      },
    },
  );
  const end = () => {
    isOver = true;
    watch.cancel();
  };
  return {
    record,
    toldRevision: () => toldRevision,
    requestProgress: () => watch.requestProgress(),
    leave() {
      if (record.isOpen && !isOver) journal.note({ type: 'watchClosed', watch: name });
      record.isOpen = false;
      end();
    },
    cancel: end,
  };
}

/** Opens watches from anywhere, looks for a while, leaves, until the signal. */
export async function wander(
  client: KvClient,
  who: { readonly name: string; readonly keys: number; readonly random: SeededRandom; readonly base: number },
  options: WatcherOptions & { readonly told: () => number; readonly signal: AbortSignal },
): Promise<void> {
  const { name, keys, random, base } = who;
  for (let number = 0; !options.signal.aborted; number++) {
    const dice = random.next();
    const oldest = base + 1;
    const newest = Math.max(oldest, options.told());
    const startRevision = dice < 0.3 ? 0 : dice < 0.9 ? random.integer(oldest, newest) : newest + random.integer(1, 10);
    const kinds = random.next();
    const wanted = {
      name: `${name}.${number}`,
      ...(random.next() < 0.4 ? { key: `k${random.integer(1, keys)}` } : {}),
      startRevision,
      wantsPrevious: random.next() < 0.5,
      wantsPuts: kinds < 0.85,
      wantsDeletes: kinds > 0.15,
    };
    const watch = openWatch(client, wanted, options);
    for (let look = random.integer(1, 4); look > 0 && !options.signal.aborted; look--) {
      await pause(options.clock, random.integer(100, 1_000), options.signal);
      if (random.next() < 0.5) watch.requestProgress();
    }
    watch.leave();
  }
}

function toSeen({ type, kv, prevKv }: KvEvent, space: KeySpace): SeenEvent {
  return {
    revision: kv.modRevision,
    type,
    key: space.fromBytes(kv.key),
    now: type === 'put' ? toModelKey(kv, space) : undefined,
    before: prevKv === undefined ? undefined : toModelKey(prevKv, space),
  };
}

function toTold({ key, revision, now, before }: SeenEvent): ToldEvent {
  return { key, revision, now: valueOf(now), before: valueOf(before) };
}

function valueOf(held: ModelKey | undefined): ToldValue | undefined {
  if (held === undefined) return undefined;
  const { value, createRevision, modRevision, version, lease } = held;
  return { value, createRevision, modRevision, version, lease };
}

export function toModelKey(kv: KeyValue, space: KeySpace): ModelKey {
  const { createRevision, modRevision, version, lease } = kv;
  const [key, value] = [space.fromBytes(kv.key), decoder.decode(kv.value)];
  return { key, value, createRevision, modRevision, version, lease: String(lease) };
}
