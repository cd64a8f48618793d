/**
 * The life of an object: create, update and delete with everything Kubernetes promises about them, for any kind.
 * Handlers bring decoded objects, this file the rules: names and uids, generation, status isolation, optimistic locks,
 * finalizers and grace. Kinds' own rules come from strategies.ts, cluster-wide ones from admission.ts.
 */
import { assert } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { Change, ObjectRef, StoredObject } from '../storage/index.ts';
import { shortKey } from '../storage/index.ts';
import { admitCreate, admitDelete, admitUpdate } from './admission.ts';
import { toServed, toStored } from './conversion.ts';
import type { RequestContext } from './core.ts';
import { checkPreconditions, isFinished, planDeletion } from './deletion.ts';
import { fail } from './errors.ts';
import { tracked } from './managed-fields.ts';
import {
  apiVersionOf,
  applyDefaults,
  type FieldError,
  isEqualJson,
  type JsonObject,
  type KubeObject,
  type ResourceSchema,
  timeFromMs,
} from './kinds.ts';
import { strategyOf } from './strategies.ts';

/** Tries with another random suffix before a generated name is given up; 27^5 suffixes make even two collisions rare. */
const generateNameAttempts = 8;
const nameSuffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const nameSuffixLength = 5;
const generateNameBaseMax = 58;

export interface WriteOptions {
  readonly dryRun: boolean;
  /** Who is recorded as owner of the fields that change; nobody when absent (apply has recorded it already). */
  readonly manager?: string;
}

export function refOf(resource: ResourceSchema, namespace: string, name: string): ObjectRef {
  return { storagePrefix: resource.storagePrefix, key: shortKey(resource.isNamespaced ? namespace : '', name) };
}

/** Checks a decoded object against the URL and fills in the namespace. Changes `object`. */
export function bindToUrl(object: KubeObject, resource: ResourceSchema, namespace: string, name: string): void {
  object.metadata ??= {} as KubeObject['metadata'];
  const { metadata } = object;
  if (resource.isNamespaced) {
    if (metadata.namespace === undefined || metadata.namespace === '') metadata.namespace = namespace;
    if (metadata.namespace !== namespace) {
      throw fail.badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
    }
  } else if (metadata.namespace !== undefined) {
    delete metadata.namespace;
  }
  if (name === '') return;
  if (metadata.name === undefined || metadata.name === '') metadata.name = name;
  if (metadata.name !== name) {
    throw fail.badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
}

function refuseInvalid(resource: ResourceSchema, object: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  throw fail.invalid(resource, object.metadata.name ?? '', errors);
}

function randomSuffix(context: RequestContext): string {
  const { random } = context.core;
  return Array.from({ length: nameSuffixLength }, () => nameSuffixAlphabet[random.integer(0, 26)]).join('');
}

/** Creates `object`, which the caller gives away. Throws a Status. */
export async function createObject(
  context: RequestContext,
  resource: ResourceSchema,
  object: KubeObject,
  options: WriteOptions,
): Promise<StoredObject> {
  const { metadata } = object;
  if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '') {
    throw fail.badRequest('resourceVersion should not be set on objects to be created');
  }
  const isGenerated = (metadata.name ?? '') === '' && (metadata.generateName ?? '') !== '';
  for (let attempt = 1; ; attempt++) {
    const candidate = isGenerated ? structuredClone(object) : object;
    if (isGenerated) {
      candidate.metadata.name = (metadata.generateName as string).slice(0, generateNameBaseMax) + randomSuffix(context);
    }
    const created = await createNamed(context, resource, candidate, options);
    if (created !== 'exists') return created;
    if (!isGenerated || attempt >= generateNameAttempts) throw fail.alreadyExists(resource, candidate.metadata.name);
  }
}

