/**
 * get and list. Which state an answer shows follows Kubernetes' rules for resourceVersion: unset = the newest (by a
 * linearizable read), 0 = whatever the cache has, N = at least N, N with match Exact = exactly N. Pages after the first
 * come from the store at the revision of the first.
 */
import { decodeContinue, encodeContinue, shortKey, type StoredObject, storeFailureOf } from '../storage/index.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse } from './http.ts';
import type { ResourceSchema } from './kinds.ts';
import { refOf } from './registry.ts';
import { listResponse, objectResponse } from './responses.ts';
import { parseSelection, type Selection } from './selection.ts';
import { toServed } from './conversion.ts';

/** Keys read from the store at once for a filtered page: most pages fill up in one round trip. */
const storePageKeys = 500;

/** A resourceVersion parameter as a number. Throws 400. */
export function parseRevision(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  const revision = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(revision)) {
    throw fail.badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return revision;
}

/** Waits until the cache has `revision`; 504 "Too large resource version" when it does not come. */
export async function waitForCache(context: RequestContext, revision: number): Promise<void> {
  const { cache, config } = context.core;
  if (!(await cache.waitFor(revision, config.cacheWaitMs))) throw fail.futureRevision(revision, cache.revision);
}

/** Makes the cache as new as the store is now; false when it does not catch up and the store must be asked itself. */
async function refreshCache(context: RequestContext): Promise<boolean> {
  const { cache, revisions, config } = context.core;
  if (!cache.synced) return false;
  const revision = await revisions.current();
  return cache.waitFor(revision, config.cacheWaitMs);
}

export async function handleGet(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core, info, request } = context;
  const revision = parseRevision(request.query.get('resourceVersion'));
  let stored: StoredObject | undefined;
  if (revision === undefined || !core.cache.synced) {
    stored = await core.storage.get(refOf(resource, info.namespace, info.name));
  } else {
    if (revision > 0) await waitForCache(context, revision);
    const key = shortKey(resource.isNamespaced ? info.namespace : '', info.name);
    stored = core.cache.resource(resource.storagePrefix).get(key);
  }
  if (stored === undefined) throw fail.notFound(resource, info.name);
  return objectResponse(context, 200, stored, resource);
}

interface ListRequest {
  readonly namespace: string | undefined;
  readonly selection: Selection;
  readonly limit: number;
  readonly revision: number | undefined;
  readonly isExact: boolean;
  readonly continueText: string;
}

