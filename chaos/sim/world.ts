/**
 * One seed, one world: a cluster of members under a plan of faults, with clients, watched by checkers. Two phases: faults
 * strike; then everything heals, and the cluster must serve again, agree, and explain every answer it ever gave.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/env/clock.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import { History } from '../check/history.ts';
import { checkLinearizable } from '../check/linearizability.ts';
import { RaftInvariants } from '../check/raft-invariants.ts';
import { RequestsOnce } from '../check/requests-once.ts';
import { checkRevisions } from '../check/revisions.ts';
import { Violation } from '../check/violation.ts';
import { Healing } from './healing.ts';
import { Liveness } from './liveness.ts';
import { MembershipFaults } from './membership.ts';
import type { FaultKind } from '../scenario/faults.ts';
import { SimNetwork } from './network.ts';
import type { Profile, WorldPlan } from './plan.ts';
import { planWorld } from './draw.ts';
import type { ReplicaId } from '../../src/raft/index.ts';
import type { Recorder } from './recorder.ts';
import { type SeededRandom, seededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { Striker } from './striker.ts';
import { settle } from './settle.ts';
import { describeMember, NobodyAnswered, SimMember } from './sim-member.ts';
import { CommitLog } from './commit-log.ts';
import { Workload } from './world-clients.ts';

export interface WorldResult {
  readonly plan: WorldPlan;
  readonly violation: Violation | undefined;
  readonly events: number;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly acknowledged: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly isVerdictUnknown: boolean;
  /** Of everything that happened, in order. */
  readonly traceHash: string;
}

/** Comparing whole logs costs more than the other checks: every so many events. */
const logMatchingEvery = 50;

