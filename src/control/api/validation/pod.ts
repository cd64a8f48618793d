/** Validation of pods and pod templates. */
import { isEqualJson } from '../equal-json.ts';
import type { FieldError, JsonObject, KubeObject } from '../contract.ts';
import { compareQuantity, parseQuantity } from '../quantity.ts';
import { duplicate, forbiddenField, invalidValue, notFoundValue, required } from './field-error.ts';
import {
  environmentNameProblems,
  labelProblems,
  labelValueProblems,
  portNameProblems,
  portNumberProblems,
  qualifiedNameProblems,
  subdomainProblems,
} from './names.ts';

const notNegative = 'must be greater than or equal to 0';

export function notNegativeErrors(value: unknown, field: string): FieldError[] {
  return typeof value === 'number' && value < 0 ? [invalidValue(field, value, notNegative)] : [];
}

export function podSpecErrors(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = volumeNames(spec, path, errors);
  const names = new Set<string>();
  if ((spec['containers'] ?? []).length === 0) errors.push(required(`${path}.containers`));
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      const place = `${path}.${list}[${index}]`;
      containerErrors(container, place, volumes, errors);
      if (names.has(container.name)) errors.push(duplicate(`${place}.name`, container.name));
      names.add(container.name);
    }
  }
  errors.push(...notNegativeErrors(spec['terminationGracePeriodSeconds'], `${path}.terminationGracePeriodSeconds`));
  const deadline = spec['activeDeadlineSeconds'];
  if (typeof deadline === 'number' && (deadline < 1 || deadline > 2147483647)) {
    errors.push(invalidValue(`${path}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'));
  }
  for (const [key, value] of Object.entries(spec['nodeSelector'] ?? {})) {
    errors.push(...qualifiedNameProblems(key).map((problem) => invalidValue(`${path}.nodeSelector`, key, problem)));
    errors.push(
      ...labelValueProblems(String(value)).map((problem) => invalidValue(`${path}.nodeSelector`, value, problem)),
    );
  }
  for (const field of ['hostname', 'subdomain']) {
    const text = spec[field];
    if (text) errors.push(...labelProblems(text).map((problem) => invalidValue(`${path}.${field}`, text, problem)));
  }
  for (const field of ['nodeName', 'serviceAccountName', 'priorityClassName', 'runtimeClassName']) {
    const text = spec[field];
    if (text) errors.push(...subdomainProblems(text).map((problem) => invalidValue(`${path}.${field}`, text, problem)));
  }
  return errors;
}

function volumeNames(spec: JsonObject, path: string, errors: FieldError[]): Set<string> {
  const names = new Set<string>();
  for (const [index, volume] of (spec['volumes'] ?? []).entries()) {
    const place = `${path}.volumes[${index}]`;
    errors.push(
      ...labelProblems(volume.name ?? '').map((problem) => invalidValue(`${place}.name`, volume.name, problem)),
    );
    if (names.has(volume.name)) errors.push(duplicate(`${place}.name`, volume.name));
    names.add(volume.name);
    const sources = Object.keys(volume).filter((key) => key !== 'name');
    for (const extra of sources.slice(1)) {
      errors.push(forbiddenField(`${place}.${extra}`, 'may not specify more than 1 volume type'));
    }
  }
  return names;
}

function containerErrors(
  container: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
  errors: FieldError[],
): void {
  const name = String(container['name'] ?? '');
  if (name !== '') errors.push(...labelProblems(name).map((problem) => invalidValue(`${path}.name`, name, problem)));
  if (!container['image']) errors.push(required(`${path}.image`));
  else if (String(container['image']).trim() !== container['image']) {
    errors.push(invalidValue(`${path}.image`, container['image'], 'must not have leading or trailing whitespace'));
  }
  portErrors(container, path, errors);
  for (const [index, variable] of (container['env'] ?? []).entries()) {
    const place = `${path}.env[${index}].name`;
    const problems = variable.name ? environmentNameProblems(variable.name) : [];
    errors.push(...problems.map((problem) => invalidValue(place, variable.name, problem)));
    if (variable.value && variable.valueFrom) {
      errors.push(
        invalidValue(`${path}.env[${index}].valueFrom`, '', 'may not be specified when `value` is not empty'),
      );
    }
  }
  mountErrors(container, path, volumes, errors);
  resourceErrors(container['resources'] ?? {}, `${path}.resources`, errors);
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (container[probe]) probeErrors(container[probe], `${path}.${probe}`, probe !== 'readinessProbe', errors);
  }
}

function portErrors(container: JsonObject, path: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, port] of (container['ports'] ?? []).entries()) {
    const place = `${path}.ports[${index}]`;
    if (port.name) {
      errors.push(...portNameProblems(port.name).map((problem) => invalidValue(`${place}.name`, port.name, problem)));
      if (names.has(port.name)) errors.push(duplicate(`${place}.name`, port.name));
      names.add(port.name);
    }
    if (!port.containerPort) errors.push(required(`${place}.containerPort`));
    else {
      const problems = portNumberProblems(port.containerPort);
      errors.push(...problems.map((problem) => invalidValue(`${place}.containerPort`, port.containerPort, problem)));
    }
    if (port.hostPort) {
      const problems = portNumberProblems(port.hostPort);
      errors.push(...problems.map((problem) => invalidValue(`${place}.hostPort`, port.hostPort, problem)));
    }
  }
}

function mountErrors(container: JsonObject, path: string, volumes: ReadonlySet<string>, errors: FieldError[]): void {
  const points = new Set<string>();
  for (const [index, mount] of (container['volumeMounts'] ?? []).entries()) {
    const place = `${path}.volumeMounts[${index}]`;
    if (mount.name && !volumes.has(mount.name)) errors.push(notFoundValue(`${place}.name`, mount.name));
    if (points.has(mount.mountPath)) errors.push(invalidValue(`${place}.mountPath`, mount.mountPath, 'must be unique'));
    points.add(mount.mountPath);
    if (
      String(mount.subPath ?? '')
        .split('/')
        .includes('..')
    ) {
      errors.push(invalidValue(`${place}.subPath`, mount.subPath, "must not contain '..'"));
    }
  }
}

function resourceErrors(resources: JsonObject, path: string, errors: FieldError[]): void {
  for (const list of ['limits', 'requests']) {
    for (const [name, text] of Object.entries(resources[list] ?? {})) {
      const problems = qualifiedNameProblems(name);
      errors.push(...problems.map((problem) => invalidValue(`${path}.${list}`, name, problem)));
      if (parseQuantity(String(text)).nanos < 0n) {
        errors.push(invalidValue(`${path}.${list}[${name}]`, text, notNegative));
      }
    }
  }
  for (const [name, limit] of Object.entries(resources['limits'] ?? {})) {
    const request = resources['requests']?.[name];
    if (request === undefined) continue;
    if (compareQuantity(parseQuantity(String(request)), parseQuantity(String(limit))) > 0) {
      errors.push(invalidValue(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
    }
  }
}

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'];

function probeErrors(probe: JsonObject, path: string, mustSucceedOnce: boolean, errors: FieldError[]): void {
  const given = handlers.filter((name) => probe[name]);
  if (given.length === 0) errors.push(required(path, 'must specify a handler type'));
  for (const extra of given.slice(1))
    errors.push(forbiddenField(`${path}.${extra}`, 'may not specify more than 1 handler type'));
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    errors.push(...notNegativeErrors(probe[field], `${path}.${field}`));
  }
  if (mustSucceedOnce && probe['successThreshold'] !== undefined && probe['successThreshold'] !== 1) {
    errors.push(invalidValue(`${path}.successThreshold`, probe['successThreshold'], 'must be 1'));
  }
}

const changeText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** Most of a pod's spec is fixed once it exists; subresources have rights of their own. */
export function podChangeErrors(pod: KubeObject, old: KubeObject, subresource: string): FieldError[] {
  if (subresource === 'status') return [];
  const changed = withAllowedChanges(pod['spec'] ?? {}, old['spec'] ?? {}, subresource);
  if (isEqualJson(changed, old['spec'] ?? {})) return [];
  if (!keepsTolerations(pod, old)) {
    return [forbiddenField('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
  }
  return [forbiddenField('spec', changeText)];
}

/** The new spec with everything that may change put back to what it was. */
function withAllowedChanges(spec: JsonObject, old: JsonObject, subresource: string): JsonObject {
  const result: JsonObject = { ...spec };
  const putBack = (field: string): void => {
    if (old[field] === undefined) delete result[field];
    else result[field] = old[field];
  };
  if (subresource === 'binding') putBack('nodeName');
  if (subresource === 'ephemeralcontainers') putBack('ephemeralContainers');
  putBack('activeDeadlineSeconds');
  if (keepsTolerations({ spec }, { spec: old })) putBack('tolerations');
  if (old['terminationGracePeriodSeconds'] < 0 && spec['terminationGracePeriodSeconds'] === 1) {
    putBack('terminationGracePeriodSeconds');
  }
  if ((spec['schedulingGates'] ?? []).length < (old['schedulingGates'] ?? []).length) putBack('schedulingGates');
  for (const list of ['containers', 'initContainers']) {
    if ((spec[list] ?? []).length !== (old[list] ?? []).length) continue;
    if (spec[list] === undefined || spec[list] === null) continue;
    const fields = subresource === 'resize' ? ['resources', 'resizePolicy'] : ['image'];
    result[list] = spec[list].map((container: JsonObject, index: number) => {
      const patched: JsonObject = { ...container };
      for (const field of fields) if (old[list][index][field] !== undefined) patched[field] = old[list][index][field];
      return patched;
    });
  }
  return result;
}

function keepsTolerations(pod: JsonObject, old: JsonObject): boolean {
  const timeless = (list: JsonObject[] | undefined) => (list ?? []).map(({ tolerationSeconds: _, ...rest }) => rest);
  const now = timeless(pod['spec']?.tolerations);
  return timeless(old['spec']?.tolerations).every((before) => now.some((after) => isEqualJson(before, after)));
}
