/** Answers: objects, lists, tables and Status in the form that the client asked for. */
import { assert, present } from '../../env/assert.ts';
import { CachedObject, type StoredObject } from '../storage/index.ts';
import { toServed } from './conversion.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse } from './http.ts';
import {
  apiVersionOf,
  encodeJson,
  encodeProtobuf,
  type JsonObject,
  type KubeObject,
  type ResourceSchema,
  scheme,
  type Status,
  toPartialMetadata,
  toTable,
} from './kinds.ts';
import { type Accepted, contentTypes, negotiate, wantsPretty } from './negotiation.ts';
import { dump as dumpYaml } from 'js-yaml';

const encoder = new TextEncoder();

const metaTransforms = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);

function isMetaTransform(as: string, group: string, version: string): boolean {
  return metaTransforms.has(as) && group === 'meta.k8s.io' && (version === 'v1' || version === 'v1beta1');
}

/** Throws 406 when nothing that the client accepts can be made. */
export function acceptedBy(context: RequestContext, withTransforms: boolean): Accepted {
  const { request } = context;
  const accepted = negotiate(request.headers['accept'], withTransforms ? isMetaTransform : () => false, {
    isPretty: wantsPretty(request.query, request.headers['user-agent']),
  });
  if (accepted === undefined) throw fail.notAcceptable();
  return accepted;
}

/** One value in a format. Values that are no registered kind (Table, discovery) go out as plain JSON. */
export function encodeValue(value: JsonObject, accepted: Pick<Accepted, 'format' | 'isPretty'>): Uint8Array {
  if (accepted.format === 'protobuf') return encodeProtobuf(value);
  const json = toJsonText(value);
  if (accepted.format === 'yaml') return encoder.encode(dumpYaml(JSON.parse(json), { lineWidth: -1 }));
  return encoder.encode(accepted.isPretty ? `${JSON.stringify(JSON.parse(json), null, 2)}\n` : `${json}\n`);
}

/** Kinds that the protobuf encoder knows; everything else is answered in JSON, as the client also accepts. */
function hasProtobuf(value: JsonObject): boolean {
  return scheme.messageOfKind(value['apiVersion'], value['kind']) !== undefined;
}

export function toJsonText(value: JsonObject): string {
  const message = scheme.messageOfKind(value['apiVersion'], value['kind']);
  return message === undefined ? JSON.stringify(value) : encodeJson(value, message);
}

/** An answer with a value of any kind. */
export function valueResponse(context: RequestContext, status: number, value: JsonObject): ApiResponse {
  const accepted = acceptedBy(context, false);
  const format = accepted.format === 'protobuf' && !hasProtobuf(value) ? 'json' : accepted.format;
  return {
    kind: 'body',
    status,
    headers: { 'content-type': contentTypes[format] },
    body: encodeValue(value, { ...accepted, format }),
  };
}

/** One object of `resource`, as itself, as a table row or as its metadata. */
export function objectResponse(
  context: RequestContext,
  status: number,
  stored: StoredObject,
  resource: ResourceSchema,
): ApiResponse {
  const accepted = acceptedBy(context, true);
  const object = toServed(stored.object, resource);
  let body: Uint8Array;
  let { format } = accepted;
  if (accepted.as === 'Table') {
    format = format === 'protobuf' ? 'json' : format;
    const table = tableOf(context, [object], resource, object.metadata.resourceVersion, accepted);
    body = encodeValue(table, { ...accepted, format });
  } else if (accepted.as !== '') {
    body = encodeValue(partialMetadata(object, accepted.version), accepted);
  } else if (format === 'yaml' || accepted.isPretty) {
    body = encodeValue(object, accepted);
  } else {
    body = encodeObject(stored, resource, format);
  }
  return { kind: 'body', status, headers: { 'content-type': contentTypes[format] }, body };
}

/** The bytes of an object in JSON (with a line end) or protobuf, made once when the object comes from the cache. */
export function encodeObject(stored: StoredObject, resource: ResourceSchema, format: 'json' | 'protobuf'): Uint8Array {
  const make = () => {
    const object = toServed(stored.object, resource);
    return format === 'protobuf'
      ? encodeProtobuf(object)
      : encoder.encode(`${encodeJson(object, messageOf(resource))}\n`);
  };
  return stored instanceof CachedObject ? stored.form(`${format} ${apiVersionOf(resource)}`, make) : make();
}

function messageOf(resource: ResourceSchema) {
  return present(scheme.message(resource.message), `message ${resource.message}`);
}

function partialMetadata(object: KubeObject, version: string): JsonObject {
  return { ...toPartialMetadata(object), apiVersion: `meta.k8s.io/${version}` };
}

