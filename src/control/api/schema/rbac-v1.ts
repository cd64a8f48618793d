/** Messages of the API group version rbac.authorization.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const rbacV1: MessageTable = {
  prefix: 'io.k8s.api.rbac.v1',
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  messages: `
AggregationRule
  clusterRoleSelectors 1 []meta.LabelSelector atomic

ClusterRole kind  # Permissions in the whole cluster.
  metadata 1 meta.ObjectMeta
  rules 2 []PolicyRule keep atomic
  aggregationRule 3 *AggregationRule

ClusterRoleBinding kind  # Grants a cluster role in the whole cluster.
  metadata 1 meta.ObjectMeta
  subjects 2 []Subject atomic
  roleRef 3 RoleRef required

ClusterRoleBindingList kind
  metadata 1 meta.ListMeta
  items 2 []ClusterRoleBinding required

ClusterRoleList kind
  metadata 1 meta.ListMeta
  items 2 []ClusterRole required

PolicyRule
  verbs 1 []string required atomic
  apiGroups 2 []string atomic
  resources 3 []string atomic
  resourceNames 4 []string atomic
  nonResourceURLs 5 []string atomic

Role kind  # Permissions inside a namespace.
  metadata 1 meta.ObjectMeta
  rules 2 []PolicyRule keep atomic

RoleBinding kind  # Grants a role to users, groups or service accounts inside a namespace.
  metadata 1 meta.ObjectMeta
  subjects 2 []Subject atomic
  roleRef 3 RoleRef required

RoleBindingList kind
  metadata 1 meta.ListMeta
  items 2 []RoleBinding required

RoleList kind
  metadata 1 meta.ListMeta
  items 2 []Role required

RoleRef atomic
  apiGroup 1 string required
  kind 2 string required
  name 3 string required

Subject atomic
  kind 1 string required
  apiGroup 2 string
  name 3 string required
  namespace 4 string
`,
};
