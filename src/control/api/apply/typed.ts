/**
 * Objects with their schema, as server-side apply sees them: which fields an object sets, how two objects differ, what
 * comes out when one is applied over another, and an object without some of its fields.
 *
 * Scalars, atomic values and arbitrary JSON are leaves. Messages and maps are entered by name, lists of type map by
 * their keys, sets by value; every other list is a leaf.
 */
import type { FieldSchema, FieldType, JsonObject } from '../contract.ts';
import { jsonFields, messageNamed } from '../schema/messages.ts';
import { badRequest } from '../status-error.ts';
import { emptySet, type FieldSet, memberSet, setOf, union } from './field-set.ts';

/** A type and what the field that holds the value adds to it. */
export interface Typed {
  readonly type: FieldType;
  readonly field?: FieldSchema;
}

type Shape = 'leaf' | 'fields' | 'map' | 'keyed' | 'set';

function shapeOf({ type, field }: Typed): Shape {
  if (field?.mapType === 'atomic') return 'leaf';
  switch (type.kind) {
    case 'message':
      return messageNamed(type.message).mapType === 'atomic' ? 'leaf' : 'fields';
    case 'map':
      return 'map';
    case 'list':
      if (field?.listType === 'set') return 'set';
      return field?.listType === 'map' ? 'keyed' : 'leaf';
    default:
      return 'leaf';
  }
}

/** Members of a value by path element, in order. Undefined for leaves and for values that are not there. */
function membersOf(value: unknown, typed: Typed): Map<string, { value: unknown; typed: Typed }> | undefined {
  const shape = shapeOf(typed);
  if (shape === 'leaf') return undefined;
  const members = new Map<string, { value: unknown; typed: Typed }>();
  if (value === null || value === undefined) return members;
  const { type, field } = typed;
  if (type.kind === 'message') {
    const { byName } = jsonFields(messageNamed(type.message));
    for (const [name, item] of Object.entries(value)) {
      const inner = byName.get(name);
      if (inner === undefined || item === undefined) continue;
      members.set(`f:${name}`, { value: item, typed: { type: inner.type, field: inner } });
    }
  } else if (type.kind === 'map') {
    for (const [name, item] of Object.entries(value))
      members.set(`f:${name}`, { value: item, typed: { type: type.value } });
  } else if (type.kind === 'list') {
    // A canonical value of type list is an array.
    for (const item of value as unknown[]) {
      const element = shape === 'set' ? `v:${JSON.stringify(item)}` : keyElement(item, type.item, field);
      if (!members.has(element)) members.set(element, { value: item, typed: { type: type.item } });
    }
  }
  return members;
}

