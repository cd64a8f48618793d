/** What a pod is made of in the API group version v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const coreV1PodSpec: MessageTable = {
  prefix: 'io.k8s.api.core.v1',
  group: '',
  version: 'v1',
  messages: `
Affinity
  nodeAffinity 1 *NodeAffinity
  podAffinity 2 *PodAffinity
  podAntiAffinity 3 *PodAntiAffinity

AppArmorProfile
  type 1 string required enum=Localhost,RuntimeDefault,Unconfined
  localhostProfile 2 *string

Capabilities
  add 1 []string atomic
  drop 2 []string atomic

ConfigMapEnvSource
  localObjectReference 1 LocalObjectReference inline
  optional 2 *bool

ConfigMapKeySelector atomic
  localObjectReference 1 LocalObjectReference inline
  key 2 string required
  optional 3 *bool

Container  # One container of a pod.
  name 1 string required  # Name of the container, unique in the pod.
  image 2 string  # Image that the container is made from.
  command 3 []string atomic  # Program and first arguments, instead of the image's entry point.
  args 4 []string atomic  # Arguments, instead of the image's.
  workingDir 5 string  # Directory that the program starts in.
  ports 6 []ContainerPort merge=containerPort map=containerPort,protocol  # Ports that the container listens on.
  envFrom 19 []EnvFromSource atomic  # ConfigMaps and Secrets whose keys become environment variables.
  env 7 []EnvVar merge=name map=name  # Environment variables.
  resources 8 ResourceRequirements  # CPU, memory and other resources that the container asks for and may not exceed.
  resizePolicy 23 []ContainerResizePolicy atomic
  restartPolicy 24 *string
  restartPolicyRules 25 []ContainerRestartRule atomic
  volumeMounts 9 []VolumeMount merge=mountPath map=mountPath  # Volumes that the container sees, and where.
  volumeDevices 21 []VolumeDevice merge=devicePath map=devicePath
  livenessProbe 10 *Probe  # Check whose failure restarts the container.
  readinessProbe 11 *Probe  # Check whose failure takes the pod out of its Services.
  startupProbe 22 *Probe  # Check that must succeed once before the other probes begin.
  lifecycle 12 *Lifecycle  # Actions after the start and before the end of the container.
  terminationMessagePath 13 string
  terminationMessagePolicy 20 string enum=FallbackToLogsOnError,File
  imagePullPolicy 14 string enum=Always,IfNotPresent,Never  # When the image is pulled. Default Always for tag latest, otherwise IfNotPresent.
  securityContext 15 *SecurityContext  # Users, groups and privileges of this container.
  stdin 16 bool
  stdinOnce 17 bool
  tty 18 bool

ContainerPort  # A port that a container listens on.
  name 1 string
  hostPort 2 int32
  containerPort 3 int32 required  # Number of the port, 1 to 65535.
  protocol 4 string enum=SCTP,TCP,UDP default=TCP
  hostIP 5 string

ContainerResizePolicy
  resourceName 1 string required
  restartPolicy 2 string required

ContainerRestartRule
  action 1 string required omitempty
  exitCodes 2 *ContainerRestartRuleOnExitCodes

ContainerRestartRuleOnExitCodes
  operator 1 string required omitempty
  values 2 []int32 set

EnvFromSource
  prefix 1 string
  configMapRef 2 *ConfigMapEnvSource
  secretRef 3 *SecretEnvSource

EnvVar  # An environment variable.
  name 1 string required
  value 2 string  # Value; $(NAME) is replaced by the value of an earlier variable.
  valueFrom 3 *EnvVarSource  # Where the value is taken from.

EnvVarSource
  fieldRef 1 *ObjectFieldSelector
  resourceFieldRef 2 *ResourceFieldSelector
  configMapKeyRef 3 *ConfigMapKeySelector
  secretKeyRef 4 *SecretKeySelector
  fileKeyRef 5 *FileKeySelector

EphemeralContainer
  ephemeralContainerCommon 1 EphemeralContainerCommon inline
  targetContainerName 2 string

EphemeralContainerCommon
  name 1 string required
  image 2 string
  command 3 []string atomic
  args 4 []string atomic
  workingDir 5 string
  ports 6 []ContainerPort merge=containerPort map=containerPort,protocol
  envFrom 19 []EnvFromSource atomic
  env 7 []EnvVar merge=name map=name
  resources 8 ResourceRequirements
  resizePolicy 23 []ContainerResizePolicy atomic
  restartPolicy 24 *string
  restartPolicyRules 25 []ContainerRestartRule atomic
  volumeMounts 9 []VolumeMount merge=mountPath map=mountPath
  volumeDevices 21 []VolumeDevice merge=devicePath map=devicePath
  livenessProbe 10 *Probe
  readinessProbe 11 *Probe
  startupProbe 22 *Probe
  lifecycle 12 *Lifecycle
  terminationMessagePath 13 string
  terminationMessagePolicy 20 string enum=FallbackToLogsOnError,File
  imagePullPolicy 14 string enum=Always,IfNotPresent,Never
  securityContext 15 *SecurityContext
  stdin 16 bool
  stdinOnce 17 bool
  tty 18 bool

ExecAction
  command 1 []string atomic

FileKeySelector atomic
  volumeName 1 string required
  path 2 string required
  key 3 string required
  optional 4 *bool default=false

GRPCAction
  port 1 int32 required
  service 2 *string keep default=

HTTPGetAction
  path 1 string
  port 2 intOrString required
  host 3 string
  scheme 4 string enum=HTTP,HTTPS
  httpHeaders 5 []HTTPHeader atomic

HTTPHeader
  name 1 string required
  value 2 string required

HostAlias
  ip 1 string required
  hostnames 2 []string atomic

Lifecycle
  postStart 1 *LifecycleHandler
  preStop 2 *LifecycleHandler
  stopSignal 3 *string enum=SIGABRT,SIGALRM,SIGBUS,SIGCHLD,SIGCLD,SIGCONT,SIGFPE,SIGHUP,SIGILL,SIGINT,SIGIO,SIGIOT,SIGKILL,SIGPIPE,SIGPOLL,SIGPROF,SIGPWR,SIGQUIT,SIGRTMAX,SIGRTMAX-1,SIGRTMAX-10,SIGRTMAX-11,SIGRTMAX-12,SIGRTMAX-13,SIGRTMAX-14,SIGRTMAX-2,SIGRTMAX-3,SIGRTMAX-4,SIGRTMAX-5,SIGRTMAX-6,SIGRTMAX-7,SIGRTMAX-8,SIGRTMAX-9,SIGRTMIN,SIGRTMIN+1,SIGRTMIN+10,SIGRTMIN+11,SIGRTMIN+12,SIGRTMIN+13,SIGRTMIN+14,SIGRTMIN+15,SIGRTMIN+2,SIGRTMIN+3,SIGRTMIN+4,SIGRTMIN+5,SIGRTMIN+6,SIGRTMIN+7,SIGRTMIN+8,SIGRTMIN+9,SIGSEGV,SIGSTKFLT,SIGSTOP,SIGSYS,SIGTERM,SIGTRAP,SIGTSTP,SIGTTIN,SIGTTOU,SIGURG,SIGUSR1,SIGUSR2,SIGVTALRM,SIGWINCH,SIGXCPU,SIGXFSZ

LifecycleHandler
  exec 1 *ExecAction
  httpGet 2 *HTTPGetAction
  tcpSocket 3 *TCPSocketAction
  sleep 4 *SleepAction

NodeAffinity
  requiredDuringSchedulingIgnoredDuringExecution 1 *NodeSelector
  preferredDuringSchedulingIgnoredDuringExecution 2 []PreferredSchedulingTerm atomic

NodeSelector atomic
  nodeSelectorTerms 1 []NodeSelectorTerm required atomic

NodeSelectorRequirement
  key 1 string required
  operator 2 string required enum=DoesNotExist,Exists,Gt,In,Lt,NotIn
  values 3 []string atomic

NodeSelectorTerm atomic
  matchExpressions 1 []NodeSelectorRequirement atomic
  matchFields 2 []NodeSelectorRequirement atomic

PodAffinity
  requiredDuringSchedulingIgnoredDuringExecution 1 []PodAffinityTerm atomic
  preferredDuringSchedulingIgnoredDuringExecution 2 []WeightedPodAffinityTerm atomic

PodAffinityTerm
  labelSelector 1 *meta.LabelSelector
  namespaces 2 []string atomic
  topologyKey 3 string required
  namespaceSelector 4 *meta.LabelSelector
  matchLabelKeys 5 []string atomic
  mismatchLabelKeys 6 []string atomic

PodAntiAffinity
  requiredDuringSchedulingIgnoredDuringExecution 1 []PodAffinityTerm atomic
  preferredDuringSchedulingIgnoredDuringExecution 2 []WeightedPodAffinityTerm atomic

PodDNSConfig
  nameservers 1 []string atomic
  searches 2 []string atomic
  options 3 []PodDNSConfigOption atomic

PodDNSConfigOption
  name 1 string
  value 2 *string

PodOS
  name 1 string required

PodReadinessGate
  conditionType 1 string required

PodResourceClaim
  name 1 string required
  resourceClaimName 3 *string
  resourceClaimTemplateName 4 *string

PodSchedulingGate
  name 1 string required

PodSecurityContext
  seLinuxOptions 1 *SELinuxOptions
  windowsOptions 8 *WindowsSecurityContextOptions
  runAsUser 2 *int64
  runAsGroup 6 *int64
  runAsNonRoot 3 *bool
  supplementalGroups 4 []int64 atomic
  supplementalGroupsPolicy 12 *string enum=Merge,Strict
  fsGroup 5 *int64
  sysctls 7 []Sysctl atomic
  fsGroupChangePolicy 9 *string enum=Always,OnRootMismatch
  seccompProfile 10 *SeccompProfile
  appArmorProfile 11 *AppArmorProfile
  seLinuxChangePolicy 13 *string

PodSpec  # What a pod should be: its containers, volumes and where it may run.
  volumes 1 []Volume retainKeys merge=name map=name  # Volumes that containers can mount.
  initContainers 20 []Container merge=name map=name  # Containers that run to completion one after another before the others start.
  containers 2 []Container required merge=name map=name  # Containers that run as long as the pod does; at least one.
  ephemeralContainers 34 []EphemeralContainer merge=name map=name  # Containers added to a running pod for debugging.
  restartPolicy 3 string enum=Always,Never,OnFailure  # When a container that ended is started again. Default Always.
  terminationGracePeriodSeconds 4 *int64  # Seconds that containers get to end by themselves. Default 30.
  activeDeadlineSeconds 5 *int64  # Seconds after which a running pod is ended and marked failed.
  dnsPolicy 6 string enum=ClusterFirst,ClusterFirstWithHostNet,Default,None  # Where the containers ask for names. Default ClusterFirst.
  nodeSelector 7 map[string] atomicMap  # Labels that a node must have to run the pod.
  serviceAccountName 8 string  # Service account that the containers act as.
  serviceAccount 9 string
  automountServiceAccountToken 21 *bool
  nodeName 10 string  # Node that the pod is bound to; set by the scheduler.
  hostNetwork 11 bool  # Use the network of the node instead of one of its own.
  hostPID 12 bool
  hostIPC 13 bool
  shareProcessNamespace 27 *bool
  securityContext 14 *PodSecurityContext  # Users, groups and privileges for all containers.
  imagePullSecrets 15 []LocalObjectReference merge=name map=name  # Secrets with credentials of image registries.
  hostname 16 string
  subdomain 17 string
  affinity 18 *Affinity  # Rules that draw the pod to nodes or other pods, or away from them.
  schedulerName 19 string  # Scheduler that finds a node for the pod. Default default-scheduler.
  tolerations 22 []Toleration atomic  # Taints of nodes that do not keep the pod away.
  hostAliases 23 []HostAlias merge=ip map=ip
  priorityClassName 24 string  # Name of the priority class, which decides who goes first.
  priority 25 *int32
  dnsConfig 26 *PodDNSConfig
  readinessGates 28 []PodReadinessGate atomic
  runtimeClassName 29 *string
  enableServiceLinks 30 *bool
  preemptionPolicy 31 *string enum=Never,PreemptLowerPriority
  overhead 32 map[quantity]
  topologySpreadConstraints 33 []TopologySpreadConstraint merge=topologyKey map=topologyKey,whenUnsatisfiable  # How evenly pods are spread over zones, nodes or other domains.
  setHostnameAsFQDN 35 *bool
  os 36 *PodOS
  hostUsers 37 *bool
  schedulingGates 38 []PodSchedulingGate merge=name map=name
  resourceClaims 39 []PodResourceClaim retainKeys merge=name map=name
  resources 40 *ResourceRequirements
  hostnameOverride 41 *string

PodTemplateSpec  # Pods made from this template have its labels and its spec.
  metadata 1 meta.ObjectMeta
  spec 2 PodSpec

PreferredSchedulingTerm
  weight 1 int32 required
  preference 2 NodeSelectorTerm required

Probe  # A check of a container.
  probeHandler 1 ProbeHandler inline
  initialDelaySeconds 2 int32  # Seconds between start of the container and first check.
  timeoutSeconds 3 int32  # Seconds until a check counts as failed. Default 1.
  periodSeconds 4 int32  # Seconds between two checks. Default 10.
  successThreshold 5 int32
  failureThreshold 6 int32  # Failures in a row until the check counts as failed. Default 3.
  terminationGracePeriodSeconds 7 *int64

ProbeHandler
  exec 1 *ExecAction
  httpGet 2 *HTTPGetAction
  tcpSocket 3 *TCPSocketAction
  grpc 4 *GRPCAction

ResourceClaim
  name 1 string required
  request 2 string

ResourceRequirements  # Resources that a container asks for and may not exceed.
  limits 1 map[quantity]  # Most that the container may use.
  requests 2 map[quantity]  # What the container is sure to get; the scheduler counts with it.
  claims 3 []ResourceClaim map=name

SELinuxOptions
  user 1 string
  role 2 string
  type 3 string
  level 4 string

SeccompProfile
  type 1 string required enum=Localhost,RuntimeDefault,Unconfined
  localhostProfile 2 *string

SecretEnvSource
  localObjectReference 1 LocalObjectReference inline
  optional 2 *bool

SecretKeySelector atomic
  localObjectReference 1 LocalObjectReference inline
  key 2 string required
  optional 3 *bool

SecurityContext
  capabilities 1 *Capabilities
  privileged 2 *bool
  seLinuxOptions 3 *SELinuxOptions
  windowsOptions 10 *WindowsSecurityContextOptions
  runAsUser 4 *int64
  runAsGroup 8 *int64
  runAsNonRoot 5 *bool
  readOnlyRootFilesystem 6 *bool
  allowPrivilegeEscalation 7 *bool
  procMount 9 *string enum=Default,Unmasked
  seccompProfile 11 *SeccompProfile
  appArmorProfile 12 *AppArmorProfile

SleepAction
  seconds 1 int64 required

Sysctl
  name 1 string required
  value 2 string required

TCPSocketAction
  port 1 intOrString required
  host 2 string

Toleration
  key 1 string
  operator 2 string enum=Equal,Exists
  value 3 string
  effect 4 string enum=NoExecute,NoSchedule,PreferNoSchedule
  tolerationSeconds 5 *int64

TopologySpreadConstraint
  maxSkew 1 int32 required
  topologyKey 2 string required
  whenUnsatisfiable 3 string required enum=DoNotSchedule,ScheduleAnyway
  labelSelector 4 *meta.LabelSelector
  minDomains 5 *int32
  nodeAffinityPolicy 6 *string enum=Honor,Ignore
  nodeTaintsPolicy 7 *string enum=Honor,Ignore
  matchLabelKeys 8 []string atomic

VolumeDevice
  name 1 string required
  devicePath 2 string required

VolumeMount  # Where a container sees a volume.
  name 1 string required
  readOnly 2 bool
  recursiveReadOnly 7 *string
  mountPath 3 string required  # Path in the container.
  subPath 4 string  # Path in the volume to mount instead of its root.
  mountPropagation 5 *string enum=Bidirectional,HostToContainer,None
  subPathExpr 6 string

WeightedPodAffinityTerm
  weight 1 int32 required
  podAffinityTerm 2 PodAffinityTerm required

WindowsSecurityContextOptions
  gmsaCredentialSpecName 1 *string
  gmsaCredentialSpec 2 *string
  runAsUserName 3 *string
  hostProcess 4 *bool
`,
};
