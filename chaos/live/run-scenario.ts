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
import type { LinkChange, RecordedFault, StateChange } from '../report/run-record.ts';
import {
  compileScenario,
  type ExpectingFault,
  type Scenario,
  type ScenarioWorkload,
  usualMix,
} from '../scenario/scenario.ts';
import { type SeededRandom, seededRandom } from '../sim/random.ts';
import { KeySpace, performOn } from './client-perform.ts';
import { type ExpectedWindow, judge, type RunEvidence, type Verdict } from './run-judge.ts';
import { type JournalEntry, RunJournal } from './run-journal.ts';
import type { RunWorld } from './run-target.ts';
import { LiveClient, type RevisionsSeen } from './workload.ts';
import { type OpenWatch, openWatch, toModelKey, wander } from './workload-watchers.ts';

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
const stateEveryMs = 250;
const sayEveryMs = 5_000;
/** After faults have ended every member has to answer within this; elections, snapshots and a busy machine included. */
const readyWithinMs = 40_000;
const retryMs = 200;
const watchersWithinMs = 20_000;
/** Clients go on for a while after faults have ended: that is when members meet again. */
const afterHealMs = 1_500;
/** Timers of the world may end a fault this much earlier than was said. */
const windowMarginMs = 50;
/** As much as a stack trace takes. */
const lastLines = 12;
const wanderers = 3;
/** Beyond the numbers of clients. */
const lastClient = 1_000;

