/** Carries faults out on a live world, each until its own end. What cannot be done to real processes is refused. */
import { sleep } from '../../src/env/clock.ts';
import type { Env } from '../../src/env/env.ts';
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import type { Fault } from '../scenario/faults.ts';
import type { Link, LiveFault, StoreProgram, StruckFault } from './contract.ts';
import { type CuttingFault, cutLinks, isCutting, linksOf } from './fault-links.ts';
import { cutMembers, cutText, weatherText } from './fault-text.ts';
import type { Later } from './later.ts';
import type { MemberCalls } from './member-calls.ts';
import type { MemberControl } from './member-control.ts';
import type { Disturbance, NetControl } from './net-control.ts';
import { unsupportedReason } from './supported-faults.ts';
import { allLinks } from './world-plan.ts';

/** How often whoever lies in ambush looks around: short beside an election. */
const ambushPollMs = 100;
/** What an operator asks of a member may wait for a good moment; it is asked once. */
const operatorTimeoutMs = 10_000;

export interface StrikerParts {
  readonly env: Env;
  readonly program: StoreProgram;
  readonly controls: readonly MemberControl[];
  readonly calls: MemberCalls;
  readonly net: NetControl;
  readonly later: Later;
  readonly nowMs: () => number;
  readonly leader: () => Promise<{ readonly member: number; readonly term: number } | undefined>;
}

/** What a fault did, in the terms of the contract; `lastsMs` from when it was ordered. */
interface Deed {
  readonly text: string;
  readonly members?: readonly number[];
  readonly lastsMs?: number;
  readonly links?: readonly Link[];
}

export class Striker {
  readonly #parts: StrikerParts;
  /** Lasts until the next one. */
  #weather: Disturbance = {};

  constructor(parts: StrikerParts) {
    this.#parts = parts;
  }

  async strike(fault: Fault | LiveFault): Promise<StruckFault> {
    const atMs = this.#parts.nowMs();
    const { text, members = [], lastsMs, links = [] } = await this.#carryOut(fault);
    return { atMs, endMs: lastsMs === undefined ? undefined : atMs + lastsMs, text, members, links };
  }

  #carryOut(fault: Fault | LiveFault): Promise<Deed> {
    const everybody = [...this.#parts.controls.keys()];
    if (isCutting(fault)) return this.#cut(fault);
    switch (fault.kind) {
      case 'crash':
        return this.#crash([fault.member], fault.downMs);
      case 'crashAll':
        return this.#crash(everybody, fault.downMs);
      case 'crashQuorum':
        return this.#crash(fault.members, fault.downMs);
      case 'crashLeader':
        return this.#onLeader((leader) => this.#crash([leader], fault.downMs));
      case 'crashLoop':
        return this.#crashLoop(fault);
      case 'stop':
        return this.#stop(fault.member, fault.downMs);
      case 'stopLeader':
        return this.#onLeader((leader) => this.#stop(leader, fault.downMs));
      case 'pause':
        return this.#pause(fault.member, fault.pauseMs);
      case 'pauseLeader':
        return this.#onLeader((leader) => this.#pause(leader, fault.pauseMs));
      case 'isolateLeader':
        return this.#onLeader((leader) => this.#isolate(leader, fault.healMs));
      case 'ambush':
        return this.#ambush(fault);
      case 'wipe':
        return this.#wipe(fault.member, fault.downMs);
      case 'transfer':
        return this.#transfer(fault.member);
      case 'defragment':
      case 'hash':
      case 'saveSnapshot':
        return this.#maintain(fault.member, fault.kind);
      case 'clientCut':
        return this.#clientCut(fault);
      case 'weather':
        return this.#changeWeather(fault);
      case 'clog':
      case 'slowLinks':
      case 'narrow':
      case 'corrupt':
        return this.#disturbLinks(fault);
      case 'reset':
        return this.#reset(fault);
      case 'halfOpen':
        return this.#halfOpen(fault);
      default:
        throw this.#unsupported(fault.kind, unsupportedReason(fault.kind) ?? 'nobody has written it');
    }
  }