function keyElement(item: unknown, type: FieldType, field: FieldSchema | undefined): string {
  const keys: JsonObject = {};
  for (const name of [...(field?.listMapKeys ?? [])].sort()) {
    const given = (item as JsonObject | null)?.[name];
    const inner = type.kind === 'message' ? jsonFields(messageNamed(type.message)).byName.get(name) : undefined;
    const value = given ?? inner?.defaultValue;
    if (value !== undefined && value !== null) keys[name] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

/** Throws StatusError 400 when a list has two items with the same keys: an applied object must say what it means. */
export function refuseDuplicates(value: unknown, typed: Typed, path = ''): void {
  const members = membersOf(value, typed);
  if (members === undefined || value === null || value === undefined) return;
  if (Array.isArray(value) && members.size < value.length) {
    throw badRequest(`failed to create typed patch object: ${path}: duplicate entries for key`);
  }
  for (const [element, member] of members) refuseDuplicates(member.value, member.typed, `${path}.${element.slice(2)}`);
}

/** The fields that a value sets: leaves, empty containers, and the items of lists. */
export function fieldsOf(value: unknown, typed: Typed, isItem = false): FieldSet {
  const members = membersOf(value, typed);
  if (members === undefined || members.size === 0) return memberSet;
  const children = [...members].map(([element, member]): [string, FieldSet] => [
    element,
    fieldsOf(member.value, member.typed, Array.isArray(value)),
  ]);
  return setOf(isItem, children);
}

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** How `after` differs from `before`; undefined is a value that is not there, which null is not. */
export function compare(before: unknown, after: unknown, typed: Typed): Comparison {
  if (before === undefined && after === undefined) return { added: emptySet, modified: emptySet, removed: emptySet };
  const left = before === undefined ? new Map<string, { value: unknown; typed: Typed }>() : membersOf(before, typed);
  const right = after === undefined ? new Map<string, { value: unknown; typed: Typed }>() : membersOf(after, typed);
  const isAdded = before === undefined;
  const isRemoved = after === undefined;
  if (left === undefined || right === undefined) {
    const isModified = !isAdded && !isRemoved && JSON.stringify(before) !== JSON.stringify(after);
    return {
      added: isAdded ? memberSet : emptySet,
      modified: isModified ? memberSet : emptySet,
      removed: isRemoved ? memberSet : emptySet,
    };
  }
  const added: [string, FieldSet][] = [];
  const modified: [string, FieldSet][] = [];
  const removed: [string, FieldSet][] = [];
  for (const element of new Set([...left.keys(), ...right.keys()])) {
    const a = left.get(element);
    const b = right.get(element);
    const inner = compare(a?.value, b?.value, (b ?? a)?.typed ?? typed);
    added.push([element, inner.added]);
    modified.push([element, inner.modified]);
    removed.push([element, inner.removed]);
  }
  return { added: setOf(isAdded, added), modified: setOf(false, modified), removed: setOf(isRemoved, removed) };
}

/** `applied` over `live`: what `applied` sets wins, everything else stays. */
export function merge(live: unknown, applied: unknown, typed: Typed): unknown {
  if (applied === undefined) return live;
  const shape = shapeOf(typed);
  if (shape === 'leaf' || live === undefined || live === null || applied === null) return structuredClone(applied);
  const mine = membersOf(live, typed) ?? new Map<string, { value: unknown; typed: Typed }>();
  const theirs = membersOf(applied, typed) ?? new Map<string, { value: unknown; typed: Typed }>();
  if (shape === 'fields' || shape === 'map') {
    // Canonical values of messages and maps are objects.
    const result: JsonObject = { ...(live as JsonObject) };
    for (const [element, member] of theirs) {
      const name = element.slice(2);
      result[name] = merge(mine.get(element)?.value, member.value, member.typed);
    }
    return result;
  }
  const result: unknown[] = [];
  for (const element of mergedOrder([...mine.keys()], [...theirs.keys()])) {
    const a = mine.get(element);
    const b = theirs.get(element);
    result.push(b === undefined ? a?.value : merge(a?.value, b.value, b.typed));
  }
  return result;
}

/** Applied items in their order; live items that are not applied keep their place after the item they followed. */
function mergedOrder(live: readonly string[], applied: readonly string[]): string[] {
  const wanted = new Set(applied);
  const result: string[] = [];
  let next = 0;
  for (const element of live) {
    if (!wanted.has(element)) {
      result.push(element);
      continue;
    }
    const at = applied.indexOf(element);
    while (next <= at) result.push(applied[next++] ?? element);
  }
  return [...result, ...applied.slice(next)];
}

/** `value` without the members of `set` and, when nothing of them is left, what held them. */
export function withoutFields(value: unknown, set: FieldSet, typed: Typed): unknown {
  if (set.isMember && set.children.size === 0) return undefined;
  const members = membersOf(value, typed);
  if (members === undefined || value === null || value === undefined) return set.isMember ? undefined : value;
  const kept: (readonly [string, unknown])[] = [];
  for (const [element, member] of members) {
    const inner = set.children.get(element);
    const left = inner === undefined ? member.value : withoutFields(member.value, inner, member.typed);
    if (left !== undefined) kept.push([element, left]);
  }
  if (set.isMember && kept.length === 0) return undefined;
  if (Array.isArray(value)) return kept.map(([, item]) => item);
  return Object.fromEntries(kept.map(([element, item]) => [element.slice(2), item]));
}

/** The union of several sets. */
export function unionAll(sets: Iterable<FieldSet>): FieldSet {
  let all = emptySet;
  for (const set of sets) all = union(all, set);
  return all;
}
