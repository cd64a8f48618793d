/** Messages of the API group version admissionregistration.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const admissionregistrationV1: MessageTable = {
  prefix: 'io.k8s.api.admissionregistration.v1',
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  messages: `
AuditAnnotation
  key 1 string required
  valueExpression 2 string required

ExpressionWarning
  fieldRef 2 string required
  warning 3 string required

MatchCondition
  name 1 string required
  expression 2 string required

MatchResources atomic
  namespaceSelector 1 *meta.LabelSelector
  objectSelector 2 *meta.LabelSelector
  resourceRules 3 []NamedRuleWithOperations atomic
  excludeResourceRules 4 []NamedRuleWithOperations atomic
  matchPolicy 7 *string enum=Equivalent,Exact

MutatingWebhook
  name 1 string required
  clientConfig 2 WebhookClientConfig required
  rules 3 []RuleWithOperations atomic
  failurePolicy 4 *string enum=Fail,Ignore
  matchPolicy 9 *string enum=Equivalent,Exact
  namespaceSelector 5 *meta.LabelSelector
  objectSelector 11 *meta.LabelSelector
  sideEffects 6 *string required enum=None,NoneOnDryRun,Some,Unknown
  timeoutSeconds 7 *int32
  admissionReviewVersions 8 []string required atomic
  reinvocationPolicy 10 *string
  matchConditions 12 []MatchCondition merge=name map=name

MutatingWebhookConfiguration kind
  metadata 1 meta.ObjectMeta
  webhooks 2 []MutatingWebhook merge=name map=name

MutatingWebhookConfigurationList kind
  metadata 1 meta.ListMeta
  items 2 []MutatingWebhookConfiguration required

NamedRuleWithOperations atomic
  resourceNames 1 []string atomic
  ruleWithOperations 2 RuleWithOperations inline

ParamKind atomic
  apiVersion 1 string
  kind 2 string

ParamRef atomic
  name 1 string
  namespace 2 string
  selector 3 *meta.LabelSelector
  parameterNotFoundAction 4 *string

Rule
  apiGroups 1 []string atomic
  apiVersions 2 []string atomic
  resources 3 []string atomic
  scope 4 *string

RuleWithOperations
  operations 1 []string atomic
  rule 2 Rule inline

ServiceReference
  namespace 1 string required
  name 2 string required
  path 3 *string
  port 4 *int32

TypeChecking
  expressionWarnings 1 []ExpressionWarning atomic

ValidatingAdmissionPolicy kind
  metadata 1 meta.ObjectMeta
  spec 2 ValidatingAdmissionPolicySpec
  status 3 ValidatingAdmissionPolicyStatus

ValidatingAdmissionPolicyBinding kind
  metadata 1 meta.ObjectMeta
  spec 2 ValidatingAdmissionPolicyBindingSpec

ValidatingAdmissionPolicyBindingList kind
  metadata 1 meta.ListMeta
  items 2 []ValidatingAdmissionPolicyBinding required

ValidatingAdmissionPolicyBindingSpec
  policyName 1 string
  paramRef 2 *ParamRef
  matchResources 3 *MatchResources
  validationActions 4 []string set

ValidatingAdmissionPolicyList kind
  metadata 1 meta.ListMeta
  items 2 []ValidatingAdmissionPolicy required

ValidatingAdmissionPolicySpec
  paramKind 1 *ParamKind
  matchConstraints 2 *MatchResources
  validations 3 []Validation atomic
  failurePolicy 4 *string enum=Fail,Ignore
  auditAnnotations 5 []AuditAnnotation atomic
  matchConditions 6 []MatchCondition merge=name map=name
  variables 7 []Variable merge=name map=name

ValidatingAdmissionPolicyStatus
  observedGeneration 1 int64
  typeChecking 2 *TypeChecking
  conditions 3 []meta.Condition map=type

ValidatingWebhook
  name 1 string required
  clientConfig 2 WebhookClientConfig required
  rules 3 []RuleWithOperations atomic
  failurePolicy 4 *string enum=Fail,Ignore
  matchPolicy 9 *string enum=Equivalent,Exact
  namespaceSelector 5 *meta.LabelSelector
  objectSelector 10 *meta.LabelSelector
  sideEffects 6 *string required enum=None,NoneOnDryRun,Some,Unknown
  timeoutSeconds 7 *int32
  admissionReviewVersions 8 []string required atomic
  matchConditions 11 []MatchCondition merge=name map=name

ValidatingWebhookConfiguration kind
  metadata 1 meta.ObjectMeta
  webhooks 2 []ValidatingWebhook merge=name map=name

ValidatingWebhookConfigurationList kind
  metadata 1 meta.ListMeta
  items 2 []ValidatingWebhookConfiguration required

Validation
  expression 1 string required
  message 2 string
  reason 3 *string
  messageExpression 4 string

Variable atomic
  name 1 string required
  expression 2 string required

WebhookClientConfig
  url 3 *string
  service 1 *ServiceReference
  caBundle 2 bytes
`,
};
