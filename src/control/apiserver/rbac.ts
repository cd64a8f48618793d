/**
 * Role-based access control, decided purely: who may do what, from roles and bindings.
 *
 * RbacIndex is built once per state of roles and bindings and answers by subject, so that a request costs a look at the
 * few rules of its user and groups. An aggregated ClusterRole counts the rules of the roles it selects at once, whether
 * or not a controller has copied them into it yet.
 */
import type { KubeObject } from '../api/contract.ts';

export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface Attributes {
  readonly verb: string;
  readonly isResourceRequest: boolean;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly namespace: string;
  readonly path: string;
}

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export interface RbacObjects {
  readonly roles: readonly KubeObject[];
  readonly clusterRoles: readonly KubeObject[];
  readonly roleBindings: readonly KubeObject[];
  readonly clusterRoleBindings: readonly KubeObject[];
}

/** Rules that a subject has; in one namespace, or everywhere when `namespace` is ''. */
interface Grant {
  readonly namespace: string;
  readonly rules: readonly PolicyRule[];
}

/** The group that may do everything, whatever roles say: the way back in after a broken role. */
export const mastersGroup = 'system:masters';

export class RbacIndex {
  readonly #grants = new Map<string, Grant[]>();

  constructor(objects: RbacObjects) {
    const clusterRoles = new Map(objects.clusterRoles.map((role) => [role.metadata.name, role]));
    const roles = new Map(objects.roles.map((role) => [`${role.metadata.namespace}/${role.metadata.name}`, role]));
    for (const binding of objects.clusterRoleBindings) {
      const role = clusterRoles.get(binding['roleRef']?.name);
      if (role !== undefined) this.#grant(binding, '', effectiveRules(role, objects.clusterRoles));
    }
    for (const binding of objects.roleBindings) {
      const namespace = binding.metadata.namespace ?? '';
      const ref = binding['roleRef'];
      const role = ref?.kind === 'ClusterRole' ? clusterRoles.get(ref.name) : roles.get(`${namespace}/${ref?.name}`);
      if (role !== undefined) this.#grant(binding, namespace, effectiveRules(role, objects.clusterRoles));
    }
  }

  #grant(binding: KubeObject, namespace: string, rules: readonly PolicyRule[]): void {
    for (const subject of binding['subjects'] ?? []) {
      const key = subjectKey(subject, namespace);
      const known = this.#grants.get(key);
      if (known === undefined) this.#grants.set(key, [{ namespace, rules }]);
      else known.push({ namespace, rules });
    }
  }

  *#rulesOf(user: User, namespace: string): Iterable<PolicyRule> {
    const keys = [`u:${user.name}`, ...user.groups.map((group) => `g:${group}`)];
    for (const key of keys) {
      for (const grant of this.#grants.get(key) ?? []) {
        if (grant.namespace === '' || grant.namespace === namespace) yield* grant.rules;
      }
    }
  }

  isAllowed(user: User, attributes: Attributes): boolean {
    if (user.groups.includes(mastersGroup)) return true;
    // Bindings in a namespace never grant anything outside of resources in it.
    const namespace = attributes.isResourceRequest ? attributes.namespace : '';
    for (const rule of this.#rulesOf(user, namespace)) {
      if (ruleAllows(rule, attributes)) return true;
    }
    return false;
  }

  rulesFor(user: User, namespace: string): readonly PolicyRule[] {
    const everything: PolicyRule[] = user.groups.includes(mastersGroup)
      ? [
          { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
          { verbs: ['*'], nonResourceURLs: ['*'] },
        ]
      : [];
    return [...everything, ...this.#rulesOf(user, namespace)];
  }

  /** Rules of a role as a binding would grant them. */
  covers(user: User, namespace: string, wanted: readonly PolicyRule[]): boolean {
    if (user.groups.includes(mastersGroup)) return true;
    const owned = [...this.#rulesOf(user, namespace)];
    return wanted.flatMap(splitRule).every((part) => owned.some((rule) => ruleAllows(rule, part)));
  }
}

function subjectKey(
  subject: { readonly kind?: string; readonly name?: string; readonly namespace?: string },
  namespace: string,
): string {
  if (subject.kind === 'Group') return `g:${subject.name}`;
  if (subject.kind === 'ServiceAccount') {
    return `u:system:serviceaccount:${subject.namespace ?? namespace}:${subject.name}`;
  }
  return `u:${subject.name}`;
}

/** A role's own rules and those of the roles that its aggregationRule selects. */
export function effectiveRules(role: KubeObject, clusterRoles: readonly KubeObject[]): readonly PolicyRule[] {
  return collectRules(role, clusterRoles, new Set());
}

function collectRules(role: KubeObject, clusterRoles: readonly KubeObject[], seen: Set<string>): PolicyRule[] {
  if (seen.has(role.metadata.name)) return [];
  seen.add(role.metadata.name);
  const rules: PolicyRule[] = [...(role['rules'] ?? [])];
  for (const selector of role['aggregationRule']?.clusterRoleSelectors ?? []) {
    const wanted = Object.entries(selector.matchLabels ?? {});
    for (const other of clusterRoles) {
      const labels = other.metadata.labels ?? {};
      if (wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)) {
        rules.push(...collectRules(other, clusterRoles, seen));
      }
    }
  }
  return rules;
}

export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!holds(rule.verbs, attributes.verb)) return false;
  if (!attributes.isResourceRequest) return pathAllowed(rule.nonResourceURLs ?? [], attributes.path);
  if (!holds(rule.apiGroups ?? [], attributes.group)) return false;
  const names = rule.resourceNames ?? [];
  if (names.length > 0 && !names.includes(attributes.name)) return false;
  return resourceAllowed(rule.resources ?? [], attributes.resource, attributes.subresource);
}

function holds(values: readonly string[], value: string): boolean {
  return values.includes('*') || values.includes(value);
}

function resourceAllowed(resources: readonly string[], resource: string, subresource: string): boolean {
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some((item) => item === '*' || item === full || (subresource !== '' && item === `*/${subresource}`));
}

function pathAllowed(patterns: readonly string[], path: string): boolean {
  return patterns.some(
    (pattern) =>
      pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1))),
  );
}

/** A rule as single questions, so that coverage can be asked one by one. */
function splitRule(rule: PolicyRule): Attributes[] {
  const base = { group: '', resource: '', subresource: '', name: '', namespace: '', path: '' };
  const parts: Attributes[] = [];
  for (const verb of rule.verbs) {
    for (const path of rule.nonResourceURLs ?? []) parts.push({ ...base, verb, isResourceRequest: false, path });
    for (const group of rule.apiGroups ?? []) {
      for (const full of rule.resources ?? []) {
        const [resource = '', subresource = ''] = full.split('/');
        const names = rule.resourceNames?.length ? rule.resourceNames : [''];
        for (const name of names)
          parts.push({ ...base, verb, isResourceRequest: true, group, resource, subresource, name });
      }
    }
  }
  return parts;
}

/** kube-apiserver's text of a refusal, after `is forbidden: `. */
export function describeRefusal(user: User, attributes: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`;
  if (!attributes.isResourceRequest) return `${who} path ${JSON.stringify(attributes.path)}`;
  const resource =
    attributes.subresource === '' ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  const where =
    attributes.namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(attributes.namespace)}`;
  return `${who} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(attributes.group)} ${where}`;
}
