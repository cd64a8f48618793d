/** create, update, patch, delete and deletecollection of main resources and of status. */
import type { StoredObject } from '../storage/index.ts';
import { toServed } from './conversion.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse } from './http.ts';
import {
  apiVersionOf,
  decodeApplied,
  decodeObject,
  type JsonObject,
  jsonPatch,
  type KubeObject,
  mergePatch,
  type ResourceSchema,
  scheme,
  strategicMergePatch,
} from './kinds.ts';
import { applyTo, managerOf } from './managed-fields.ts';
import { cachedObjects } from './read-handlers.ts';
import { bindToUrl, createObject, deleteObject, updateObject, type UpdateRequest } from './registry.ts';
import { expectedOf, jsonTextOf, readBody, reportStrict, requireBody } from './request-body.ts';
import { listResponse, objectResponse, valueResponse } from './responses.ts';
import { parseSelection } from './selection.ts';
import { present } from '../../env/assert.ts';

const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

/** Throws 400 for a dryRun that asks for anything but everything. */
export function isDryRun(values: readonly string[]): boolean {
  for (const value of values) {
    if (value !== 'All')
      throw fail.badRequest(`dryRun: Unsupported value: ${JSON.stringify(value)}: supported values: "All"`);
  }
  return values.length > 0;
}

export async function handleCreate(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { info, request } = context;
  const object = await requireBody(context, expectedOf(resource));
  bindToUrl(object, resource, info.namespace, '');
  const options = { dryRun: isDryRun(request.query.getAll('dryRun')), manager: managerOf(context) };
  const created = await createObject(context, resource, object, options);
  return objectResponse(context, 201, created, resource);
}

export async function handleUpdate(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { info, request } = context;
  const object = await requireBody(context, expectedOf(resource));
  bindToUrl(object, resource, info.namespace, info.name);
  const updated = await updateObject(context, {
    resource,
    namespace: info.namespace,
    name: info.name,
    subresource: info.subresource,
    transform: () => structuredClone(object),
    options: { dryRun: isDryRun(request.query.getAll('dryRun')), manager: managerOf(context) },
  });
  return objectResponse(context, 200, updated, resource);
}

