/**
 * What happens in one simulated world, as data: the shape of the cluster, its knobs, and every fault with its time. Drawn by
 * plan.ts from the world's seed; a plan can be printed and read.
 */
import type { NetworkConditions } from './network.ts';

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
export const profiles = [
  'swarm',
  'liveness',
  'elections',
  'lostLog',
  'oldLeaders',
  'witness',
  'snapshots',
  'membership',
] as const;
export type Profile = (typeof profiles)[number];
