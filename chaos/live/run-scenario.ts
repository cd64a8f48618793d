/**
 * One run of a scenario: clients work and watch, faults strike on time, faults end, everything has to go on, and the verdict is
 * made of what was seen. What is printed meanwhile goes through `say`.
 */
import { assert, InvariantViolation, present } from '../../src/env/assert.ts';
import { type Clock, pause } from '../../src/env/clock.ts';
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import { createKvClient } from '../../src/kv/client/client.ts';
import type { KvClient, KvClientTls, KvClientUser } from '../../src/kv/client/contract.ts';
import type { RecordedHistory } from '../check/history-events.ts';
import type { WatchRecord } from '../check/watch.ts';
import type { RunMetrics } from '../report/run-metrics.ts';
import type { LinkChange, RecordedFault, StateChange } from '../report/run-record.ts';
import { compileScenario, type Scenario, type ScenarioWorkload, usualMix } from '../scenario/scenario.ts';
import { type SeededRandom, seededRandom } from '../sim/random.ts';
import { KeySpace, performOn } from './client-perform.ts';
import { endRun } from './run-ending.ts';
import { judge, type RunEvidence, type Verdict } from './run-judge.ts';
import { type JournalEntry, RunJournal } from './run-journal.ts';
import { RunObserver } from './run-observer.ts';
import { RunStrikes } from './run-strikes.ts';
import type { RunWorld } from './run-target.ts';
import { LiveClient, type RevisionsSeen } from './workload.ts';
import { openWatch, wander } from './workload-watchers.ts';

export interface RunOptions {
  readonly scenario: Scenario;
  readonly world: RunWorld;
  readonly clock: Clock;
  readonly tls: KvClientTls | undefined;
  readonly user: KvClientUser | undefined;
  readonly seed: string;
  readonly seconds: number;
  /** Somebody else's servers: nothing is done to them, and what was written is deleted again. */
  readonly isTarget: boolean;
  readonly say: (line: string) => void;
  /** Told what happens as it does. */
  readonly metrics: RunMetrics | undefined;
  readonly signal: AbortSignal;
}

export interface RunResult {
  readonly verdict: Verdict;
  readonly operations: readonly JournalEntry[];
  readonly history: RecordedHistory;
  readonly states: readonly StateChange[];
  readonly links: readonly LinkChange[];
  readonly faults: readonly RecordedFault[];
  readonly durationMs: number;
  readonly figures: Readonly<Record<string, number | string>>;
}

