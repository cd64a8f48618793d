/** Messages of the API group version flowcontrol.apiserver.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const flowcontrolV1: MessageTable = {
  prefix: 'io.k8s.api.flowcontrol.v1',
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  messages: `
ExemptPriorityLevelConfiguration
  nominalConcurrencyShares 1 *int32
  lendablePercent 2 *int32

FlowDistinguisherMethod
  type 1 string required

FlowSchema kind
  metadata 1 meta.ObjectMeta
  spec 2 FlowSchemaSpec
  status 3 FlowSchemaStatus

FlowSchemaCondition
  type 1 string
  status 2 string
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

FlowSchemaList kind
  metadata 1 meta.ListMeta
  items 2 []FlowSchema required

FlowSchemaSpec
  priorityLevelConfiguration 1 PriorityLevelConfigurationReference required
  matchingPrecedence 2 int32 keep default=0
  distinguisherMethod 3 *FlowDistinguisherMethod
  rules 4 []PolicyRulesWithSubjects atomic

FlowSchemaStatus
  conditions 1 []FlowSchemaCondition merge=type map=type

GroupSubject
  name 1 string required

LimitResponse
  type 1 string required
  queuing 2 *QueuingConfiguration

LimitedPriorityLevelConfiguration
  nominalConcurrencyShares 1 *int32 keep
  limitResponse 2 LimitResponse
  lendablePercent 3 *int32
  borrowingLimitPercent 4 *int32

NonResourcePolicyRule
  verbs 1 []string required set
  nonResourceURLs 6 []string required set

PolicyRulesWithSubjects
  subjects 1 []Subject required atomic
  resourceRules 2 []ResourcePolicyRule atomic
  nonResourceRules 3 []NonResourcePolicyRule atomic

PriorityLevelConfiguration kind
  metadata 1 meta.ObjectMeta
  spec 2 PriorityLevelConfigurationSpec
  status 3 PriorityLevelConfigurationStatus

PriorityLevelConfigurationCondition
  type 1 string
  status 2 string
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

PriorityLevelConfigurationList kind
  metadata 1 meta.ListMeta
  items 2 []PriorityLevelConfiguration required

PriorityLevelConfigurationReference
  name 1 string required

PriorityLevelConfigurationSpec
  type 1 string required
  limited 2 *LimitedPriorityLevelConfiguration
  exempt 3 *ExemptPriorityLevelConfiguration

PriorityLevelConfigurationStatus
  conditions 1 []PriorityLevelConfigurationCondition merge=type map=type

QueuingConfiguration
  queues 1 int32 keep default=0
  handSize 2 int32 keep default=0
  queueLengthLimit 3 int32 keep default=0

ResourcePolicyRule
  verbs 1 []string required set
  apiGroups 2 []string required set
  resources 3 []string required set
  clusterScope 4 bool
  namespaces 5 []string keep set

ServiceAccountSubject
  namespace 1 string required
  name 2 string required

Subject
  kind 1 string required
  user 2 *UserSubject
  group 3 *GroupSubject
  serviceAccount 4 *ServiceAccountSubject

UserSubject
  name 1 string required
`,
};
