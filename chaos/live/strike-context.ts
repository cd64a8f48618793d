/** What carrying a fault out needs of a world, and how what was done is told. */
import type { Env } from '../../src/env/env.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import type { Fault } from '../scenario/faults.ts';
import type { Link, LiveFault, StoreProgram } from './contract.ts';
import type { Later } from './later.ts';
import type { MemberCalls } from './member-calls.ts';
import type { MemberControl } from './member-control.ts';
import type { NetControl } from './net-control.ts';

export type AnyFault = Fault | LiveFault;

/** The faults of these kinds, with what goes with them. */
export type FaultOf<Kind extends AnyFault['kind']> = Extract<AnyFault, { readonly kind: Kind }>;

/** `lastsMs`: from when it was ordered. */
export interface Deed {
  readonly text: string;
  readonly members?: readonly number[];
  readonly lastsMs?: number;
  readonly links?: readonly Link[];
}

export interface Leader {
  readonly member: number;
  readonly term: number;
}

export interface StrikeParts {
  readonly env: Env;
  readonly program: StoreProgram;
  readonly controls: readonly MemberControl[];
  readonly calls: MemberCalls;
  readonly net: NetControl;
  readonly later: Later;
  /** Whoever leads now. */
  readonly leader: () => Promise<Leader | undefined>;
}

export class StrikeContext {
  readonly parts: StrikeParts;

  constructor(parts: StrikeParts) {
    this.parts = parts;
  }

  /** Throws KeelsonError `CHAOS_NO_MEMBER` for a number that nobody has. */
  control(member: number): MemberControl {
    const control = this.parts.controls[member];
    if (control !== undefined) return control;
    const last = this.parts.controls.length - 1;
    throw new KeelsonError('CHAOS_NO_MEMBER', `strike member ${member}: this world has members 0 to ${last}`);
  }

  name(member: number): string {
    return this.control(member).planned.name;
  }

  async onLeader(action: (leader: number) => Promise<Deed>): Promise<Deed> {
    const leader = await this.parts.leader();
    if (leader === undefined) return { text: 'nobody led: nothing happened' };
    const deed = await action(leader.member);
    const name = this.name(leader.member);
    return { ...deed, text: deed.text.replace(name, `${name}, which led,`) };
  }

  unsupported(kind: string, why: string): KeelsonError {
    return new KeelsonError('CHAOS_FAULT_UNSUPPORTED', `strike ${kind}: not on real processes: ${why}`);
  }
}