  #unsupported(kind: string, why: string): KeelsonError {
    return new KeelsonError('CHAOS_FAULT_UNSUPPORTED', `strike ${kind}: not on real processes: ${why}`);
  }

  #control(member: number): MemberControl {
    const control = this.#parts.controls[member];
    if (control !== undefined) return control;
    const last = this.#parts.controls.length - 1;
    throw new KeelsonError('CHAOS_NO_MEMBER', `strike member ${member}: this world has members 0 to ${last}`);
  }

  #name(member: number): string {
    return this.#control(member).planned.name;
  }

  async #onLeader(action: (leader: number) => Promise<Deed>): Promise<Deed> {
    const leader = await this.#parts.leader();
    if (leader === undefined) return { text: 'nobody led: nothing happened' };
    const deed = await action(leader.member);
    return { ...deed, text: `${deed.text}; it led` };
  }

  async #crash(members: readonly number[], downMs: number): Promise<Deed> {
    const controls = members.map((member) => this.#control(member));
    const wereUp = await Promise.all(controls.map((control) => control.crash(downMs)));
    const hit = members.filter((_, place) => wereUp[place] === true);
    const names = hit.map((member) => this.#name(member)).join(', ');
    return {
      text: hit.length === 0 ? 'down already: nothing crashed' : `${names} killed`,
      members: hit,
      lastsMs: downMs,
    };
  }

  async #crashLoop({ member, times, upMs, downMs }: Extract<Fault, { readonly kind: 'crashLoop' }>): Promise<Deed> {
    const control = this.#control(member);
    const { signal } = this.#parts.later;
    const again = async (left: number) => {
      await control.crash(downMs);
      if (left > 1 && !signal.aborted) this.#parts.later.after(downMs + upMs, () => again(left - 1));
    };
    await again(times);
    const text = `${this.#name(member)} killed ${times} times, up for ${upMs} ms in between`;
    return { text, members: [member], lastsMs: times * downMs + (times - 1) * upMs };
  }

  async #stop(member: number, downMs: number): Promise<Deed> {
    const name = this.#name(member);
    if (!this.#control(member).stop(downMs)) return { text: `${name} was down: not stopped` };
    return { text: `${name} asked to end`, members: [member], lastsMs: downMs };
  }

  async #pause(member: number, pauseMs: number): Promise<Deed> {
    const name = this.#name(member);
    if (!this.#control(member).pause(pauseMs)) return { text: `${name} was down: not paused` };
    return { text: `${name} stands still`, members: [member], lastsMs: pauseMs };
  }

  async #wipe(member: number, downMs: number): Promise<Deed> {
    const { env, program } = this.#parts;
    if (program.kind !== 'keelson') throw this.#unsupported('wipe', 'only our own store comes back as somebody else');
    const control = this.#control(member);
    const data = `${control.planned.directory}/data`;
    await control.crash(downMs, async () => {
      if (await env.disk.exists(data)) await env.disk.remove(data);
      // The word of whoever is in charge that it may come back: without it a wiped member stays away.
      control.process.addFlag('--rejoin');
    });
    return { text: `${this.#name(member)} killed, and its data gone`, members: [member], lastsMs: downMs };
  }

  /** Like every request of an operator it may be refused: that is told, not thrown. */
  async #transfer(member: number): Promise<Deed> {
    const { calls } = this.#parts;
    const name = this.#name(member);
    const leader = await this.#parts.leader();
    if (leader === undefined) return { text: `nobody led: leadership did not move to ${name}` };
    if (leader.member === member) return { text: `${name} leads already` };
    const target = await calls.word(member, 1_000);
    if (target === undefined) return { text: `${name} does not answer: leadership was not moved to it` };
    const text = `leadership moves from ${this.#name(leader.member)} to ${name}`;
    return calls.moveLeader(leader.member, target.memberId, operatorTimeoutMs).then(
      () => ({ text, members: [member] }),
      (error: unknown) => ({ text: `${text}: refused: ${errorText(error)}`, members: [member] }),
    );
  }

  async #maintain(member: number, what: 'defragment' | 'hash' | 'saveSnapshot'): Promise<Deed> {
    const text = `${this.#name(member)} is asked to ${{ defragment: 'defragment', hash: 'hash its content', saveSnapshot: 'hand out a snapshot' }[what]}`;
    this.#parts.later.background(() =>
      // A member that is struck at the same time does not answer; that is no failure of this world.
      this.#parts.calls.maintain(member, what, operatorTimeoutMs).catch(() => undefined),
    );
    return { text, members: [member] };
  }

  async #ambush({ forMs, withinMs, downMs }: Extract<Fault, { readonly kind: 'ambush' }>): Promise<Deed> {
    const { env, later, leader: findLeader } = this.#parts;
    const { clock, random } = env;
    const { signal } = later;
    const endMs = clock.monotonicMs() + forMs;
    const known = new Set<number>();
    const first = await findLeader();
    if (first !== undefined) known.add(first.term);
    later.background(async () => {
      while (clock.monotonicMs() < endMs && !signal.aborted) {
        const leader = await findLeader();
        if (leader !== undefined && !known.has(leader.term) && !signal.aborted) {
          known.add(leader.term);
          later.after(random.next() * withinMs, async () => {
            await this.#control(leader.member).crash(downMs);
          });
        }
        await sleep(clock, ambushPollMs);
      }
    });
    return { text: `whoever begins to lead is killed within ${withinMs} ms`, lastsMs: forMs };
  }

  async #begin(disturbance: Disturbance, lastsMs: number): Promise<void> {
    const { net, later } = this.#parts;
    later.after(lastsMs, () => net.end(disturbance));
    await net.begin(disturbance);
  }

  async #cut(fault: CuttingFault): Promise<Deed> {
    const members = cutMembers(fault);
    for (const member of members) this.#control(member);
    const links = cutLinks(fault, this.#parts.controls.length);
    const names = this.#parts.controls.map(({ planned }) => planned.name);
    if (fault.kind === 'flapping') this.#flap(links, fault);
    else await this.#begin({ cut: links }, fault.healMs);
    return { text: cutText(fault, names), members, lastsMs: fault.healMs, links };
  }

  #flap(links: readonly Link[], { onMs, offMs, healMs }: Extract<Fault, { readonly kind: 'flapping' }>): void {
    const { env, later } = this.#parts;
    const { signal } = later;
    const endMs = env.clock.monotonicMs() + healMs;
    const again = async () => {
      const leftMs = endMs - env.clock.monotonicMs();
      if (leftMs <= 0 || signal.aborted) return;
      later.after(onMs + offMs, again);
      await this.#begin({ cut: links }, Math.min(onMs, leftMs));
    };
    later.background(again);
  }

  async #isolate(member: number, healMs: number): Promise<Deed> {
    const links = linksOf(member, this.#parts.controls.length);
    await this.#begin({ cut: links }, healMs);
    return { text: `${this.#name(member)} is cut off`, members: [member], lastsMs: healMs, links };
  }

  async #clientCut({ member, lost, healMs }: Extract<Fault, { readonly kind: 'clientCut' }>): Promise<Deed> {
    const name = this.#name(member);
    await this.#begin({ clientCuts: [{ member, lost }] }, healMs);
    const text = lost === 'requests' ? `${name} does not hear clients` : `clients do not hear ${name}`;
    return { text, members: [member], lastsMs: healMs };
  }

  async #changeWeather({ conditions }: Extract<Fault, { readonly kind: 'weather' }>): Promise<Deed> {
    const { net, controls } = this.#parts;
    const { loss, delayMinMs, delayMeanMs } = conditions;
    const links = allLinks(controls.length);
    const before = this.#weather;
    this.#weather = { loss, conditions: { links, change: { delayMinMs, delayMeanMs } } };
    await net.begin(this.#weather, before);
    return { text: weatherText(conditions) };
  }

  async #disturbLinks(
    fault: Extract<Fault | LiveFault, { readonly kind: 'clog' | 'slowLinks' | 'narrow' | 'corrupt' }>,
  ): Promise<Deed> {
    const { healMs } = fault;
    if (fault.kind === 'slowLinks') {
      const { member, byMs } = fault;
      const links = linksOf(member, this.#parts.controls.length);
      const text = `whatever goes to and from ${this.#name(member)} takes ${byMs / 2} ms longer on average`;
      await this.#begin({ conditions: { links, change: { delayMeanMs: byMs / 2 } } }, healMs);
      return { text, members: [member], lastsMs: healMs };
    }
    const { from, to } = fault;
    const way = `from ${this.#name(from)} to ${this.#name(to)}`;
    const [text, change] = (() => {
      switch (fault.kind) {
        case 'clog':
          return [`what goes ${way} stands still`, { isClogged: true }] as const;
        case 'narrow': {
          const { bytesPerSecond } = fault;
          return [`no more than ${bytesPerSecond} bytes a second ${way}`, { bytesPerSecond }] as const;
        }
        case 'corrupt': {
          const { flipsPerByte } = fault;
          return [`bytes ${way} arrive as other ones`, { flipsPerByte }] as const;
        }
      }
    })();
    await this.#begin({ conditions: { links: [{ from, to }], change } }, healMs);
    return { text, members: [from, to], lastsMs: healMs };
  }

  async #reset({ from, to }: Link): Promise<Deed> {
    const names = `${this.#name(from)} and ${this.#name(to)}`;
    const { hit = 0 } = await this.#parts.net.proxy.ask({ kind: 'reset', a: from, b: to });
    return { text: `${hit} connections between ${names} reset`, members: [from, to] };
  }

  async #halfOpen({ from, to, healMs }: Extract<LiveFault, { readonly kind: 'halfOpen' }>): Promise<Deed> {
    const [forgetful, misled] = [this.#name(from), this.#name(to)];
    const { proxy } = this.#parts.net;
    const { hit = 0 } = await proxy.ask({ kind: 'forget', from, to });
    this.#parts.later.after(healMs, async () => {
      await proxy.ask({ kind: 'endForgotten', links: [{ from, to }] });
    });
    const text = `${hit} connections between ${forgetful} and ${misled} reset, and ${misled} is not told`;
    return { text, members: [from, to], lastsMs: healMs };
  }
}
