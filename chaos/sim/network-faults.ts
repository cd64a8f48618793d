/** The faults of the lines between members: what each of them cuts, holds back, loses or repeats. */
import type { Message } from '../../src/raft/core/types.ts';
import type { Fault, MessageSort } from '../scenario/faults.ts';
import type { SimNetwork } from './network.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

export interface Lines {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly members: readonly SimMember[];
  /** Whoever leads at the moment. */
  readonly leader: SimMember | undefined;
}

const typesOf: Readonly<Record<MessageSort, readonly Message['type'][]>> = {
  votes: ['vote', 'preVote'],
  appends: ['app'],
  heartbeats: ['heartbeat'],
  answers: ['voteResp', 'preVoteResp', 'appResp', 'heartbeatResp'],
  proposals: ['prop'],
  reads: ['readIndex', 'readIndexResp'],
  snapshots: ['snap'],
};

/** Carries it out and returns how to end it; undefined when it is none of these. */
export function strikeNetwork(fault: Fault, lines: Lines): (() => void) | undefined {
  const { network, members, leader } = lines;
  const idOf = (position: number) => members[position]?.id;
  const isBetween = (from: number, to: number, one: number | undefined) => from === one || to === one;
  switch (fault.kind) {
    case 'partition':
      return cutWhere(lines, (from, to) => fault.sides[from] !== fault.sides[to]);
    case 'bridge':
      return cutWhere(lines, (from, to) => fault.sides[from] !== fault.sides[to] && !isBetween(from, to, fault.member));
    case 'ring':
      return cutWhere(lines, (from, to) => !areNear(fault.order, from, to));
    case 'deaf':
      return cutWhere(lines, (_, to) => to === fault.member);
    case 'mute':
      return cutWhere(lines, (from) => from === fault.member);
    case 'oneWay':
      return cutWhere(lines, (from, to) => from === fault.from && to === fault.to);
    case 'isolateLeader':
      return cutWhere(lines, (from, to) => isBetween(from, to, leader?.position));
    case 'flapping':
      return flap(lines, fault);
    case 'clog': {
      const [from, to] = [idOf(fault.from), idOf(fault.to)];
      return from && to ? network.clog(from, to) : () => undefined;
    }
    case 'lateReplay':
      return network.replayLate(fault.share, fault.lateMs);
    case 'dropType':
      return network.drop(typesOf[fault.sort]);
    case 'slowLinks': {
      const id = idOf(fault.member);
      return id ? network.slowDown(id, fault.byMs) : () => undefined;
    }
    case 'weather':
      network.setConditions(fault.conditions);
      return () => undefined;
    default:
      return undefined;
  }
}

/** Every link between members for which it holds, each direction by itself. */
function cutWhere({ network, members }: Lines, isCut: (from: number, to: number) => boolean): () => void {
  const ends: (() => void)[] = [];
  for (const from of members) {
    for (const to of members) {
      if (from !== to && isCut(from.position, to.position)) ends.push(network.cut(from.id, to.id));
    }
  }
  return () => {
    for (const end of ends) end();
  };
}

/** Whether they stand beside each other in the circle: with so many neighbours on either side, each hears just a majority. */
function areNear(order: readonly number[], from: number, to: number): boolean {
  const [a, b] = [order.indexOf(from), order.indexOf(to)];
  if (a < 0 || b < 0) return false;
  const apart = Math.abs(a - b);
  const distance = Math.min(apart, order.length - apart);
  return distance <= Math.ceil(Math.floor(order.length / 2) / 2);
}

function flap(lines: Lines, fault: Fault & { readonly kind: 'flapping' }): () => void {
  let end: (() => void) | undefined;
  let isOver = false;
  const turn = () => {
    if (isOver) return;
    if (end === undefined) end = cutWhere(lines, (from, to) => from === fault.member || to === fault.member);
    else {
      end();
      end = undefined;
    }
    lines.scheduler.afterMs(end === undefined ? fault.offMs : fault.onMs, turn);
  };
  turn();
  return () => {
    isOver = true;
    end?.();
  };
}
