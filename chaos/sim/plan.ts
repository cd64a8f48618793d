/**
 * What happens in one simulated world, as data drawn from its seed before it begins: the shape of the cluster, its knobs,
 * and every fault with its time. The same seed gives the same plan; a plan can be printed and read.
 */
import type { NetworkConditions } from './network.ts';
import { planLiveness } from './plan-liveness.ts';
import { planElections, planLostLog, planOldLeaders, planSnapshots } from './plan-special.ts';
import type { SeededRandom } from './random.ts';

export type Fault =
  | { readonly kind: 'crash'; readonly member: number; readonly downMs: number }
  /** All at once, as in a power cut. */
  | { readonly kind: 'crashAll'; readonly downMs: number }
  /** Whoever leads when it strikes. */
  | { readonly kind: 'crashLeader'; readonly downMs: number }
  | { readonly kind: 'pause'; readonly member: number; readonly pauseMs: number }
  | { readonly kind: 'pauseLeader'; readonly pauseMs: number }
  /** Members on different sides do not hear each other; sides are numbered. */
  | { readonly kind: 'partition'; readonly sides: readonly number[]; readonly healMs: number }
  /** One direction of one member's links. */
  | { readonly kind: 'deaf' | 'mute'; readonly member: number; readonly healMs: number }
  | { readonly kind: 'isolateLeader'; readonly healMs: number }
  /** Whoever begins to lead in this time ends soon after, and comes back soon: logs part, and meet again. */
  | { readonly kind: 'ambush'; readonly forMs: number; readonly withinMs: number; readonly downMs: number }
  /** The members themselves are looked at to bring about one order of elections (figure-eight.ts). Five founders only. */
  | { readonly kind: 'figureEight' }
  | { readonly kind: 'weather'; readonly conditions: NetworkConditions }
  | { readonly kind: 'transfer'; readonly member: number }
  /** A spare member is added as a learner; a learner is promoted; a member is removed for good. */
  | { readonly kind: 'addLearner' | 'remove'; readonly member: number }
  | { readonly kind: 'promote' }
  /** The disk is empty at the next start, under the same flags: it has to come back as somebody else. */
  | { readonly kind: 'wipe'; readonly member: number; readonly downMs: number }
  /** A byte of a log on disk is another one at the next start. */
  | { readonly kind: 'rot'; readonly member: number; readonly downMs: number; readonly bytes: number }
  /** A disk operation fails; the member stops by itself and is started again. */
  | { readonly kind: 'diskError'; readonly member: number; readonly code: 'EIO' | 'ENOSPC'; readonly downMs: number };

export type FaultKind = Fault['kind'];

/** Led by the hand: not drawn like the others. */
const guided: readonly FaultKind[] = ['figureEight'];

export const faultKinds: readonly FaultKind[] = [
  'crash',
  'crashAll',
  'crashLeader',
  'pause',
  'pauseLeader',
  'partition',
  'deaf',
  'mute',
  'isolateLeader',
  'ambush',
  'figureEight',
  'weather',
  'transfer',
  'addLearner',
  'promote',
  'remove',
  'wipe',
  'rot',
  'diskError',
];

/** Damage for good: at most one of these in a world, on one member, or nobody could be sure that a quorum is left. */
const lasting: readonly FaultKind[] = ['remove', 'wipe', 'rot'];

/** For ever, on one member outside a healthy majority. */
export interface OutsideFault {
  readonly kind: 'down' | 'links' | 'flapping' | 'slowDisk' | 'slowLinks' | 'crashLoop' | 'pauseLoop';
  readonly member: number;
  /** By peer: which directions are cut, when links are. */
  readonly links: readonly { readonly to: boolean; readonly from: boolean }[];
  /** How long, or how slow; and the time between. */
  readonly onMs: number;
  readonly offMs: number;
}

export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

export interface WorldPlan {
  readonly seed: string;
  /** What was asked for. */
  readonly profile: Profile;
  readonly members: number;
  /** Not started before they are added. */
  readonly spares: number;
  /** Of the members, the last so many: they vote and keep no data. */
  readonly witnesses: number;
  readonly leaseReads: boolean;
  readonly clients: number;
  readonly keys: number;
  /** Faults strike in this time; then everything heals and must come together. */
  readonly faultyMs: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly snapshotEntries: number;
  readonly syncEntries: number;
  readonly catchUpEntries: number;
  /** 1 byte = one entry a message. */
  readonly messageBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly diskDelayMaxMs: number;
  /** Pause of a client between two operations. */
  readonly thinkMs: number;
  readonly clockRates: readonly number[];
  readonly weather: NetworkConditions;
  readonly faults: readonly TimedFault[];
  /** Share of requests that are about more than one key. */
  readonly wideShare: number;
  /** Of the clients, those that hold leases. */
  readonly leaseClients: number;
  readonly leaseCheckpointEveryMs: number;
  readonly watchClients: number;
  /** Share of answers after which a watching client reads nothing for a while. */
  readonly watchSlowness: number;
  /** Never end; empty but in worlds about liveness. */
  readonly outside: readonly OutsideFault[];
  /** The first of them strikes whoever leads then. */
  readonly isLeaderOutside: boolean;
}