export class World {
  readonly plan: WorldPlan;
  readonly #scheduler = new Scheduler();
  readonly #network: SimNetwork;
  readonly #members: SimMember[] = [];
  readonly #membership: MembershipFaults;
  readonly #history = new History();
  readonly #work: Workload;
  readonly #commits: CommitLog;
  readonly #requestsOnce = new RequestsOnce();
  readonly #invariants = new RaftInvariants((entry) => {
    this.#requestsOnce.committed(entry);
    this.#commits.take(entry);
  });
  readonly #striker: Striker;
  readonly #livenessRandom: SeededRandom;
  readonly #trace = createHash('sha256');
  /** By position, for ever. */
  readonly #slowDisks = new Map<number, number>();
  #isHealing = false;
  #violation: Violation | undefined;

  readonly #recorder: Recorder | undefined;

  /** `only`: positions of those of its faults that strike; absent: all of them. */
  constructor(seed: string, profile: Profile = 'swarm', only?: readonly number[], recorder?: Recorder) {
    const random = seededRandom(seed);
    this.#recorder = recorder;
    const drawn = planWorld(seed, random.fork('plan'), profile);
    this.plan = only ? { ...drawn, faults: drawn.faults.filter((_, position) => only.includes(position)) } : drawn;
    this.#livenessRandom = random.fork('liveness');
    this.#network = new SimNetwork(this.#scheduler, random.fork('network'), this.plan.weather);
    for (let position = 0; position < this.plan.members + this.plan.spares; position++) {
      const member = new SimMember(
        {
          plan: this.plan,
          scheduler: this.#scheduler,
          network: this.#network,
          invariants: this.#invariants,
          ask: (clock, limitMs, question) => this.#ask(clock, limitMs, question),
          diskDelayMaxMs: () => this.#slowDisks.get(position) ?? (this.#isHealing ? 1 : this.plan.diskDelayMaxMs),
          members: () => this.#members,
          fail: (error) => this.#fail(error),
        },
        position,
        random.fork(`member-${position}`),
      );
      member.onCrash = () => {
        this.#work.memberCrashed(member);
      };
      this.#members.push(member);
    }
    this.#membership = new MembershipFaults({
      scheduler: this.#scheduler,
      members: this.#members,
      random: random.fork('membership'),
    });
    this.#commits = new CommitLog(() => this.#scheduler.nowUs / 1000);
    this.#work = new Workload({
      plan: this.plan,
      scheduler: this.#scheduler,
      members: this.#members.filter((member) => !member.isWitness),
      history: this.#history,
      commits: this.#commits,
      random,
    });
    if (recorder !== undefined) this.#network.onLink = (...change) => this.#recordLink(recorder, ...change);
    this.#striker = new Striker({
      founders: this.plan.members,
      scheduler: this.#scheduler,
      network: this.#network,
      members: this.#members,
      membership: this.#membership,
      random: random.fork('ambush'),
      slowDisks: this.#slowDisks,
      writeOnce: (member) => this.#work.writeOnce(member),
      fail: (error) => this.#fail(error),
    });
  }

  /** Of the members, by position. */
  get names(): readonly string[] {
    return this.#members.map((member) => member.name);
  }

  async run(): Promise<WorldResult> {
    let isVerdictUnknown = false;
    try {
      for (const member of this.#members) member.start();
      this.#work.start();
      for (const { atMs, fault } of this.plan.faults) {
        this.#scheduler.at(Math.round(atMs * 1000), () => {
          this.#trace.update(`fault ${JSON.stringify(fault)}\n`);
          this.#recorder?.struck(this.#scheduler.nowUs / 1000, fault);
          this.#striker.strike(fault);
        });
      }
      await this.#runUntil(this.plan.faultyMs);
      if (this.plan.isBeyondRepair) this.#calm();
      else if (this.plan.outside.length > 0) await this.#testLiveness();
      else {
        await this.#heal();
        isVerdictUnknown = this.#work.check() === 'unknown';
      }
      checkRevisions(this.#history.entries);
      const { model, hasGap } = this.#commits;
      const verdict = checkLinearizable(this.#history.entries, hasGap ? undefined : model);
      if (verdict === 'unknown') isVerdictUnknown = true;
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    for (const member of this.#members) member.crash();
    await settle();
    const { entries } = this.#history;
    this.#trace.update(JSON.stringify([entries, this.#work.told()]));
    return {
      plan: this.plan,
      violation: this.#violation,
      events: this.#scheduler.events,
      simulatedMs: this.#scheduler.nowUs / 1000,
      operations: entries.length,
      acknowledged: entries.filter((entry) => entry.outcome !== undefined).length,
      faults: this.#striker.struck,
      isVerdictUnknown,
      traceHash: this.#trace.digest('hex'),
    };
  }

  async #runUntil(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    const untilUs = Math.round(untilMs * 1000);
    while (await this.#scheduler.step(untilUs)) {
      this.#observe();
      if (this.#violation !== undefined) throw this.#violation;
      if (isDone()) return;
    }
  }

  #observe(): void {
    for (const member of this.#members) member.check();
    this.#striker.observe();
    this.#recorder?.observe(this.#scheduler.nowUs / 1000, this.#members, this.#history);
    if (this.#scheduler.events % logMatchingEvery === 0) {
      this.#invariants.checkLogMatching(
        this.#members.flatMap((member) => (member.core === undefined ? [] : [member.core])),
      );
    }
    this.#trace.update(`${this.#scheduler.nowUs}:${this.#members.map((member) => describeMember(member)).join(' ')}\n`);
  }

  #recordLink(recorder: Recorder, from: ReplicaId, to: ReplicaId, isCut: boolean): void {
    const positionOf = (id: ReplicaId) => this.#members.findIndex((member) => member.id === id);
    const [fromAt, toAt] = [positionOf(from), positionOf(to)];
    if (fromAt < 0 || toAt < 0) return;
    recorder.link({ atMs: this.#scheduler.nowUs / 1000, from: fromAt, to: toAt, isCut });
  }

  /** The core works again, the others never. */
  async #testLiveness(): Promise<void> {
    this.#calm();
    await new Liveness({
      plan: this.plan,
      scheduler: this.#scheduler,
      network: this.#network,
      members: this.#members,
      random: this.#livenessRandom,
      runUntil: (untilMs, isDone) => this.#runUntil(untilMs, isDone),
      setDiskDelay: (member, delayMs) => this.#slowDisks.set(member.position, delayMs),
    }).run();
  }

  #heal(): Promise<void> {
    this.#calm();
    return new Healing({
      plan: this.plan,
      scheduler: this.#scheduler,
      members: this.#members,
      membership: this.#membership,
      history: this.#history,
      work: this.#work,
      runUntil: (untilMs, isDone) => this.#runUntil(untilMs, isDone),
      fail: (error) => this.#fail(error),
    }).run();
  }

  #calm(): void {
    this.#isHealing = true;
    this.#work.stop();
    this.#striker.calm();
  }

  /** Asks each member that is up in turn; the operator's network does not fail, but members do not answer for ever. */
  async #ask<T>(clock: Clock, limitMs: number, question: (server: StoreServer) => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    late.catch(() => undefined);
    const cancel = clock.after(limitMs, () => reject(new NobodyAnswered('nobody answered in time')));
    try {
      let failure: unknown = new NobodyAnswered('nobody is up');
      for (const { server } of this.#members) {
        if (server === undefined) continue;
        const answer = Promise.race([question(server), late]);
        const outcome = await answer.then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        );
        if ('value' in outcome) return outcome.value;
        failure = outcome.error;
      }
      throw failure instanceof NobodyAnswered ? failure : new NobodyAnswered(String(failure));
    } finally {
      cancel();
    }
  }

  #fail(error: Error): void {
    this.#violation ??=
      error instanceof Violation ? error : new Violation('no assertion breaks', error.stack ?? error.message);
  }
}
