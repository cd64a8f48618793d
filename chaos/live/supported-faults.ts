/** What of the fault language can be done to real processes, and why the rest cannot. */
import { faultKinds, type FaultKind } from '../scenario/faults.ts';
import type { SupportedFaults } from './contract.ts';

/** The compiler holds this against the language; `true`: it can be done. */
const answers: Readonly<Record<FaultKind, true | string>> = {
  crash: true,
  crashAll: true,
  crashLeader: true,
  crashQuorum: true,
  crashLoop: true,
  crashInDisk: 'nobody can tell in which disk operation a process is',
  stop: true,
  stopLeader: true,
  pause: true,
  pauseLeader: true,
  partition: true,
  deaf: true,
  mute: true,
  isolateLeader: true,
  oneWay: true,
  bridge: true,
  ring: true,
  flapping: true,
  clog: true,
  lateReplay: 'a stream cannot be made to repeat itself',
  dropType: 'messages are encrypted, or in a protocol of the program',
  slowLinks: true,
  clientCut: true,
  ambush: true,
  figureEight: 'it needs to look into the members between two of their steps',
  weather: true,
  transfer: true,
  addLearner: 'every member of a live world is a founder; there are no spare ones',
  promote: 'every member of a live world is a founder; there are no learners to promote',
  remove: 'every member of a live world stays one',
  wipe: true,
  rot: true,
  diskError: true,
  slowDisk: true,
  fullDisk: true,
  clockRate: true,
  clockFreeze: true,
  wallJump: true,
  wallStrobe: true,
  defragment: true,
  hash: true,
  saveSnapshot: true,
};

export const supportedFaults: SupportedFaults = new Set(faultKinds.filter((kind) => answers[kind] === true));

/**
 * Whoever wants these makes the world with `hasOwnDisks`: without it they are refused, but for a crash of all, which then
 * loses nothing that was written.
 */
export const ownDiskFaults: SupportedFaults = new Set<FaultKind>(['crashAll', 'diskError', 'fullDisk', 'slowDisk']);

/** Whoever wants these makes the world with `hasOwnClocks`, of our own store. */
export const ownClockFaults: SupportedFaults = new Set<FaultKind>([
  'clockRate',
  'clockFreeze',
  'wallJump',
  'wallStrobe',
]);

/** Why a fault cannot be carried out, or undefined when it can. */
export function unsupportedReason(kind: string): string | undefined {
  const answer = Object.hasOwn(answers, kind) ? answers[kind as FaultKind] : true;
  return answer === true ? undefined : answer;
}
