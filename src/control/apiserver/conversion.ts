/**
 * Kinds that are served in several API groups from one place in the store. Events are the only ones: core/v1 (stored)
 * and events.k8s.io/v1 name the same fields differently.
 */
import { apiVersionOf, type JsonObject, type KubeObject, type ResourceSchema } from './kinds.ts';

/** [core/v1 name, events.k8s.io/v1 name] of fields that carry the same value. */
const eventFields: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

function convertEvent(object: KubeObject, apiVersion: string): KubeObject {
  const toCore = apiVersion === 'v1';
  const converted: JsonObject = { ...object, apiVersion };
  for (const [core, modern] of eventFields) {
    const [from, to] = toCore ? [modern, core] : [core, modern];
    if (converted[from] === undefined) continue;
    converted[to] = converted[from];
    delete converted[from];
  }
  return converted as KubeObject;
}

/** `object` as `resource` serves it; the same value when it is that already. */
export function toServed(object: KubeObject, resource: ResourceSchema): KubeObject {
  const apiVersion = apiVersionOf(resource);
  if (object.apiVersion === apiVersion) return object;
  return resource.storagePrefix === 'events'
    ? convertEvent(object, apiVersion)
    : { ...object, apiVersion, kind: resource.kind };
}

/** `object` as the store keeps it. */
export function toStored(object: KubeObject, resource: ResourceSchema): KubeObject {
  return resource.storagePrefix === 'events' && object.apiVersion !== 'v1' ? convertEvent(object, 'v1') : object;
}
