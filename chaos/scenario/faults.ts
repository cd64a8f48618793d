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

export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}
