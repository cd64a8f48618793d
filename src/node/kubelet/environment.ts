/**
 * Environment variables of a container: pure. Order and precedence are Kubernetes': service variables, then envFrom, then
 * env; a later one wins. `$(NAME)` refers to what was defined before; `$$(NAME)` is a literal `$(NAME)`.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { quantityMillis, quantityValue } from '../../control/api/quantity.ts';

/** Objects that variables come from; undefined when they do not exist. */
export interface EnvironmentSources {
  configMap(name: string): KubeObject | undefined;
  secret(name: string): KubeObject | undefined;
  /** Services of the pod's namespace, and `kubernetes` of the default one. */
  readonly services: readonly KubeObject[];
}

export interface EnvironmentContext {
  readonly pod: KubeObject;
  readonly container: JsonObject;
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  readonly allocatable: { readonly cpuMilli: number; readonly memoryBytes: number };
}

/** A configuration that cannot be met: the container waits with this reason. */
export class ContainerConfigError extends Error {
  override readonly name = 'ContainerConfigError';
  readonly reason = 'CreateContainerConfigError';
}

/** Names of ConfigMaps and Secrets a container's environment needs. */
export function environmentReferences(container: JsonObject): { configMaps: Set<string>; secrets: Set<string> } {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const source of (container.envFrom ?? []) as JsonObject[]) {
    if (source.configMapRef?.name) configMaps.add(source.configMapRef.name);
    if (source.secretRef?.name) secrets.add(source.secretRef.name);
  }
  for (const entry of (container.env ?? []) as JsonObject[]) {
    if (entry.valueFrom?.configMapKeyRef?.name) configMaps.add(entry.valueFrom.configMapKeyRef.name);
    if (entry.valueFrom?.secretKeyRef?.name) secrets.add(entry.valueFrom.secretKeyRef.name);
  }
  return { configMaps, secrets };
}

export function containerEnvironment(
  context: EnvironmentContext,
  sources: EnvironmentSources,
): { name: string; value: string }[] {
  const variables = new Map<string, string>();
  for (const [name, value] of serviceVariables(sources.services)) variables.set(name, value);
  const namespace = context.pod.metadata.namespace ?? '';
  for (const source of (context.container.envFrom ?? []) as JsonObject[]) {
    for (const [key, value] of environmentFrom(source, sources, namespace)) {
      variables.set(`${source.prefix ?? ''}${key}`, value);
    }
  }
  for (const entry of (context.container.env ?? []) as JsonObject[]) {
    const name = entry.name as string;
    if (entry.valueFrom === undefined || entry.valueFrom === null) {
      variables.set(name, expand((entry.value as string | undefined) ?? '', variables));
      continue;
    }
    const value = valueFrom(context, sources, entry.valueFrom as JsonObject);
    if (value !== undefined) variables.set(name, value);
  }
  return [...variables].map(([name, value]) => ({ name, value }));
}

function environmentFrom(source: JsonObject, sources: EnvironmentSources, namespace: string): [string, string][] {
  const isSecret = source.secretRef !== undefined && source.secretRef !== null;
  const reference = (isSecret ? source.secretRef : source.configMapRef) as JsonObject;
  const object = isSecret ? sources.secret(reference.name) : sources.configMap(reference.name);
  if (object === undefined) {
    if (reference.optional === true) return [];
    throw missing(isSecret, namespace, reference.name);
  }
  return Object.entries((object.data ?? {}) as Record<string, string>).map(([key, value]) => [
    key,
    isSecret ? Buffer.from(value, 'base64').toString() : value,
  ]);
}

function missing(isSecret: boolean, _namespace: string, name: string): ContainerConfigError {
  return new ContainerConfigError(`${isSecret ? 'secret' : 'configmap'} "${name}" not found`);
}

function valueFrom(context: EnvironmentContext, sources: EnvironmentSources, from: JsonObject): string | undefined {
  if (from.fieldRef) return podField(context, from.fieldRef.fieldPath as string);
  if (from.resourceFieldRef) return resourceField(context, from.resourceFieldRef as JsonObject);
  const isSecret = from.secretKeyRef !== undefined && from.secretKeyRef !== null;
  const reference = (isSecret ? from.secretKeyRef : from.configMapKeyRef) as JsonObject | undefined;
  if (!reference) return undefined;
  const object = isSecret ? sources.secret(reference.name) : sources.configMap(reference.name);
  if (object === undefined) {
    if (reference.optional === true) return undefined;
    throw missing(isSecret, context.pod.metadata.namespace ?? '', reference.name);
  }
  const value = (object.data as Record<string, string> | undefined)?.[reference.key];
  if (value === undefined) {
    if (reference.optional === true) return undefined;
    const kind = isSecret ? 'Secret' : 'ConfigMap';
    const where = `${context.pod.metadata.namespace ?? ''}/${reference.name}`;
    throw new ContainerConfigError(`couldn't find key ${reference.key} in ${kind} ${where}`);
  }
  return isSecret ? Buffer.from(value, 'base64').toString() : value;
}

