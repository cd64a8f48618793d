/** Worlds in which faults outside a healthy majority never end. */
import type { FaultKind } from '../scenario/faults.ts';
import type { OutsideFault, WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';

/** They change who is a member, or take away what a majority may need. */
const excluded: readonly FaultKind[] = ['addLearner', 'promote', 'remove', 'wipe', 'rot'];

const kinds: readonly OutsideFault['kind'][] = [
  'down',
  'links',
  'links',
  'links',
  'flapping',
  'flapping',
  'slowDisk',
  'slowLinks',
  'crashLoop',
  'pauseLoop',
];

export function planLiveness(plan: WorldPlan, random: SeededRandom): Partial<WorldPlan> {
  const positions = Array.from({ length: plan.members }, (_, position) => position);
  const outsiders = Math.ceil(plan.members / 2) - 1;
  const outside: OutsideFault[] = [];
  // Fewer than could be are outside now and then; at least one.
  for (let count = random.integer(1, outsiders); count > 0; count--) {
    const [member] = positions.splice(random.integer(0, positions.length - 1), 1);
    outside.push(drawOutside(member ?? 0, plan.members, random));
  }
  return {
    spares: 0,
    leaseReads: plan.leaseReads,
    faultyMs: 2_500,
    faults: plan.faults.filter(({ atMs, fault }) => atMs < 2_500 && !excluded.includes(fault.kind)),
    leaseClients: 0,
    outside,
    isLeaderOutside: random.next() < 0.6,
  };
}

function drawOutside(member: number, members: number, random: SeededRandom): OutsideFault {
  const kind = pick(random, kinds);
  // All of a direction, or each link by itself.
  const shape = pick(random, ['all', 'deaf', 'mute', 'some', 'someOneWay'] as const);
  const links = Array.from({ length: members }, () => {
    const isHit = random.next() < 0.5;
    const isTo = random.next() < 0.5;
    switch (shape) {
      case 'all':
        return { to: true, from: true };
      case 'deaf':
        return { to: false, from: true };
      case 'mute':
        return { to: true, from: false };
      case 'some':
        return { to: isHit, from: isHit };
      case 'someOneWay':
        return { to: isHit && isTo, from: isHit && !isTo };
    }
  });
  return { kind, member, links, onMs: random.integer(30, 600), offMs: random.integer(30, 600) };
}

function pick<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[random.integer(0, choices.length - 1)] as T;
}