function tableOf(
  context: RequestContext,
  objects: readonly KubeObject[],
  resource: ResourceSchema,
  resourceVersion: string,
  accepted: Accepted,
): JsonObject {
  const includeObject = context.request.query.get('includeObject') ?? 'Metadata';
  if (!['None', 'Metadata', 'Object'].includes(includeObject)) {
    throw fail.badRequest(`unrecognized includeObject value: ${JSON.stringify(includeObject)}`);
  }
  const table = toTable(
    objects,
    resource,
    context.core.clock.wallMs(),
    includeObject as 'None' | 'Metadata' | 'Object',
  );
  return {
    ...table,
    kind: 'Table',
    apiVersion: `meta.k8s.io/${accepted.version}`,
    metadata: { resourceVersion, ...table['metadata'] },
  };
}

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** A list as itself, as a table or as metadata only. */
export function listResponse(
  context: RequestContext,
  items: readonly StoredObject[],
  meta: ListMeta,
  resource: ResourceSchema,
): ApiResponse {
  const accepted = acceptedBy(context, true);
  const { as } = accepted;
  let { format } = accepted;
  let body: Uint8Array;
  if (as === 'Table') {
    format = format === 'protobuf' ? 'json' : format;
    const objects = items.map((item) => toServed(item.object, resource));
    const table = tableOf(context, objects, resource, meta.resourceVersion, accepted);
    body = encodeValue({ ...table, metadata: { ...table['metadata'], ...meta } }, { ...accepted, format });
  } else if (as !== '') {
    const list = {
      kind: 'PartialObjectMetadataList',
      apiVersion: `meta.k8s.io/${accepted.version}`,
      metadata: meta,
      items: items.map((item) => partialMetadata(toServed(item.object, resource), accepted.version)),
    };
    body = encodeValue(list, accepted);
  } else if (format === 'json' && !accepted.isPretty) {
    body = joinJsonList(items, meta, resource);
  } else {
    const list = {
      kind: resource.listKind,
      apiVersion: apiVersionOf(resource),
      metadata: meta,
      items: items.map((item) => toServed(item.object, resource)),
    };
    body = encodeValue(list, accepted);
  }
  return { kind: 'body', status: 200, headers: { 'content-type': contentTypes[format] }, body };
}

const comma = encoder.encode(',');
const listEnd = encoder.encode(']}\n');

/** Items of a list carry no kind of their own, as upstream's; the bytes of each object are reused. */
function joinJsonList(items: readonly StoredObject[], meta: ListMeta, resource: ResourceSchema): Uint8Array {
  const head = `{"kind":${JSON.stringify(resource.listKind)},"apiVersion":${JSON.stringify(apiVersionOf(resource))},"metadata":${JSON.stringify(meta)},"items":[`;
  const chunks: Uint8Array[] = [encoder.encode(head)];
  items.forEach((item, index) => {
    if (index > 0) chunks.push(comma);
    chunks.push(encodeItem(item, resource));
  });
  chunks.push(listEnd);
  return Buffer.concat(chunks);
}

function encodeItem(stored: StoredObject, resource: ResourceSchema): Uint8Array {
  const make = () => {
    const { kind: _kind, apiVersion: _apiVersion, ...rest } = toServed(stored.object, resource);
    return encoder.encode(encodeJson(rest, messageOf(resource)));
  };
  return stored instanceof CachedObject ? stored.form(`item ${apiVersionOf(resource)}`, make) : make();
}

/** A Status object; falls back to JSON when the Accept header is no use, so that an error always gets out. */
export function statusResponse(context: RequestContext | undefined, status: Status): ApiResponse {
  assert(status.code >= 200 && status.code < 600, `status code ${status.code} is out of range`);
  const accepted = context === undefined ? undefined : negotiate(context.request.headers['accept'], () => false);
  const format = accepted?.format ?? 'json';
  const retryAfter = status['details']?.retryAfterSeconds;
  return {
    kind: 'body',
    status: status.code,
    headers: {
      'content-type': contentTypes[format],
      ...(typeof retryAfter === 'number' && retryAfter > 0 ? { 'retry-after': String(retryAfter) } : {}),
    },
    body: encodeValue(status, { format, isPretty: accepted?.isPretty ?? false }),
  };
}

/** Partial and table forms of one object, for watches. */
export function transformed(
  context: RequestContext,
  object: KubeObject,
  resource: ResourceSchema,
  accepted: Accepted,
): JsonObject {
  if (accepted.as === 'Table') return tableOf(context, [object], resource, object.metadata.resourceVersion, accepted);
  return partialMetadata(object, accepted.version);
}
