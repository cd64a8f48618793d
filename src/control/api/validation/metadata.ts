/** Validation of metadata: names, labels, annotations, owners, and what may not change. */
import type { FieldError, KubeObject, ResourceSchema } from '../contract.ts';
import { forbiddenField, immutableDetail, invalidValue, required, tooLong } from './field-error.ts';
import {
  labelProblems,
  labelValueProblems,
  pathSegmentProblems,
  qualifiedNameProblems,
  serviceNameProblems,
  subdomainProblems,
} from './names.ts';

/** Upstream's limit on all annotations of an object together. */
const annotationBytesMax = 256 * 1024;

const nameRules: Readonly<Record<string, (name: string) => string[]>> = {
  '/namespaces': labelProblems,
  '/services': serviceNameProblems,
  'rbac.authorization.k8s.io/roles': pathSegmentProblems,
  'rbac.authorization.k8s.io/rolebindings': pathSegmentProblems,
  'rbac.authorization.k8s.io/clusterroles': pathSegmentProblems,
  'rbac.authorization.k8s.io/clusterrolebindings': pathSegmentProblems,
  'certificates.k8s.io/certificatesigningrequests': subdomainProblems,
  // The name of an IPAddress is the address, colons and all.
  'networking.k8s.io/ipaddresses': pathSegmentProblems,
};

export function metadataErrors(
  object: KubeObject,
  old: KubeObject | undefined,
  resource: ResourceSchema,
): FieldError[] {
  const { metadata } = object;
  const errors = nameErrors(object, resource);
  if (resource.isNamespaced && !metadata.namespace) errors.push(required('metadata.namespace'));
  if (!resource.isNamespaced && metadata.namespace) {
    errors.push(forbiddenField('metadata.namespace', 'not allowed on this type'));
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    errors.push(...qualifiedNameProblems(key).map((problem) => invalidValue('metadata.labels', key, problem)));
    errors.push(...labelValueProblems(value).map((problem) => invalidValue('metadata.labels', value, problem)));
  }
  errors.push(...annotationErrors(metadata.annotations));
  errors.push(...ownerErrors(object));
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    const problems = qualifiedNameProblems(finalizer);
    errors.push(...problems.map((problem) => invalidValue(`metadata.finalizers[${index}]`, finalizer, problem)));
  }
  if (old !== undefined) errors.push(...changeErrors(object, old));
  return errors;
}

function nameErrors(object: KubeObject, resource: ResourceSchema): FieldError[] {
  const { name, generateName } = object.metadata;
  if (!name) return [required('metadata.name', 'name or generateName is required')];
  const rule = nameRules[`${resource.group}/${resource.resource}`] ?? subdomainProblems;
  const errors = rule(name).map((problem) => invalidValue('metadata.name', name, problem));
  // A prefix may end in a dash: the random suffix follows.
  const prefix = generateName?.replace(/-$/, 'a') ?? '';
  if (prefix !== '')
    errors.push(...rule(prefix).map((problem) => invalidValue('metadata.generateName', generateName, problem)));
  return errors;
}

function annotationErrors(annotations: Readonly<Record<string, string>> | undefined): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // Upstream takes keys in any case.
    const problems = qualifiedNameProblems(key.toLowerCase());
    errors.push(...problems.map((problem) => invalidValue('metadata.annotations', key, problem)));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > annotationBytesMax) errors.push(tooLong('metadata.annotations', annotationBytesMax));
  return errors;
}

function ownerErrors(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const owners = object.metadata.ownerReferences ?? [];
  for (const [index, owner] of owners.entries()) {
    const path = `metadata.ownerReferences[${index}]`;
    if (!owner.apiVersion)
      errors.push(invalidValue(`${path}.apiVersion`, owner.apiVersion, 'version must not be empty'));
    for (const field of ['kind', 'name', 'uid'] as const) {
      if (!owner[field]) errors.push(invalidValue(`${path}.${field}`, owner[field], 'must not be empty'));
    }
  }
  const controllers = owners.filter((owner) => owner.controller);
  if (controllers.length > 1) {
    const names = controllers.slice(0, 2).map((owner) => `${owner.kind}/${owner.name}`);
    errors.push(
      invalidValue(
        'metadata.ownerReferences',
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${names.join(' and ')}`,
      ),
    );
  }
  return errors;
}

function changeErrors(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp'] as const) {
    const value = object.metadata[field] ?? '';
    if (value !== (old.metadata[field] ?? '')) errors.push(invalidValue(`metadata.${field}`, value, immutableDetail));
  }
  return errors;
}
