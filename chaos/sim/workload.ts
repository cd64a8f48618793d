/**
 * Clients of the simulated store: each does one operation after another, on some member, and writes down what it asked
 * and what it was told. What it is not told, or told was unsure, stays open: it may have happened and may still happen.
 */
import type { Credentials } from '../../src/kv/server/auth-contract.ts';
import type { History, HistoryEntry, Operation, Outcome, TxnStep } from '../check/history.ts';
import { perform } from './perform.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

/** A client that was not answered by then asks something else. */
const patienceMs = 3_000;

export interface WorkloadOptions {
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly history: History;
  readonly keys: number;
  readonly thinkMs: number;
  /** Share of operations that are transactions over several keys, lists of everything, and compactions. */
  readonly wideShare: number;
  readonly from: Credentials | undefined;
}

export class Client {
  readonly #options: WorkloadOptions;
  readonly #number: number;
  readonly #random: SeededRandom;
  #counter = 0;
  readonly #lastSeen = new Map<string, string | undefined>();
  #revision = 1;
  #isStopped = false;
  /** Lets the client go on when the member it waits for is gone. */
  #abandon: (() => void) | undefined;
  #waitsFor: SimMember | undefined;

  constructor(options: WorkloadOptions, number: number, random: SeededRandom) {
    this.#options = options;
    this.#number = number;
    this.#random = random;
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
  }

  memberCrashed(member: SimMember): void {
    if (this.#waitsFor === member) this.#abandon?.();
  }

  #schedule(): void {
    this.#options.scheduler.afterMs(this.#random.next() * 2 * this.#options.thinkMs, () => {
      if (!this.#isStopped) this.#once();
    });
  }

  #once(): void {
    const { members, history } = this.#options;
    const member = members[this.#random.integer(0, members.length - 1)] as SimMember;
    if (member.server === undefined) return this.#schedule();
    const operation = this.#draw();
    const entry = history.invoke(this.#number, operation);
    let isOver = false;
    const finish = () => {
      if (isOver) return;
      isOver = true;
      giveUp();
      this.#abandon = undefined;
      this.#waitsFor = undefined;
      this.#schedule();
    };
    const giveUp = this.#options.scheduler.afterMs(Math.max(patienceMs, 20 * this.#options.thinkMs), () => finish());
    this.#abandon = finish;
    this.#waitsFor = member;
    member
      .ask((server) => perform(server, operation, this.#options.from))
      .then(
        (outcome) => {
          if (isOver) return;
          this.#learn(entry, outcome);
          history.succeed(entry, outcome);
          finish();
        },
        // Whatever the error says, a write may have been proposed: the outcome stays open.
        () => finish(),
      );
  }

  #learn(entry: HistoryEntry, outcome: Outcome): void {
    const { operation } = entry;
    this.#revision = Math.max(this.#revision, outcome.revision);
    if (outcome.kind === 'get' && operation.kind === 'get') this.#lastSeen.set(operation.key, outcome.value);
    else if (operation.kind === 'put') this.#lastSeen.set(operation.key, operation.value);
    else if (operation.kind === 'txn' && outcome.kind === 'txn')
      operation.failure.forEach((step, position) => {
        if (!outcome.succeeded) this.#lastSeen.set(step.key, outcome.found[position]);
      });
  }

  #draw(): Operation {
    const key = `k${this.#random.integer(1, this.#options.keys)}`;
    const value = `${this.#number}.${this.#counter++}`;
    const { wideShare } = this.#options;
    if (wideShare > 0 && this.#random.next() < wideShare) return this.#drawWide();
    const dice = this.#random.next();
    if (dice < 0.4) return { kind: 'put', key, value };
    if (dice < 0.75) return { kind: 'get', key };
    if (dice < 0.92) return { kind: 'cas', key, expected: this.#lastSeen.get(key), value };
    return { kind: 'delete', key };
  }

  #drawWide(): Operation {
    const dice = this.#random.next();
    if (dice < 0.6) return this.#drawTxn();
    if (dice < 0.92) {
      const isOld = this.#random.next() < 0.4;
      const at = isOld ? Math.max(1, this.#revision - this.#random.integer(0, 10)) : 0;
      return { kind: 'list', at, isLocal: this.#random.next() < 0.4 };
    }
    return { kind: 'compact', revision: Math.max(1, this.#revision - this.#random.integer(0, 15)) };
  }

  /** Over the keys `t1` to `t3`, which nothing else writes. */
  #drawTxn(): Operation {
    const keys = ['t1', 't2', 't3'].filter(() => this.#random.next() < 0.7);
    const compare = keys
      .filter(() => this.#random.next() < 0.5)
      .map((key) => ({ key, value: this.#lastSeen.get(key) }));
    const isDeleted = (key: string) => key !== keys[0] && this.#random.next() < 0.3;
    const success = keys.map((key): TxnStep => {
      if (isDeleted(key)) return { kind: 'delete', key };
      return { kind: 'put', key, value: `${this.#number}.${this.#counter++}` };
    });
    const failure = keys.map((key): TxnStep => ({ kind: 'get', key }));
    return { kind: 'txn', compare, success, failure };
  }
}
