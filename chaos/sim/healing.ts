/**
 * After the faults: everything works again, and the cluster must come together. Every member that belongs serves, all hold
 * the same, leases end by themselves, watchers are told the last of it.
 */
import { present } from '../../src/env/assert.ts';
import type { History } from '../check/history.ts';
import { Violation } from '../check/violation.ts';
import type { MembershipFaults } from './membership.ts';
import { perform } from './perform.ts';
import { slownessOf, type WorldPlan } from './plan.ts';
import type { Scheduler } from './scheduler.ts';
import { settle } from './settle.ts';
import { describeMember, type SimMember } from './sim-member.ts';
import type { Workload } from './world-clients.ts';

/** After the last fault the cluster must be able to serve within this time: some elections, and a snapshot or two. */
const healLimitMs = 20_000;
/** By then every watch has been told everything. */
const lastNewsMs = 200;
/** Between two looks at what has not settled. */
const askAgainMs = 300;

export interface HealingWorld {
  readonly plan: WorldPlan;
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly membership: MembershipFaults;
  readonly history: History;
  readonly work: Workload;
  readonly runUntil: (untilMs: number, isDone?: () => boolean) => Promise<void>;
  /** Ends the world. */
  readonly fail: (error: Error) => void;
}

export class Healing {
  readonly #world: HealingWorld;

  constructor(world: HealingWorld) {
    this.#world = world;
  }

  /** Everything works again: soon every member serves, and all hold the same. */
  async run(): Promise<void> {
    for (const member of this.#world.members) member.start();
    const endMs = this.#world.scheduler.nowUs / 1000 + this.#scaled(healLimitMs);
    await this.#reconcile(endMs);
    const served = new Set<SimMember>();
    const isServed = () => this.#withData().every((member) => served.has(member));
    const tryAll = () => {
      for (const member of this.#withData()) {
        if (!served.has(member)) this.#finalRead(member, served);
      }
      this.#world.scheduler.afterMs(this.#scaled(askAgainMs), tryAll);
    };
    tryAll();
    await this.#world.runUntil(endMs, () => isServed() && this.#isAlike());
    if (!isServed()) {
      const silent = this.#withData()
        .filter((member) => !served.has(member))
        .map((member) => `${member.name} (${describeMember(member)})`);
      throw new Violation(
        'the cluster serves again once faults end',
        `${silent.join(', ')} did not answer within ${healLimitMs} ms`,
      );
    }
    if (!this.#isAlike()) {
      throw new Violation(
        'all members come to hold the same',
        this.#belonging()
          .map((member) => `${member.name}: ${describeMember(member)}`)
          .join('; '),
      );
    }
    await this.#checkSameState();
    await this.#finishWork();
  }

  /** Leases end by themselves, watches are told the last of it, and everybody holds what was committed. */
  async #finishWork(): Promise<void> {
    const calmSinceMs = this.#world.scheduler.nowUs / 1000;
    await this.#world.runUntil(calmSinceMs + this.#world.work.endWithinMs(), () => this.#world.work.isLeaseless());
    await this.#world.runUntil(this.#world.scheduler.nowUs / 1000 + this.#scaled(lastNewsMs));
    for (const { server, name } of this.#withData())
      if (server !== undefined) this.#world.work.checkState(server, name);
    // Their answers are at hand, but answers take a turn.
    await settle();
    this.#world.work.calmSinceMs = calmSinceMs;
  }

  #scaled(ms: number): number {
    return ms * slownessOf(this.#world.plan);
  }

  /** Everybody who is not known to be out. */
  #belonging(): SimMember[] {
    return this.#world.members.filter((member) => member.isAdmitted && !member.isGone);
  }

  #withData(): SimMember[] {
    return this.#belonging().filter((member) => !member.isWitness);
  }

  /** The member table says who belongs: a spare whose addition nobody heard of is started, who was removed learns it. */
  async #reconcile(endMs: number): Promise<void> {
    let isSettled = false;
    const compare = () => {
      this.#world.membership.table().then(
        (table) => {
          const urls = new Set(table.flatMap((member) => member.peerUrls));
          for (const member of this.#world.members) if (urls.has(member.peerUrl)) member.admit();
          const ids = new Set(table.map((member) => member.id));
          isSettled = this.#belonging().every((member) => ids.has(member.id));
          if (!isSettled) this.#world.scheduler.afterMs(this.#scaled(askAgainMs), compare);
        },
        (error: unknown) => this.#world.fail(new Violation('a healthy member answers', String(error))),
      );
    };
    compare();
    await this.#world.runUntil(endMs, () => isSettled);
    if (isSettled) return;
    throw new Violation(
      'every member knows whether it belongs, once faults end',
      this.#world.members.map((member) => `${member.name} ${member.id}: ${describeMember(member)}`).join('; '),
    );
  }

  /** Reads every key through this member; the reads join the history. */
  #finalRead(member: SimMember, served: Set<SimMember>): void {
    const { server } = member;
    if (server === undefined) return;
    const reads = Array.from({ length: this.#world.plan.keys }, (_, index) => {
      const operation = { kind: 'get', key: `k${index + 1}` } as const;
      const entry = this.#world.history.invoke(1_000 + member.position, operation);
      return perform(server, operation, undefined).then((outcome) => this.#world.history.succeed(entry, outcome));
    });
    Promise.all(reads).then(
      () => served.add(member),
      // It is asked again until the time is up.
      () => undefined,
    );
  }

  /** Whether everybody has applied the same log to its end. */
  #isAlike(): boolean {
    const views = this.#belonging().map((member) => member.core?.view());
    const first = views[0];
    return (
      first !== undefined && views.every((view) => view?.applied === first.applied && view.lastIndex === first.applied)
    );
  }

  /** Equal revisions mean equal states. A request that was still on its way may be applied between two answers: ask again. */
  async #checkSameState(): Promise<void> {
    let found: readonly { readonly hash: number; readonly revision: number }[] = [];
    let isAnyGone = () => false;
    const ask = () => {
      const asked = this.#withData();
      // A removal that was still on its way may take out a member that has just been asked: it refuses, or never answers.
      const isAnyGoneNow = () => asked.some((member) => member.isGone);
      isAnyGone = isAnyGoneNow;
      Promise.all(asked.map((member) => present(member.server, 'a server').hashKv(0))).then(
        (hashes) => {
          found = hashes;
        },
        (error: unknown) => {
          if (!isAnyGoneNow()) this.#world.fail(new Violation('a healthy member answers', String(error)));
        },
      );
    };
    const endMs = this.#world.scheduler.nowUs / 1000 + this.#scaled(healLimitMs);
    do {
      found = [];
      ask();
      await this.#world.runUntil(endMs, () => found.length > 0 || isAnyGone());
      if (isAnyGone()) {
        found = [];
        continue;
      }
      if (found.length === 0) throw new Violation('a healthy member answers', `no hash within ${healLimitMs} ms`);
      const byRevision = new Map<number, number>();
      for (const { hash, revision } of found) {
        const other = byRevision.get(revision);
        if (other !== undefined && other !== hash)
          throw new Violation(
            'equal logs give equal states',
            `revision ${revision} is ${other} here and ${hash} there`,
          );
        byRevision.set(revision, hash);
      }
    } while (found.length === 0 || new Set(found.map((state) => state.revision)).size > 1);
  }
}
