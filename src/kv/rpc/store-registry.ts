/**
 * What a member tells Prometheus: descriptions and how their values are read, and the text that is made of them. The one
 * file of the store that knows prom-client, which writes the text and counts what Node does by itself. It is loaded by
 * the first scrape, because with what it brings along it is larger than the store's own code: a member that nobody
 * scrapes never has it, and on one that is scraped the figures of Node's process begin with the first scrape.
 */
import type { Metric, Registry } from 'prom-client';
import { assert } from '../../env/assert.ts';
import { type Clock, sleep } from '../../env/clock.ts';

/** One line of the text format. */
export interface Value {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Instead of the metric's, for the lines of a histogram. */
  readonly metricName?: string;
}

export interface Description {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
}

export type ReadValues = () => readonly Value[] | Promise<readonly Value[]>;

/** For whoever serves the text. */
export interface MetricsText {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/** Delays of the event loop are told since the last scrape, and taken every 10 ms: the first scrape tells some as well. */
const firstDelaysMs = 30;

export class StoreRegistry implements MetricsText {
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  readonly #processClock: Clock | undefined;
  readonly #metrics = new Map<string, Metric>();
  #opened: Promise<Registry> | undefined;

  /** With a clock it tells of this process too: processor time, memory, garbage collection, event loop. */
  constructor(processClock?: Clock) {
    this.#processClock = processClock;
  }

  get tellsProcess(): boolean {
    return this.#processClock !== undefined;
  }

  /** A name is described once. */
  describe(description: Description, read: ReadValues): void {
    assert(!this.#metrics.has(description.name), () => `${description.name} is described once`);
    // All that a registry asks of a metric is `get`; prom-client's own classes count by themselves, which costs more.
    const get = async () => ({ ...description, aggregator: 'sum', values: await read() });
    const metric = { ...description, get, reset: () => undefined } as unknown as Metric;
    this.#metrics.set(description.name, metric);
    // Rejects only where the scrape that opens it does, which says so.
    this.#opened?.then(
      (registry) => registry.registerMetric(metric),
      () => undefined,
    );
  }

  /** The values of one metric, by whomever it was described; none when there is none. */
  async valuesOf(name: string): Promise<readonly Value[]> {
    const registry = await this.#open();
    const known = await registry.getSingleMetric(name)?.get();
    return (known?.values ?? []) as readonly Value[];
  }

  async metrics(): Promise<string> {
    const registry = await this.#open();
    assert(registry.contentType === this.contentType, 'the text is what its type says');
    return registry.metrics();
  }

  #open(): Promise<Registry> {
    return (this.#opened ??= this.#load());
  }

  async #load(): Promise<Registry> {
    const { collectDefaultMetrics, Registry } = await import('prom-client');
    const registry = new Registry();
    if (this.#processClock) {
      collectDefaultMetrics({ register: registry });
      await sleep(this.#processClock, firstDelaysMs);
    }
    for (const metric of this.#metrics.values()) registry.registerMetric(metric);
    return registry;
  }
}