/** The downward API's fields, as text; shared with volumes. Throws for a field there is not. */
export function podField(context: Pick<EnvironmentContext, 'pod' | 'podIps' | 'hostIps'>, path: string): string {
  const { pod, podIps, hostIps } = context;
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (subscript !== null) {
    const map = pod.metadata[subscript[1] as 'labels' | 'annotations'] ?? {};
    return map[subscript[2] as string] ?? '';
  }
  const lines = (map: Record<string, string> | undefined) =>
    Object.entries(map ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .join('\n');
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return lines(pod.metadata.labels);
    case 'metadata.annotations':
      return lines(pod.metadata.annotations);
    case 'spec.nodeName':
      return pod.spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return hostIps[0] ?? '';
    case 'status.hostIPs':
      return hostIps.join(',');
    case 'status.podIP':
      return podIps[0] ?? '';
    case 'status.podIPs':
      return podIps.join(',');
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${path}`);
  }
}

/** `limits.cpu` and its kin; a limit that is not set counts as what the node has. */
export function resourceField(
  context: Pick<EnvironmentContext, 'pod' | 'container' | 'allocatable'>,
  reference: JsonObject,
): string {
  const named = reference.containerName as string | undefined;
  const containers = [...(context.pod.spec?.containers ?? []), ...(context.pod.spec?.initContainers ?? [])];
  const container =
    named === undefined || named === ''
      ? context.container
      : (containers as JsonObject[]).find((each) => each.name === named);
  const [kind, resource] = (reference.resource as string).split('.') as ['limits' | 'requests', string];
  const amount = container?.resources?.[kind]?.[resource];
  const divisor = quantityValue(reference.divisor) || 1;
  if (resource === 'cpu') {
    const milli = quantityMillis(amount) ?? (kind === 'limits' ? context.allocatable.cpuMilli : 0);
    return String(Math.ceil(Math.round((milli / 1000 / divisor) * 1e6) / 1e6));
  }
  const fallback = kind === 'limits' && resource === 'memory' ? context.allocatable.memoryBytes : 0;
  return String(Math.ceil((quantityValue(amount) ?? fallback) / divisor));
}

/** Docker-link style variables, the form programs in a cluster find the API server by. */
export function serviceVariables(services: readonly KubeObject[]): [string, string][] {
  const out: [string, string][] = [];
  const sorted = [...services].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const service of sorted) {
    const ip = service.spec?.clusterIP as string | undefined;
    const ports = (service.spec?.ports ?? []) as JsonObject[];
    if (!ip || ip === 'None' || ports.length === 0) continue;
    const prefix = service.metadata.name.toUpperCase().replaceAll('-', '_');
    const host = ip.includes(':') ? `[${ip}]` : ip;
    out.push([`${prefix}_SERVICE_HOST`, ip], [`${prefix}_SERVICE_PORT`, String(ports[0]?.port)]);
    for (const port of ports) {
      if (port.name)
        out.push([`${prefix}_SERVICE_PORT_${String(port.name).toUpperCase().replaceAll('-', '_')}`, String(port.port)]);
    }
    for (const [index, port] of ports.entries()) {
      const protocol = String(port.protocol ?? 'TCP');
      const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
      const name = `${prefix}_PORT_${port.port}_${protocol}`;
      if (index === 0) out.push([`${prefix}_PORT`, url]);
      out.push(
        [name, url],
        [`${name}_PROTO`, protocol.toLowerCase()],
        [`${name}_PORT`, String(port.port)],
        [`${name}_ADDR`, ip],
      );
    }
  }
  return out;
}

/** Replaces `$(NAME)` by the variable's value; an unknown name stays as it is written. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  let out = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== '$') {
      out += text[at];
      continue;
    }
    if (text[at + 1] === '$') {
      out += '$';
      at++;
      continue;
    }
    const close = text[at + 1] === '(' ? text.indexOf(')', at + 2) : -1;
    if (close < 0) {
      out += '$';
      continue;
    }
    const name = text.slice(at + 2, close);
    out += variables.get(name) ?? text.slice(at, close + 1);
    at = close;
  }
  return out;
}
