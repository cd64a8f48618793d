/**
 * Strategic merge patch: a merge patch that knows which lists are merged and by which key, from the schema, and the
 * directives `$patch`, `$retainKeys`, `$setElementOrder/…` and `$deleteFromPrimitiveList/…`.
 *
 *     {"containers": [{"name": "a", "image": "b:2"}]} changes the image of container a and leaves the others alone.
 *
 * Pure: neither argument is changed.
 */
import type { FieldSchema, FieldType, JsonObject, MessageSchema } from '../contract.ts';
import { jsonFields, messageNamed } from '../schema/messages.ts';
import { badRequest } from '../status-error.ts';
import { isObject } from './merge-patch.ts';

const directive = '$patch';
const retainKeysDirective = '$retainKeys';
const elementOrderPrefix = '$setElementOrder/';
const deleteFromListPrefix = '$deleteFromPrimitiveList/';

/** Throws StatusError 400 when the patch contradicts the schema or itself. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject, message: MessageSchema): JsonObject {
  return mergeObject(structuredClone(target), structuredClone(patch), { kind: 'message', message: message.name });
}

/** Type of the value under `name`, when the schema knows it. */
function memberOf(type: FieldType | undefined, name: string): { type?: FieldType; field?: FieldSchema } {
  if (type?.kind === 'map') return { type: type.value };
  if (type?.kind !== 'message') return {};
  const field = jsonFields(messageNamed(type.message)).byName.get(name);
  return field === undefined ? {} : { type: field.type, field };
}

function mergeObject(target: JsonObject, patch: JsonObject, type: FieldType | undefined): JsonObject {
  const mode = patch[directive];
  if (mode !== undefined) {
    if (mode === 'replace') return withoutDirectives(withoutKey(patch, directive)) as JsonObject;
    if (mode === 'delete') return {};
    if (mode !== 'merge') throw badRequest(`unknown patch type found: ${String(mode)}`);
  }
  const result: JsonObject = { ...target };
  retainKeys(result, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key === directive || key === retainKeysDirective) continue;
    if (key.startsWith(elementOrderPrefix)) continue;
    if (key.startsWith(deleteFromListPrefix)) continue;
    if (value === null) delete result[key];
    else result[key] = mergeMember(result[key], value, key, patch, type);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(deleteFromListPrefix)) deleteFromList(result, key.slice(deleteFromListPrefix.length), value);
  }
  reorderUntouchedLists(result, patch, type);
  return result;
}

function mergeMember(
  current: unknown,
  value: unknown,
  key: string,
  patch: JsonObject,
  type: FieldType | undefined,
): unknown {
  const member = memberOf(type, key);
  const strategy = member.field?.patchStrategy ?? '';
  if (Array.isArray(value) && strategy.includes('merge')) {
    const order = patch[`${elementOrderPrefix}${key}`];
    return mergeList(Array.isArray(current) ? current : [], value, member, order);
  }
  if (isObject(value) && isObject(current) && strategy !== 'replace') return mergeObject(current, value, member.type);
  if (isObject(value)) return mergeObject({}, value, member.type);
  return withoutDirectives(value);
}

function retainKeys(result: JsonObject, patch: JsonObject): void {
  const keep = patch[retainKeysDirective];
  if (keep === undefined) return;
  if (!Array.isArray(keep)) throw badRequest('invalid retainKeys list: it must be a list of strings');
  for (const key of Object.keys(patch)) {
    if (key.startsWith('$') || patch[key] === null || keep.includes(key)) continue;
    throw badRequest(`retainKeys list doesn't contain all the keys that are in the patch: ${key} is missing`);
  }
  for (const key of Object.keys(result)) if (!keep.includes(key)) delete result[key];
}

function deleteFromList(result: JsonObject, name: string, values: unknown): void {
  if (!Array.isArray(values)) throw badRequest(`${deleteFromListPrefix}${name} must be a list`);
  if (!Array.isArray(result[name])) return;
  result[name] = result[name].filter((item: unknown) => !values.includes(item));
}

