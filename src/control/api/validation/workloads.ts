/** Validation of the kinds that make pods. */
import { isEqualJson } from '../equal-json.ts';
import type { FieldError, JsonObject, KubeObject } from '../contract.ts';
import { matchesLabelSelector, selectorFromObject } from '../selectors.ts';
import { forbiddenField, immutableDetail, invalidValue, notSupported, required } from './field-error.ts';
import { labelValueProblems, qualifiedNameProblems } from './names.ts';
import { notNegativeErrors, podSpecErrors } from './pod.ts';

/** Labels and keys of a LabelSelector. */
export function selectorErrors(selector: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(selector['matchLabels'] ?? {})) {
    errors.push(...qualifiedNameProblems(key).map((problem) => invalidValue(`${path}.matchLabels`, key, problem)));
    const problems = labelValueProblems(String(value));
    errors.push(...problems.map((problem) => invalidValue(`${path}.matchLabels`, value, problem)));
  }
  for (const [index, expression] of (selector['matchExpressions'] ?? []).entries()) {
    const place = `${path}.matchExpressions[${index}]`;
    const count = (expression.values ?? []).length;
    switch (expression.operator) {
      case 'In':
      case 'NotIn':
        if (count === 0)
          errors.push(required(`${place}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (count > 0) {
          errors.push(
            forbiddenField(`${place}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        }
        break;
      default:
        errors.push(invalidValue(`${place}.operator`, expression.operator, 'not a valid selector operator'));
    }
  }
  return errors;
}

/** Selector, template and their agreement. */
function templateErrors(object: KubeObject, kind: string): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const selector: JsonObject | null | undefined = spec['selector'];
  const errors: FieldError[] = [];
  if (selector) {
    const problems = selectorErrors(selector, 'spec.selector');
    errors.push(...problems);
    const isEmpty =
      Object.keys(selector['matchLabels'] ?? {}).length + (selector['matchExpressions'] ?? []).length === 0;
    if (isEmpty) errors.push(invalidValue('spec.selector', selector, `empty selector is invalid for ${kind}`));
    const labels = spec['template']?.metadata?.labels ?? {};
    if (!isEmpty && problems.length === 0 && !matchesLabelSelector(selectorFromObject(selector), labels)) {
      errors.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
    }
  }
  errors.push(...podSpecErrors(spec['template']?.spec ?? {}, 'spec.template.spec'));
  return errors;
}

function mustRestart(object: KubeObject): FieldError[] {
  const policy = object['spec']?.template?.spec?.restartPolicy;
  return policy === undefined || policy === 'Always'
    ? []
    : [notSupported('spec.template.spec.restartPolicy', policy, ['Always'])];
}

/** A number that is not negative, or a percentage. */
function countOrPercentErrors(value: unknown, field: string): FieldError[] {
  if (typeof value === 'number') return notNegativeErrors(value, field);
  if (typeof value !== 'string' || /^[0-9]+%$/.test(value)) return [];
  return [
    invalidValue(
      field,
      value,
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ),
  ];
}

const isZero = (value: unknown) => value === 0 || value === '0%';

