/**
 * Clients of the simulated store: each does one operation after another, on some member, and writes down what it asked
 * and what it was told. What it is not told, or told was unsure, stays open: it may have happened and may still happen.
 */
import { type CompareResult, noBytes, putRequest, rangeRequest, type TxnRequest } from '../../src/kv/api.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import type { History, HistoryEntry, Operation, Outcome } from '../check/history.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface WorkloadOptions {
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly history: History;
  readonly keys: number;
  readonly thinkMs: number;
}

export class Client {
  readonly #options: WorkloadOptions;
  readonly #number: number;
  readonly #random: SeededRandom;
  #counter = 0;
  #lastSeen = new Map<string, string | undefined>();
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
    const server = member.server;
    if (server === undefined) return this.#schedule();
    const operation = this.#draw();
    const entry = history.invoke(this.#number, operation);
    let isOver = false;
    const finish = () => {
      if (isOver) return;
      isOver = true;
      this.#abandon = undefined;
      this.#waitsFor = undefined;
      this.#schedule();
    };
    this.#abandon = finish;
    this.#waitsFor = member;
    perform(server, operation).then(
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
    if (outcome.kind === 'get') this.#lastSeen.set(operation.key, outcome.value);
    else if (operation.kind === 'put') this.#lastSeen.set(operation.key, operation.value);
  }

  #draw(): Operation {
    const key = `k${this.#random.integer(1, this.#options.keys)}`;
    const value = `${this.#number}.${this.#counter++}`;
    const dice = this.#random.next();
    if (dice < 0.4) return { kind: 'put', key, value };
    if (dice < 0.75) return { kind: 'get', key };
    if (dice < 0.92) return { kind: 'cas', key, expected: this.#lastSeen.get(key), value };
    return { kind: 'delete', key };
  }
}

/** Performs one operation on one member. */
export async function perform(server: StoreServer, operation: Operation): Promise<Outcome> {
  const key = encoder.encode(operation.key);
  switch (operation.kind) {
    case 'put': {
      const { revision } = await server.put(putRequest({ key, value: encoder.encode(operation.value) }));
      return { kind: 'put', revision };
    }
    case 'get': {
      const { kvs, revision } = await server.range(rangeRequest({ key }));
      return {
        kind: 'get',
        revision,
        value: kvs[0] === undefined ? undefined : decoder.decode(kvs[0].value),
        modRevision: kvs[0]?.modRevision ?? 0,
      };
    }
    case 'cas': {
      const result: CompareResult = 'equal';
      const target =
        operation.expected === undefined
          ? ({ kind: 'version', value: 0 } as const)
          : ({ kind: 'value', value: encoder.encode(operation.expected) } as const);
      const request: TxnRequest = {
        compare: [{ key, rangeEnd: noBytes, result, target }],
        success: [{ kind: 'put', request: putRequest({ key, value: encoder.encode(operation.value) }) }],
        failure: [],
      };
      const { succeeded, revision } = await server.txn(request);
      return { kind: 'cas', revision, succeeded };
    }
    case 'delete': {
      const { deleted, revision } = await server.deleteRange({ key, rangeEnd: noBytes, prevKv: false });
      return { kind: 'delete', revision, deleted: deleted > 0 };
    }
  }
}
