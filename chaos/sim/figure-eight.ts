/**
 * Figure 8 of the Raft paper, led by the hand: chance needs thousands of worlds for it. Five members, A to E:
 *
 *   parted    A leads and hears only B: an entry comes to A and B, and to nobody else; both end
 *   rival     C leads a newer term, writes its own entry in the same place, is cut off at once and ends
 *   back      A or B leads again, in a newer term still, and gives the old entry to D: now three of five hold it
 *   struck    both end before an entry of the new term is there; C comes back and wins with D and E
 *
 * Who took the old entry for committed when three held it has now lost it. Each step waits for what it needs and looks
 * at the members themselves; one that does not come about in its time is given up, and all begins anew.
 */
import type { SimNetwork } from './network.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

/** For one step: some elections. */
const stepLimitMs = 1_200;

export interface FigureEightWorld {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  /** Five. */
  readonly members: readonly SimMember[];
  readonly random: SeededRandom;
  /** Asks this member for a write; nobody waits for the answer. */
  readonly write: (member: SimMember) => void;
}

type Step = 'calm' | 'parted' | 'rival' | 'rivalEnds' | 'back' | 'struck' | 'over';

export class FigureEight {
  readonly #world: FigureEightWorld;
  #step: Step = 'calm';
  #sinceMs = 0;
  /** A and B. */
  #pair: readonly SimMember[] = [];
  #rival: SimMember | undefined;
  #term = 0;
  /** Where the entries part. */
  #index = 0;

  constructor(world: FigureEightWorld) {
    this.#world = world;
  }

  /** Call after every event. */
  poll(): void {
    const nowMs = this.#world.scheduler.nowUs / 1000;
    const isWaiting = this.#step !== 'calm' && this.#step !== 'over';
    if (isWaiting && nowMs > this.#sinceMs + stepLimitMs) this.#restore();
    switch (this.#step) {
      case 'calm':
        return this.#part();
      case 'parted':
        return this.#endPair();
      case 'rival':
        return this.#cutRival();
      case 'rivalEnds':
        return this.#endRival();
      case 'back':
        return this.#strike();
      case 'struck':
        return this.#awaitRival();
      case 'over':
        return;
    }
  }

  #go(step: Step): void {
    this.#step = step;
    this.#sinceMs = this.#world.scheduler.nowUs / 1000;
  }

  #restore(): void {
    this.#world.network.healAll();
    for (const member of this.#world.members) member.start();
    this.#go('calm');
  }

  #others(): readonly SimMember[] {
    return this.#world.members.filter((member) => !this.#pair.includes(member));
  }

  #part(): void {
    const { members, random, network } = this.#world;
    const leader = members.find((member) => member.isLeader());
    if (leader === undefined || !members.every((member) => isLevelWith(member, leader))) return;
    const followers = members.filter((member) => member !== leader);
    this.#pair = [leader, followers[random.integer(0, followers.length - 1)] as SimMember];
    this.#term = termOf(leader);
    this.#world.write(leader);
    for (const one of this.#pair) {
      for (const other of this.#others()) {
        network.cut(one.id, other.id);
        network.cut(other.id, one.id);
      }
    }
    this.#go('parted');
  }

  #endPair(): void {
    const known = Math.max(...this.#others().map(lastIndexOf));
    if (!this.#pair.every((member) => termAt(member, known + 1) === this.#term)) return;
    this.#index = known + 1;
    for (const member of this.#pair) member.crash();
    this.#go('rival');
  }

  #cutRival(): void {
    const { network, members } = this.#world;
    const rival = this.#others().find((member) => member.isLeader() && termOf(member) > this.#term);
    if (rival === undefined) return;
    for (const other of members) {
      if (other === rival) continue;
      network.cut(rival.id, other.id);
      network.cut(other.id, rival.id);
    }
    this.#rival = rival;
    this.#go('rivalEnds');
  }

  #endRival(): void {
    const { network } = this.#world;
    const rival = this.#rival as SimMember;
    if ((rival.core?.view().durable ?? 0) < this.#index) return;
    rival.crash();
    network.healAll();
    for (const member of this.#pair) member.start();
    this.#go('back');
  }

  #strike(): void {
    const { scheduler, random, network } = this.#world;
    const leader = this.#pair.find((member) => member.isLeader() && termOf(member) > this.#term);
    const others = this.#others().filter((member) => member !== this.#rival);
    const [third, fourth] = others;
    if (leader === undefined || third === undefined || fourth === undefined) return;
    // One is enough, and the other one's vote is wanted later.
    network.cut(leader.id, fourth.id);
    const isHeld = termAt(third, this.#index) === this.#term && (third.core?.view().durable ?? 0) >= this.#index;
    if (!isHeld) return;
    // Not the entry of the new term behind it.
    network.cut(leader.id, third.id);
    this.#go('struck');
    // Time for the acknowledgement to come.
    scheduler.afterMs(random.next() * 20, () => {
      if (this.#step !== 'struck') return;
      for (const member of this.#pair) member.crash();
      network.healAll();
      this.#rival?.start();
    });
  }

  #awaitRival(): void {
    if (this.#rival?.isLeader() === true) this.#restore();
  }

  /** Faults have ended. */
  stop(): void {
    this.#go('over');
  }
}

/** It follows this leader and has nearly all that the leader has. */
function isLevelWith(member: SimMember, leader: SimMember): boolean {
  return termOf(member) === termOf(leader) && lastIndexOf(member) > 0 && lastIndexOf(member) + 3 > lastIndexOf(leader);
}

function termOf(member: SimMember): number {
  return member.core?.view().term ?? 0;
}

function lastIndexOf(member: SimMember): number {
  return member.core?.view().lastIndex ?? 0;
}

function termAt(member: SimMember, index: number): number | undefined {
  const log = member.core?.inspectLog();
  return log?.entries[index - log.base.index - 1]?.term;
}