async function createNamed(
  context: RequestContext,
  resource: ResourceSchema,
  object: KubeObject,
  options: WriteOptions,
): Promise<StoredObject | 'exists'> {
  const { core } = context;
  const strategy = strategyOf(resource);
  applyDefaults(object, resource);
  await admitCreate(context, resource, object);
  // What admission added gets its defaults and its place in the canonical order too. Validation compares by text.
  applyDefaults(object, resource);
  // Only now: defaulting puts a new value in place of metadata.
  const { metadata } = object;
  metadata.uid = core.random.uuid();
  metadata.creationTimestamp = timeFromMs(core.clock.wallMs());
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete (metadata as JsonObject)['selfLink'];
  if (resource.hasStatus && !strategy.keepsStatusOnCreate) object['status'] = {};
  if (resource.bumpsGeneration) metadata.generation = 1;
  else delete metadata.generation;
  strategy.prepareForCreate?.(object, context);
  refuseInvalid(resource, object, resource.validate(object, undefined));
  if (options.manager !== undefined) {
    const { manager } = options;
    Object.assign(object, tracked(context, { resource, live: undefined, next: object, manager, subresource: '' }));
  }
  const ref = refOf(resource, metadata.namespace ?? '', metadata.name);
  if (options.dryRun) {
    if ((await core.storage.get(ref)) !== undefined) return 'exists';
    return { key: ref.key, object, revision: 0 };
  }
  const reservation = await strategy.reserve?.(object, undefined, context);
  try {
    const lease = resource.storagePrefix === 'events' ? await core.eventLeases.lease() : 0n;
    const created = await core.storage.create(ref, toStored(object, resource), lease);
    if (created === 'exists') await reservation?.release();
    return created;
  } catch (error) {
    // The write may have happened although its answer was lost; a reservation is only given back when it did not.
    const isThere = await core.storage.get(ref).catch(() => 'unknown' as const);
    if (isThere === undefined) {
      await reservation?.release().catch((cause: unknown) => {
        core.log.warn('cannot release what a failed create had reserved', { key: ref.key, error: errorText(cause) });
      });
    }
    throw error;
  }
}

export interface UpdateRequest {
  readonly resource: ResourceSchema;
  readonly namespace: string;
  readonly name: string;
  /** '' = the main resource. */
  readonly subresource: string;
  /** The wanted state from the current one; may throw a Status. Gets a copy that it may change. */
  readonly transform: (current: KubeObject) => KubeObject | Promise<KubeObject>;
  readonly options: WriteOptions;
}

/** Updates an object; the result is its new (or unchanged) state. Throws a Status. */
export async function updateObject(context: RequestContext, request: UpdateRequest): Promise<StoredObject> {
  const { resource, namespace, name, options } = request;
  const { core } = context;
  const ref = refOf(resource, namespace, name);
  let planned: StoredObject | undefined;
  const reservations: { release(): Promise<void> }[] = [];
  const releaseAll = async () => {
    for (const reservation of reservations.splice(0)) await reservation.release();
  };
  const lease = resource.storagePrefix === 'events' ? await core.eventLeases.lease() : 0n;
  const decide = async (storedCopy: KubeObject, stored: StoredObject): Promise<Change> => {
    await releaseAll();
    const old = toServed(structuredClone(storedCopy), resource);
    const wanted = await request.transform(toServed(storedCopy, resource));
    const next = await prepareUpdate(context, request, wanted, old);
    planned = undefined;
    if (isSame(next, old)) {
      planned = { key: ref.key, object: old, revision: stored.revision };
      return { kind: 'none' };
    }
    if (isFinished(resource, next)) {
      planned = { key: ref.key, object: next, revision: stored.revision };
      return options.dryRun ? { kind: 'none' } : { kind: 'delete' };
    }
    if (options.dryRun) {
      planned = { key: ref.key, object: next, revision: stored.revision };
      return { kind: 'none' };
    }
    const reservation = await strategyOf(resource).reserve?.(next, old, context);
    if (reservation !== undefined) reservations.push(reservation);
    return { kind: 'put', object: toStored(next, resource) };
  };
  const outcome = await core.storage.update(ref, decide, lease);
  if (outcome.kind !== 'put') await releaseAll();
  switch (outcome.kind) {
    case 'missing':
      throw fail.notFound(resource, name);
    case 'put':
      await strategyOf(resource).afterUpdate?.(outcome.after.object, outcome.before.object, context);
      return outcome.after;
    case 'deleted':
      await strategyOf(resource).afterDelete?.(outcome.before.object, context);
      assert(planned !== undefined, 'a deletion by update was planned');
      return planned;
    case 'unchanged':
      return planned ?? outcome.before;
  }
}

/** Managed fields carry times; a write that changes nothing else is none. */
function isSame(a: KubeObject, b: KubeObject): boolean {
  const strip = (object: KubeObject) => {
    const { resourceVersion: _version, managedFields, ...metadata } = object.metadata;
    const fields = managedFields?.map(({ time: _time, ...entry }) => entry);
    return { ...object, metadata: { ...metadata, managedFields: fields } };
  };
  return isEqualJson(strip(a), strip(b));
}

