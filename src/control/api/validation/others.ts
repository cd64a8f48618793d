/** Validation of configuration, roles, leases, nodes and events. */
import { isEqualJson } from '../equal-json.ts';
import type { FieldError, JsonObject, KubeObject } from '../contract.ts';
import {
  duplicate,
  forbiddenField,
  immutableDetail,
  invalidValue,
  notSupported,
  required,
  tooLong,
} from './field-error.ts';
import { configKeyProblems, labelValueProblems, qualifiedNameProblems } from './names.ts';

/** Upstream's limit on the content of one ConfigMap or Secret. */
const contentBytesMax = 1024 * 1024;

function base64Bytes(text: string): number {
  return Math.floor((text.replace(/=+$/, '').length * 3) / 4);
}

function keyErrors(content: JsonObject | undefined, field: string): FieldError[] {
  return Object.keys(content ?? {}).flatMap((key) =>
    configKeyProblems(key).map((problem) => invalidValue(`${field}[${key}]`, key, problem)),
  );
}

/** An object that its owner has sealed may not be unsealed, nor its content change. */
function sealErrors(object: KubeObject, old: KubeObject, fields: readonly string[]): FieldError[] {
  if (old['immutable'] !== true) return [];
  const detail = 'field is immutable when `immutable` is set';
  const errors: FieldError[] = [];
  if (object['immutable'] !== true) errors.push(forbiddenField('immutable', detail));
  for (const field of fields) if (!isEqualJson(object[field], old[field])) errors.push(forbiddenField(field, detail));
  return errors;
}

export function configMapErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const data: JsonObject = object['data'] ?? {};
  const binary: JsonObject = object['binaryData'] ?? {};
  const errors = [...keyErrors(data, 'data'), ...keyErrors(binary, 'binaryData')];
  for (const key of Object.keys(binary)) {
    if (Object.hasOwn(data, key))
      errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'));
  }
  let bytes = 0;
  for (const value of Object.values(data)) bytes += Buffer.byteLength(String(value));
  for (const value of Object.values(binary)) bytes += base64Bytes(String(value));
  if (bytes > contentBytesMax) errors.push(tooLong('', contentBytesMax));
  return old === undefined ? errors : [...errors, ...sealErrors(object, old, ['data', 'binaryData'])];
}

const keysOfSecretTypes: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

export function secretErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const data: JsonObject = object['data'] ?? {};
  const errors = keyErrors(data, 'data');
  let bytes = 0;
  for (const value of Object.values(data)) bytes += base64Bytes(String(value));
  if (bytes > contentBytesMax) errors.push(tooLong('data', contentBytesMax));
  for (const key of keysOfSecretTypes[object['type']] ?? []) {
    if (!Object.hasOwn(data, key)) errors.push(required(`data[${key}]`));
  }
  const owner = 'kubernetes.io/service-account.name';
  if (object['type'] === 'kubernetes.io/service-account-token' && !object.metadata.annotations?.[owner]) {
    errors.push(required(`metadata.annotations[${owner}]`));
  }
  if (old === undefined) return errors;
  if (object['type'] !== old['type']) errors.push(invalidValue('type', object['type'], immutableDetail));
  return [...errors, ...sealErrors(object, old, ['data'])];
}

export function roleErrors(object: KubeObject): FieldError[] {
  const isNamespaced = Boolean(object.metadata.namespace);
  const errors: FieldError[] = [];
  for (const [index, rule] of (object['rules'] ?? []).entries()) {
    const path = `rules[${index}]`;
    const paths: string[] = rule.nonResourceURLs ?? [];
    if ((rule.verbs ?? []).length === 0)
      errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
    if (paths.length > 0) {
      if (isNamespaced) {
        errors.push(
          invalidValue(`${path}.nonResourceURLs`, paths, 'namespaced rules cannot apply to non-resource URLs'),
        );
      }
      if ([rule.apiGroups, rule.resources, rule.resourceNames].some((list) => (list ?? []).length > 0)) {
        const detail = 'rules cannot apply to both regular resources and non-resource URLs';
        errors.push(invalidValue(`${path}.nonResourceURLs`, paths, detail));
      }
      continue;
    }
    if ((rule.apiGroups ?? []).length === 0) {
      errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
    }
    if ((rule.resources ?? []).length === 0) {
      errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
    }
  }
  return errors;
}

