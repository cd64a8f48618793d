/** Draws one fault of a kind: whom it strikes, how hard, and for how long. */
import type { Fault, FaultKind, MessageSort } from '../scenario/faults.ts';
import type { NetworkConditions } from '../scenario/network-conditions.ts';
import type { SeededRandom } from './random.ts';

function pick<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[random.integer(0, choices.length - 1)] as T;
}

export function drawWeather(random: SeededRandom): NetworkConditions {
  return {
    delayMinMs: pick(random, [0.1, 1]),
    delayMeanMs: pick(random, [1, 5, 25]),
    loss: pick(random, [0, 0, 0.02, 0.2]),
    duplication: pick(random, [0, 0, 0.1, 0.4]),
  };
}

export interface Cast {
  readonly members: number;
  readonly spares: number;
  /** Whom lasting damage strikes. */
  readonly victim: number;
  /** Something is promised that rests on clocks that differ little: leases, or reads by lease. */
  readonly isTimed: boolean;
}

const sorts: readonly MessageSort[] = ['votes', 'appends', 'heartbeats', 'answers', 'proposals', 'reads', 'snapshots'];
const diskOperations = ['write', 'write', 'dataSync', 'dataSync', 'open', 'rename', 'remove', 'syncDirectory'] as const;
const yearMs = 365 * 86_400_000;

export function drawFault(kind: FaultKind, cast: Cast, random: SeededRandom): Fault {
  const { members, spares, victim, isTimed } = cast;
  const all = members + spares;
  const member = random.integer(0, all - 1);
  const healMs = random.integer(50, 1_500);
  switch (kind) {
    case 'crash':
      return { kind, member, downMs: random.integer(1, 1_000) };
    case 'crashAll':
    case 'crashLeader':
      return { kind, downMs: random.integer(1, 800) };
    case 'crashQuorum':
      return { kind, members: someOf(members, Math.ceil(members / 2), random), downMs: random.integer(50, 1_000) };
    case 'crashLoop':
      return {
        kind,
        member,
        times: random.integer(2, 6),
        upMs: random.integer(1, 300),
        downMs: random.integer(1, 100),
      };
    case 'crashInDisk':
      return {
        kind,
        member,
        operation: pick(random, diskOperations),
        after: random.integer(1, 6),
        downMs: random.integer(1, 500),
      };
    case 'stop':
      return { kind, member, downMs: random.integer(1, 1_000) };
    case 'stopLeader':
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
    case 'oneWay':
    case 'clog':
      return { kind, from: member, to: (member + random.integer(1, all - 1)) % all, healMs };
    case 'bridge':
      return { kind, sides: Array.from({ length: all }, () => random.integer(0, 1)), member, healMs };
    case 'ring':
      return { kind, order: someOf(all, all, random), healMs };
    case 'flapping':
      return { kind, member, onMs: random.integer(5, 150), offMs: random.integer(5, 150), healMs };
    case 'lateReplay':
      return { kind, share: pick(random, [0.05, 0.3]), lateMs: random.integer(200, 4_000), healMs };
    case 'dropType':
      return { kind, sort: pick(random, sorts), healMs };
    case 'slowLinks':
      return { kind, member, byMs: random.integer(5, 300), healMs };
    case 'clientCut':
      return { kind, member, lost: pick(random, ['requests', 'answers']), healMs };
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
    case 'slowDisk':
      return { kind, member, delayMs: pick(random, [50, 200, 1_000]), healMs };
    case 'fullDisk':
      return { kind, member, healMs };
    case 'clockRate':
      return { kind, member, rate: pick(random, isTimed ? [0.9, 1.1] : [0.5, 0.9, 1.1, 2]), healMs };
    case 'clockFreeze':
      // Where time is relied on, a clock that stands still is beyond what was promised.
      return isTimed ? { kind: 'clockRate', member, rate: 0.9, healMs } : { kind, member, healMs };
    case 'wallJump':
      return { kind, member, byMs: pick(random, [-yearMs, -288_000, -1_000, 1_000, 288_000, yearMs]) };
    case 'wallStrobe':
      return { kind, member, byMs: pick(random, [500, 60_000]), everyMs: random.integer(5, 100), healMs };
    case 'defragment':
    case 'hash':
    case 'saveSnapshot':
      return { kind, member };
    case 'diskError':
      return { kind, member, code: pick(random, ['EIO', 'EIO', 'ENOSPC']), downMs: random.integer(1, 1_000) };
  }
}

/** So many of the first `all` numbers, in any order. */
function someOf(all: number, count: number, random: SeededRandom): readonly number[] {
  const left = Array.from({ length: all }, (_, position) => position);
  return Array.from({ length: count }, () => left.splice(random.integer(0, left.length - 1), 1)[0] as number);
}
