/** Messages of the API group version scheduling.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const schedulingV1: MessageTable = {
  prefix: 'io.k8s.api.scheduling.v1',
  group: 'scheduling.k8s.io',
  version: 'v1',
  messages: `
PriorityClass kind
  metadata 1 meta.ObjectMeta
  value 2 int32 required
  globalDefault 3 bool
  description 4 string
  preemptionPolicy 5 *string enum=Never,PreemptLowerPriority

PriorityClassList kind
  metadata 1 meta.ListMeta
  items 2 []PriorityClass required
`,
};
