/**
 * Sets of fields, as managedFields keep them: a tree of path elements. An element is `f:name` (a field), `k:{…}` (the
 * item of a list with these keys) or `v:value` (the item of a set).
 *
 *     {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}}}
 *
 * A node may be a member itself (written `.` beside children) and have children. Functions return new sets.
 */
import type { JsonObject } from '../contract.ts';

export interface FieldSet {
  /** The path that leads here is in the set. */
  readonly isMember: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

export const emptySet: FieldSet = { isMember: false, children: new Map() };
export const memberSet: FieldSet = { isMember: true, children: new Map() };

export function isEmptySet(set: FieldSet): boolean {
  return !set.isMember && set.children.size === 0;
}

export function setOf(isMember: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = [...children].filter(([, child]) => !isEmptySet(child));
  return { isMember, children: new Map(kept) };
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a)) return b;
  if (isEmptySet(b)) return a;
  const children = new Map(a.children);
  for (const [element, child] of b.children) {
    const mine = children.get(element);
    children.set(element, mine === undefined ? child : union(mine, child));
  }
  return { isMember: a.isMember || b.isMember, children };
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children: [string, FieldSet][] = [];
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    if (other !== undefined) children.push([element, intersection(child, other)]);
  }
  return setOf(a.isMember && b.isMember, children);
}

/** `a` without the members of `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const children: [string, FieldSet][] = [];
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    children.push([element, other === undefined ? child : difference(child, other)]);
  }
  return setOf(a.isMember && !b.isMember, children);
}

/** `a` without everything at or below the members of `b`. */
export function differenceBelow(a: FieldSet, b: FieldSet): FieldSet {
  if (b.isMember) return emptySet;
  const children: [string, FieldSet][] = [];
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    children.push([element, other === undefined ? child : differenceBelow(child, other)]);
  }
  return setOf(a.isMember, children);
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a.isMember !== b.isMember || a.children.size !== b.children.size) return false;
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    if (other === undefined || !equalSets(child, other)) return false;
  }
  return true;
}

/** fieldsV1. */
export function encodeFieldSet(set: FieldSet): JsonObject {
  const result: JsonObject = {};
  if (set.isMember && set.children.size > 0) result['.'] = {};
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child !== undefined) result[element] = encodeFieldSet(child);
  }
  return result;
}

/** Elements that this version does not know are kept as they are. */
export function decodeFieldSet(fields: JsonObject | null | undefined): FieldSet {
  return decodeNode(fields ?? {}, true);
}

function decodeNode(node: JsonObject, isRoot: boolean): FieldSet {
  const names = Object.keys(node);
  const children: [string, FieldSet][] = [];
  for (const name of names) {
    if (name === '.') continue;
    const child: unknown = node[name];
    children.push([name, decodeNode(typeof child === 'object' && child !== null ? child : {}, false)]);
  }
  const isMember = names.includes('.') || (names.length === 0 && !isRoot);
  return setOf(isMember, children);
}

/** Paths of the members as people read them: `.spec.containers[name="a"].image`. */
export function describePaths(set: FieldSet, prefix = ''): string[] {
  const paths = set.isMember ? [prefix] : [];
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child !== undefined) paths.push(...describePaths(child, prefix + describeElement(element)));
  }
  return paths;
}

function describeElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('v:')) return `[=${rest}]`;
  if (!element.startsWith('k:')) return `[${rest}]`;
  const keys = Object.entries(JSON.parse(rest)).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `[${keys.join(',')}]`;
}
