/**
 * Changes of membership in a simulated world: members are added as learners, promoted and removed, and disks are wiped
 * under the identity they had. A request is made of some member and may fail, hang or succeed unseen, as an operator's would; at
 * the end the member table of the cluster says who has to serve.
 */
import type { Member } from '../../src/kv/api.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

/** An operator who was not answered by then has given up. */
const answerLimitMs = 2_000;

export interface MembershipWorld {
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly random: SeededRandom;
}

export class MembershipFaults {
  readonly #world: MembershipWorld;

  constructor(world: MembershipWorld) {
    this.#world = world;
  }

  /** A spare is added as a learner and started once somebody said yes. */
  add(spare: SimMember): void {
    const server = this.#someServer();
    if (server === undefined || spare.isAdmitted) return;
    this.#ask(server.memberAdd([spare.peerUrl], true), () => spare.admit());
  }

  /** Some learner becomes a voter, if the leader finds it ready. */
  promote(): void {
    const leader = this.#world.members.find((member) => member.isLeader())?.server;
    const learners = leader?.status().raft.confState.learners ?? [];
    const id = learners[this.#world.random.integer(0, Math.max(learners.length - 1, 0))];
    if (leader === undefined || id === undefined) return;
    this.#ask(leader.memberPromote(id, new AbortController().signal), () => undefined);
  }

  remove(member: SimMember): void {
    const server = this.#someServer();
    if (server === undefined || !member.isAdmitted) return;
    this.#ask(server.memberRemove(member.id), () => undefined);
  }

  /** What an operator asks of one member now and then. */
  maintain(member: SimMember, what: 'defragment' | 'hash' | 'saveSnapshot'): void {
    const { server } = member;
    if (server === undefined) return;
    if (what === 'defragment') this.#ask(server.defragment(), () => undefined);
    else if (what === 'hash') this.#ask(server.hashKv(0), () => undefined);
    else this.#ask(readWhole(server), () => undefined);
  }

  /** Resolves with the member table of whoever answers first; never, when nobody does. */
  table(): Promise<readonly Member[]> {
    return new Promise((resolve) => {
      const ask = () => {
        const server = this.#someServer();
        if (server !== undefined) this.#ask(server.members(true), resolve);
        this.#world.scheduler.afterMs(answerLimitMs / 10, () => ask());
      };
      ask();
    });
  }

  #someServer(): SimMember['server'] {
    const up = this.#world.members.filter((member) => member.server !== undefined);
    return up.length === 0 ? undefined : up[this.#world.random.integer(0, up.length - 1)]?.server;
  }

  /** An answer that comes too late is not heard. A refusal is the cluster's good right. */
  #ask<T>(answer: Promise<T>, onDone: (value: T) => void): void {
    let isOver = false;
    const cancel = this.#world.scheduler.afterMs(answerLimitMs, () => {
      isOver = true;
    });
    answer.then(
      (value) => {
        cancel();
        if (!isOver) onDone(value);
      },
      () => cancel(),
    );
  }
}

async function readWhole(server: NonNullable<SimMember['server']>): Promise<number> {
  const { chunks } = await server.snapshot();
  let bytes = 0;
  for await (const chunk of chunks()) bytes += chunk.length;
  return bytes;
}