/** A patch may say the order of a list without having an element of it. */
function reorderUntouchedLists(result: JsonObject, patch: JsonObject, type: FieldType | undefined): void {
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(elementOrderPrefix)) continue;
    const name = key.slice(elementOrderPrefix.length);
    if (Object.hasOwn(patch, name) || !Array.isArray(result[name])) continue;
    result[name] = ordered(result[name], result[name], order, memberOf(type, name).field?.patchMergeKey);
  }
}

function mergeList(
  current: readonly unknown[],
  patch: readonly unknown[],
  member: { type?: FieldType; field?: FieldSchema },
  order: unknown,
): unknown[] {
  const mergeKey = member.field?.patchMergeKey;
  const merged =
    mergeKey === undefined
      ? mergePrimitives(current, patch)
      : mergeByKey(current, patch, mergeKey, member.type?.kind === 'list' ? member.type.item : undefined);
  // Without an order of its own, a patch means its elements in the order in which it has them.
  return ordered(merged, current, order ?? patch, mergeKey);
}

function mergePrimitives(current: readonly unknown[], patch: readonly unknown[]): unknown[] {
  return [...new Set([...current, ...patch])];
}

function mergeByKey(
  current: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  type: FieldType | undefined,
): unknown[] {
  const result = [...current];
  const isReplaced = patch.some((item) => isObject(item) && item[directive] === 'replace');
  if (isReplaced) {
    return patch
      .filter((item) => !(isObject(item) && item[directive] === 'replace' && Object.keys(item).length === 1))
      .map((item) => withoutDirectives(isObject(item) ? withoutKey(item, directive) : item));
  }
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`map: expected an object in a list that is merged by ${mergeKey}`);
    const key = item[mergeKey];
    if (key === undefined || key === null) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    }
    const matches = (candidate: unknown) => isObject(candidate) && candidate[mergeKey] === key;
    if (item[directive] === 'delete') {
      for (let at = result.length - 1; at >= 0; at--) if (matches(result[at])) result.splice(at, 1);
      continue;
    }
    const at = result.findIndex(matches);
    const found = result[at];
    if (isObject(found)) result[at] = mergeObject(found, item, type);
    else result.push(mergeObject({}, item, type));
  }
  return result;
}

/**
 * Elements that `order` names stand in that order; the others keep their place relative to the elements that the
 * server had in front of them.
 */
function ordered(
  merged: readonly unknown[],
  before: readonly unknown[],
  order: unknown,
  mergeKey: string | undefined,
): unknown[] {
  if (!Array.isArray(order)) throw badRequest('the element order of a list must be a list');
  const identity = (item: unknown): unknown => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item);
  const wanted = order.map(identity);
  const inOrder = merged
    .filter((item) => wanted.includes(identity(item)))
    .sort((a, b) => wanted.indexOf(identity(a)) - wanted.indexOf(identity(b)));
  const serverOnly = merged.filter((item) => !wanted.includes(identity(item)));
  const placeBefore = before.map(identity);
  const result: unknown[] = [];
  while (inOrder.length > 0 && serverOnly.length > 0) {
    const left = placeBefore.indexOf(identity(serverOnly[0]));
    const right = placeBefore.indexOf(identity(inOrder[0]));
    const serverFirst = left >= 0 && right >= 0 && left < right;
    result.push(serverFirst ? serverOnly.shift() : inOrder.shift());
  }
  return [...result, ...serverOnly, ...inOrder];
}

function withoutKey(object: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** Directives in a part of the patch that had nothing to be applied to. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => !(isObject(item) && item[directive] === 'delete')).map(withoutDirectives);
  }
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (key === directive || key === retainKeysDirective) continue;
    if (key.startsWith(elementOrderPrefix) || key.startsWith(deleteFromListPrefix)) continue;
    if (item !== null) result[key] = withoutDirectives(item);
  }
  return result;
}
