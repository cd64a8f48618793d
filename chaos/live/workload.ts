/**
 * Clients of real members: each does one thing after another and writes down what it asked and what it was told. Some ask one
 * member and no other, some go wherever they get an answer. Values are unique, so that each names the request it came with.
 */
import { assert, InvariantViolation } from '../../src/env/assert.ts';
import { type Clock, pause } from '../../src/env/clock.ts';
import type { KvClient } from '../../src/kv/client/contract.ts';
import type { Operation, Outcome, TxnStep } from '../check/history.ts';
import { type OperationWord, type ScenarioWorkload, usualMix } from '../scenario/scenario.ts';
import type { SeededRandom } from '../sim/random.ts';
import { type KeySpace, performOn } from './client-perform.ts';
import type { RunJournal } from './run-journal.ts';

export interface LiveClientOptions {
  readonly clock: Clock;
  readonly client: KvClient;
  readonly number: number;
  /** The only one it asks; undefined: any. */
  readonly member: number | undefined;
  readonly space: KeySpace;
  readonly workload: ScenarioWorkload;
  readonly random: SeededRandom;
  readonly journal: RunJournal;
  readonly revisions: RevisionsSeen;
}

/** What is known of the store's revisions by those who draw old ones. */
export interface RevisionsSeen {
  /** Before the run. */
  readonly base: number;
  /** The watch that the verdict rests on has told everything up to here: nothing later may be compacted. */
  told(): number;
  /** Revisions that somebody asked to compact, whether or not it happened. */
  readonly compactions: Set<number>;
}

const words = Object.keys(usualMix) as readonly OperationWord[];
/** Keys that transactions write, and nothing else does. */
const txnKeys = ['t1', 't2', 't3'] as const;

export class LiveClient {
  readonly #options: LiveClientOptions;
  readonly #weightTotal: number;
  readonly #lastSeen = new Map<string, string | undefined>();
  #counter = 0;
  #revision: number;

  constructor(options: LiveClientOptions) {
    this.#options = options;
    this.#revision = options.revisions.base;
    this.#weightTotal = words.reduce((sum, word) => sum + options.workload.mix[word], 0);
    assert(this.#weightTotal > 0, 'a client has something to do');
  }

  /** Works until the signal; resolves when its last operation has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, workload } = this.#options;
    while (!signal.aborted) {
      await pause(clock, random.next() * 2 * workload.thinkMs, signal);
      if (signal.aborted) return;
      await this.perform(this.#draw());
    }
  }

  /** Does one thing and writes it down. Undefined when there was no answer. */
  async perform(operation: Operation): Promise<Outcome | undefined> {
    const { client, journal, number, member, space } = this.#options;
    const entry = journal.begin(number, member, operation);
    try {
      const outcome = await performOn(client, operation, space);
      journal.succeed(entry, outcome);
      if (outcome !== undefined) this.#learn(operation, outcome);
      return outcome;
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      journal.fail(entry, error);
      return undefined;
    }
  }

  #learn(operation: Operation, outcome: Outcome): void {
    this.#revision = Math.max(this.#revision, outcome.revision);
    if (outcome.kind === 'get' && operation.kind === 'get') this.#lastSeen.set(operation.key, outcome.value);
    else if (operation.kind === 'put') this.#lastSeen.set(operation.key, operation.value);
    else if (operation.kind === 'txn' && outcome.kind === 'txn')
      operation.failure.forEach((step, position) => {
        if (!outcome.succeeded) this.#lastSeen.set(step.key, outcome.found[position]);
      });
  }

  #draw(): Operation {
    const { random, workload } = this.#options;
    const key = `k${random.integer(1, workload.keys)}`;
    switch (this.#drawWord()) {
      case 'put':
        return { kind: 'put', key, value: this.#value() };
      case 'get':
        return { kind: 'get', key };
      case 'cas':
        return { kind: 'cas', key, expected: this.#lastSeen.get(key), value: this.#value() };
      case 'delete':
        return { kind: 'delete', key };
      case 'txn':
        return this.#drawTxn();
      case 'list': {
        const { base } = this.#options.revisions;
        const isOld = random.next() < 0.4;
        const at = isOld ? Math.max(base, this.#revision - random.integer(0, 20)) : 0;
        return { kind: 'list', at, isLocal: random.next() < 0.4 };
      }
      case 'compact': {
        const { base, compactions, told } = this.#options.revisions;
        const revision = Math.max(base, told() - random.integer(0, 30));
        compactions.add(revision);
        return { kind: 'compact', revision };
      }
    }
  }

  #drawWord(): OperationWord {
    const { random, workload } = this.#options;
    let dice = random.integer(0, this.#weightTotal - 1);
    const drawn = words.find((word) => (dice -= workload.mix[word]) < 0);
    assert(drawn !== undefined, 'weights add up');
    return drawn;
  }

  /** A put beside every deletion, so that its revision is its own. */
  #drawTxn(): Operation {
    const { random } = this.#options;
    const drawn = txnKeys.filter(() => random.next() < 0.7);
    const keys = drawn.length > 0 ? drawn : [txnKeys[0]];
    const compare = keys.filter(() => random.next() < 0.5).map((key) => ({ key, value: this.#lastSeen.get(key) }));
    const success = keys.map((key): TxnStep => {
      if (key !== keys[0] && random.next() < 0.3) return { kind: 'delete', key };
      return { kind: 'put', key, value: this.#value() };
    });
    return { kind: 'txn', compare, success, failure: keys.map((key): TxnStep => ({ kind: 'get', key })) };
  }

  #value(): string {
    return `${this.#options.number}.${this.#counter++}`;
  }
}
