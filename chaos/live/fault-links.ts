/** Which ways between members a fault cuts: pure. Who is not named is on side 0, and stands in no circle. */
import type { Fault } from '../scenario/faults.ts';
import type { Link } from './contract.ts';
import { allLinks } from './world-plan.ts';

export type CuttingFault = Extract<
  Fault,
  { readonly kind: 'partition' | 'bridge' | 'ring' | 'deaf' | 'mute' | 'oneWay' | 'flapping' }
>;

const cutting: readonly Fault['kind'][] = ['partition', 'bridge', 'ring', 'deaf', 'mute', 'oneWay', 'flapping'];

export function isCutting(fault: { readonly kind: string }): fault is CuttingFault {
  return (cutting as readonly string[]).includes(fault.kind);
}

export function cutLinks(fault: CuttingFault, members: number): readonly Link[] {
  return allLinks(members).filter(({ from, to }) => {
    switch (fault.kind) {
      case 'partition':
        return areApart(fault.sides, from, to);
      case 'bridge':
        return areApart(fault.sides, from, to) && from !== fault.member && to !== fault.member;
      case 'ring':
        return !areNear(fault.order, from, to);
      case 'deaf':
        return to === fault.member;
      case 'mute':
        return from === fault.member;
      case 'oneWay':
        return from === fault.from && to === fault.to;
      case 'flapping':
        return from === fault.member || to === fault.member;
    }
  });
}

function areApart(sides: readonly number[], from: number, to: number): boolean {
  return (sides[from] ?? 0) !== (sides[to] ?? 0);
}

/** With so many neighbours on either side each member hears a majority, itself among them. */
function areNear(order: readonly number[], from: number, to: number): boolean {
  const [a, b] = [order.indexOf(from), order.indexOf(to)];
  if (a < 0 || b < 0) return false;
  const apart = Math.abs(a - b);
  return Math.min(apart, order.length - apart) <= Math.ceil(Math.floor(order.length / 2) / 2);
}

/** Both ways of every link of one member. */
export function linksOf(member: number, members: number): readonly Link[] {
  return allLinks(members).filter(({ from, to }) => from === member || to === member);
}
