/** Pods, nodes and replication controllers, and what is reported about them in the API group version v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const coreV1Workloads: MessageTable = {
  prefix: 'io.k8s.api.core.v1',
  group: '',
  version: 'v1',
  messages: `
AttachedVolume
  name 1 string required
  devicePath 2 string required

ConfigMapNodeConfigSource
  namespace 1 string required
  name 2 string required
  uid 3 string
  resourceVersion 4 string
  kubeletConfigKey 5 string required

ContainerExtendedResourceRequest
  containerName 1 string required
  resourceName 2 string required
  requestName 3 string required

ContainerImage
  names 1 []string keep atomic
  sizeBytes 2 int64

ContainerState
  waiting 1 *ContainerStateWaiting
  running 2 *ContainerStateRunning
  terminated 3 *ContainerStateTerminated

ContainerStateRunning
  startedAt 1 time

ContainerStateTerminated
  exitCode 1 int32 required
  signal 2 int32
  reason 3 string
  message 4 string
  startedAt 5 time
  finishedAt 6 time
  containerID 7 string

ContainerStateWaiting
  reason 1 string
  message 2 string

ContainerStatus
  name 1 string required
  state 2 ContainerState
  lastState 3 ContainerState
  ready 4 bool required
  restartCount 5 int32 required
  image 6 string required
  imageID 7 string required
  containerID 8 string
  started 9 *bool
  allocatedResources 10 map[quantity]
  resources 11 *ResourceRequirements
  volumeMounts 12 []VolumeMountStatus merge=mountPath map=mountPath
  user 13 *ContainerUser
  allocatedResourcesStatus 14 []ResourceStatus merge=name map=name
  stopSignal 15 *string enum=SIGABRT,SIGALRM,SIGBUS,SIGCHLD,SIGCLD,SIGCONT,SIGFPE,SIGHUP,SIGILL,SIGINT,SIGIO,SIGIOT,SIGKILL,SIGPIPE,SIGPOLL,SIGPROF,SIGPWR,SIGQUIT,SIGRTMAX,SIGRTMAX-1,SIGRTMAX-10,SIGRTMAX-11,SIGRTMAX-12,SIGRTMAX-13,SIGRTMAX-14,SIGRTMAX-2,SIGRTMAX-3,SIGRTMAX-4,SIGRTMAX-5,SIGRTMAX-6,SIGRTMAX-7,SIGRTMAX-8,SIGRTMAX-9,SIGRTMIN,SIGRTMIN+1,SIGRTMIN+10,SIGRTMIN+11,SIGRTMIN+12,SIGRTMIN+13,SIGRTMIN+14,SIGRTMIN+15,SIGRTMIN+2,SIGRTMIN+3,SIGRTMIN+4,SIGRTMIN+5,SIGRTMIN+6,SIGRTMIN+7,SIGRTMIN+8,SIGRTMIN+9,SIGSEGV,SIGSTKFLT,SIGSTOP,SIGSYS,SIGTERM,SIGTRAP,SIGTSTP,SIGTTIN,SIGTTOU,SIGURG,SIGUSR1,SIGUSR2,SIGVTALRM,SIGWINCH,SIGXCPU,SIGXFSZ

ContainerUser
  linux 1 *LinuxContainerUser

DaemonEndpoint
  Port 1 int32 required

HostIP
  ip 1 string required

LinuxContainerUser
  uid 1 int64 required
  gid 2 int64 required
  supplementalGroups 3 []int64 atomic

Node kind  # A machine that runs pods.
  metadata 1 meta.ObjectMeta
  spec 2 NodeSpec
  status 3 NodeStatus

NodeAddress
  type 1 string required
  address 2 string required

NodeCondition
  type 1 string required
  status 2 string required
  lastHeartbeatTime 3 time
  lastTransitionTime 4 time
  reason 5 string
  message 6 string

NodeConfigSource
  configMap 2 *ConfigMapNodeConfigSource

NodeConfigStatus
  assigned 1 *NodeConfigSource
  active 2 *NodeConfigSource
  lastKnownGood 3 *NodeConfigSource
  error 4 string

NodeDaemonEndpoints
  kubeletEndpoint 1 DaemonEndpoint

NodeFeatures
  supplementalGroupsPolicy 1 *bool

NodeList kind
  metadata 1 meta.ListMeta
  items 2 []Node required

NodeRuntimeHandler
  name 1 string keep default=
  features 2 *NodeRuntimeHandlerFeatures

NodeRuntimeHandlerFeatures
  recursiveReadOnlyMounts 1 *bool
  userNamespaces 2 *bool

NodeSpec
  podCIDR 1 string
  podCIDRs 7 []string merge set
  providerID 3 string
  unschedulable 4 bool  # When true, no new pods are put on the node.
  taints 5 []Taint atomic  # Keep away pods that do not tolerate them.
  configSource 6 *NodeConfigSource
  externalID 2 string

NodeStatus
  capacity 1 map[quantity]
  allocatable 2 map[quantity]
  phase 3 string enum=Pending,Running,Terminated
  conditions 4 []NodeCondition merge=type map=type
  addresses 5 []NodeAddress merge=type map=type
  daemonEndpoints 6 NodeDaemonEndpoints
  nodeInfo 7 NodeSystemInfo
  images 8 []ContainerImage atomic
  volumesInUse 9 []string atomic
  volumesAttached 10 []AttachedVolume atomic
  config 11 *NodeConfigStatus
  runtimeHandlers 12 []NodeRuntimeHandler atomic
  features 13 *NodeFeatures

NodeSwapStatus
  capacity 1 *int64

NodeSystemInfo
  machineID 1 string required
  systemUUID 2 string required
  bootID 3 string required
  kernelVersion 4 string required
  osImage 5 string required
  containerRuntimeVersion 6 string required
  kubeletVersion 7 string required
  kubeProxyVersion 8 string required
  operatingSystem 9 string required
  architecture 10 string required
  swap 11 *NodeSwapStatus

Pod kind  # A group of containers that run together on one node.
  metadata 1 meta.ObjectMeta  # Name, labels and other metadata.
  spec 2 PodSpec  # What the pod should be.
  status 3 PodStatus  # What was last observed of the pod.

PodCondition
  type 1 string required
  observedGeneration 7 int64
  status 2 string required
  lastProbeTime 3 time
  lastTransitionTime 4 time
  reason 5 string
  message 6 string

PodExtendedResourceClaimStatus
  requestMappings 1 []ContainerExtendedResourceRequest required atomic
  resourceClaimName 2 string required

PodIP
  ip 1 string required

PodList kind
  metadata 1 meta.ListMeta
  items 2 []Pod required

PodResourceClaimStatus
  name 1 string required
  resourceClaimName 2 *string

PodStatus  # What was last observed of a pod.
  observedGeneration 17 int64
  phase 1 string enum=Failed,Pending,Running,Succeeded,Unknown  # Pending, Running, Succeeded, Failed or Unknown.
  conditions 2 []PodCondition merge=type map=type  # Steps that the pod has reached, such as PodScheduled and Ready.
  message 3 string
  reason 4 string
  nominatedNodeName 11 string
  hostIP 5 string  # Address of the node.
  hostIPs 16 []HostIP merge=ip atomic
  podIP 6 string  # Address of the pod.
  podIPs 12 []PodIP merge=ip map=ip
  startTime 7 *time
  initContainerStatuses 10 []ContainerStatus atomic
  containerStatuses 8 []ContainerStatus atomic  # State of every container.
  qosClass 9 string enum=BestEffort,Burstable,Guaranteed
  ephemeralContainerStatuses 13 []ContainerStatus atomic
  resize 14 string
  resourceClaimStatuses 15 []PodResourceClaimStatus retainKeys merge=name map=name
  extendedResourceClaimStatus 18 *PodExtendedResourceClaimStatus

PodTemplate kind
  metadata 1 meta.ObjectMeta
  template 2 PodTemplateSpec

PodTemplateList kind
  metadata 1 meta.ListMeta
  items 2 []PodTemplate required

ReplicationController kind
  metadata 1 meta.ObjectMeta
  spec 2 ReplicationControllerSpec
  status 3 ReplicationControllerStatus

ReplicationControllerCondition
  type 1 string required
  status 2 string required
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

ReplicationControllerList kind
  metadata 1 meta.ListMeta
  items 2 []ReplicationController required

ReplicationControllerSpec
  replicas 1 *int32 default=1
  minReadySeconds 4 int32 default=0
  selector 2 map[string] atomicMap
  template 3 *PodTemplateSpec

ReplicationControllerStatus
  replicas 1 int32 required
  fullyLabeledReplicas 2 int32
  readyReplicas 4 int32
  availableReplicas 5 int32
  observedGeneration 3 int64
  conditions 6 []ReplicationControllerCondition merge=type map=type

ResourceHealth
  resourceID 1 string required
  health 2 string

ResourceStatus
  name 1 string required
  resources 2 []ResourceHealth map=resourceID

Taint
  key 1 string required
  value 2 string
  effect 3 string required enum=NoExecute,NoSchedule,PreferNoSchedule
  timeAdded 4 *time

VolumeMountStatus
  name 1 string required
  mountPath 2 string required
  readOnly 3 bool
  recursiveReadOnly 4 *string
`,
};