export async function handlePatch(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { info } = context;
  const type = (context.request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
  if (!patchTypes.includes(type)) throw fail.unsupportedMediaType(type, patchTypes);
  const { outcome, isCreated } = await patchObject(context, resource, type, info.subresource);
  return objectResponse(context, isCreated ? 201 : 200, outcome, resource);
}

/** Applies the request's patch; also for callers that answer in another form. */
async function patchObject(
  context: RequestContext,
  resource: ResourceSchema,
  type: string,
  subresource: string,
): Promise<{ readonly outcome: StoredObject; readonly isCreated: boolean }> {
  const { info, request } = context;
  const options = { dryRun: isDryRun(request.query.getAll('dryRun')) };
  const bytes = await request.body();
  const isApply = type === 'application/apply-patch+yaml';
  const patch = parsePatch(jsonTextOf(bytes, isApply ? 'yaml' : 'json'));
  const base: Omit<UpdateRequest, 'transform'> = {
    resource,
    namespace: info.namespace,
    name: info.name,
    subresource,
    options,
  };
  if (isApply) return applyObject(context, base, patch);
  const message = present(scheme.message(resource.message), resource.message);
  const transform = (current: KubeObject): KubeObject => {
    const patched =
      type === 'application/json-patch+json'
        ? jsonPatch(current, patch as unknown as JsonObject[])
        : type === 'application/merge-patch+json'
          ? mergePatch(current, patch)
          : strategicMergePatch(current, patch, message);
    // Through the decoder: a patch may have put anything anywhere.
    const decoded = decodeObject(patched, expectedOf(resource));
    reportStrict(context, decoded);
    bindToUrl(decoded.object, resource, info.namespace, info.name);
    return decoded.object;
  };
  const tracking = { ...options, manager: managerOf(context) };
  return { outcome: await updateObject(context, { ...base, options: tracking, transform }), isCreated: false };
}

function parsePatch(text: string): JsonObject {
  try {
    const value = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error('want an object or a list of operations');
    return value;
  } catch (error) {
    throw fail.badRequest(`error decoding patch: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Server-side apply; creates the object when it is not there. */
async function applyObject(
  context: RequestContext,
  base: Omit<UpdateRequest, 'transform'>,
  patch: JsonObject,
): Promise<{ readonly outcome: StoredObject; readonly isCreated: boolean }> {
  const { resource } = base;
  const { query } = context.request;
  const manager = query.get('fieldManager') ?? '';
  if (manager === '') {
    throw fail.invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
      { reason: 'FieldValueRequired', field: 'fieldManager', message: 'Required value: is required for apply patch' },
    ]);
  }
  const decoded = decodeApplied(patch, expectedOf(resource));
  reportStrict(context, decoded);
  if (decoded.object.metadata?.managedFields !== undefined) throw fail.badRequest('metadata.managedFields must be nil');
  bindToUrl(decoded.object, resource, base.namespace, base.name);
  const force = query.get('force') === 'true' || query.get('force') === '1';
  const apply = (live: KubeObject | undefined) =>
    applyTo(context, {
      resource,
      live,
      applied: structuredClone(decoded.object),
      manager,
      force,
      subresource: base.subresource,
    });
  for (;;) {
    try {
      return { outcome: await updateObject(context, { ...base, transform: apply }), isCreated: false };
    } catch (error) {
      if (!isReason(error, 'NotFound') || base.subresource !== '') throw error;
    }
    if (decoded.object.metadata.resourceVersion) throw fail.notFound(resource, base.name);
    try {
      return { outcome: await createObject(context, resource, apply(undefined), base.options), isCreated: true };
    } catch (error) {
      // Somebody created it meanwhile: apply to theirs.
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }
}

function isReason(error: unknown, reason: string): boolean {
  return (error as { status?: { reason?: string; details?: { kind?: string } } }).status?.reason === reason;
}

const deleteOptionsKind = { apiVersion: 'v1', kind: 'DeleteOptions' };

/** DeleteOptions from the body, or from the query when there is none. */
async function readDeleteOptions(context: RequestContext, resource: ResourceSchema): Promise<JsonObject> {
  const { request } = context;
  const { query } = request;
  const options: JsonObject = {};
  const bytes = await request.body();
  if (bytes.length > 0) Object.assign(options, await decodeDeleteOptions(context, resource, bytes));
  const grace = query.get('gracePeriodSeconds');
  if (grace !== null && options['gracePeriodSeconds'] === undefined) options['gracePeriodSeconds'] = Number(grace);
  const policy = query.get('propagationPolicy');
  if (policy !== null && policy !== '') options['propagationPolicy'] ??= policy;
  const orphan = query.get('orphanDependents');
  if (orphan !== null) options['orphanDependents'] ??= orphan !== 'false';
  options['dryRun'] ??= query.getAll('dryRun');
  const chosen = options['propagationPolicy'];
  if (chosen !== undefined && !['Foreground', 'Background', 'Orphan'].includes(chosen)) {
    throw fail.invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
      {
        reason: 'FieldValueNotSupported',
        field: 'propagationPolicy',
        message: `Unsupported value: ${JSON.stringify(chosen)}: supported values: "Background", "Foreground", "Orphan"`,
      },
    ]);
  }
  const seconds = options['gracePeriodSeconds'];
  if (seconds !== undefined && (!Number.isSafeInteger(seconds) || seconds < 0)) {
    throw fail.badRequest(`gracePeriodSeconds: Invalid value: ${JSON.stringify(seconds)}: must be a whole number >= 0`);
  }
  return options;
}

async function decodeDeleteOptions(
  context: RequestContext,
  resource: ResourceSchema,
  bytes: Uint8Array,
): Promise<JsonObject> {
  const replay: RequestContext = { ...context, request: { ...context.request, body: async () => bytes } };
  // Clients send the options in the group of the resource or in core/v1; both mean the same.
  const group = apiVersionOf(resource);
  const isJson = !(context.request.headers['content-type'] ?? '').includes('protobuf');
  if (isJson) {
    const value = parsePatch(
      jsonTextOf(bytes, (context.request.headers['content-type'] ?? '').includes('yaml') ? 'yaml' : 'json'),
    );
    const given = value['apiVersion'] ?? 'v1';
    if ((value['kind'] ?? 'DeleteOptions') !== 'DeleteOptions' || !['v1', 'meta.k8s.io/v1', group].includes(given)) {
      throw fail.badRequest(`${value['kind']} in version ${JSON.stringify(given)} cannot be handled as DeleteOptions`);
    }
    const decoded = decodeObject({ ...value, ...deleteOptionsKind }, deleteOptionsKind);
    reportStrict(context, decoded);
    return decoded.object;
  }
  for (const apiVersion of ['v1', 'meta.k8s.io/v1', group]) {
    try {
      return (await readBody(replay, { apiVersion, kind: 'DeleteOptions' })) ?? {};
    } catch (error) {
      if (apiVersion === group) throw error;
    }
  }
  return {};
}

export async function handleDelete(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { info } = context;
  const options = await readDeleteOptions(context, resource);
  const dryRun = isDryRun(options['dryRun'] ?? []);
  const result = await deleteObject(context, resource, info.namespace, info.name, options, { dryRun });
  const returnsObject = !result.isGone || resource.resource === 'pods';
  if (returnsObject) return objectResponse(context, 200, result.stored, resource);
  return valueResponse(context, 200, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: info.name,
      ...(resource.group === '' ? {} : { group: resource.group }),
      kind: resource.resource,
      uid: result.stored.object.metadata.uid,
    },
    code: 200,
  });
}

/** Deletions of a collection under way at once: enough to use the store's group commit, few enough to leave room. */
const deletionsAtOnce = 16;

export async function handleDeleteCollection(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core, info, request } = context;
  const options = await readDeleteOptions(context, resource);
  const dryRun = isDryRun(options['dryRun'] ?? []);
  const revision = await core.revisions.current();
  await core.cache.waitFor(revision, core.config.cacheWaitMs);
  const namespace = resource.isNamespaced && info.namespace !== '' ? info.namespace : undefined;
  const found = cachedObjects(context, resource, namespace, parseSelection(request.query, resource));
  const deleted: StoredObject[] = [];
  for (let start = 0; start < found.length; start += deletionsAtOnce) {
    const batch = found.slice(start, start + deletionsAtOnce);
    const results = await Promise.all(
      batch.map(async ({ object }) => {
        const { name, namespace: place = '' } = object.metadata;
        try {
          return (await deleteObject(context, resource, place, name, options, { dryRun })).stored;
        } catch (error) {
          // Gone meanwhile is what was asked for.
          if (isReason(error, 'NotFound')) return undefined;
          throw error;
        }
      }),
    );
    for (const stored of results) if (stored !== undefined) deleted.push(stored);
  }
  const meta = { resourceVersion: String(core.cache.revision) };
  return listResponse(context, deleted, meta, resource);
}

/** GET of a status subresource is the whole object. */
export async function handleGetStatus(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core, info } = context;
  const stored = await core.storage.get({
    storagePrefix: resource.storagePrefix,
    key: resource.isNamespaced ? `${info.namespace}/${info.name}` : info.name,
  });
  if (stored === undefined) throw fail.notFound(resource, info.name);
  return objectResponse(context, 200, { ...stored, object: toServed(stored.object, resource) }, resource);
}