async function prepareUpdate(
  context: RequestContext,
  request: UpdateRequest,
  wanted: KubeObject,
  old: KubeObject,
): Promise<KubeObject> {
  const { resource, name, subresource } = request;
  const { metadata } = wanted;
  if (metadata.resourceVersion && metadata.resourceVersion !== old.metadata.resourceVersion) {
    throw fail.conflict(resource, name);
  }
  if (metadata.uid && metadata.uid !== old.metadata.uid) {
    throw fail.preconditionFailed(resource, name, 'UID', metadata.uid, old.metadata.uid);
  }
  const next: KubeObject = { ...wanted, apiVersion: apiVersionOf(resource), kind: resource.kind };
  next.metadata = {
    ...metadata,
    name: old.metadata.name,
    uid: old.metadata.uid,
    creationTimestamp: old.metadata.creationTimestamp,
    resourceVersion: old.metadata.resourceVersion,
  };
  for (const field of ['namespace', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'generation'] as const) {
    const value = old.metadata[field];
    if (value === undefined) delete next.metadata[field];
    else (next.metadata as JsonObject)[field] = value;
  }
  if (subresource === 'status') keepAllButStatus(next, old);
  else if (resource.hasStatus && subresource === '') keepStatus(next, old);
  strategyOf(resource).prepareForUpdate?.(next, old, { subresource });
  applyDefaults(next, resource);
  await admitUpdate(context, resource, next, old, subresource);
  if (resource.bumpsGeneration && subresource !== 'status' && isSpecChanged(next, old)) {
    next.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
  if (old.metadata.deletionTimestamp !== undefined) {
    const added = (next.metadata.finalizers ?? []).filter((item) => !(old.metadata.finalizers ?? []).includes(item));
    if (added.length > 0) {
      refuseInvalid(resource, next, [
        {
          reason: 'FieldValueForbidden',
          field: 'metadata.finalizers',
          message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((item) => JSON.stringify(item)).join(', ')}}`,
        },
      ]);
    }
  }
  refuseInvalid(resource, next, resource.validate(next, old, subresource));
  const { manager } = request.options;
  return manager === undefined ? next : tracked(context, { resource, live: old, next, manager, subresource });
}

/** Kinds whose status update may also change labels and annotations; the node agent relies on it. */
function keepAllButStatus(next: KubeObject, old: KubeObject): void {
  for (const key of Object.keys(next)) {
    if (!['status', 'metadata', 'kind', 'apiVersion'].includes(key)) delete next[key];
  }
  for (const [key, value] of Object.entries(old)) {
    if (!['status', 'metadata', 'kind', 'apiVersion'].includes(key)) next[key] = value;
  }
  const { finalizers, ownerReferences } = old.metadata;
  if (finalizers === undefined) delete next.metadata.finalizers;
  else next.metadata.finalizers = finalizers;
  if (ownerReferences === undefined) delete next.metadata.ownerReferences;
  else next.metadata.ownerReferences = ownerReferences;
}

/** Only kinds with a status of their own life keep it; some (Lease, ConfigMap) have none. */
function keepStatus(next: KubeObject, old: KubeObject): void {
  if (old['status'] === undefined) delete next['status'];
  else next['status'] = old['status'];
}

function isSpecChanged(next: KubeObject, old: KubeObject): boolean {
  const strip = ({ metadata: _metadata, status: _status, apiVersion: _apiVersion, kind: _kind, ...rest }: KubeObject) =>
    rest;
  return !isEqualJson(strip(next), strip(old));
}

export interface DeleteResult {
  readonly isGone: boolean;
  /** Last state: the one that was removed, or the one that is waiting. */
  readonly stored: StoredObject;
}

/** Deletes an object or marks it for deletion. `deleteOptions` is a DeleteOptions object. Throws a Status. */
export async function deleteObject(
  context: RequestContext,
  resource: ResourceSchema,
  namespace: string,
  name: string,
  deleteOptions: JsonObject,
  options: WriteOptions,
): Promise<DeleteResult> {
  const { core } = context;
  const ref = refOf(resource, namespace, name);
  admitDelete(resource, name, namespace);
  let planned: KubeObject | undefined;
  let isPlannedGone = false;
  const decide = (storedCopy: KubeObject): Change => {
    const next = toServed(storedCopy, resource);
    checkPreconditions(resource, name, next, deleteOptions['preconditions'] ?? {});
    const isGone = planDeletion(resource, next, deleteOptions, core.clock.wallMs());
    planned = next;
    isPlannedGone = isGone === 'gone';
    if (options.dryRun || isGone === 'unchanged') return { kind: 'none' };
    return isGone === 'gone' ? { kind: 'delete' } : { kind: 'put', object: toStored(next, resource) };
  };
  const outcome = await core.storage.update(ref, decide);
  switch (outcome.kind) {
    case 'missing':
      throw fail.notFound(resource, name);
    case 'put':
      return { isGone: false, stored: outcome.after };
    case 'deleted':
      await strategyOf(resource).afterDelete?.(outcome.before.object, context);
      assert(planned !== undefined, 'a deletion was planned');
      return { isGone: true, stored: { key: ref.key, object: planned, revision: outcome.revision } };
    case 'unchanged':
      assert(planned !== undefined, 'a deletion was planned');
      return { isGone: isPlannedGone, stored: { key: ref.key, object: planned, revision: outcome.before.revision } };
  }
}
