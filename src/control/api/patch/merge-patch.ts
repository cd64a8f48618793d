/** JSON merge patch (RFC 7386). Pure: neither argument is changed. */
import type { JsonObject } from '../contract.ts';

export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const merged = mergeValue(structuredClone(target), patch);
  // Both are objects, so the merge is one.
  return merged as JsonObject;
}

function mergeValue(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return structuredClone(patch);
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergeValue(result[name], value);
  }
  return result;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
