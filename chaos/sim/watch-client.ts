/**
 * Clients that watch: streams of one to three watches on some member, from now, from the past or from a revision to come. They read
 * slowly at times, ask for progress, lose their member or leave it, and go on elsewhere from where they were. All that
 * they were told is written down for check/watch.ts.
 */
import type { WatchAnswer, WatchRecord } from '../check/watch.ts';
import type { ModelRange } from '../check/model.ts';
import { saturate } from '../../src/kv/rpc/codec-values.ts';
import { EventBatches } from '../../src/kv/rpc/event-batch.ts';
import { WatchStream } from '../../src/kv/rpc/watch-stream.ts';
import type { Credentials } from '../../src/kv/server/auth-contract.ts';
import type { Out, WireWatchResponse } from '../../src/kv/rpc/wire.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';
import { toSeen } from './wire-events.ts';

const encoder = new TextEncoder();

export interface WatchClientOptions {
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly random: SeededRandom;
  /** All watches that were ever opened. */
  readonly records: WatchRecord[];
  /** Share of answers after which the client reads nothing for a while. */
  readonly slowness: number;
  readonly from: Credentials | undefined;
}

const ranges: readonly ModelRange[] = [
  { key: '\0', end: '\0' },
  { key: '\0', end: '\0' },
  { key: 'k1', end: '' },
  { key: 'k', end: 'l' },
  { key: 'l', end: 'm' },
  { key: 't1', end: '\0' },
];
/** Bytes of events in one response: so few that most revisions are told in parts. */
const fragmentBytes = 300;
/** Before a client that found nobody looks again. */
const retryMs = 50;

interface Wanted {
  readonly range: ModelRange;
  readonly wantsPrevious: boolean;
  readonly wantsPuts: boolean;
  readonly wantsDeletes: boolean;
  /** Where to go on; 0 = from now. */
  next: number;
}

interface Open {
  readonly member: SimMember;
  readonly stream: WatchStream;
  readonly served: { readonly wanted: Wanted; readonly record: WatchRecord }[];
  isOver: boolean;
}

export class WatchClient {
  readonly #options: WatchClientOptions;
  readonly #name: string;
  readonly #wanted: Wanted[];
  #open: Open | undefined;
  #seenRevision = 1;
  #isCalm = false;
  #sequence = 0;

