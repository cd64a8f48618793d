/** A short notation for roles and bindings, as default-roles.ts writes them. Words are separated by blanks; `core` is the core group. */
import type { JsonObject, KubeObject } from './kinds.ts';
import type { PolicyRule } from './rbac.ts';

const apiGroup = 'rbac.authorization.k8s.io';

function words(text: string): string[] {
  return text === '' ? [] : text.split(' ');
}

export function rule(verbs: string, groups: string, resources: string, resourceNames = ''): PolicyRule {
  return {
    apiGroups: words(groups).map((group) => (group === 'core' ? '' : group)),
    ...(resourceNames === '' ? {} : { resourceNames: words(resourceNames) }),
    resources: words(resources),
    verbs: words(verbs),
  };
}

export function paths(verbs: string, urls: string): PolicyRule {
  return { nonResourceURLs: words(urls), verbs: words(verbs) };
}

export const user = (name: string): JsonObject => ({ apiGroup, kind: 'User', name });
export const group = (name: string): JsonObject => ({ apiGroup, kind: 'Group', name });
export const account = (name: string, namespace = 'kube-system'): JsonObject => ({
  kind: 'ServiceAccount',
  name,
  namespace,
});

function base(kind: string, name: string, namespace: string | undefined, labels: Record<string, string> = {}) {
  return {
    apiVersion: `${apiGroup}/v1`,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
    },
  };
}

/** `aggregateTo` adds the role's rules to another one, `aggregates` collects them. */
export function clusterRole(
  name: string,
  rules: readonly PolicyRule[],
  options: { readonly aggregateTo?: string; readonly aggregates?: string } = {},
): KubeObject {
  const label = (to: string) => `rbac.authorization.k8s.io/aggregate-to-${to}`;
  const labels = options.aggregateTo === undefined ? {} : { [label(options.aggregateTo)]: 'true' };
  const aggregationRule =
    options.aggregates === undefined
      ? {}
      : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [label(options.aggregates)]: 'true' } }] } };
  return { ...base('ClusterRole', name, undefined, labels), ...aggregationRule, rules } as unknown as KubeObject;
}

export function role(namespace: string, name: string, rules: readonly PolicyRule[]): KubeObject {
  return { ...base('Role', name, namespace), rules } as unknown as KubeObject;
}

export function clusterRoleBinding(name: string, roleName: string, subjects: readonly JsonObject[]): KubeObject {
  return {
    ...base('ClusterRoleBinding', name, undefined),
    roleRef: { apiGroup, kind: 'ClusterRole', name: roleName },
    subjects,
  } as unknown as KubeObject;
}

export function roleBinding(
  namespace: string,
  name: string,
  roleName: string,
  subjects: readonly JsonObject[],
): KubeObject {
  return {
    ...base('RoleBinding', name, namespace),
    roleRef: { apiGroup, kind: 'Role', name: roleName },
    subjects,
  } as unknown as KubeObject;
}
