/** Plain numbers as metrics: names and labels are only made when somebody scrapes. */
import type { PlainHistogram } from '../../env/histogram.ts';
import type { Value } from './store-registry.ts';

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