/** A client gives up on an answer after this: longer than an election, so that writes are seldom left open. */
const operationTimeoutMs = 3_000;
const sayEveryMs = 5_000;
/** Clients go on for a while after faults have ended: that is when members meet again. */
const afterHealMs = 1_500;
const wanderers = 3;
export class Run {
  readonly #options: RunOptions;
  readonly #random: SeededRandom;
  readonly #space: KeySpace;
  readonly #journal: RunJournal;
  readonly #startMs: number;
  readonly #clients: KvClient[] = [];
  readonly #watches: WatchRecord[] = [];
  readonly #observer: RunObserver;
  readonly #strikes: RunStrikes;
  readonly #compactions = new Set<number>();
  #failure: unknown;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#startMs = options.world.nowMs();
    this.#space = new KeySpace(`keelson-chaos/${options.seed}-${Math.round(options.clock.wallMs())}/`);
    const nowMs = () => this.#nowMs();
    this.#journal = new RunJournal(nowMs);
    const { world, clock, metrics, say, seconds } = options;
    const shared = { world, clock, metrics, journal: this.#journal, nowMs };
    this.#observer = new RunObserver({ ...shared, say });
    const times = { startMs: this.#startMs, endMs: seconds * 1_000 };
    this.#strikes = new RunStrikes({ ...shared, ...times, observer: this.#observer });
  }

  get prefix(): string {
    return this.#space.prefix;
  }

  /** Rejects with KeelsonError when the run could not be made, and with the signal's reason when it was broken off. */
  async run(): Promise<RunResult> {
    const { signal, isTarget } = this.#options;
    const over = new AbortController();
    const everything = AbortSignal.any([signal, over.signal]);
    try {
      const sampling = this.#observer.watch(everything);
      const evidence = await this.#work(everything);
      over.abort();
      await sampling;
      return this.#result(judge(evidence));
    } finally {
      over.abort();
      if (isTarget) await this.#deleteAll();
      for (const client of this.#clients) client.close();
    }
  }

  async #work(signal: AbortSignal): Promise<RunEvidence> {
    const { scenario, world, clock, seconds, isTarget } = this.#options;
    const { workload } = scenario;
    const anyone = this.#client(undefined);
    const first = await performOn(anyone, { kind: 'list', at: 0, isLocal: false }, this.#space);
    const base = present(first, 'the first answer').revision;
    const watching = { clock, space: this.#space, records: this.#watches, journal: this.#journal };
    const everything = (name: string) => ({ name, startRevision: base + 1, wantsPrevious: true });
    const log = openWatch(this.#client(undefined), everything('the log'), watching);
    const followers = world.members.map(({ name }, member) =>
      openWatch(this.#client(member), everything(`everything at ${name}`), watching),
    );
    const told = () => log.toldRevision();
    const revisions = { base, told, compactions: this.#compactions };
    const working = new AbortController();
    const workSignal = AbortSignal.any([signal, working.signal]);
    const busy = [...Array(workload.clients).keys()].map((number) => this.#worker(number, revisions).run(workSignal));
    for (let number = 0; number < wanderers; number++) {
      const who = {
        name: `passer-by ${number}`,
        keys: workload.keys,
        random: this.#random.fork(`watch-${number}`),
        base,
      };
      busy.push(wander(this.#client(number % world.members.length), who, { ...watching, told, signal: workSignal }));
    }
    for (const one of busy) one.catch((error: unknown) => this.#fail(error, working));
    const unready: string[] = [];
    const stopSaying = clock.every(sayEveryMs, () => this.#observer.sayHow());
    try {
      const faults = isTarget ? [] : compileScenario(scenario, this.#random.fork('faults'), seconds);
      await this.#strikes.run(faults, workSignal);
      signal.throwIfAborted();
      if (faults.length > 0) {
        this.#observer.say('faults end');
        await world.heal().catch((error: unknown) => unready.push(notReady(error)));
        await pause(clock, afterHealMs, workSignal);
      }
      this.#journal.note({ type: 'calm' });
    } finally {
      stopSaying();
      working.abort();
    }
    await Promise.allSettled(busy);
    if (this.#failure !== undefined) throw this.#failure;
    signal.throwIfAborted();
    const ending = await endRun({
      world,
      clock,
      journal: this.#journal,
      observer: this.#observer,
      space: this.#space,
      nowMs: () => this.#nowMs(),
      signal,
      isReady: unready.length === 0,
      log,
      followers,
      client: (member) => this.#client(member),
      worker: (member, number) => this.#workerAt(member, number, revisions),
    });
    return {
      operations: this.#journal.entries,
      history: this.#journal.history.entries,
      log: log.record,
      watches: this.#watches,
      baseRevision: base,
      headRevision: ending.headRevision,
      compactions: this.#compactions,
      windows: this.#strikes.windows,
      unready: [...unready, ...ending.unready],
      misdeeds: this.#observer.misdeeds(this.#strikes.faults),
      events: this.#journal.events,
    };
  }

  /** Something is wrong with the run itself; it ends. */
  #fail(error: unknown, working: AbortController): void {
    this.#failure ??= error;
    working.abort();
  }

  #worker(number: number, revisions: RevisionsSeen): LiveClient {
    const { members } = this.#options.world;
    const place = number % (members.length + 1);
    return this.#workerAt(place < members.length ? place : undefined, number, revisions);
  }

  #workerAt(member: number | undefined, number: number, revisions: RevisionsSeen): LiveClient {
    const { clock } = this.#options;
    return new LiveClient({
      clock,
      client: this.#client(member, number),
      number,
      member,
      space: this.#space,
      workload: this.#workload(),
      random: this.#random.fork(`client-${number}`),
      journal: this.#journal,
      revisions,
    });
  }

  /** History of somebody else's servers is not ours to compact. */
  #workload(): ScenarioWorkload {
    const { scenario, isTarget } = this.#options;
    const { workload } = scenario;
    if (!isTarget || workload.mix.compact === 0) return workload;
    const mix = { ...workload.mix, compact: 0 };
    return { ...workload, mix: Object.values(mix).some((weight) => weight > 0) ? mix : usualMix };
  }

  /** Of one member, or of all, beginning with a different one each time. */
  #client(member: number | undefined, number = 0): KvClient {
    const { world, clock, tls, user } = this.#options;
    const urls = world.members.map(({ clientUrl }) => clientUrl);
    const turn = number % urls.length;
    const endpoints = member === undefined ? [...urls.slice(turn), ...urls.slice(0, turn)] : [urls[member] ?? ''];
    const client = createKvClient({
      clock,
      endpoints,
      timeoutMs: operationTimeoutMs,
      ...(tls ? { tls } : {}),
      ...(user ? { user } : {}),
    });
    this.#clients.push(client);
    return client;
  }

  async #deleteAll(): Promise<void> {
    const { prefix } = this.#space;
    const { key, rangeEnd } = this.#space.all();
    assert(rangeEnd.length > 0 && prefix.startsWith('keelson-chaos/'), 'only what this run wrote is deleted');
    const client = this.#client(undefined);
    try {
      const { deleted } = await client.deleteRange(key, rangeEnd);
      this.#options.say(`${deleted} keys under ${prefix} deleted again`);
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      this.#options.say(
        `keys under ${prefix} are left: delete them with etcdctl del --prefix ${prefix} (${errorText(error)})`,
      );
    }
  }

  #nowMs(): number {
    return this.#options.world.nowMs() - this.#startMs;
  }

  #result(verdict: Verdict): RunResult {
    const { entries: operations, acknowledged } = this.#journal;
    const events = verdict.model?.events.length ?? 0;
    const told = this.#watches.flatMap(({ answers }) => answers).filter(({ kind }) => kind === 'events').length;
    const elections = new Set(this.#observer.states.filter(({ state }) => state === 'leader').map(({ term }) => term))
      .size;
    return {
      verdict,
      operations,
      history: { events: this.#journal.events },
      states: this.#observer.states,
      links: this.#strikes.links.toSorted((a, b) => a.atMs - b.atMs),
      faults: this.#strikes.faults,
      durationMs: this.#nowMs(),
      figures: {
        operations: operations.length,
        answered: acknowledged,
        events,
        watches: this.#watches.length,
        'watch responses': told,
        faults: this.#strikes.faults.length,
        'terms with a leader': elections,
      },
    };
  }
}

/** What is not ready, and the last line that it wrote. */
function notReady(error: unknown): string {
  if (error instanceof InvariantViolation || !(error instanceof KeelsonError)) throw error;
  const lines = errorText(error).trimEnd().split('\n');
  return lines.length === 1 ? (lines[0] ?? '') : `${lines[0]} ${lines.at(-1)}`;
}
