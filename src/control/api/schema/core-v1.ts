/** Everything else in the API group version v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const coreV1: MessageTable = {
  prefix: 'io.k8s.api.core.v1',
  group: '',
  version: 'v1',
  messages: `
Binding kind
  metadata 1 meta.ObjectMeta
  target 2 ObjectReference required

ClientIPConfig
  timeoutSeconds 1 *int32

ComponentCondition
  type 1 string required
  status 2 string required
  message 3 string
  error 4 string

ComponentStatus kind
  metadata 1 meta.ObjectMeta
  conditions 2 []ComponentCondition merge=type map=type

ComponentStatusList kind
  metadata 1 meta.ListMeta
  items 2 []ComponentStatus required

ConfigMap kind  # Configuration as keys and values.
  metadata 1 meta.ObjectMeta
  immutable 4 *bool  # When true, the content can never change again.
  data 2 map[string]  # Values that are text.
  binaryData 3 map[bytes]  # Values that are bytes.

ConfigMapList kind
  metadata 1 meta.ListMeta
  items 2 []ConfigMap required

EndpointAddress atomic
  ip 1 string required
  hostname 3 string
  nodeName 4 *string
  targetRef 2 *ObjectReference

EndpointPort atomic
  name 1 string
  port 2 int32 required
  protocol 3 string enum=SCTP,TCP,UDP
  appProtocol 4 *string

EndpointSubset
  addresses 1 []EndpointAddress atomic
  notReadyAddresses 2 []EndpointAddress atomic
  ports 3 []EndpointPort atomic

Endpoints kind  # Addresses behind a service, in the older form.
  metadata 1 meta.ObjectMeta
  subsets 2 []EndpointSubset atomic

EndpointsList kind
  metadata 1 meta.ListMeta
  items 2 []Endpoints required

Event kind  # Something that happened to an object.
  metadata 1 meta.ObjectMeta required
  involvedObject 2 ObjectReference required
  reason 3 string
  message 4 string
  source 5 EventSource
  firstTimestamp 6 time
  lastTimestamp 7 time
  count 8 int32
  type 9 string
  eventTime 10 microTime
  series 11 *EventSeries
  action 12 string
  related 13 *ObjectReference
  reportingComponent 14 string keep default=
  reportingInstance 15 string keep default=

EventList kind
  metadata 1 meta.ListMeta
  items 2 []Event required

EventSeries
  count 1 int32
  lastObservedTime 2 microTime

EventSource
  component 1 string
  host 2 string

LimitRange kind
  metadata 1 meta.ObjectMeta
  spec 2 LimitRangeSpec

LimitRangeItem
  type 1 string required
  max 2 map[quantity]
  min 3 map[quantity]
  default 4 map[quantity]
  defaultRequest 5 map[quantity]
  maxLimitRequestRatio 6 map[quantity]

LimitRangeList kind
  metadata 1 meta.ListMeta
  items 2 []LimitRange required

LimitRangeSpec
  limits 1 []LimitRangeItem required atomic

List kind
  metadata 1 meta.ListMeta
  items 2 []json keep

LoadBalancerIngress
  ip 1 string
  hostname 2 string
  ipMode 3 *string
  ports 4 []PortStatus atomic

LoadBalancerStatus
  ingress 1 []LoadBalancerIngress atomic

LocalObjectReference atomic
  name 1 string default=

Namespace kind  # A space of names for the objects of one team or purpose.
  metadata 1 meta.ObjectMeta
  spec 2 NamespaceSpec
  status 3 NamespaceStatus

NamespaceCondition
  type 1 string required
  status 2 string required
  lastTransitionTime 4 time
  reason 5 string
  message 6 string

NamespaceList kind
  metadata 1 meta.ListMeta
  items 2 []Namespace required

NamespaceSpec
  finalizers 1 []string atomic

NamespaceStatus
  phase 1 string enum=Active,Terminating
  conditions 2 []NamespaceCondition merge=type map=type

ObjectReference atomic
  kind 1 string
  namespace 2 string
  name 3 string
  uid 4 string
  apiVersion 5 string
  resourceVersion 6 string
  fieldPath 7 string

PortStatus
  port 1 int32 required
  protocol 2 string required enum=SCTP,TCP,UDP
  error 3 *string

ResourceQuota kind
  metadata 1 meta.ObjectMeta
  spec 2 ResourceQuotaSpec
  status 3 ResourceQuotaStatus

ResourceQuotaList kind
  metadata 1 meta.ListMeta
  items 2 []ResourceQuota required

ResourceQuotaSpec
  hard 1 map[quantity]
  scopes 2 []string atomic
  scopeSelector 3 *ScopeSelector

ResourceQuotaStatus
  hard 1 map[quantity]
  used 2 map[quantity]

ScopeSelector atomic
  matchExpressions 1 []ScopedResourceSelectorRequirement atomic

ScopedResourceSelectorRequirement
  scopeName 1 string required enum=BestEffort,CrossNamespacePodAffinity,NotBestEffort,NotTerminating,PriorityClass,Terminating,VolumeAttributesClass
  operator 2 string required enum=DoesNotExist,Exists,In,NotIn
  values 3 []string atomic

Secret kind  # Confidential keys and values.
  metadata 1 meta.ObjectMeta
  immutable 5 *bool
  data 2 map[bytes]  # Values as base64.
  stringData 4 map[string]  # Values as text; written only, and kept in data.
  type 3 string  # What the secret is for. Default Opaque.

SecretList kind
  metadata 1 meta.ListMeta
  items 2 []Secret required

Service kind  # One address and name for a changing set of pods.
  metadata 1 meta.ObjectMeta
  spec 2 ServiceSpec  # Which pods, and how they are reached.
  status 3 ServiceStatus

ServiceAccount kind  # An identity for programs.
  metadata 1 meta.ObjectMeta
  secrets 2 []ObjectReference merge=name map=name
  imagePullSecrets 3 []LocalObjectReference atomic
  automountServiceAccountToken 4 *bool

ServiceAccountList kind
  metadata 1 meta.ListMeta
  items 2 []ServiceAccount required

ServiceList kind
  metadata 1 meta.ListMeta
  items 2 []Service required

ServicePort  # A port of a service.
  name 1 string
  protocol 2 string enum=SCTP,TCP,UDP default=TCP
  appProtocol 6 *string
  port 3 int32 required  # Port that clients connect to.
  targetPort 4 intOrString  # Number or name of the port of the pods. Default: the same as port.
  nodePort 5 int32  # Port on every node, for NodePort and LoadBalancer.

ServiceSpec
  ports 1 []ServicePort merge=port map=port,protocol  # Ports of the service.
  selector 2 map[string] atomicMap  # Labels of the pods that requests go to.
  clusterIP 3 string  # Address inside the cluster; None for a service without one.
  clusterIPs 18 []string atomic
  type 4 string enum=ClusterIP,ExternalName,LoadBalancer,NodePort  # ClusterIP, NodePort, LoadBalancer or ExternalName. Default ClusterIP.
  externalIPs 5 []string atomic
  sessionAffinity 7 string enum=ClientIP,None
  loadBalancerIP 8 string
  loadBalancerSourceRanges 9 []string atomic
  externalName 10 string
  externalTrafficPolicy 11 string enum=Cluster,Local
  healthCheckNodePort 12 int32
  publishNotReadyAddresses 13 bool
  sessionAffinityConfig 14 *SessionAffinityConfig
  ipFamilies 19 []string atomic
  ipFamilyPolicy 17 *string enum=PreferDualStack,RequireDualStack,SingleStack
  allocateLoadBalancerNodePorts 20 *bool
  loadBalancerClass 21 *string
  internalTrafficPolicy 22 *string enum=Cluster,Local
  trafficDistribution 23 *string

ServiceStatus
  loadBalancer 1 LoadBalancerStatus
  conditions 2 []meta.Condition merge=type map=type

SessionAffinityConfig
  clientIP 1 *ClientIPConfig

TopologySelectorLabelRequirement
  key 1 string required
  values 2 []string required atomic

TopologySelectorTerm atomic
  matchLabelExpressions 1 []TopologySelectorLabelRequirement atomic

TypedLocalObjectReference atomic
  apiGroup 1 *string keep
  kind 2 string required
  name 3 string required
`,
};
