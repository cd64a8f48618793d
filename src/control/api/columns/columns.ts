/** Column definitions and cells of every resource, as `kubectl get` prints them. */
import { clusterColumns } from './cluster.ts';
import { type Columns, plainColumns } from './define.ts';
import { otherColumns } from './others.ts';
import { podColumns } from './pod.ts';
import { workloadColumns } from './workloads.ts';

const byResource: Readonly<Record<string, Columns>> = {
  '/pods': podColumns,
  ...clusterColumns,
  ...workloadColumns,
  ...otherColumns,
};

export function columnsOf(group: string, resource: string): Columns {
  return byResource[`${group}/${resource}`] ?? plainColumns;
}