const rbacGroup = 'rbac.authorization.k8s.io';

export function roleBindingErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const reference: JsonObject = object['roleRef'] ?? {};
  const errors: FieldError[] = [];
  if (reference['apiGroup'] !== rbacGroup) {
    errors.push(notSupported('roleRef.apiGroup', reference['apiGroup'] ?? '', [rbacGroup]));
  }
  const kinds = object.metadata.namespace ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(reference['kind'])) errors.push(notSupported('roleRef.kind', reference['kind'] ?? '', kinds));
  for (const [index, subject] of (object['subjects'] ?? []).entries()) {
    const path = `subjects[${index}]`;
    if (!['User', 'Group', 'ServiceAccount'].includes(subject.kind)) {
      errors.push(notSupported(`${path}.kind`, subject.kind ?? '', ['ServiceAccount', 'User', 'Group']));
    }
    const group = subject.kind === 'ServiceAccount' ? '' : rbacGroup;
    if ((subject.apiGroup ?? '') !== group)
      errors.push(notSupported(`${path}.apiGroup`, subject.apiGroup ?? '', [group]));
    if (subject.kind === 'ServiceAccount' && !subject.namespace) errors.push(required(`${path}.namespace`));
  }
  if (old !== undefined && !isEqualJson(object['roleRef'], old['roleRef'])) {
    errors.push(invalidValue('roleRef', object['roleRef'], 'cannot change roleRef'));
  }
  return errors;
}

export function leaseErrors(object: KubeObject): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors: FieldError[] = [];
  const duration = spec['leaseDurationSeconds'];
  if (typeof duration === 'number' && duration <= 0) {
    errors.push(invalidValue('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  }
  const transitions = spec['leaseTransitions'];
  if (typeof transitions === 'number' && transitions < 0) {
    errors.push(invalidValue('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  }
  return errors;
}

export function nodeErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors: FieldError[] = [];
  const taints = new Set<string>();
  for (const [index, taint] of (spec['taints'] ?? []).entries()) {
    const path = `spec.taints[${index}]`;
    errors.push(
      ...qualifiedNameProblems(taint.key ?? '').map((problem) => invalidValue(`${path}.key`, taint.key, problem)),
    );
    errors.push(
      ...labelValueProblems(taint.value ?? '').map((problem) => invalidValue(`${path}.value`, taint.value, problem)),
    );
    const identity = `${taint.key}:${taint.effect}`;
    if (taints.has(identity)) errors.push(duplicate(path, taint));
    taints.add(identity);
  }
  if (old === undefined) return errors;
  const before: JsonObject = old['spec'] ?? {};
  if (before['podCIDR'] && before['podCIDR'] !== spec['podCIDR']) {
    errors.push(forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  }
  if (before['providerID'] && before['providerID'] !== spec['providerID']) {
    errors.push(forbiddenField('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  }
  return errors;
}

/** An event stands in the namespace of what it is about; what has none is in `default` or `kube-system`. */
export function eventErrors(object: KubeObject): FieldError[] {
  const isCore = object['involvedObject'] !== undefined;
  const about: JsonObject = object['involvedObject'] ?? object['regarding'] ?? {};
  const field = isCore ? 'involvedObject.namespace' : 'regarding.namespace';
  const namespace = about['namespace'] ?? '';
  const { namespace: own } = object.metadata;
  if (namespace === '' ? own === 'default' || own === 'kube-system' : namespace === own) return [];
  return [invalidValue(field, namespace, 'does not match event.namespace')];
}
