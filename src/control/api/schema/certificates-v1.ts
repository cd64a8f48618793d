/** Messages of the API group version certificates.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const certificatesV1: MessageTable = {
  prefix: 'io.k8s.api.certificates.v1',
  group: 'certificates.k8s.io',
  version: 'v1',
  messages: `
CertificateSigningRequest kind
  metadata 1 meta.ObjectMeta
  spec 2 CertificateSigningRequestSpec required
  status 3 CertificateSigningRequestStatus

CertificateSigningRequestCondition
  type 1 string required
  status 6 string required
  reason 2 string
  message 3 string
  lastUpdateTime 4 time
  lastTransitionTime 5 time

CertificateSigningRequestList kind
  metadata 1 meta.ListMeta
  items 2 []CertificateSigningRequest required

CertificateSigningRequestSpec
  request 1 bytes required atomic
  signerName 7 string required
  expirationSeconds 8 *int32
  usages 5 []string atomic
  username 2 string
  uid 3 string
  groups 4 []string atomic
  extra 6 map[stringList]

CertificateSigningRequestStatus
  conditions 1 []CertificateSigningRequestCondition map=type
  certificate 2 bytes atomic
`,
};
