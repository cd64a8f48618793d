/**
 * Prometheus metrics of a run that goes on: how much was tried, what was done to it, and whether anything broke. A run
 * of many worlds adds each world when it ends; a run on real processes adds as it goes.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { assert } from '../../src/env/assert.ts';
import type { RecordedOperation, RunRecord } from './run-record.ts';

/** Kinds of faults and sentences of properties are fixed lists in the sources; more labels than this are a mistake. */
const labelsMax = 500;

export class RunMetrics {
  readonly registry = new Registry();
  readonly #operations: Counter<'outcome'>;
  readonly #faults: Counter<'kind'>;
  readonly #worlds: Counter<'verdict'>;
  readonly #simulatedSeconds: Counter;
  readonly #violations: Counter<'property'>;
  readonly #members: Gauge<'state'>;
  readonly #labels = new Set<string>();

  constructor() {
    const registers = [this.registry];
    this.#operations = new Counter({
      name: 'keelson_chaos_operations_total',
      help: 'Operations of the clients, by outcome: ok, failed, or unknown when nobody can tell.',
      labelNames: ['outcome'],
      registers,
    });
    this.#faults = new Counter({
      name: 'keelson_chaos_faults_total',
      help: 'Faults that struck, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.#worlds = new Counter({
      name: 'keelson_chaos_worlds_total',
      help: 'Worlds (one per seed) or scenarios that ended, by verdict.',
      labelNames: ['verdict'],
      registers,
    });
    this.#simulatedSeconds = new Counter({
      name: 'keelson_chaos_simulated_seconds_total',
      help: 'Seconds that passed on the clocks of the worlds.',
      registers,
    });
    this.#violations = new Counter({
      name: 'keelson_chaos_violations_total',
      help: 'Promises that were broken, by the promise.',
      labelNames: ['property'],
      registers,
    });
    this.#members = new Gauge({
      name: 'keelson_chaos_members',
      help: 'Members of the world that runs now, by state.',
      labelNames: ['state'],
      registers,
    });
    // Series that are there from the start, so that a rate or an alert does not miss the first one.
    for (const outcome of ['ok', 'failed', 'unknown']) this.#operations.inc({ outcome }, 0);
    for (const verdict of ['passed', 'failed', 'unknown']) this.#worlds.inc({ verdict }, 0);
  }

  operations(outcome: RecordedOperation['outcome'], count = 1): void {
    this.#operations.inc({ outcome }, count);
  }

  faults(kind: string, count = 1): void {
    this.#bounded(`fault ${kind}`);
    this.#faults.inc({ kind }, count);
  }

  world(verdict: RunRecord['verdict'], count = 1): void {
    this.#worlds.inc({ verdict }, count);
  }

  simulated(milliseconds: number): void {
    assert(milliseconds >= 0, 'time passes forward');
    this.#simulatedSeconds.inc(milliseconds / 1000);
  }

  violation(property: string): void {
    this.#bounded(`property ${property}`);
    this.#violations.inc({ property });
  }

  /** How many members are in each state now; states that are left out have none. */
  members(counts: Readonly<Record<string, number>>): void {
    this.#members.reset();
    for (const [state, count] of Object.entries(counts)) this.#members.set({ state }, count);
  }

  #bounded(label: string): void {
    this.#labels.add(label);
    assert(this.#labels.size <= labelsMax, () => `at most ${labelsMax} kinds of faults and properties, with ${label}`);
  }
}

export function createRunMetrics(): RunMetrics {
  return new RunMetrics();
}
