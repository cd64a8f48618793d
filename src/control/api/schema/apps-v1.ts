/** Messages of the API group version apps/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const appsV1: MessageTable = {
  prefix: 'io.k8s.api.apps.v1',
  group: 'apps',
  version: 'v1',
  messages: `
ControllerRevision kind
  metadata 1 meta.ObjectMeta
  data 2 json
  revision 3 int64 required

ControllerRevisionList kind
  metadata 1 meta.ListMeta
  items 2 []ControllerRevision required

DaemonSet kind  # Runs one pod on every node that fits.
  metadata 1 meta.ObjectMeta
  spec 2 DaemonSetSpec
  status 3 DaemonSetStatus

DaemonSetCondition
  type 1 string required
  status 2 string required
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

DaemonSetList kind
  metadata 1 meta.ListMeta
  items 2 []DaemonSet required

DaemonSetSpec
  selector 1 *meta.LabelSelector required
  template 2 core.PodTemplateSpec required
  updateStrategy 3 DaemonSetUpdateStrategy
  minReadySeconds 4 int32
  revisionHistoryLimit 6 *int32

DaemonSetStatus
  currentNumberScheduled 1 int32 required
  numberMisscheduled 2 int32 required
  desiredNumberScheduled 3 int32 required
  numberReady 4 int32 required
  observedGeneration 5 int64
  updatedNumberScheduled 6 int32
  numberAvailable 7 int32
  numberUnavailable 8 int32
  collisionCount 9 *int32
  conditions 10 []DaemonSetCondition merge=type map=type

DaemonSetUpdateStrategy
  type 1 string enum=OnDelete,RollingUpdate
  rollingUpdate 2 *RollingUpdateDaemonSet

Deployment kind  # Keeps a number of equal pods running and rolls out changes to them.
  metadata 1 meta.ObjectMeta
  spec 2 DeploymentSpec  # What the deployment should be.
  status 3 DeploymentStatus  # What was last observed of the deployment.

DeploymentCondition
  type 1 string required
  status 2 string required
  lastUpdateTime 6 time
  lastTransitionTime 7 time
  reason 4 string
  message 5 string

DeploymentList kind
  metadata 1 meta.ListMeta
  items 2 []Deployment required

DeploymentSpec
  replicas 1 *int32  # Number of pods. Default 1.
  selector 2 *meta.LabelSelector required  # Labels of the pods that belong to the deployment; never changes.
  template 3 core.PodTemplateSpec required  # Template of the pods.
  strategy 4 DeploymentStrategy retainKeys  # How old pods are replaced by new ones.
  minReadySeconds 5 int32  # Seconds that a new pod must be ready before it counts as available.
  revisionHistoryLimit 6 *int32  # Old replica sets that are kept for a rollback. Default 10.
  paused 7 bool  # When true, changes are not rolled out.
  progressDeadlineSeconds 9 *int32  # Seconds without progress until the rollout counts as failed. Default 600.

DeploymentStatus
  observedGeneration 1 int64
  replicas 2 int32
  updatedReplicas 3 int32
  readyReplicas 7 int32
  availableReplicas 4 int32
  unavailableReplicas 5 int32
  terminatingReplicas 9 *int32
  conditions 6 []DeploymentCondition merge=type map=type
  collisionCount 8 *int32

DeploymentStrategy
  type 1 string enum=Recreate,RollingUpdate  # RollingUpdate or Recreate. Default RollingUpdate.
  rollingUpdate 2 *RollingUpdateDeployment

ReplicaSet kind  # Keeps a number of equal pods running.
  metadata 1 meta.ObjectMeta
  spec 2 ReplicaSetSpec
  status 3 ReplicaSetStatus

ReplicaSetCondition
  type 1 string required
  status 2 string required
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

ReplicaSetList kind
  metadata 1 meta.ListMeta
  items 2 []ReplicaSet required

ReplicaSetSpec
  replicas 1 *int32
  minReadySeconds 4 int32
  selector 2 *meta.LabelSelector required
  template 3 core.PodTemplateSpec

ReplicaSetStatus
  replicas 1 int32 required
  fullyLabeledReplicas 2 int32
  readyReplicas 4 int32
  availableReplicas 5 int32
  terminatingReplicas 7 *int32
  observedGeneration 3 int64
  conditions 6 []ReplicaSetCondition merge=type map=type

RollingUpdateDaemonSet
  maxUnavailable 1 *intOrString
  maxSurge 2 *intOrString

RollingUpdateDeployment
  maxUnavailable 1 *intOrString  # Pods that may be missing during a rollout, as number or percentage. Default 25%.
  maxSurge 2 *intOrString  # Pods above the wanted number during a rollout, as number or percentage. Default 25%.

RollingUpdateStatefulSetStrategy
  partition 1 *int32
  maxUnavailable 2 *intOrString

StatefulSet kind  # Keeps pods running that have a stable name and storage each.
  metadata 1 meta.ObjectMeta
  spec 2 StatefulSetSpec
  status 3 StatefulSetStatus

StatefulSetCondition
  type 1 string required
  status 2 string required
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

StatefulSetList kind
  metadata 1 meta.ListMeta
  items 2 []StatefulSet required

StatefulSetOrdinals
  start 1 int32 keep default=0

StatefulSetPersistentVolumeClaimRetentionPolicy
  whenDeleted 1 string
  whenScaled 2 string

StatefulSetSpec
  replicas 1 *int32
  selector 2 *meta.LabelSelector required
  template 3 core.PodTemplateSpec required
  volumeClaimTemplates 4 []core.PersistentVolumeClaim atomic
  serviceName 5 string keep default=
  podManagementPolicy 6 string enum=OrderedReady,Parallel
  updateStrategy 7 StatefulSetUpdateStrategy
  revisionHistoryLimit 8 *int32
  minReadySeconds 9 int32
  persistentVolumeClaimRetentionPolicy 10 *StatefulSetPersistentVolumeClaimRetentionPolicy
  ordinals 11 *StatefulSetOrdinals

StatefulSetStatus
  observedGeneration 1 int64
  replicas 2 int32 required
  readyReplicas 3 int32
  currentReplicas 4 int32
  updatedReplicas 5 int32
  currentRevision 6 string
  updateRevision 7 string
  collisionCount 9 *int32
  conditions 10 []StatefulSetCondition merge=type map=type
  availableReplicas 11 int32 keep default=0

StatefulSetUpdateStrategy
  type 1 string enum=OnDelete,RollingUpdate
  rollingUpdate 2 *RollingUpdateStatefulSetStrategy
`,
};