export class Run {
  readonly #options: RunOptions;
  readonly #random: SeededRandom;
  readonly #space: KeySpace;
  readonly #journal: RunJournal;
  readonly #startMs: number;
  readonly #clients: KvClient[] = [];
  readonly #watches: WatchRecord[] = [];
  readonly #states: StateChange[] = [];
  readonly #links: LinkChange[] = [];
  readonly #faults: RecordedFault[] = [];
  readonly #windows: ExpectedWindow[] = [];
  readonly #unready: string[] = [];
  readonly #compactions = new Set<number>();
  /** Of each unexpected exit, in order. */
  readonly #lastWords: string[] = [];
  #failure: unknown;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#startMs = options.world.nowMs();
    this.#space = new KeySpace(`keelson-chaos/${options.seed}-${Math.round(options.clock.wallMs())}/`);
    this.#journal = new RunJournal(() => this.#nowMs());
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
      const sampling = this.#sampleStates(everything);
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
    const { scenario, world, clock, seconds, say, isTarget } = this.#options;
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
    const stopSaying = clock.every(sayEveryMs, () => this.#sayHow());
    try {
      const faults = isTarget ? [] : compileScenario(scenario, this.#random.fork('faults'), seconds);
      await this.#strikeAll(faults, seconds * 1_000, workSignal);
      signal.throwIfAborted();
      if (faults.length > 0) {
        say(`${this.#seconds()}  faults end`);
        await world.heal().catch((error: unknown) => this.#unready.push(notReady(error)));
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
    const headRevision = await this.#end([log, ...followers], revisions, signal);
    return {
      operations: this.#journal.entries,
      history: this.#journal.history.entries,
      log: log.record,
      watches: this.#watches,
      baseRevision: base,
      headRevision,
      compactions: this.#compactions,
      windows: this.#windows,
      unready: this.#unready,
      misdeeds: this.#misdeeds(),
      events: this.#journal.events,
    };
  }

  /** Something is wrong with the run itself; it ends. */
  #fail(error: unknown, working: AbortController): void {
    this.#failure ??= error;
    working.abort();
  }

  #worker(number: number, revisions: RevisionsSeen): LiveClient {
    const { world, clock } = this.#options;
    const place = number % (world.members.length + 1);
    const member = place < world.members.length ? place : undefined;
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

  async #strikeAll(faults: readonly ExpectingFault[], endMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const striking: Promise<void>[] = [];
    for (const fault of faults) {
      await pause(clock, Math.max(0, fault.atMs - this.#nowMs()), signal);
      if (signal.aborted) break;
      striking.push(this.#strike(fault));
    }
    await pause(clock, Math.max(0, endMs - this.#nowMs()), signal);
    await Promise.all(striking);
  }

  async #strike({ fault, expect }: ExpectingFault): Promise<void> {
    const { world, say } = this.#options;
    const { atMs, endMs, text, members, links } = await world.strike(fault);
    const struckMs = this.#nowMs();
    const toMs = endMs === undefined ? undefined : endMs - this.#startMs;
    const time = { atMs: atMs - this.#startMs, ...(toMs === undefined ? {} : { endMs: toMs }) };
    if (fault.kind === 'crashAll') this.#journal.note({ type: 'powerLoss' });
    this.#faults.push({ ...time, kind: fault.kind, text, members });
    for (const link of links) {
      this.#links.push({ atMs: time.atMs, ...link, isCut: true });
      if (toMs !== undefined) this.#links.push({ atMs: toMs, ...link, isCut: false });
    }
    say(`${this.#seconds()}  ${text}${toMs === undefined ? '' : ` for ${((toMs - time.atMs) / 1_000).toFixed(1)} s`}`);
    // Where nobody led, nothing happened that anything could be expected of.
    const hasStruck = members.length > 0 || links.length > 0 || fault.kind === 'weather';
    const end = toMs ?? this.#options.seconds * 1_000;
    if (expect !== undefined && hasStruck)
      this.#windows.push({
        expect,
        fromMs: struckMs,
        toMs: Math.min(end, this.#options.seconds * 1_000) - windowMarginMs,
        text,
      });
  }

  /** Everything must go on: a last write, every member tells all it has, watches are told all there is. */
  async #end(
    watches: readonly OpenWatch[],
    revisions: RevisionsSeen,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { world, clock, scenario } = this.#options;
    const shared = { clock, space: this.#space, workload: scenario.workload, journal: this.#journal, revisions };
    const last = (member: number | undefined, number: number) =>
      new LiveClient({
        ...shared,
        client: this.#client(member),
        number,
        member,
        random: this.#random.fork(`last-${number}`),
      });
    const untilMs = this.#nowMs() + readyWithinMs;
    const until = async <Answer>(what: string, ask: () => Promise<Answer | undefined>): Promise<Answer | undefined> => {
      for (;;) {
        const answer = await ask();
        if (answer !== undefined) return answer;
        signal.throwIfAborted();
        if (this.#nowMs() > untilMs) {
          this.#unready.push(`${what} within ${readyWithinMs} ms`);
          return undefined;
        }
        await pause(clock, retryMs, signal);
      }
    };
    const learners = await this.#learners();
    let sequence = 0;
    const writer = last(undefined, lastClient);
    const written = await until('no write was confirmed', () =>
      writer.perform({ kind: 'put', key: 'last', value: `${lastClient}.last.${sequence++}` }),
    );
    const heads = await Promise.all(
      world.members.map(async ({ name }, member) => {
        if (learners.has(member)) return 0;
        const reader = last(member, lastClient + 1 + member);
        const list = (isLocal: boolean) =>
          until(`${name} did not tell all it has`, () => reader.perform({ kind: 'list', at: 0, isLocal }));
        await list(false);
        await this.#noteState(name, this.#client(member));
        return (await list(true))?.revision ?? 0;
      }),
    );
    const [, ...followers] = watches;
    for (const [member, follower] of followers.entries()) if (learners.has(member)) follower.leave();
    if (written !== undefined) {
      const endMs = this.#nowMs() + watchersWithinMs;
      const isBehind = (watch: OpenWatch) => watch.record.isOpen && watch.toldRevision() < written.revision;
      while (watches.some(isBehind) && this.#nowMs() < endMs && !signal.aborted) await pause(clock, 50, signal);
    }
    for (const watch of watches) watch.cancel();
    const head = Math.max(written?.revision ?? 0, ...heads);
    return head === 0 ? undefined : head;
  }

  /** All that a member holds, as it has it. */
  async #noteState(member: string, client: KvClient): Promise<void> {
    try {
      const { kvs, revision } = await client.range({ ...this.#space.all(), serializable: true });
      this.#journal.note({ type: 'state', member, revision, keys: kvs.map((kv) => toModelKey(kv, this.#space)) });
    } catch (error) {
      // The list that follows is asked again and again, and says what is wrong.
      if (error instanceof InvariantViolation) throw error;
    }
  }

  /** Who came back as somebody else, and was not made a voter, serves no clients. */
  async #learners(): Promise<ReadonlySet<number>> {
    const { world, say } = this.#options;
    const states = await world.states();
    const learners = new Set([...states.keys()].filter((member) => states[member]?.state === 'learner'));
    for (const member of learners)
      say(`${this.#seconds()}  ${world.members[member]?.name} is a learner, and serves no clients`);
    return learners;
  }

  #misdeeds(): readonly string[] {
    const { world } = this.#options;
    // A member whose disk fails has to end.
    const mayEnd = new Set(['diskError', 'fullDisk', 'rot', 'crashInDisk']);
    const struck = this.#faults.filter(({ kind }) => mayEnd.has(kind)).flatMap(({ members }) => members);
    this.#noteExits();
    return world.unexpectedExits().flatMap(({ atMs, member, code, signal }, index) => {
      if (struck.includes(member)) return [];
      const { name } = present(world.members[member], 'the member that ended');
      const lines = this.#lastWords[index] ?? '';
      return [
        `${name} ended by itself at ${Math.round(atMs - this.#startMs)} ms (${signal ?? `exit code ${code}`}): ${lines}`,
      ];
    });
  }

  /** What a member wrote last, before it is started again and writes something else. */
  #noteExits(): void {
    const { world, say } = this.#options;
    const exits = world.unexpectedExits();
    for (const { member } of exits.slice(this.#lastWords.length)) {
      const lines = world.output(member).trimEnd().split('\n').slice(-lastLines).join('\n');
      this.#lastWords.push(lines);
      say(`${this.#seconds()}  ${world.members[member]?.name} ended by itself; it wrote last:\n${lines}`);
    }
  }

  async #sampleStates(signal: AbortSignal): Promise<void> {
    const { clock, world } = this.#options;
    const last = world.members.map(() => '');
    while (!signal.aborted) {
      const atMs = this.#nowMs();
      const states = await world.states();
      this.#noteExits();
      for (const [member, { state, term }] of states.entries()) {
        const text = `${state} ${term}`;
        if (last[member] === text) continue;
        last[member] = text;
        this.#states.push({ atMs, member, state, term });
      }
      await pause(clock, stateEveryMs, signal);
    }
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

  #sayHow(): void {
    const { world } = this.#options;
    const now = world.members.map((_, member) => this.#states.findLast((change) => change.member === member));
    // Who was cut off may believe for a while that it still leads.
    const leaders = now.filter((change) => change?.state === 'leader').sort((a, b) => (b?.term ?? 0) - (a?.term ?? 0));
    const [leader] = leaders;
    const leads = leader ? `${world.members[leader.member]?.name} leads in term ${leader.term}` : 'nobody leads';
    const { entries, acknowledged } = this.#journal;
    this.#options.say(`${this.#seconds()}  ${acknowledged} of ${entries.length} operations answered; ${leads}`);
  }

  #nowMs(): number {
    return this.#options.world.nowMs() - this.#startMs;
  }

  #seconds(): string {
    return `${(this.#nowMs() / 1_000).toFixed(1).padStart(6)} s`;
  }

  #result(verdict: Verdict): RunResult {
    const { entries: operations, acknowledged } = this.#journal;
    const events = verdict.model?.events.length ?? 0;
    const told = this.#watches.flatMap(({ answers }) => answers).filter(({ kind }) => kind === 'events').length;
    const elections = new Set(this.#states.filter(({ state }) => state === 'leader').map(({ term }) => term)).size;
    return {
      verdict,
      operations,
      history: { events: this.#journal.events },
      states: this.#states,
      links: this.#links.toSorted((a, b) => a.atMs - b.atMs),
      faults: this.#faults,
      durationMs: this.#nowMs(),
      figures: {
        operations: operations.length,
        answered: acknowledged,
        events,
        watches: this.#watches.length,
        'watch responses': told,
        faults: this.#faults.length,
        'terms with a leader': elections,
      },
    };
  }
}

function notReady(error: unknown): string {
  if (error instanceof InvariantViolation || !(error instanceof KeelsonError)) throw error;
  return errorText(error);
}
