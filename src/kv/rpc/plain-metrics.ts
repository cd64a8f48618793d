/** Plain numbers as metrics: names and labels are only made when somebody scrapes. */
import type { Metric, Registry } from 'prom-client';
import type { PlainHistogram } from '../../env/histogram.ts';

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

/** All that a registry asks of a metric is `get`; prom-client's own classes count by themselves, which costs more. */
export function registerPlain(
  registry: Registry,
  metric: Description,
  values: () => readonly Value[] | Promise<readonly Value[]>,
): void {
  const own = { ...metric, get: async () => ({ ...metric, aggregator: 'sum', values: await values() }) };
  registry.registerMetric({ ...own, reset: () => undefined } as unknown as Metric);
}

/** The lines of one histogram. */
export function histogramValues(
  name: string,
  histogram: PlainHistogram,
  labels: Readonly<Record<string, string | number>> = {},
): readonly Value[] {
  const { within, sum, count } = histogram.read();
  const metricName = `${name}_bucket`;
  return [
    ...within.map((value, place) => ({
      labels: { le: histogram.bounds[place] as number, ...labels },
      value,
      metricName,
    })),
    { labels: { le: '+Inf', ...labels }, value: count, metricName },
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ];
}
