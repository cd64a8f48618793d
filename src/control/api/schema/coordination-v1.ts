/** Messages of the API group version coordination.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const coordinationV1: MessageTable = {
  prefix: 'io.k8s.api.coordination.v1',
  group: 'coordination.k8s.io',
  version: 'v1',
  messages: `
Lease kind  # Says who holds something, and until when.
  metadata 1 meta.ObjectMeta
  spec 2 LeaseSpec

LeaseList kind
  metadata 1 meta.ListMeta
  items 2 []Lease required

LeaseSpec
  holderIdentity 1 *string
  leaseDurationSeconds 2 *int32
  acquireTime 3 *microTime
  renewTime 4 *microTime
  leaseTransitions 5 *int32
  strategy 6 *string
  preferredHolder 7 *string
`,
};
