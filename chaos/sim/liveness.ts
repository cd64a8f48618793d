/**
 * Will it serve? A majority of the members, the core, is well and hears each other; everybody else keeps a fault for ever: down,
 * cut off, deaf, mute, half connected, flapping, slow, ending again and again. The core must acknowledge a write soon,
 * and go on doing so, whoever leads; and nobody from outside may depose its leader again and again.
 */
import { putRequest } from '../../src/kv/api.ts';
import { Violation } from '../check/violation.ts';
import type { SimNetwork } from './network.ts';
import type { OutsideFault, WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

/** A write is tried this often, on some member of the core. */
const tryEveryMs = 50;
/** Elections that may fail by bad luck, a lost leader that is noticed late, and what a disk takes. */
const boundElections = 15;
const boundBaseMs = 1_000;
/** For so many election time-outs it must go on. */
const watchedElections = 40;
/** The last election of the faulty time, one that it takes to leave an outsider, and one by bad luck. */
const termsMax = 4;

export interface LivenessWorld {
  readonly plan: WorldPlan;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly members: readonly SimMember[];
  readonly random: SeededRandom;
  readonly runUntil: (untilMs: number, isDone?: () => boolean) => Promise<void>;
  /** Cleared: as ever. */
  readonly setDiskDelay: (member: SimMember, delayMs: number) => void;
}

export class Liveness {
  readonly #world: LivenessWorld;
  readonly #outside: readonly OutsideFault[];
  readonly #core: readonly SimMember[];
  #acknowledged = 0;
  #lastAckMs = 0;
  #longestGapMs = 0;
  #attempts = 0;

  constructor(world: LivenessWorld) {
    this.#world = world;
    this.#outside = whoIsOutside(world);
    const outside = new Set(this.#outside.map((fault) => fault.member));
    this.#core = world.members.filter((member) => !outside.has(member.position));
  }

  /** Throws Violation. Faults inside the core have ended. */
  async run(): Promise<void> {
    const { plan, scheduler, runUntil } = this.#world;
    for (const fault of this.#outside) this.#begin(fault);
    for (const member of this.#core) member.start();
    const electionMs = plan.electionTicks * plan.tickMs;
    const boundMs = boundBaseMs + boundElections * electionMs;
    const nowMs = () => scheduler.nowUs / 1000;
    this.#lastAckMs = nowMs();
    this.#write();
    await runUntil(nowMs() + boundMs, () => this.#acknowledged > 0);
    if (this.#acknowledged === 0) this.#fail(`the core acknowledged no write within ${boundMs} ms`);
    const termBefore = this.#term();
    this.#longestGapMs = 0;
    await runUntil(nowMs() + watchedElections * electionMs);
    const gapMs = Math.max(this.#longestGapMs, nowMs() - this.#lastAckMs);
    if (gapMs > boundMs) this.#fail(`the core acknowledged no write for ${Math.round(gapMs)} ms`);
    const terms = this.#term() - termBefore;
    if (terms > termsMax) this.#fail(`${terms} terms went by in ${watchedElections} election time-outs`);
  }

  #fail(what: string): never {
    const outside = this.#outside.map((fault) => JSON.stringify(fault)).join(', ');
    const state = this.#world.members.map((member) => {
      const view = member.core?.view();
      return view === undefined ? `${member.name} down` : `${member.name} ${view.role} of term ${view.term}`;
    });
    throw new Violation(
      'a healthy majority serves, whatever the others do',
      `${what}; ${outside}; ${state.join(', ')}`,
    );
  }

  #term(): number {
    return Math.max(0, ...this.#core.map((member) => member.core?.view().term ?? 0));
  }

  #write(): void {
    const { scheduler, random } = this.#world;
    const member = this.#core[random.integer(0, this.#core.length - 1)] as SimMember;
    const key = new TextEncoder().encode('liveness');
    const value = new TextEncoder().encode(`liveness ${this.#attempts++}`);
    member
      .call((server) => server.put(putRequest({ key, value })))
      .then(
        () => {
          const nowMs = scheduler.nowUs / 1000;
          this.#acknowledged += 1;
          this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAckMs);
          this.#lastAckMs = nowMs;
        },
        // It is tried again all the time.
        () => undefined,
      );
    scheduler.afterMs(tryEveryMs, () => this.#write());
  }

  #begin(fault: OutsideFault): void {
    const { members, network, scheduler, setDiskDelay } = this.#world;
    const member = members[fault.member] as SimMember;
    const links = () => {
      for (const [peer, cut] of fault.links.entries()) {
        const other = members[peer];
        if (other === undefined || other === member) continue;
        if (cut.to) network.cut(member.id, other.id);
        if (cut.from) network.cut(other.id, member.id);
      }
    };
    const heal = () => {
      for (const other of members) network.heal(member.id, other.id);
    };
    if (fault.kind !== 'down') member.start();
    switch (fault.kind) {
      case 'down':
        return member.endForGood();
      case 'links':
        return links();
      case 'flapping': {
        const flap = (isCut: boolean) => {
          if (isCut) links();
          else heal();
          scheduler.afterMs(isCut ? fault.onMs : fault.offMs, () => flap(!isCut));
        };
        return flap(true);
      }
      case 'slowDisk':
        return setDiskDelay(member, fault.onMs);
      case 'slowLinks':
        network.slowDown(member.id, fault.onMs);
        return;
      case 'crashLoop': {
        const loop = () => {
          member.crash();
          scheduler.afterMs(fault.offMs, () => member.start());
          scheduler.afterMs(fault.offMs + fault.onMs, loop);
        };
        return loop();
      }
      case 'pauseLoop': {
        const loop = () => {
          member.pause(fault.offMs);
          scheduler.afterMs(fault.offMs + fault.onMs, loop);
        };
        return loop();
      }
    }
  }
}

/** The plan's, with the leader of this moment in the first one's place when the plan says so. */
function whoIsOutside({ plan, members }: LivenessWorld): readonly OutsideFault[] {
  const [first, ...others] = plan.outside;
  const leader = members.find((member) => member.isLeader());
  if (first === undefined || leader === undefined || !plan.isLeaderOutside) return plan.outside;
  if (others.some((fault) => fault.member === leader.position)) return plan.outside;
  return [{ ...first, member: leader.position }, ...others];
}
