/** Worlds of one temper from beginning to end, which a swarm does not draw. */
import type { TimedFault } from '../scenario/faults.ts';
import { calm } from '../scenario/network-conditions.ts';
import { drawFault } from './draw-fault.ts';
import type { WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';

const faultyMs = 6_000;
/** Six seconds of faults become seven hours. */
const daysScale = 4_000;

/** Three members on a good network, which crash, one by one or all at once. */
export function planLite(random: SeededRandom): Partial<WorldPlan> {
  const cast = { members: 3, spares: 0, victim: 0, isTimed: false };
  const kinds = ['crash', 'crash', 'crashLeader', 'crashAll'] as const;
  const faults = drawMany(random, 400, () => {
    const kind = kinds[random.integer(0, kinds.length - 1)] ?? 'crash';
    return drawFault(kind, cast, random);
  });
  return { faultyMs, members: 3, spares: 0, weather: calm, clockRates: [1, 1, 1], faults };
}

/** Every disk may lose or change anything, at any time: a quorum need not be left. */
export function planByzantineDisk({ members }: WorldPlan, random: SeededRandom): Partial<WorldPlan> {
  const kinds = ['rot', 'rot', 'wipe', 'crash', 'crashAll', 'diskError', 'crashInDisk'] as const;
  const faults = drawMany(random, 300, () => {
    const cast = { members, spares: 0, victim: random.integer(0, members - 1), isTimed: false };
    return drawFault(kinds[random.integer(0, kinds.length - 1)] ?? 'rot', cast, random);
  });
  return { faultyMs, spares: 0, leaseClients: 0, faults, isBeyondRepair: true };
}

/** Half a day in which everything is as much slower as a tick is: what comes by the hour comes, and little comes between. */
export function planDays(plan: WorldPlan): Partial<WorldPlan> {
  const faults = plan.faults.map(({ atMs, fault }) => ({ atMs: atMs * daysScale, fault: slowDown(fault) }));
  return {
    faultyMs: plan.faultyMs * daysScale,
    tickMs: plan.tickMs * daysScale,
    thinkMs: Math.max(plan.thinkMs, 30) * daysScale,
    leaseClients: 0,
    watchSlowness: 0,
    faults,
  };
}

/** Times in a fault end with Ms. */
function slowDown(fault: TimedFault['fault']): TimedFault['fault'] {
  const slower = Object.entries(fault).map(([name, value]) => [
    name,
    typeof value === 'number' && name.endsWith('Ms') ? value * daysScale : value,
  ]);
  return Object.fromEntries(slower) as TimedFault['fault'];
}

/** Nothing fails, and nothing is slow: what the store does by itself. */
export function planPerformance({ members }: WorldPlan): Partial<WorldPlan> {
  const knobs = {
    electionTicks: 10,
    snapshotEntries: 1_000,
    syncEntries: 1_000,
    catchUpEntries: 50,
    diskDelayMaxMs: 2,
  };
  const limits = { messageBytesMax: 1_000_000, inflightMessagesMax: 100 };
  const clockRates = Array.from({ length: members }, () => 1);
  return {
    faultyMs,
    ...knobs,
    ...limits,
    spares: 0,
    clients: 5,
    keys: 20,
    thinkMs: 20,
    weather: calm,
    clockRates,
    faults: [],
  };
}

function drawMany(random: SeededRandom, meanGapMs: number, draw: () => TimedFault['fault']): readonly TimedFault[] {
  const faults: TimedFault[] = [];
  for (let atMs = 300; atMs < faultyMs; atMs += 20 + Math.round(-Math.log(1 - random.next()) * meanGapMs))
    faults.push({ atMs, fault: draw() });
  return faults;
}
