/** Questions that several plans ask about objects. Pure. */
import type { JsonObject, KubeObject, OwnerReference } from '../api/contract.ts';

export const maxNameLength = 63;

/** The owner that manages `object`. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

export function ownerReferenceTo(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export const isTerminating = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;
export const isFinished = (pod: KubeObject): boolean =>
  pod['status']?.phase === 'Succeeded' || pod['status']?.phase === 'Failed';
export const isActivePod = (pod: KubeObject): boolean => !isFinished(pod) && !isTerminating(pod);

export function conditionOf(object: KubeObject, type: string): JsonObject | undefined {
  return object['status']?.conditions?.find((condition: JsonObject) => condition['type'] === type);
}

export const isPodReady = (pod: KubeObject): boolean => conditionOf(pod, 'Ready')?.['status'] === 'True';

/** Milliseconds until a ready pod counts as available; 0 when it does; undefined while it is not ready. */
export function availableInMs(pod: KubeObject, minReadySeconds: number, nowMs: number): number | undefined {
  if (!isPodReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const sinceMs = Date.parse(conditionOf(pod, 'Ready')?.['lastTransitionTime'] ?? '');
  if (Number.isNaN(sinceMs)) return undefined;
  return Math.max(0, sinceMs + minReadySeconds * 1000 - nowMs);
}

/** `3` or `25%` of `total`. */
export function resolveIntOrPercent(value: unknown, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const percent = Number.parseInt(String(value ?? '0'), 10);
  if (Number.isNaN(percent)) return 0;
  if (!String(value).endsWith('%')) return percent;
  return round === 'up' ? Math.ceil((percent * total) / 100) : Math.floor((percent * total) / 100);
}

/**
 * `conditions` with `next` in the place of its type. Its transition time is kept while the status is the same; the
 * very same array comes back when nothing changed.
 */
export function withCondition(conditions: readonly JsonObject[], next: JsonObject, nowText: string): JsonObject[] {
  const before = conditions.find((condition) => condition['type'] === next['type']);
  if (
    before !== undefined &&
    before['status'] === next['status'] &&
    before['reason'] === next['reason'] &&
    before['message'] === next['message']
  ) {
    return conditions as JsonObject[];
  }
  const lastTransitionTime = before?.['status'] === next['status'] ? before?.['lastTransitionTime'] : nowText;
  const condition = { ...next, lastTransitionTime };
  if (before === undefined) return [...conditions, condition];
  return conditions.map((each) => (each === before ? condition : each));
}

export { isEqualJson } from '../api/equal-json.ts';

/** Letters and digits that make no words and cannot be mistaken for each other. */
const safeAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** A short name-safe hash of a JSON value (FNV-1a, 32 bits, over its fields in sorted order). */
export function hashJson(value: unknown, salt = ''): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(canonical(value) + salt)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return Array.from(String(hash), (digit) => safeAlphabet[digit.charCodeAt(0) % safeAlphabet.length]).join('');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** A Pod made from `template` for `owner`. The server completes the name. */
export function podFromTemplate(owner: KubeObject, template: JsonObject): JsonObject {
  const { labels, annotations, finalizers } = template['metadata'] ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${owner.metadata.name.slice(0, maxNameLength - 6)}-`,
      namespace: owner.metadata.namespace,
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
      ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
      ownerReferences: [ownerReferenceTo(owner)],
    },
    spec: structuredClone(template['spec'] ?? {}),
  };
}
