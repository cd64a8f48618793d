/**
 * Server-side apply, and the book-keeping of who manages what for every other write.
 *
 * Apply: the applied object is merged over the live one; fields that the manager applied before and leaves out now are
 * removed unless somebody else manages them; a field that another manager set to another value is a conflict, which
 * `force` takes over. All functions are pure: objects that are passed in are not changed.
 */
import { canonicalObject } from '../canonical.ts';
import type { JsonObject, KubeObject, MessageSchema } from '../contract.ts';
import { applyConflict, type StatusCause, type StatusError } from '../status-error.ts';
import {
  describePaths,
  difference,
  emptySet,
  equalSets,
  type FieldSet,
  intersection,
  isEmptySet,
  memberSet,
  union,
} from './field-set.ts';
import {
  encodeManagers,
  identityOf,
  type ManagerEntry,
  managersOf,
  trackedOnly,
  untrackedFields,
} from './managed-fields.ts';
import {
  compare,
  type Comparison,
  fieldsOf,
  merge,
  refuseDuplicates,
  type Typed,
  unionAll,
  withoutFields,
} from './typed.ts';

export interface ApplyRequest {
  /** Absent when the object is created by this apply. */
  readonly live: KubeObject | undefined;
  /** What the client sent, without defaults: from decodeApplied. */
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly message: MessageSchema;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly nowRfc3339: string;
}

export interface ApplyConflict {
  /** `.spec.replicas` */
  readonly field: string;
  /** The other manager, as upstream describes it. */
  readonly manager: string;
}

export type ApplyResult =
  | { readonly object: KubeObject; readonly conflicts?: undefined }
  | { readonly object?: undefined; readonly conflicts: readonly ApplyConflict[] };

/** Throws StatusError 400 when the applied object names a list item twice. The result still has to be defaulted and validated. */
export function serverSideApply(request: ApplyRequest): ApplyResult {
  const { message, subresource, applied } = request;
  const typed: Typed = { type: { kind: 'message', message: message.name } };
  const untracked = untrackedFields(hasStatus(message), subresource);
  const { managedFields: _, ...appliedMetadata } = applied['metadata'] ?? {};
  const wanted = withoutFields({ ...applied, metadata: appliedMetadata }, statusOnly(untracked), typed) as JsonObject;
  refuseDuplicates(wanted, typed);
  const before = request.live ?? emptyObject(applied, message);
  const managers = managersOf(before, undefined);
  const identity = identityOf({ manager: request.manager, operation: 'Apply', apiVersion: '', subresource });
  const last = managers.get(identity)?.fields ?? emptySet;
  const set = trackedOnly(fieldsOf(wanted, typed), untracked);

  // fieldsOf canonical objects are objects.
  let after = merge(before, wanted, typed) as KubeObject;
  after = prune(after, { set: fieldsOf(wanted, typed), last, managers, identity, typed });
  after = canonicalObject(after, message) as KubeObject;

  const changes = compare(before, after, typed);
  const conflicts = conflictsOf(changes, managers, identity, untracked);
  if (conflicts.length > 0 && !request.force) return { conflicts };
  takeOver(managers, changes, identity);
  const time = equalSets(last, set) ? (managers.get(identity)?.time ?? request.nowRfc3339) : request.nowRfc3339;
  const apiVersion = String(applied['apiVersion'] ?? before.apiVersion);
  managers.set(identity, { manager: request.manager, operation: 'Apply', apiVersion, subresource, time, fields: set });
  return { object: withManagers(after, managers) };
}

function hasStatus(message: MessageSchema): boolean {
  return message.fields.some((field) => field.name === 'status');
}

/** An applier may send the fields of metadata that nobody manages; only what it may not write is dropped. */
function statusOnly(untracked: FieldSet): FieldSet {
  const children = [...untracked.children].filter(([element]) => element === 'f:status' || element === 'f:spec');
  return { isMember: false, children: new Map(children) };
}

function emptyObject(applied: JsonObject, message: MessageSchema): KubeObject {
  const { apiVersion, kind } = applied;
  // A kind with nothing set has metadata, which is a struct by value.
  return canonicalObject({ apiVersion, kind }, message) as KubeObject;
}

interface PruneRequest {
  readonly set: FieldSet;
  readonly last: FieldSet;
  readonly managers: ReadonlyMap<string, ManagerEntry>;
  readonly identity: string;
  readonly typed: Typed;
}

