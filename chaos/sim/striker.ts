/**
 * Carries faults out on a simulated world. Each ends by itself at its time, and only itself; `calm` ends them all, and what
 * would end later has nothing to end any more.
 */
import type { Fault, FaultKind } from '../scenario/faults.ts';
import { calm } from '../scenario/network-conditions.ts';
import { Violation } from '../check/violation.ts';
import { FigureEight } from './figure-eight.ts';
import type { MembershipFaults } from './membership.ts';
import type { SimNetwork } from './network.ts';
import { strikeNetwork } from './network-faults.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

export interface StruckWorld {
  /** The first so many members began the cluster. */
  readonly founders: number;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly members: readonly SimMember[];
  readonly membership: MembershipFaults;
  readonly random: SeededRandom;
  /** By position: longest time a disk operation takes. */
  readonly slowDisks: Map<number, number>;
  readonly writeOnce: (member: SimMember) => void;
  /** Ends the world. */
  readonly fail: (error: Error) => void;
}

interface Ambush {
  readonly untilMs: number;
  readonly fault: Fault & { readonly kind: 'ambush' };
  /** Who was struck, and in which term. */
  readonly known: Set<string>;
}

export class Striker {
  readonly #world: StruckWorld;
  readonly struck: Partial<Record<FaultKind, number>> = {};
  /** How to end what has not ended. */
  readonly #lasting = new Set<() => void>();
  #isCalm = false;
  #ambush: Ambush | undefined;
  #figureEight: FigureEight | undefined;

  constructor(world: StruckWorld) {
    this.#world = world;
  }

  strike(fault: Fault): void {
    this.struck[fault.kind] = (this.struck[fault.kind] ?? 0) + 1;
    const leader = this.#world.members.find((member) => member.isLeader());
    const end = strikeNetwork(fault, { ...this.#world, leader });
    if (end === undefined) this.#strikeMember(fault, leader);
    else if ('healMs' in fault) this.#endLater(fault.healMs, end);
  }

  /** After every event. */
  observe(): void {
    if (this.#ambush !== undefined) this.#spring(this.#ambush);
    this.#figureEight?.poll();
  }

  /** Everything ends. */
  calm(): void {
    this.#isCalm = true;
    this.#figureEight?.stop();
    for (const end of this.#lasting) end();
    // The weather has no end of its own, and what guided faults have cut is not theirs to heal.
    this.#world.network.healAll();
    this.#world.network.setConditions(calm);
  }

  /** At its time, or when everything ends. */
  #endLater(healMs: number, end: () => void): void {
    const once = () => {
      if (this.#lasting.delete(once)) end();
    };
    this.#lasting.add(once);
    this.#world.scheduler.afterMs(healMs, once);
  }

  #strikeMember(fault: Fault, leader: SimMember | undefined): void {
    const { members, membership, slowDisks } = this.#world;
    const struck = 'member' in fault ? members[fault.member] : undefined;
    switch (fault.kind) {
      case 'crash':
        return this.#crash(struck, fault.downMs);
      case 'crashAll':
        for (const member of members) this.#crash(member, fault.downMs);
        return;
      case 'crashQuorum':
        for (const position of fault.members) this.#crash(members[position], fault.downMs);
        return;
      case 'crashLeader':
        return this.#crash(leader, fault.downMs);
      case 'crashLoop':
        return this.#crashAgain(struck, fault, fault.times);
      case 'crashInDisk':
        return struck?.crashInDisk(fault.operation, fault.after, fault.downMs);
      case 'stop':
        return struck?.stop(fault.downMs);
      case 'stopLeader':
        return leader?.stop(fault.downMs);
      case 'pause':
        return struck?.pause(fault.pauseMs);
      case 'pauseLeader':
        return leader?.pause(fault.pauseMs);
      case 'clientCut':
        if (struck === undefined) return;
        struck.clientsLose = fault.lost;
        return this.#endLater(fault.healMs, () => {
          struck.clientsLose = undefined;
        });
      case 'ambush':
        this.#ambush = { untilMs: this.#nowMs() + fault.forMs, fault, known: new Set() };
        return;
      case 'figureEight':
        return this.#beginFigureEight();
      case 'transfer':
        if (leader === undefined || struck === undefined || struck === leader || !struck.isAdmitted) return;
        return leader.transferLeadershipTo(struck.id);
      case 'addLearner':
        return struck === undefined ? undefined : membership.add(struck);
      case 'promote':
        return membership.promote();
      case 'remove':
        return struck === undefined ? undefined : membership.remove(struck);
      case 'wipe':
        this.#wipe(fault).catch((error: unknown) =>
          this.#world.fail(new Violation('a healthy member answers', String(error))),
        );
        return;
      case 'rot':
        struck?.rot(fault.bytes);
        return this.#startLater(struck, fault.downMs);
      case 'diskError':
        return struck?.failDisk(fault.code, fault.downMs);
      case 'slowDisk':
        slowDisks.set(fault.member, fault.delayMs);
        return this.#endLater(fault.healMs, () => slowDisks.delete(fault.member));
      case 'fullDisk':
        struck?.setDiskFull(true);
        return this.#endLater(fault.healMs, () => struck?.setDiskFull(false));
      case 'clockRate':
      case 'clockFreeze': {
        const { clock } = struck ?? {};
        clock?.setRate(fault.kind === 'clockFreeze' ? 0 : fault.rate);
        return this.#endLater(fault.healMs, () => clock?.restoreRate());
      }
      case 'wallJump':
        return struck?.clock?.jumpWall(fault.byMs);
      case 'wallStrobe':
        return this.#strobe(struck, fault, this.#nowMs() + fault.healMs);
      case 'defragment':
      case 'hash':
      case 'saveSnapshot':
        return struck === undefined ? undefined : membership.maintain(struck, fault.kind);
      default:
        throw new Violation('every fault can be carried out', fault.kind);
    }
  }

