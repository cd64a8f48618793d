/** Messages of the API group version batch/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const batchV1: MessageTable = {
  prefix: 'io.k8s.api.batch.v1',
  group: 'batch',
  version: 'v1',
  messages: `
CronJob kind  # Makes jobs at times that a schedule says.
  metadata 1 meta.ObjectMeta
  spec 2 CronJobSpec
  status 3 CronJobStatus

CronJobList kind
  metadata 1 meta.ListMeta
  items 2 []CronJob required

CronJobSpec
  schedule 1 string required  # Minute, hour, day of month, month and day of week.
  timeZone 8 *string
  startingDeadlineSeconds 2 *int64
  concurrencyPolicy 3 string enum=Allow,Forbid,Replace
  suspend 4 *bool
  jobTemplate 5 JobTemplateSpec required
  successfulJobsHistoryLimit 6 *int32
  failedJobsHistoryLimit 7 *int32

CronJobStatus
  active 1 []core.ObjectReference atomic
  lastScheduleTime 4 *time
  lastSuccessfulTime 5 *time

Job kind  # Runs pods until a number of them have succeeded.
  metadata 1 meta.ObjectMeta
  spec 2 JobSpec
  status 3 JobStatus

JobCondition
  type 1 string required
  status 2 string required
  lastProbeTime 3 time
  lastTransitionTime 4 time
  reason 5 string
  message 6 string

JobList kind
  metadata 1 meta.ListMeta
  items 2 []Job required

JobSpec
  parallelism 1 *int32  # Pods that run at the same time. Default 1.
  completions 2 *int32  # Pods that must succeed.
  activeDeadlineSeconds 3 *int64
  podFailurePolicy 11 *PodFailurePolicy
  successPolicy 16 *SuccessPolicy
  backoffLimit 7 *int32  # Failures until the job counts as failed. Default 6.
  backoffLimitPerIndex 12 *int32
  maxFailedIndexes 13 *int32
  selector 4 *meta.LabelSelector
  manualSelector 5 *bool
  template 6 core.PodTemplateSpec required  # Template of the pods.
  ttlSecondsAfterFinished 8 *int32  # Seconds until a finished job is deleted.
  completionMode 9 *string enum=Indexed,NonIndexed
  suspend 10 *bool
  podReplacementPolicy 14 *string enum=Failed,TerminatingOrFailed
  managedBy 15 *string

JobStatus
  conditions 1 []JobCondition merge=type atomic
  startTime 2 *time
  completionTime 3 *time
  active 4 int32
  succeeded 5 int32
  failed 6 int32
  terminating 11 *int32
  completedIndexes 7 string
  failedIndexes 10 *string
  uncountedTerminatedPods 8 *UncountedTerminatedPods
  ready 9 *int32

JobTemplateSpec
  metadata 1 meta.ObjectMeta
  spec 2 JobSpec

PodFailurePolicy
  rules 1 []PodFailurePolicyRule required atomic

PodFailurePolicyOnExitCodesRequirement
  containerName 1 *string
  operator 2 string required enum=In,NotIn
  values 3 []int32 required set

PodFailurePolicyOnPodConditionsPattern
  type 1 string required
  status 2 string required

PodFailurePolicyRule
  action 1 string required enum=Count,FailIndex,FailJob,Ignore
  onExitCodes 2 *PodFailurePolicyOnExitCodesRequirement
  onPodConditions 3 []PodFailurePolicyOnPodConditionsPattern atomic

SuccessPolicy
  rules 1 []SuccessPolicyRule required atomic

SuccessPolicyRule
  succeededIndexes 1 *string
  succeededCount 2 *int32

UncountedTerminatedPods
  succeeded 1 []string set
  failed 2 []string set
`,
};