/** Removes what this manager applied last time, does not apply now, and nobody else manages. */
function prune(object: KubeObject, { set, last, managers, identity, typed }: PruneRequest): KubeObject {
  const others = [...managers].filter(([name]) => name !== identity).map(([, entry]) => entry.fields);
  const owned = unionAll([set, ...others]);
  const orphans = withoutOwnedParents(difference(last, set), owned);
  if (isEmptySet(orphans)) return object;
  // metadata is never emptied, so an object is left.
  return withoutFields(object, orphans, typed) as KubeObject;
}

/** Where nobody owns anything at or below, the whole of it goes, defaults and all; elsewhere only what is orphaned. */
function withoutOwnedParents(set: FieldSet, owned: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of set.children) {
    const other = owned.children.get(element);
    const left = other === undefined ? memberSet : withoutOwnedParents(child, other);
    if (!isEmptySet(left)) children.set(element, left);
  }
  return { isMember: false, children };
}

function conflictsOf(
  changes: Comparison,
  managers: ReadonlyMap<string, ManagerEntry>,
  identity: string,
  untracked: FieldSet,
): ApplyConflict[] {
  const changed = trackedOnly(union(changes.modified, changes.added), untracked);
  const conflicts: ApplyConflict[] = [];
  for (const [name, entry] of managers) {
    if (name === identity) continue;
    for (const field of describePaths(intersection(entry.fields, changed))) {
      conflicts.push({ field, manager: describeManager(entry) });
    }
  }
  return conflicts;
}

function describeManager(entry: ManagerEntry): string {
  const subresource = entry.subresource === '' ? '' : ` with subresource ${JSON.stringify(entry.subresource)}`;
  const version = entry.operation === 'Update' ? ` using ${entry.apiVersion}` : '';
  return `${JSON.stringify(entry.manager)}${subresource}${version}`;
}

/** Others lose what was changed or removed under them. */
function takeOver(managers: Map<string, ManagerEntry>, changes: Comparison, identity: string): void {
  const lost = unionAll([changes.modified, changes.added]);
  for (const [name, entry] of managers) {
    if (name === identity) continue;
    const fields = difference(difference(entry.fields, intersection(entry.fields, lost)), changes.removed);
    managers.set(name, { ...entry, fields });
  }
}

function withManagers(object: KubeObject, managers: ReadonlyMap<string, ManagerEntry>): KubeObject {
  const managedFields = encodeManagers(managers);
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: { ...metadata, ...(managedFields.length === 0 ? {} : { managedFields }) } };
}

export interface UpdateRequest {
  /** Absent on create. */
  readonly live: KubeObject | undefined;
  /** What will be stored: defaulted and in canonical form. */
  readonly next: KubeObject;
  readonly manager: string;
  readonly message: MessageSchema;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly nowRfc3339: string;
}

/** `next` with managedFields of a create, update or patch: the manager owns what it changed. */
export function updateManagedFields(request: UpdateRequest): KubeObject {
  const { next, message, subresource } = request;
  const typed: Typed = { type: { kind: 'message', message: message.name } };
  const before = request.live ?? emptyObject(next, message);
  const managers = managersOf(next, request.live);
  const changes = compare(before, next, typed);
  const untracked = untrackedFields(hasStatus(message), subresource);
  const { apiVersion } = next;
  const identity = identityOf({ manager: request.manager, operation: 'Update', apiVersion, subresource });
  takeOver(managers, changes, identity);
  const mine = managers.get(identity);
  const changed = trackedOnly(union(changes.modified, changes.added), untracked);
  const fields = union(difference(mine?.fields ?? emptySet, changes.removed), changed);
  if (isEmptySet(fields)) managers.delete(identity);
  else {
    const isSame = mine !== undefined && isEmptySet(changed) && equalSets(mine.fields, fields);
    const time = isSame ? mine.time : request.nowRfc3339;
    managers.set(identity, { manager: request.manager, operation: 'Update', apiVersion, subresource, time, fields });
  }
  return withManagers(next, managers);
}

/** The 409 for a refused apply, with upstream's text and causes. */
export function conflictError(conflicts: readonly ApplyConflict[]): StatusError {
  const causes: StatusCause[] = conflicts.map(({ field, manager }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${manager}`,
    field,
  }));
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    return applyConflict(`Apply failed with 1 conflict: conflict with ${first.manager}: ${first.field}`, causes);
  }
  const byManager = Map.groupBy(conflicts, (conflict) => conflict.manager);
  const texts = [...byManager.keys()].sort().map((manager) => {
    const fields = (byManager.get(manager) ?? []).map(({ field }) => `- ${field}`);
    return `conflicts with ${manager}:\n${fields.join('\n')}`;
  });
  return applyConflict(`Apply failed with ${conflicts.length} conflicts: ${texts.join('\n')}`, causes);
}
