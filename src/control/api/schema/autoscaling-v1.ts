/** Messages of the API group version autoscaling/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const autoscalingV1: MessageTable = {
  prefix: 'io.k8s.api.autoscaling.v1',
  group: 'autoscaling',
  version: 'v1',
  messages: `
CrossVersionObjectReference atomic
  kind 1 string required
  name 2 string required
  apiVersion 3 string

HorizontalPodAutoscaler kind
  metadata 1 meta.ObjectMeta
  spec 2 HorizontalPodAutoscalerSpec
  status 3 HorizontalPodAutoscalerStatus

HorizontalPodAutoscalerList kind
  metadata 1 meta.ListMeta
  items 2 []HorizontalPodAutoscaler required

HorizontalPodAutoscalerSpec
  scaleTargetRef 1 CrossVersionObjectReference required
  minReplicas 2 *int32
  maxReplicas 3 int32 required
  targetCPUUtilizationPercentage 4 *int32

HorizontalPodAutoscalerStatus
  observedGeneration 1 *int64
  lastScaleTime 2 *time
  currentReplicas 3 int32 required
  desiredReplicas 4 int32 required
  currentCPUUtilizationPercentage 5 *int32

Scale kind
  metadata 1 meta.ObjectMeta
  spec 2 ScaleSpec
  status 3 ScaleStatus

ScaleSpec
  replicas 1 int32 default=0

ScaleStatus
  replicas 1 int32 required
  selector 2 string
`,
};
