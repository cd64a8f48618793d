/** Messages of the API group version node.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const nodeV1: MessageTable = {
  prefix: 'io.k8s.api.node.v1',
  group: 'node.k8s.io',
  version: 'v1',
  messages: `
Overhead
  podFixed 1 map[quantity]

RuntimeClass kind
  metadata 1 meta.ObjectMeta
  handler 2 string required
  overhead 3 *Overhead
  scheduling 4 *Scheduling

RuntimeClassList kind
  metadata 1 meta.ListMeta
  items 2 []RuntimeClass required

Scheduling
  nodeSelector 1 map[string] atomicMap
  tolerations 2 []core.Toleration atomic
`,
};
