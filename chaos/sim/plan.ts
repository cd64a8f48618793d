/**
 * What happens in one simulated world, as data: the shape of the cluster, its knobs, and every fault with its time. Drawn by
 * draw.ts from the world's seed; a plan can be printed and read.
 */
import type { TimedFault } from '../scenario/faults.ts';
import type { NetworkConditions } from '../scenario/network-conditions.ts';

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
  /** More is damaged than a quorum can make good: it need not come together again. */
  readonly isBeyondRepair: boolean;
}

/** Each makes one rare order of events common, which by chance alone takes thousands of worlds. A swarm draws them now and then. */
export const specialProfiles = [
  'liveness',
  'elections',
  'lostLog',
  'oldLeaders',
  'witness',
  'snapshots',
  'membership',
] as const;

/**
 * What a world is about. `lite`: three members that only crash. `byzantine-disk`: disks are hurt beyond what a quorum can make
 * good, so nobody has to serve in the end, but nobody may lie. `performance`: nothing fails. `days`: as a swarm, but so slow that
 * a world takes hours.
 */
export const profiles = ['swarm', 'lite', 'byzantine-disk', 'performance', 'days', ...specialProfiles] as const;
export type Profile = (typeof profiles)[number];

/** How much slower a world is than most: what waits for it waits so much longer. */
export function slownessOf({ tickMs }: Pick<WorldPlan, 'tickMs'>): number {
  return tickMs / usualTickMs;
}

export const usualTickMs = 20;
