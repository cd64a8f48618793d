/** Messages of the API group version authentication.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const authenticationV1: MessageTable = {
  prefix: 'io.k8s.api.authentication.v1',
  group: 'authentication.k8s.io',
  version: 'v1',
  messages: `
BoundObjectReference
  kind 1 string
  apiVersion 2 string
  name 3 string
  uid 4 string

SelfSubjectReview kind
  metadata 1 meta.ObjectMeta
  status 2 SelfSubjectReviewStatus

SelfSubjectReviewStatus
  userInfo 1 UserInfo

TokenRequest kind
  metadata 1 meta.ObjectMeta
  spec 2 TokenRequestSpec required
  status 3 TokenRequestStatus

TokenRequestSpec
  audiences 1 []string required atomic
  expirationSeconds 4 *int64 keep
  boundObjectRef 3 *BoundObjectReference keep

TokenRequestStatus
  token 1 string required
  expirationTimestamp 2 time required

TokenReview kind
  metadata 1 meta.ObjectMeta
  spec 2 TokenReviewSpec required
  status 3 TokenReviewStatus

TokenReviewSpec
  token 1 string
  audiences 2 []string atomic

TokenReviewStatus
  authenticated 1 bool
  user 2 UserInfo
  audiences 4 []string atomic
  error 3 string

UserInfo
  username 1 string
  uid 2 string
  groups 3 []string atomic
  extra 4 map[stringList]
`,
};
