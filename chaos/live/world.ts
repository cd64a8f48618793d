/** A live world that stands: its members, what has struck them, and when it ends. The contract is in contract.ts. */
import { sleep } from '../../src/env/clock.ts';
import type { Env } from '../../src/env/env.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import type { MemberState } from '../report/run-record.ts';
import type { Fault } from '../scenario/faults.ts';
import type {
  LinkCounts,
  LiveFault,
  LiveMember,
  LiveWorld,
  StoreProgram,
  StruckFault,
  UnexpectedExit,
} from './contract.ts';
import { Later } from './later.ts';
import { dismantle } from './leftovers.ts';
import type { LinkProxyClient } from './link-proxy-client.ts';
import { MemberCalls, type MemberWord } from './member-calls.ts';
import { MemberControl } from './member-control.ts';
import { MemberClock } from './member-clock.ts';
import type { MemberDisk } from './member-disk.ts';
import { MemberProcess } from './member-process.ts';
import { NetControl } from './net-control.ts';
import { Striker } from './striker.ts';
import { clientPort, type PlannedMember, type WorldPlan } from './world-plan.ts';

/** A busy machine takes some seconds to start a process, and an election or two may follow. */
const readyTimeoutMs = 90_000;
const readyPollMs = 100;
/** A member that says nothing for this long is not waited for when all are asked how they are. */
const wordTimeoutMs = 700;

export interface WorldParts {
  readonly env: Env;
  readonly plan: WorldPlan;
  readonly program: StoreProgram;
  readonly proxy: LinkProxyClient;
  readonly tls: LiveWorld['tls'];
  /** One for each member, mounted; absent: they share the machine's. */
  readonly disks: readonly MemberDisk[] | undefined;
  readonly hasOwnClocks: boolean;
  readonly commandOf: (member: PlannedMember) => readonly string[];
}

export class World implements LiveWorld {
  readonly #parts: WorldParts;
  readonly #controls: readonly MemberControl[];
  readonly #calls: MemberCalls;
  readonly #net: NetControl;
  readonly #later: Later;
  readonly #striker: Striker;
  readonly #exits: UnexpectedExit[] = [];
  /** What each member told last. */
  readonly #terms: number[];
  #readyAtMs: number;
  #closing: Promise<void> | undefined;