export function deploymentErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors = [...templateErrors(object, 'deployment'), ...mustRestart(object)];
  for (const field of ['replicas', 'minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds']) {
    errors.push(...notNegativeErrors(spec[field], `spec.${field}`));
  }
  if (
    typeof spec['progressDeadlineSeconds'] === 'number' &&
    spec['progressDeadlineSeconds'] <= (spec['minReadySeconds'] ?? 0)
  ) {
    const value = spec['progressDeadlineSeconds'];
    errors.push(invalidValue('spec.progressDeadlineSeconds', value, 'must be greater than minReadySeconds'));
  }
  const strategy: JsonObject = spec['strategy'] ?? {};
  if (strategy['type'] === 'Recreate' && strategy['rollingUpdate']) {
    errors.push(
      forbiddenField('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'"),
    );
  }
  if (strategy['rollingUpdate'] && strategy['type'] === 'RollingUpdate') {
    const { maxUnavailable, maxSurge } = strategy['rollingUpdate'];
    const path = 'spec.strategy.rollingUpdate';
    errors.push(...countOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`));
    errors.push(...countOrPercentErrors(maxSurge, `${path}.maxSurge`));
    if (isZero(maxUnavailable) && isZero(maxSurge)) {
      errors.push(invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
    }
    if (typeof maxUnavailable === 'string' && Number.parseInt(maxUnavailable, 10) > 100) {
      errors.push(invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'));
    }
  }
  return [...errors, ...selectorChangeErrors(object, old)];
}

function selectorChangeErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  if (old === undefined || isEqualJson(object['spec']?.selector, old['spec']?.selector)) return [];
  return [invalidValue('spec.selector', object['spec']?.selector, immutableDetail)];
}

export function replicaSetErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors = [...templateErrors(object, 'replicaset'), ...mustRestart(object)];
  for (const field of ['replicas', 'minReadySeconds']) errors.push(...notNegativeErrors(spec[field], `spec.${field}`));
  return [...errors, ...selectorChangeErrors(object, old)];
}

export function daemonSetErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  return [...templateErrors(object, 'daemonset'), ...mustRestart(object), ...selectorChangeErrors(object, old)];
}

const statefulSetMutable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export function statefulSetErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors = [...templateErrors(object, 'statefulset'), ...mustRestart(object)];
  errors.push(...notNegativeErrors(spec['replicas'], 'spec.replicas'));
  if (old === undefined) return errors;
  const fixed = (all: JsonObject) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => !statefulSetMutable.includes(name)));
  if (isEqualJson(fixed(spec), fixed(old['spec'] ?? {}))) return errors;
  const list = statefulSetMutable.map((name) => `'${name}'`);
  const names = `${list.slice(0, -1).join(', ')} and ${list.at(-1)}`;
  return [
    ...errors,
    forbiddenField('spec', `updates to statefulset spec for fields other than ${names} are forbidden`),
  ];
}

export function jobErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors: FieldError[] = [];
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ]) {
    errors.push(...notNegativeErrors(spec[field], `spec.${field}`));
  }
  if (spec['completionMode'] === 'Indexed' && typeof spec['completions'] !== 'number') {
    errors.push(required('spec.completions', 'when completion mode is Indexed'));
  }
  errors.push(...podSpecErrors(spec['template']?.spec ?? {}, 'spec.template.spec'));
  const policy = spec['template']?.spec?.restartPolicy;
  if (policy !== 'OnFailure' && policy !== 'Never') {
    errors.push(required('spec.template.spec.restartPolicy', 'valid values: "OnFailure", "Never"'));
  }
  if (spec['selector']) errors.push(...selectorErrors(spec['selector'], 'spec.selector'));
  return old === undefined ? errors : [...errors, ...jobChangeErrors(spec, old['spec'] ?? {})];
}

function jobChangeErrors(spec: JsonObject, old: JsonObject): FieldError[] {
  const fixed = ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex'];
  if (old['completionMode'] !== 'Indexed') fixed.unshift('completions');
  // A suspended job may still be told where to run.
  if (old['suspend'] !== true) fixed.push('template');
  return fixed
    .filter((field) => !isEqualJson(spec[field], old[field]))
    .map((field) => invalidValue(`spec.${field}`, spec[field], immutableDetail));
}

export function cronJobErrors(object: KubeObject): FieldError[] {
  const spec: JsonObject = object['spec'] ?? {};
  const errors: FieldError[] = [];
  const fields = String(spec['schedule'] ?? '')
    .trim()
    .split(/\s+/);
  const isNamed = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every \S+)$/.test(spec['schedule'] ?? '');
  if (spec['schedule'] && !isNamed && fields.length !== 5) {
    const detail = `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`;
    errors.push(invalidValue('spec.schedule', spec['schedule'], detail));
  }
  const template: JsonObject = spec['jobTemplate']?.spec?.template?.spec ?? {};
  errors.push(...podSpecErrors(template, 'spec.jobTemplate.spec.template.spec'));
  return errors;
}
