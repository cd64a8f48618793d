/**
 * The fault language: what can go wrong, as data. One schedule of these strikes a simulated world and, where it can be done
 * there, real processes. Members are numbered from 0. Every fault that lasts carries its own end.
 */
import type { NetworkConditions } from './network-conditions.ts';

export type Fault =
  | { readonly kind: 'crash'; readonly member: number; readonly downMs: number }
  /** All at once, as in a power cut. */
  | { readonly kind: 'crashAll'; readonly downMs: number }
  /** Whoever leads when it strikes. */
  | { readonly kind: 'crashLeader'; readonly downMs: number }
  /** As many as are needed to leave no majority. */
  | { readonly kind: 'crashQuorum'; readonly members: readonly number[]; readonly downMs: number }
  | {
      readonly kind: 'crashLoop';
      readonly member: number;
      readonly times: number;
      readonly upMs: number;
      readonly downMs: number;
    }
  /** In the middle of the `after`-th disk operation of this sort from now on. */
  | {
      readonly kind: 'crashInDisk';
      readonly member: number;
      readonly operation: 'write' | 'dataSync' | 'open' | 'rename' | 'remove' | 'truncate' | 'syncDirectory';
      readonly after: number;
      readonly downMs: number;
    }
  /** Asked to end: leadership is handed on first. */
  | { readonly kind: 'stop'; readonly member: number; readonly downMs: number }
  | { readonly kind: 'stopLeader'; readonly downMs: number }
  | { readonly kind: 'pause'; readonly member: number; readonly pauseMs: number }
  | { readonly kind: 'pauseLeader'; readonly pauseMs: number }
  /** Members on different sides do not hear each other; sides are numbered. */
  | { readonly kind: 'partition'; readonly sides: readonly number[]; readonly healMs: number }
  /** One direction of one member's links. */
  | { readonly kind: 'deaf' | 'mute'; readonly member: number; readonly healMs: number }
  | { readonly kind: 'isolateLeader'; readonly healMs: number }
  /** One direction between two. */
  | { readonly kind: 'oneWay'; readonly from: number; readonly to: number; readonly healMs: number }
  /** Two sides, and one member that hears both. */
  | { readonly kind: 'bridge'; readonly sides: readonly number[]; readonly member: number; readonly healMs: number }
  /** In a circle in this order, each hears its nearest neighbours only: everybody a majority, nobody the same one. */
  | { readonly kind: 'ring'; readonly order: readonly number[]; readonly healMs: number }
  /** All links of one member, cut and healed again and again. */
  | {
      readonly kind: 'flapping';
      readonly member: number;
      readonly onMs: number;
      readonly offMs: number;
      readonly healMs: number;
    }
  /** What goes this way stands still, and arrives all at once in the end. */
  | { readonly kind: 'clog'; readonly from: number; readonly to: number; readonly healMs: number }
  /** A share of what is sent arrives once more, much later. */
  | { readonly kind: 'lateReplay'; readonly share: number; readonly lateMs: number; readonly healMs: number }
  /** Messages of one sort get lost, everywhere. */
  | { readonly kind: 'dropType'; readonly sort: MessageSort; readonly healMs: number }
  /** Whatever goes to and from a member takes up to so much longer. */
  | { readonly kind: 'slowLinks'; readonly member: number; readonly byMs: number; readonly healMs: number }
  /** Clients do not reach a member, or do not hear its answers; members do. */
  | {
      readonly kind: 'clientCut';
      readonly member: number;
      readonly lost: 'requests' | 'answers';
      readonly healMs: number;
    }
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
  | { readonly kind: 'slowDisk'; readonly member: number; readonly delayMs: number; readonly healMs: number }
  /** Nothing can be written for a while. */
  | { readonly kind: 'fullDisk'; readonly member: number; readonly healMs: number }
  /** Its clock runs so much faster than true time. */
  | { readonly kind: 'clockRate'; readonly member: number; readonly rate: number; readonly healMs: number }
  /** Its clock stands still, and goes on from there. */
  | { readonly kind: 'clockFreeze'; readonly member: number; readonly healMs: number }
  /** The time of day is another one. */
  | { readonly kind: 'wallJump'; readonly member: number; readonly byMs: number }
  | {
      readonly kind: 'wallStrobe';
      readonly member: number;
      readonly byMs: number;
      readonly everyMs: number;
      readonly healMs: number;
    }
  /** What an operator asks of a member meanwhile. */
  | { readonly kind: 'defragment' | 'hash' | 'saveSnapshot'; readonly member: number }
  /** A disk operation fails; the member stops by itself and is started again. */
  | { readonly kind: 'diskError'; readonly member: number; readonly code: 'EIO' | 'ENOSPC'; readonly downMs: number };

/** As clients of the algorithm would call them; `answers` are those to votes, appends and heartbeats. */
export type MessageSort = 'votes' | 'appends' | 'heartbeats' | 'answers' | 'proposals' | 'reads' | 'snapshots';

export type FaultKind = Fault['kind'];

/** Every kind there is; the compiler holds the list against the language. */
const everyKind: Readonly<Record<FaultKind, true>> = {
  crash: true,
  crashAll: true,
  crashLeader: true,
  crashQuorum: true,
  crashLoop: true,
  crashInDisk: true,
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
  lateReplay: true,
  dropType: true,
  slowLinks: true,
  clientCut: true,
  ambush: true,
  figureEight: true,
  weather: true,
  transfer: true,
  addLearner: true,
  promote: true,
  remove: true,
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

export const faultKinds = Object.keys(everyKind) as readonly FaultKind[];

export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}
