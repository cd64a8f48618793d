/** Messages of the API group version policy/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const policyV1: MessageTable = {
  prefix: 'io.k8s.api.policy.v1',
  group: 'policy',
  version: 'v1',
  messages: `
Eviction kind
  metadata 1 meta.ObjectMeta
  deleteOptions 2 *meta.DeleteOptions

PodDisruptionBudget kind
  metadata 1 meta.ObjectMeta
  spec 2 PodDisruptionBudgetSpec
  status 3 PodDisruptionBudgetStatus

PodDisruptionBudgetList kind
  metadata 1 meta.ListMeta
  items 2 []PodDisruptionBudget required

PodDisruptionBudgetSpec
  minAvailable 1 *intOrString
  selector 2 *meta.LabelSelector replace
  maxUnavailable 3 *intOrString
  unhealthyPodEvictionPolicy 4 *string enum=AlwaysAllow,IfHealthyBudget

PodDisruptionBudgetStatus
  observedGeneration 1 int64
  disruptedPods 2 map[time]
  disruptionsAllowed 3 int32 required
  currentHealthy 4 int32 required
  desiredHealthy 5 int32 required
  expectedPods 6 int32 required
  conditions 7 []meta.Condition merge=type map=type
`,
};
