/** Draws what happens in one simulated world from its seed: the same seed gives the same plan. */
import { type FaultKind, faultKinds, type TimedFault } from '../scenario/faults.ts';
import { drawFault, drawWeather } from './draw-fault.ts';
import { planLiveness } from './draw-liveness.ts';
import { planElections, planLostLog, planMembership, planOldLeaders, planSnapshots } from './draw-special.ts';
import type { SeededRandom } from './random.ts';
import { planByzantineDisk, planDays, planLite, planPerformance } from './draw-whole.ts';
import { type Profile, specialProfiles, type WorldPlan } from './plan.ts';

/** Led by the hand: not drawn like the others. */
const guided: readonly FaultKind[] = ['figureEight'];

/** Damage for good: at most one of these in a world, on one member, or nobody could be sure that a quorum is left. */
const lasting: readonly FaultKind[] = ['remove', 'wipe', 'rot'];

/** Share of the worlds of a swarm that are about each of the others. */
const specialShare = 0.07;

export function planWorld(seed: string, random: SeededRandom, profile: Profile = 'swarm'): WorldPlan {
  const plan: WorldPlan = { ...planSwarm(seed, random), profile };
  const special = random.fork('special');
  const dice = special.next() / specialShare;
  const drawn = profile === 'swarm' ? specialProfiles[Math.floor(dice)] : profile;
  switch (drawn) {
    case 'lite':
      return { ...plan, ...planLite(special) };
    case 'byzantine-disk':
      return { ...plan, ...planByzantineDisk(plan, special) };
    case 'days':
      return { ...plan, ...planDays(plan) };
    case 'performance':
      return { ...plan, ...planPerformance(plan) };
    case 'witness':
      return { ...plan, witnesses: plan.members === 3 ? 1 : special.integer(1, 2) };
    case 'liveness':
      return { ...plan, ...planLiveness(plan, special) };
    case 'elections':
      return { ...plan, ...planElections(special) };
    case 'lostLog':
      return { ...plan, ...planLostLog(special) };
    case 'oldLeaders':
      return { ...plan, ...planOldLeaders(plan, special) };
    case 'membership':
      return { ...plan, ...planMembership(special) };
    case 'snapshots':
      return { ...plan, ...planSnapshots(special) };
    default:
      return plan;
  }
}

function planSwarm(seed: string, random: SeededRandom): Omit<WorldPlan, 'profile'> {
  const members = random.next() < 0.7 ? 3 : 5;
  const faultyMs = 6_000;
  // Swarm: each world leaves out some kinds of faults altogether, so that the others can unfold.
  const last = pick(random, lasting);
  const share = pick(random, [0.1, 0.25, 0.5]);
  const kinds = faultKinds.filter(
    (kind) => !guided.includes(kind) && (!lasting.includes(kind) || kind === last) && random.next() < share,
  );
  const spares = random.integer(0, 2);
  const leaseReads = random.next() < 0.3;
  const work = planWork(random.fork('work'));
  /** Whom lasting damage strikes, always the same one. */
  const victim = random.integer(0, members - 1);
  let isWiped = false;
  const weather = drawWeather(random);
  const faults: TimedFault[] = [];
  if (kinds.length > 0) {
    let atMs = 200 + random.integer(0, 300);
    const meanGapMs = pick(random, [150, 400, 900]);
    while (atMs < faultyMs) {
      const isTimed = leaseReads || work.leaseClients > 0;
      const fault = drawFault(pick(random, kinds), { members, spares, victim, isTimed }, random);
      // A second disk that is lost before the first one's member is back would be one too many.
      if (fault.kind !== 'wipe' || !isWiped) faults.push({ atMs, fault });
      isWiped ||= fault.kind === 'wipe';
      atMs += 20 + Math.round(-Math.log(1 - random.next()) * meanGapMs);
    }
  }
  return {
    seed,
    members,
    spares,
    witnesses: 0,
    leaseReads,
    clients: random.integer(2, 5),
    keys: random.integer(1, 4),
    faultyMs,
    tickMs: 20,
    electionTicks: pick(random, [3, 5, 10]),
    snapshotEntries: pick(random, [5, 20, 1_000]),
    syncEntries: pick(random, [1, 10, 1_000]),
    catchUpEntries: pick(random, [0, 3, 50]),
    messageBytesMax: pick(random, [1, 1, 200, 1_000_000]),
    inflightMessagesMax: pick(random, [1, 2, 100]),
    diskDelayMaxMs: pick(random, [0, 2, 15, 60]),
    thinkMs: pick(random, [5, 30, 100]),
    clockRates: Array.from({ length: members + spares }, () => pick(random, [1, 1, 0.9, 1.1])),
    weather,
    faults,
    outside: [],
    isLeaderOutside: false,
    isBeyondRepair: false,
    ...work,
  };
}

/** What is asked of the store beside keys one by one: each world leaves some of it out. */
function planWork(random: SeededRandom) {
  return {
    wideShare: pick(random, [0, 0, 0.1, 0.4]),
    leaseClients: pick(random, [0, 0, 1]),
    watchClients: pick(random, [0, 1, 2]),
    watchSlowness: pick(random, [0, 0.05, 0.4]),
    leaseCheckpointEveryMs: pick(random, [300_000, 400]),
  };
}

function pick<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[random.integer(0, choices.length - 1)] as T;
}