  constructor(options: WatchClientOptions, name: string) {
    this.#options = options;
    this.#name = name;
    const { random } = options;
    this.#wanted = Array.from({ length: random.integer(1, 3) }, () => {
      const kinds = random.next();
      return {
        range: ranges[random.integer(0, ranges.length - 1)] as ModelRange,
        wantsPrevious: random.next() < 0.5,
        wantsPuts: kinds < 0.85,
        wantsDeletes: kinds > 0.15,
        next: 0,
      };
    });
  }

  start(): void {
    this.#options.scheduler.afterMs(this.#options.random.integer(0, 1_500), () => this.#connect());
  }

  /** Faults have ended: it reads on without a pause, and stays where it is. */
  calm(): void {
    this.#isCalm = true;
    const open = this.#open;
    if (open !== undefined) open.member.run(() => open.isOver || open.stream.drained());
  }

  memberCrashed(member: SimMember): void {
    if (this.#open?.member === member) this.#leave();
  }

  /** Whether it listens to somebody. */
  isConnected(): boolean {
    return this.#open !== undefined;
  }

  #connect(): void {
    const { members, random, scheduler, records, slowness, from } = this.#options;
    const member = members[random.integer(0, members.length - 1)] as SimMember;
    const { server } = member;
    if (server === undefined) {
      scheduler.afterMs(retryMs, () => this.#connect());
      return;
    }
    const served: Open['served'] = [];
    const write = (response: Out<WireWatchResponse>): boolean => {
      if (open.isOver) return true;
      this.#told(open, response);
      if (this.#isCalm || random.next() >= slowness) return true;
      scheduler.afterMs(random.integer(5, 400), () => member.run(() => open.isOver || stream.drained()));
      return false;
    };
    const stream = new WatchStream({
      server,
      ...(from === undefined ? {} : { from, hold: () => undefined }),
      write,
      writeShared: (response, watchId) => write(response.of(watchId)),
      batches: new EventBatches(server),
      progressEveryMs: 100 * random.integer(1, 10),
      fragmentBytes,
    });
    const open: Open = { member, stream, served, isOver: false };
    this.#open = open;
    for (const [position, wanted] of this.#wanted.entries()) {
      const { range, wantsPrevious, wantsPuts, wantsDeletes } = wanted;
      const name = `watch ${this.#name}.${this.#sequence++} at ${member.name}`;
      const startRevision = wanted.next === 0 ? this.#drawStart() : wanted.next;
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
      records.push(record);
      served.push({ wanted, record });
      const createRequest = {
        key: encoder.encode(range.key),
        rangeEnd: encoder.encode(range.end),
        startRevision,
        progressNotify: random.next() < 0.5,
        filters: [...(wantsPuts ? [] : [0]), ...(wantsDeletes ? [] : [1])],
        prevKv: wantsPrevious,
        watchId: position + 1,
        fragment: random.next() < 0.5,
      };
      member.run(() => open.isOver || stream.take({ createRequest, cancelRequest: null, progressRequest: null }));
    }
    this.#stay(open);
  }

  /** Asks for progress, and leaves after a while. */
  #stay(open: Open): void {
    const { random, scheduler } = this.#options;
    scheduler.afterMs(random.integer(20, 600), () => {
      if (open.isOver || this.#isCalm) return;
      if (random.next() < 0.3) {
        open.member.run(() => open.isOver || open.stream.close());
        return this.#leave();
      }
      open.member.run(
        () => open.isOver || open.stream.take({ createRequest: null, cancelRequest: null, progressRequest: {} }),
      );
      this.#stay(open);
    });
  }

  #leave(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    open.isOver = true;
    for (const { record } of open.served) record.isOpen = false;
    this.#options.scheduler.afterMs(this.#options.random.integer(0, 200), () => this.#connect());
  }

  /** From now on, from the past or from what is to come. */
  #drawStart(): number {
    const { random } = this.#options;
    const dice = random.next();
    if (dice < 0.4) return 0;
    if (dice < 0.8) return random.integer(1, this.#seenRevision);
    return this.#seenRevision + random.integer(1, 10);
  }

  #told(open: Open, response: Out<WireWatchResponse>): void {
    // Who may not watch may come back; here that is for another time.
    if (response.created === true && response.canceled === true) return this.#leave();
    const id = saturate(response.watchId);
    const revision = saturate(response.header?.revision);
    this.#seenRevision = Math.max(this.#seenRevision, revision);
    for (const [position, { wanted, record }] of open.served.entries()) {
      if (id !== position + 1 && id !== -1) continue;
      if (response.created === true) record.createdRevision = revision;
      else if (response.canceled === true) {
        const compacted = saturate(response.compactRevision);
        record.answers.push({ kind: 'compacted', revision: compacted });
        wanted.next = compacted;
        record.isOpen = false;
      } else this.#take(record, wanted, answerOf(response, revision));
    }
  }

  #take(record: WatchRecord, wanted: Wanted, answer: WatchAnswer): void {
    // Watches that are not made yet are not meant by a stream's progress.
    if (record.createdRevision === undefined && answer.kind === 'progress') return;
    if (!record.isOpen) return;
    record.answers.push(answer);
    if (answer.kind === 'progress') wanted.next = Math.max(wanted.next, answer.revision + 1);
    // In the middle of a response in parts, a client that is cut off has to hear all of it again.
    else if (answer.kind === 'events' && !answer.isPart) wanted.next = (answer.events.at(-1)?.revision ?? 0) + 1;
  }
}

function answerOf(response: Out<WireWatchResponse>, revision: number): WatchAnswer {
  const events = response.events ?? [];
  if (events.length === 0) return { kind: 'progress', revision };
  return { kind: 'events', revision, events: events.map(toSeen), isPart: response.fragment === true };
}