function parseList(context: RequestContext, resource: ResourceSchema): ListRequest {
  const { query } = context.request;
  const match = query.get('resourceVersionMatch') ?? '';
  const revision = parseRevision(query.get('resourceVersion'));
  const limitText = query.get('limit') ?? '';
  const limit = limitText === '' ? 0 : Number(limitText);
  if (!Number.isSafeInteger(limit)) throw fail.badRequest(`limit: Invalid value: ${JSON.stringify(limitText)}`);
  const continueText = query.get('continue') ?? '';
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw fail.badRequest(
      `resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
    );
  }
  if (match !== '' && revision === undefined) {
    throw fail.badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    );
  }
  if (match !== '' && continueText !== '') {
    throw fail.badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided',
    );
  }
  if (match === 'Exact' && revision === 0) {
    throw fail.badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    );
  }
  if (continueText !== '' && revision !== undefined && revision !== 0) {
    throw fail.badRequest('specifying resource version is not allowed when using continue');
  }
  // A page of an old revision without a match rule is exactly that revision, as it always was.
  const isExact = match === 'Exact' || (match === '' && revision !== undefined && revision > 0 && limit > 0);
  return {
    namespace: resource.isNamespaced && context.info.namespace !== '' ? context.info.namespace : undefined,
    selection: parseSelection(query, resource),
    limit: Math.max(0, limit),
    revision,
    isExact,
    continueText,
  };
}

export async function handleList(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core } = context;
  const list = parseList(context, resource);
  if (list.continueText !== '') return continueList(context, resource, list);
  if (list.isExact) return listFromStore(context, resource, list, { revision: list.revision as number });
  if (!core.cache.synced) return listFromStore(context, resource, list, { revision: 0 });
  if (list.revision === undefined) {
    if (!(await refreshCache(context))) return listFromStore(context, resource, list, { revision: 0 });
  } else if (list.revision > 0) {
    await waitForCache(context, list.revision);
  }
  return listFromCache(context, resource, list);
}

/** All objects that match, in key order; the caller has made sure that the cache is new enough. */
export function cachedObjects(
  context: RequestContext,
  resource: ResourceSchema,
  namespace: string | undefined,
  selection: Selection,
) {
  const cache = context.core.cache.resource(resource.storagePrefix);
  if (selection.name !== undefined && (namespace !== undefined || !resource.isNamespaced)) {
    const one = cache.get(shortKey(namespace ?? '', selection.name));
    return one !== undefined && selection.matches(toServed(one.object, resource)) ? [one] : [];
  }
  const all = cache.list(namespace === undefined ? {} : { namespace });
  return selection.isEverything ? all : all.filter((item) => selection.matches(toServed(item.object, resource)));
}

function listFromCache(context: RequestContext, resource: ResourceSchema, list: ListRequest): ApiResponse {
  const revision = context.core.cache.revision;
  const found = cachedObjects(context, resource, list.namespace, list.selection);
  if (list.limit === 0 || found.length <= list.limit) {
    return listResponse(context, found, { resourceVersion: String(revision) }, resource);
  }
  const items = found.slice(0, list.limit);
  const last = items[items.length - 1] as StoredObject;
  const meta = {
    resourceVersion: String(revision),
    continue: encodeContinue({ revision, after: last.key }),
    ...(list.selection.isEverything ? { remainingItemCount: found.length - items.length } : {}),
  };
  return listResponse(context, items, meta, resource);
}

async function continueList(
  context: RequestContext,
  resource: ResourceSchema,
  list: ListRequest,
): Promise<ApiResponse> {
  const token = decodeContinue(list.continueText);
  if (token === undefined) throw fail.badRequest('continue key is not valid: the token was not made by this server');
  try {
    return await listFromStore(context, resource, list, token);
  } catch (error) {
    if (storeFailureOf(error) === 'compacted') {
      throw fail.expired(
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
      );
    }
    throw error;
  }
}

/** One page of a snapshot of the store. `revision` 0 = the newest. */
async function listFromStore(
  context: RequestContext,
  resource: ResourceSchema,
  list: ListRequest,
  from: { readonly revision: number; readonly after?: string },
): Promise<ApiResponse> {
  const { storage } = context.core;
  const items: StoredObject[] = [];
  let { revision } = from;
  let after = from.after;
  let remaining = 0;
  let last: string | undefined;
  for (;;) {
    const wanted = list.limit === 0 ? storePageKeys : Math.min(storePageKeys, Math.max(list.limit, 1));
    const page = await storage.page(resource.storagePrefix, {
      ...(list.namespace === undefined ? {} : { namespace: list.namespace }),
      ...(after === undefined ? {} : { after }),
      limit: wanted,
      revision,
    });
    revision = page.revision;
    remaining = page.remaining;
    for (const [index, object] of page.objects.entries()) {
      last = object.key;
      if (!list.selection.matches(toServed(object.object, resource))) continue;
      items.push(object);
      if (list.limit > 0 && items.length === list.limit) {
        remaining += page.objects.length - index - 1;
        break;
      }
    }
    after = last;
    if (remaining === 0 || (list.limit > 0 && items.length >= list.limit)) break;
  }
  const hasMore = remaining > 0 && last !== undefined;
  const meta = {
    resourceVersion: String(revision),
    ...(hasMore ? { continue: encodeContinue({ revision, after: last as string }) } : {}),
    ...(hasMore && list.selection.isEverything ? { remainingItemCount: remaining } : {}),
  };
  return listResponse(context, items, meta, resource);
}
