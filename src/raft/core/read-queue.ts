/**
 * The reads that are not answered yet, at a leader (waiting, then in a round) and at a follower (forwarded). What is
 * done with them is in read-index.ts.
 */
import { assert } from '../../env/assert.ts';
import type { Outbox } from './outbox.ts';
import type { Index, ReplicaId } from './types.ts';

/** Requests held at one replica; a host that asks faster than rounds complete is told at once. */
export const pendingReadsMax = 16_384;

export interface ReadRequest {
  readonly from: ReplicaId;
  readonly context: number;
}

export interface ReadRound {
  readonly number: number;
  readonly index: Index;
  readonly requests: readonly ReadRequest[];
  /** On the leader's clock, with leases. */
  sentAtMs: number;
}

export class ReadQueue {
  /** Leader: in no round yet. */
  waiting: ReadRequest[] = [];
  /** Leader: opened and not confirmed, oldest first. */
  rounds: ReadRound[] = [];
  /** Grows for ever. */
  roundLast = 0;
  /** Highest round that a member answered. */
  readonly answered: Map<ReplicaId, number> = new Map();
  /** Follower: forwarded contexts and the ticks they may still take. */
  readonly forwarded: Map<number, number> = new Map();

  get pendingCount(): number {
    return this.rounds.reduce((sum, round) => sum + round.requests.length, this.waiting.length) + this.forwarded.size;
  }

  /** The round that heartbeats ask about; 0 when there is none. */
  get roundAsked(): number {
    return this.rounds.length > 0 ? this.roundLast : 0;
  }

  /** The role changed: nothing that was asked before can be answered. Forwarded requests time out where they came from. */
  dropAll(outbox: Outbox, self: ReplicaId): void {
    for (const { from, context } of [...this.rounds.flatMap((round) => round.requests), ...this.waiting]) {
      if (from === self) outbox.dropRead(context);
    }
    for (const context of this.forwarded.keys()) outbox.dropRead(context);
    this.waiting = [];
    this.rounds = [];
    this.answered.clear();
    this.forwarded.clear();
    assert(this.pendingCount === 0, 'nothing is pending after a drop');
  }
}