  constructor(parts: WorldParts) {
    this.#parts = parts;
    const { env, plan, proxy, program } = parts;
    const { clock } = env;
    this.#readyAtMs = clock.monotonicMs();
    this.#terms = plan.members.map(() => 0);
    this.#later = new Later(clock);
    this.#net = new NetControl(env, plan, proxy);
    this.#controls = plan.members.map((planned, member) => {
      const ownClock = parts.hasOwnClocks ? new MemberClock(`${plan.directory}/${planned.name}.clock`) : undefined;
      const process = new MemberProcess({
        env,
        member: planned,
        worldDirectory: plan.directory,
        words: parts.commandOf(planned),
        environment: ownClock?.environment ?? {},
        endedByItself: (how) => {
          if (this.#closing === undefined) this.#exits.push({ atMs: this.nowMs(), member, ...how });
        },
      });
      return new MemberControl({
        planned,
        process,
        disk: parts.disks?.[member],
        clock: ownClock,
        trueClock: clock,
        later: this.#later,
      });
    });
    const endpoints = this.members.map(({ clientUrl }) => clientUrl);
    this.#calls = new MemberCalls(clock, endpoints, parts.tls);
    const { controls, calls, net, later } = {
      controls: this.#controls,
      calls: this.#calls,
      net: this.#net,
      later: this.#later,
    };
    this.#striker = new Striker({ env, program, controls, calls, net, later, leader: () => this.#leader() }, () =>
      this.nowMs(),
    );
  }

  get tls(): LiveWorld['tls'] {
    return this.#parts.tls;
  }

  get members(): readonly LiveMember[] {
    const scheme = this.#parts.tls === undefined ? 'http' : 'https';
    return this.#controls.map(({ planned: { name, address }, process }) => ({
      name,
      address,
      clientUrl: `${scheme}://${address}:${clientPort}`,
      isUp: process.isUp,
    }));
  }

  /** Starts the members; resolves when all are ready, and begins to count. */
  async begin(): Promise<void> {
    await Promise.all(this.#controls.map((control) => control.start()));
    await this.#untilReady();
    this.#readyAtMs = this.#parts.env.clock.monotonicMs();
  }

  nowMs(): number {
    return this.#parts.env.clock.monotonicMs() - this.#readyAtMs;
  }

  unexpectedExits(): readonly UnexpectedExit[] {
    return [...this.#exits];
  }

  output(member: number): string {
    const control = this.#controls[member];
    if (control !== undefined) return control.process.output();
    const last = this.#controls.length - 1;
    throw new KeelsonError('CHAOS_NO_MEMBER', `output of member ${member}: this world has members 0 to ${last}`);
  }

  /** What has passed between members; beyond the contract. */
  async linkCounts(): Promise<LinkCounts> {
    this.#checkUsable();
    return this.#parts.proxy.counts();
  }

  async strike(fault: Fault | LiveFault): Promise<StruckFault> {
    this.#checkUsable();
    return this.#striker.strike(fault);
  }

  #checkUsable(): void {
    if (this.#closing !== undefined) throw new KeelsonError('CHAOS_CLOSED', 'this live world is closed');
    this.#later.throwFailure();
  }

  async heal(): Promise<void> {
    this.#checkUsable();
    this.#later.callOff();
    for (const control of this.#controls) {
      control.resume();
      control.clock?.beTrue();
    }
    await this.#net.endAll();
    const disks = this.#controls.flatMap(({ disk }) => (disk === undefined ? [] : [disk]));
    await Promise.all(disks.map((disk) => disk.thaw().then(() => disk.free())));
    await Promise.all(this.#controls.map((control) => control.start()));
    await this.#untilReady();
    // A member raises the alarm when its disk is full, and takes its time to believe that it is not.
    if (disks.length > 0) await this.#calls.disarmAlarms(readyTimeoutMs);
  }

  async states(): Promise<readonly { readonly state: MemberState; readonly term: number }[]> {
    this.#checkUsable();
    return Promise.all(this.#controls.map((control, member) => this.#state(control, member)));
  }

  async #state({ process }: MemberControl, member: number): Promise<{ state: MemberState; term: number }> {
    const made = () => (!process.isUp ? 'down' : process.isPaused ? 'paused' : undefined);
    const word = made() === undefined ? await this.#calls.word(member, wordTimeoutMs) : undefined;
    const term = word?.term ?? this.#terms[member] ?? 0;
    this.#terms[member] = term;
    return { state: made() ?? stateOf(word), term };
  }

  /** Whoever says that it leads; of several, the one of the highest term. */
  async #leader(): Promise<{ readonly member: number; readonly term: number } | undefined> {
    const states = await this.states();
    return states
      .map(({ state, term }, member) => ({ state, term, member }))
      .filter(({ state }) => state === 'leader')
      .sort((a, b) => b.term - a.term)[0];
  }

  /** Every member answers, all name the same leader in the same term, and all vote: learners are promoted on the way. */
  async #untilReady(): Promise<void> {
    const { clock } = this.#parts.env;
    const endMs = clock.monotonicMs() + readyTimeoutMs;
    const exitsBefore = this.#exits.length;
    for (;;) {
      const words = await Promise.all(this.#controls.map((_, member) => this.#calls.word(member, wordTimeoutMs)));
      const learners = words.filter((word) => word?.isLearner === true);
      if (areAgreed(words) && learners.length === 0) return;
      this.#checkUsable();
      const exit = this.#exits[exitsBefore];
      if (exit !== undefined) {
        throw this.#notReady(exit.member, `ended by itself (${exit.signal ?? `exit code ${exit.code}`})`);
      }
      if (clock.monotonicMs() > endMs) {
        const silent = words.findIndex((word) => word === undefined || word.leader === '0');
        const what = silent < 0 ? 'does not agree with the others' : 'is not ready';
        throw this.#notReady(Math.max(silent, 0), `${what} after ${readyTimeoutMs} ms`);
      }
      for (const learner of learners) if (learner) await this.#calls.promote(learner.memberId, wordTimeoutMs);
      await sleep(clock, readyPollMs);
    }
  }

  #notReady(member: number, what: string): KeelsonError {
    const lines = this.output(member).trimEnd().split('\n').slice(-20).join('\n');
    const name = this.members[member]?.name;
    return new KeelsonError('CHAOS_NOT_READY', `wait for the live world: ${name} ${what}; it wrote last:\n${lines}`);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { env, plan, proxy } = this.#parts;
    this.#later.callOff();
    this.#calls.close();
    for (const { disk } of this.#controls) await disk?.thaw();
    // What was begun is finished first, so that nothing is started behind our back.
    await Promise.all([this.#net.settled(), ...this.#controls.map((control) => control.settled())]);
    await Promise.all(this.#controls.map(({ process }) => process.kill()));
    await proxy.close();
    await dismantle(env, plan.id, plan.directory);
  }
}

function stateOf(word: MemberWord | undefined): MemberState {
  if (word === undefined) return 'starting';
  if (word.isLearner) return 'learner';
  if (word.leader === '0') return 'candidate';
  return word.leader === word.memberId ? 'leader' : 'follower';
}

function areAgreed(words: readonly (MemberWord | undefined)[]): boolean {
  const first = words[0];
  if (first === undefined || first.leader === '0') return false;
  const isSame = words.every((word) => word?.leader === first.leader && word.term === first.term);
  return isSame && words.some((word) => word?.memberId === first.leader);
}
