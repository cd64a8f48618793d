/** Messages of the API group version apiregistration.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const apiregistrationV1: MessageTable = {
  prefix: 'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1',
  group: 'apiregistration.k8s.io',
  version: 'v1',
  messages: `
APIService kind
  metadata 1 meta.ObjectMeta
  spec 2 APIServiceSpec
  status 3 APIServiceStatus

APIServiceCondition
  type 1 string required
  status 2 string required
  lastTransitionTime 3 time
  reason 4 string
  message 5 string

APIServiceList kind
  metadata 1 meta.ListMeta
  items 2 []APIService required

APIServiceSpec
  service 1 *ServiceReference
  group 2 string
  version 3 string
  insecureSkipTLSVerify 4 bool
  caBundle 5 bytes atomic
  groupPriorityMinimum 7 int32 required
  versionPriority 8 int32 required

APIServiceStatus
  conditions 1 []APIServiceCondition merge=type map=type

ServiceReference
  namespace 1 string
  name 2 string
  port 3 *int32
`,
};