/**
 * What a world is about. `swarm` draws one of the others now and then: each makes one rare order of events common, which by
 * chance alone takes thousands of worlds.
 */
export const profiles = ['swarm', 'liveness', 'elections', 'lostLog', 'oldLeaders', 'witness', 'snapshots'] as const;
export type Profile = (typeof profiles)[number];

/** Share of the worlds of a swarm that are about each of the others. */
const specialShare = 0.07;

export function planWorld(seed: string, random: SeededRandom, profile: Profile = 'swarm'): WorldPlan {
  const plan: WorldPlan = { ...planSwarm(seed, random), profile };
  const special = random.fork('special');
  const dice = special.next() / specialShare;
  const others = profiles.filter((one) => one !== 'swarm');
  const drawn = profile === 'swarm' ? others[Math.floor(dice)] : profile;
  switch (drawn) {
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
  const chosen = faultKinds.filter((kind) => !guided.includes(kind) && random.next() < 0.5);
  const last = pick(random, lasting);
  const kinds = chosen.filter((kind) => !lasting.includes(kind) || kind === last);
  const spares = random.integer(0, 2);
  /** Whom lasting damage strikes, always the same one. */
  const victim = random.integer(0, members - 1);
  let isWiped = false;
  const weather = drawWeather(random);
  const faults: TimedFault[] = [];
  if (kinds.length > 0) {
    let atMs = 200 + random.integer(0, 300);
    const meanGapMs = pick(random, [150, 400, 900]);
    while (atMs < faultyMs) {
      const fault = drawFault(pick(random, kinds), { members, spares, victim }, random);
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
    leaseReads: random.next() < 0.3,
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
    ...planWork(random.fork('work')),
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

function drawWeather(random: SeededRandom): NetworkConditions {
  return {
    delayMinMs: pick(random, [0.1, 1]),
    delayMeanMs: pick(random, [1, 5, 25]),
    loss: pick(random, [0, 0, 0.02, 0.2]),
    duplication: pick(random, [0, 0, 0.1, 0.4]),
  };
}

interface Cast {
  readonly members: number;
  readonly spares: number;
  readonly victim: number;
}

function drawFault(kind: FaultKind, { members, spares, victim }: Cast, random: SeededRandom): Fault {
  const all = members + spares;
  const member = random.integer(0, all - 1);
  const healMs = random.integer(50, 1_500);
  switch (kind) {
    case 'crash':
      return { kind, member, downMs: random.integer(1, 1_000) };
    case 'crashAll':
    case 'crashLeader':
      return { kind, downMs: random.integer(1, 800) };
    case 'pause':
      return { kind, member, pauseMs: random.integer(20, 1_500) };
    case 'pauseLeader':
      return { kind, pauseMs: random.integer(20, 1_500) };
    case 'partition': {
      const sides = random.next() < 0.7 ? 2 : 3;
      return { kind, sides: Array.from({ length: all }, () => random.integer(0, sides - 1)), healMs };
    }
    case 'deaf':
    case 'mute':
      return { kind, member, healMs };
    case 'isolateLeader':
      return { kind, healMs };
    case 'figureEight':
      return { kind };
    case 'ambush':
      return {
        kind,
        forMs: random.integer(300, 2_500),
        withinMs: pick(random, [5, 20, 50]),
        downMs: pick(random, [60, 150, 400]),
      };
    case 'weather':
      return { kind, conditions: drawWeather(random) };
    case 'transfer':
    case 'remove':
      return { kind, member };
    case 'addLearner':
      return { kind, member: spares === 0 ? members : random.integer(members, all - 1) };
    case 'promote':
      return { kind };
    case 'wipe':
      return { kind, member: victim, downMs: random.integer(1, 1_000) };
    case 'rot':
      return { kind, member: victim, downMs: random.integer(1, 1_000), bytes: random.integer(1, 3) };
    case 'diskError':
      return { kind, member, code: pick(random, ['EIO', 'EIO', 'ENOSPC']), downMs: random.integer(1, 1_000) };
  }
}
