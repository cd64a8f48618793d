/** Messages of the API group version networking.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const networkingV1: MessageTable = {
  prefix: 'io.k8s.api.networking.v1',
  group: 'networking.k8s.io',
  version: 'v1',
  messages: `
HTTPIngressPath
  path 1 string
  pathType 3 *string required enum=Exact,ImplementationSpecific,Prefix
  backend 2 IngressBackend required

HTTPIngressRuleValue
  paths 1 []HTTPIngressPath required atomic

IPAddress kind
  metadata 1 meta.ObjectMeta
  spec 2 IPAddressSpec

IPAddressList kind
  metadata 1 meta.ListMeta
  items 2 []IPAddress required

IPAddressSpec
  parentRef 1 *ParentReference required omitempty

IPBlock
  cidr 1 string required
  except 2 []string atomic

Ingress kind
  metadata 1 meta.ObjectMeta
  spec 2 IngressSpec
  status 3 IngressStatus

IngressBackend
  service 4 *IngressServiceBackend
  resource 3 *core.TypedLocalObjectReference

IngressClass kind
  metadata 1 meta.ObjectMeta
  spec 2 IngressClassSpec

IngressClassList kind
  metadata 1 meta.ListMeta
  items 2 []IngressClass required

IngressClassParametersReference
  apiGroup 1 *string
  kind 2 string required
  name 3 string required
  scope 4 *string keep
  namespace 5 *string

IngressClassSpec
  controller 1 string
  parameters 2 *IngressClassParametersReference

IngressList kind
  metadata 1 meta.ListMeta
  items 2 []Ingress required

IngressLoadBalancerIngress
  ip 1 string
  hostname 2 string
  ports 4 []IngressPortStatus atomic

IngressLoadBalancerStatus
  ingress 1 []IngressLoadBalancerIngress atomic

IngressPortStatus
  port 1 int32 required
  protocol 2 string required enum=SCTP,TCP,UDP
  error 3 *string

IngressRule
  host 1 string
  ingressRuleValue 2 IngressRuleValue inline

IngressRuleValue
  http 1 *HTTPIngressRuleValue

IngressServiceBackend
  name 1 string required
  port 2 ServiceBackendPort

IngressSpec
  ingressClassName 4 *string
  defaultBackend 1 *IngressBackend
  tls 2 []IngressTLS atomic
  rules 3 []IngressRule atomic

IngressStatus
  loadBalancer 1 IngressLoadBalancerStatus

IngressTLS
  hosts 1 []string atomic
  secretName 2 string

NetworkPolicy kind
  metadata 1 meta.ObjectMeta
  spec 2 NetworkPolicySpec

NetworkPolicyEgressRule
  ports 1 []NetworkPolicyPort atomic
  to 2 []NetworkPolicyPeer atomic

NetworkPolicyIngressRule
  ports 1 []NetworkPolicyPort atomic
  from 2 []NetworkPolicyPeer atomic

NetworkPolicyList kind
  metadata 1 meta.ListMeta
  items 2 []NetworkPolicy required

NetworkPolicyPeer
  podSelector 1 *meta.LabelSelector
  namespaceSelector 2 *meta.LabelSelector
  ipBlock 3 *IPBlock

NetworkPolicyPort
  protocol 1 *string enum=SCTP,TCP,UDP
  port 2 *intOrString
  endPort 3 *int32

NetworkPolicySpec
  podSelector 1 meta.LabelSelector
  ingress 2 []NetworkPolicyIngressRule atomic
  egress 3 []NetworkPolicyEgressRule atomic
  policyTypes 4 []string atomic

ParentReference
  group 1 string
  resource 2 string required omitempty
  namespace 3 string
  name 4 string required omitempty

ServiceBackendPort atomic
  name 1 string
  number 2 int32

ServiceCIDR kind
  metadata 1 meta.ObjectMeta
  spec 2 ServiceCIDRSpec
  status 3 ServiceCIDRStatus

ServiceCIDRList kind
  metadata 1 meta.ListMeta
  items 2 []ServiceCIDR required

ServiceCIDRSpec
  cidrs 1 []string atomic

ServiceCIDRStatus
  conditions 1 []meta.Condition merge=type map=type
`,
};
