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
import { FigureEight } from './figure-eight.ts';
import { Healing } from './healing.ts';
import { Liveness } from './liveness.ts';
import { MembershipFaults } from './membership.ts';
import type { Fault, FaultKind } from '../scenario/faults.ts';
import { calm } from '../scenario/network-conditions.ts';
import { SimNetwork } from './network.ts';
import type { Profile, WorldPlan } from './plan.ts';
import { planWorld } from './draw.ts';
import { type SeededRandom, seededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';
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

interface Ambush {
  readonly untilMs: number;
  readonly fault: Fault & { readonly kind: 'ambush' };
  /** Who was struck, and in which term. */
  readonly known: Set<string>;
}

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
  readonly #struck: Partial<Record<FaultKind, number>> = {};
  readonly #ambushRandom: SeededRandom;
  readonly #livenessRandom: SeededRandom;
  readonly #trace = createHash('sha256');
  /** By position, for ever. */
  readonly #slowDisks = new Map<number, number>();
  #isHealing = false;
  #ambush: Ambush | undefined;
  #figureEight: FigureEight | undefined;
  #violation: Violation | undefined;

  /** `only`: positions of those of its faults that strike; absent: all of them. */
  constructor(seed: string, profile: Profile = 'swarm', only?: readonly number[]) {
    const random = seededRandom(seed);
    const drawn = planWorld(seed, random.fork('plan'), profile);
    this.plan = only ? { ...drawn, faults: drawn.faults.filter((_, position) => only.includes(position)) } : drawn;
    this.#ambushRandom = random.fork('ambush');
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
  }

  async run(): Promise<WorldResult> {
    let isVerdictUnknown = false;
    try {
      for (const member of this.#members) member.start();
      this.#work.start();
      for (const { atMs, fault } of this.plan.faults) this.#scheduler.at(atMs * 1000, () => this.#strike(fault));
      await this.#runUntil(this.plan.faultyMs);
      if (this.plan.outside.length > 0) await this.#testLiveness();
      else {
        await this.#heal();
        isVerdictUnknown = this.#work.check() === 'unknown';
      }
      checkRevisions(this.#history.entries);
      if (checkLinearizable(this.#history.entries) === 'unknown') isVerdictUnknown = true;
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
      faults: this.#struck,
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
    if (this.#ambush !== undefined) this.#spring(this.#ambush);
    this.#figureEight?.poll();
    if (this.#scheduler.events % logMatchingEvery === 0) {
      this.#invariants.checkLogMatching(
        this.#members.flatMap((member) => (member.core === undefined ? [] : [member.core])),
      );
    }
    this.#trace.update(`${this.#scheduler.nowUs}:${this.#members.map((member) => describeMember(member)).join(' ')}\n`);
  }

  #strike(fault: Fault): void {
    this.#struck[fault.kind] = (this.#struck[fault.kind] ?? 0) + 1;
    this.#trace.update(`fault ${JSON.stringify(fault)}\n`);
    const leader = this.#members.find((member) => member.isLeader());
    const crash = (member: SimMember | undefined, downMs: number) => {
      if (member === undefined) return;
      member.crash();
      this.#scheduler.afterMs(downMs, () => member.start());
    };
    switch (fault.kind) {
      case 'crash':
        return crash(this.#members[fault.member], fault.downMs);
      case 'crashAll':
        for (const member of this.#members) crash(member, fault.downMs);
        return;
      case 'crashLeader':
        return crash(leader, fault.downMs);
      case 'pause':
        return this.#members[fault.member]?.pause(fault.pauseMs);
      case 'pauseLeader':
        return leader?.pause(fault.pauseMs);
      case 'partition':
        return this.#cut((from, to) => fault.sides[from] !== fault.sides[to], fault.healMs);
      case 'deaf':
        return this.#cut((_, to) => to === fault.member, fault.healMs);
      case 'mute':
        return this.#cut((from) => from === fault.member, fault.healMs);
      case 'isolateLeader':
        return this.#cut((from, to) => from === leader?.position || to === leader?.position, fault.healMs);
      case 'ambush':
        this.#ambush = { untilMs: this.#scheduler.nowUs / 1000 + fault.forMs, fault, known: new Set() };
        return;
      case 'figureEight':
        this.#figureEight = new FigureEight({
          scheduler: this.#scheduler,
          network: this.#network,
          members: this.#members,
          random: this.#ambushRandom,
          write: (member) => this.#work.writeOnce(member),
        });
        return;
      case 'weather':
        return this.#network.setConditions(fault.conditions);
      case 'transfer': {
        const target = this.#members[fault.member];
        if (leader === undefined || target === undefined || target === leader || !target.isAdmitted) return;
        leader.transferLeadershipTo(target.id);
        return;
      }
      case 'addLearner': {
        const spare = this.#members[fault.member];
        return spare === undefined ? undefined : this.#membership.add(spare);
      }
      case 'promote':
        return this.#membership.promote();
      case 'remove':
        return this.#membership.remove(this.#members[fault.member] as SimMember);
      case 'wipe':
        this.#wipe(fault).catch((error: unknown) =>
          this.#fail(new Violation('a healthy member answers', String(error))),
        );
        return;
      case 'rot':
        this.#members[fault.member]?.rot(fault.bytes);
        this.#scheduler.afterMs(fault.downMs, () => this.#members[fault.member]?.start());
        return;
      case 'diskError':
        return this.#members[fault.member]?.failDisk(fault.code, fault.downMs);
    }
  }

  /**
   * Only once every other founder knows whose key the victim has: one that was away while the cluster formed believes a wiped
   * founder, and nobody there can tell the two from a new cluster (docs/decisions/0010).
   */
  async #wipe({ member, downMs }: Fault & { readonly kind: 'wipe' }): Promise<void> {
    const victim = this.#members[member];
    const founders = this.#members.filter(({ position }) => position < this.plan.members && position !== member);
    const tables = await Promise.all(founders.map(({ server }) => server?.members(false) ?? Promise.resolve([])));
    const isKnown = tables.every((table) => table.some(({ id, key }) => id === victim?.id && key !== undefined));
    if (victim === undefined || !isKnown) return;
    victim.wipe();
    this.#scheduler.afterMs(downMs, () => victim.start());
  }

  /** A leader of an ambush's time is struck once in each term. */
  #spring({ untilMs, fault, known }: Ambush): void {
    if (this.#isHealing || this.#scheduler.nowUs / 1000 > untilMs) {
      this.#ambush = undefined;
      return;
    }
    for (const member of this.#members) {
      const leads = member.isLeader() ? `${member.name} ${member.core?.view().term}` : '';
      if (leads === '' || known.has(leads)) continue;
      known.add(leads);
      this.#scheduler.afterMs(this.#ambushRandom.next() * fault.withinMs, () => {
        if (this.#isHealing) return;
        member.crash();
        this.#scheduler.afterMs(this.#ambushRandom.next() * fault.downMs, () => member.start());
      });
    }
  }

  #cut(isCut: (from: number, to: number) => boolean, healMs: number): void {
    for (const from of this.#members) {
      for (const to of this.#members) {
        if (from !== to && isCut(from.position, to.position)) this.#network.cut(from.id, to.id);
      }
    }
    this.#scheduler.afterMs(healMs, () => {
      // Cuts that last are not the business of a fault that ends late.
      if (!this.#isHealing) this.#network.healAll();
    });
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
    this.#figureEight?.stop();
    this.#work.stop();
    this.#network.healAll();
    this.#network.setConditions(calm);
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