  #nowMs(): number {
    return this.#world.scheduler.nowUs / 1000;
  }

  #startLater(member: SimMember | undefined, downMs: number): void {
    this.#world.scheduler.afterMs(downMs, () => member?.start());
  }

  #crash(member: SimMember | undefined, downMs: number): void {
    member?.crash();
    this.#startLater(member, downMs);
  }

  #crashAgain(member: SimMember | undefined, fault: Fault & { readonly kind: 'crashLoop' }, timesLeft: number): void {
    if (timesLeft === 0 || this.#isCalm) return;
    this.#crash(member, fault.downMs);
    this.#world.scheduler.afterMs(fault.downMs + fault.upMs, () => this.#crashAgain(member, fault, timesLeft - 1));
  }

  #strobe(member: SimMember | undefined, fault: Fault & { readonly kind: 'wallStrobe' }, untilMs: number): void {
    if (this.#isCalm || this.#nowMs() >= untilMs) return;
    member?.clock?.jumpWall(fault.byMs);
    this.#world.scheduler.afterMs(fault.everyMs, () => this.#strobe(member, { ...fault, byMs: -fault.byMs }, untilMs));
  }

  #beginFigureEight(): void {
    const { scheduler, network, members, random, writeOnce } = this.#world;
    this.#figureEight = new FigureEight({ scheduler, network, members, random, write: writeOnce });
  }

  /**
   * Only once every other founder knows whose key the victim has: one that was away while the cluster formed believes a wiped
   * founder, and nobody there can tell the two from a new cluster (docs/decisions/0010).
   */
  async #wipe({ member, downMs }: Fault & { readonly kind: 'wipe' }): Promise<void> {
    const { members, founders: count } = this.#world;
    const victim = members[member];
    const founders = members.filter(({ position }) => position < count && position !== member);
    const tables = await Promise.all(founders.map(({ server }) => server?.members(false) ?? Promise.resolve([])));
    const isKnown = tables.every((table) => table.some(({ id, key }) => id === victim?.id && key !== undefined));
    if (victim === undefined || !isKnown) return;
    victim.wipe();
    this.#startLater(victim, downMs);
  }

  /** A leader of an ambush's time is struck once in each term. */
  #spring({ untilMs, fault, known }: Ambush): void {
    const { members, random, scheduler } = this.#world;
    if (this.#isCalm || this.#nowMs() > untilMs) {
      this.#ambush = undefined;
      return;
    }
    for (const member of members) {
      const leads = member.isLeader() ? `${member.name} ${member.core?.view().term}` : '';
      if (leads === '' || known.has(leads)) continue;
      known.add(leads);
      scheduler.afterMs(random.next() * fault.withinMs, () => {
        if (!this.#isCalm) this.#crash(member, random.next() * fault.downMs);
      });
    }
  }
}
