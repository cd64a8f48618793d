/** Messages of the API group version authorization.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const authorizationV1: MessageTable = {
  prefix: 'io.k8s.api.authorization.v1',
  group: 'authorization.k8s.io',
  version: 'v1',
  messages: `
FieldSelectorAttributes
  rawSelector 1 string
  requirements 2 []meta.FieldSelectorRequirement atomic

LabelSelectorAttributes
  rawSelector 1 string
  requirements 2 []meta.LabelSelectorRequirement atomic

LocalSubjectAccessReview kind
  metadata 1 meta.ObjectMeta
  spec 2 SubjectAccessReviewSpec required
  status 3 SubjectAccessReviewStatus

NonResourceAttributes
  path 1 string
  verb 2 string

NonResourceRule
  verbs 1 []string required atomic
  nonResourceURLs 2 []string atomic

ResourceAttributes
  namespace 1 string
  verb 2 string
  group 3 string
  version 4 string
  resource 5 string
  subresource 6 string
  name 7 string
  fieldSelector 8 *FieldSelectorAttributes
  labelSelector 9 *LabelSelectorAttributes

ResourceRule
  verbs 1 []string required atomic
  apiGroups 2 []string atomic
  resources 3 []string atomic
  resourceNames 4 []string atomic

SelfSubjectAccessReview kind
  metadata 1 meta.ObjectMeta
  spec 2 SelfSubjectAccessReviewSpec required
  status 3 SubjectAccessReviewStatus

SelfSubjectAccessReviewSpec
  resourceAttributes 1 *ResourceAttributes
  nonResourceAttributes 2 *NonResourceAttributes

SelfSubjectRulesReview kind
  metadata 1 meta.ObjectMeta
  spec 2 SelfSubjectRulesReviewSpec required
  status 3 SubjectRulesReviewStatus

SelfSubjectRulesReviewSpec
  namespace 1 string

SubjectAccessReview kind
  metadata 1 meta.ObjectMeta
  spec 2 SubjectAccessReviewSpec required
  status 3 SubjectAccessReviewStatus

SubjectAccessReviewSpec
  resourceAttributes 1 *ResourceAttributes
  nonResourceAttributes 2 *NonResourceAttributes
  user 3 string
  groups 4 []string atomic
  extra 5 map[stringList]
  uid 6 string

SubjectAccessReviewStatus
  allowed 1 bool required
  denied 4 bool
  reason 2 string
  evaluationError 3 string

SubjectRulesReviewStatus
  resourceRules 1 []ResourceRule required atomic
  nonResourceRules 2 []NonResourceRule required atomic
  incomplete 3 bool required
  evaluationError 4 string
`,
};
