/** Worlds that are about one thing each: their knobs and faults are drawn so that one rare order of events becomes common. */
import type { Fault, TimedFault } from '../scenario/faults.ts';
import { calm } from '../scenario/network-conditions.ts';
import type { WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';

/** They are about much in little time. */
const faultyMs = 3_500;

/**
 * Leaders that end just after they began (figure 8 of the Raft paper): entries of several terms lie about in several logs, each
 * message carries one entry, and no snapshot hides what became of them.
 */
export function planElections(random: SeededRandom): Partial<WorldPlan> {
  const ambush: Fault = {
    kind: 'ambush',
    forMs: faultyMs - 300,
    withinMs: pick(random, [20, 50, 100]),
    downMs: pick(random, [60, 150, 300]),
  };
  const isGuided = random.next() < 0.5;
  return {
    faultyMs,
    members: 5,
    spares: 0,
    electionTicks: 3,
    messageBytesMax: 1,
    inflightMessagesMax: 1,
    snapshotEntries: 1_000,
    syncEntries: 1_000,
    diskDelayMaxMs: isGuided ? 2 : pick(random, [2, 15, 30]),
    thinkMs: 5,
    weather: isGuided ? calm : { ...calm, delayMeanMs: pick(random, [1, 5, 15]), loss: pick(random, [0, 0.1]) },
    clockRates: [1, 1, 1, 1, 1],
    leaseReads: false,
    faults: [{ atMs: 100, fault: isGuided ? { kind: 'figureEight' } : ambush }],
  };
}

/**
 * A member loses what it has just acknowledged, when of three members one did not hear of it and the one that led is not
 * heard any more: the two that are left may elect somebody only who has it.
 */
export function planLostLog(random: SeededRandom): Partial<WorldPlan> {
  const faults: TimedFault[] = [];
  const victim = random.integer(0, 2);
  for (let atMs = 500; atMs < faultyMs - 600; atMs += random.integer(1_200, 1_600)) {
    const deaf = (victim + random.integer(1, 2)) % 3;
    const apartMs = random.integer(100, 400);
    const sides = [0, 1, 2].map((member) => (member === deaf ? 1 : 0));
    faults.push({ atMs, fault: { kind: 'partition', sides, healMs: apartMs } });
    const rot: Fault = { kind: 'rot', member: victim, downMs: random.integer(1, 30), bytes: random.integer(1, 2) };
    faults.push({ atMs: atMs + apartMs, fault: { kind: 'crashLeader', downMs: random.integer(300, 900) } });
    faults.push({ atMs: atMs + apartMs + 1, fault: rot });
  }
  return {
    faultyMs,
    members: 3,
    spares: 0,
    electionTicks: 3,
    snapshotEntries: 1_000,
    syncEntries: 1_000,
    diskDelayMaxMs: pick(random, [0, 2]),
    thinkMs: 5,
    faults,
  };
}

/**
 * Leaders that are cut off or stand still while another is elected: whoever asks them then must not be told what was, nor
 * be promised what the other one will not keep. Holders of leases ask seldom, so that one false promise is not made good by the next.
 */
export function planOldLeaders(plan: WorldPlan, random: SeededRandom): Partial<WorldPlan> {
  const faults: TimedFault[] = [];
  const electionMs = 10 * plan.tickMs;
  const isAboutLeases = random.next() < 0.4;
  for (let atMs = 400; atMs < faultyMs; atMs += random.integer(700, isAboutLeases ? 2_000 : 1_100)) {
    const healMs = random.integer(electionMs, (isAboutLeases ? 6 : 3) * electionMs);
    const fault: Fault =
      random.next() < (isAboutLeases ? 0.1 : 0.5)
        ? { kind: 'isolateLeader', healMs }
        : { kind: 'pauseLeader', pauseMs: healMs };
    faults.push({ atMs, fault });
  }
  return {
    faultyMs,
    leaseClients: isAboutLeases ? 4 : 0,
    members: 3,
    spares: 0,
    electionTicks: 10,
    leaseReads: random.next() < 0.7,
    diskDelayMaxMs: 2,
    thinkMs: isAboutLeases ? 400 : 5,
    clients: 5,
    keys: 1,
    clockRates: isAboutLeases ? [1, 1, 1] : [1, 0.9, 1.1],
    faults,
  };
}

/**
 * Members that are away for so long that only a snapshot brings them back, over lines on which it breaks off: it goes on where
 * it broke, unless the leader has a newer one by then.
 */
export function planSnapshots(random: SeededRandom): Partial<WorldPlan> {
  const faults: TimedFault[] = [];
  for (let atMs = 300; atMs < faultyMs; atMs += random.integer(500, 900)) {
    const away = random.integer(0, 2);
    const sides = [0, 1, 2].map((member) => (member === away ? 1 : 0));
    faults.push({ atMs, fault: { kind: 'partition', sides, healMs: random.integer(200, 400) } });
  }
  return {
    faultyMs,
    members: 3,
    spares: 0,
    electionTicks: 10,
    snapshotEntries: 5,
    syncEntries: 1,
    catchUpEntries: 0,
    diskDelayMaxMs: pick(random, [0, 2]),
    thinkMs: 5,
    weather: { ...calm, loss: pick(random, [0.2, 0.4]) },
    clockRates: [1, 1, 1],
    faults,
  };
}

/** Members come and go in quick succession while leaders end: each change has to wait for the one before it. */
export function planMembership(random: SeededRandom): Partial<WorldPlan> {
  const faults: TimedFault[] = [];
  const members = 3;
  const spares = 2;
  for (let atMs = 200; atMs < faultyMs; atMs += random.integer(5, 120)) {
    const dice = random.next();
    const spare = members + random.integer(0, spares - 1);
    if (dice < 0.3) faults.push({ atMs, fault: { kind: 'addLearner', member: spare } });
    else if (dice < 0.7) faults.push({ atMs, fault: { kind: 'promote' } });
    else if (dice < 0.8) faults.push({ atMs, fault: { kind: 'remove', member: members - 1 } });
    else if (dice < 0.9) faults.push({ atMs, fault: { kind: 'crashLeader', downMs: random.integer(50, 400) } });
    else faults.push({ atMs, fault: { kind: 'isolateLeader', healMs: random.integer(100, 500) } });
  }
  return {
    faultyMs,
    members,
    spares,
    electionTicks: 3,
    snapshotEntries: 1_000,
    diskDelayMaxMs: pick(random, [0, 2, 15]),
    thinkMs: 30,
    clockRates: Array.from({ length: members + spares }, () => pick(random, [1, 1, 0.9, 1.1])),
    faults,
  };
}

function pick<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[random.integer(0, choices.length - 1)] as T;
}
