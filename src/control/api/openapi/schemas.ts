/**
 * OpenAPI schemas of messages. Versions 2 and 3 differ in how a reference carries a default, and in where definitions
 * stand; everything else is said once.
 */
import { assert } from '../../../env/assert.ts';
import type { FieldSchema, FieldType, JsonObject, MessageSchema } from '../contract.ts';
import { scheme } from '../scheme.ts';
import { allMessages, jsonFields, messageNamed, shortName } from '../schema/messages.ts';

export type OpenApiVersion = 2 | 3;

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const timeName = `${meta}.Time`;
const microTimeName = `${meta}.MicroTime`;
const durationName = `${meta}.Duration`;
const fieldsName = `${meta}.FieldsV1`;
export const patchName = `${meta}.Patch`;
const quantityName = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const intOrStringName = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
const rawName = 'io.k8s.apimachinery.pkg.runtime.RawExtension';

/** Schemas of what JSON writes as one value. */
function leafSchema(name: string, version: OpenApiVersion): JsonObject | undefined {
  switch (name) {
    case timeName:
    case microTimeName:
      return { type: 'string', format: 'date-time', description: 'A moment as RFC 3339 text.' };
    case durationName:
      return { type: 'string', description: 'A duration such as 1h2m3s.' };
    case quantityName:
      return version === 2
        ? { type: 'string', description: 'A decimal number with a unit, such as 100m or 2Gi.' }
        : {
            description: 'A decimal number with a unit, such as 100m or 2Gi.',
            oneOf: [{ type: 'string' }, { type: 'number' }],
          };
    case intOrStringName:
      return version === 2
        ? { type: 'string', format: 'int-or-string', description: 'A number, or a text such as 25% or a port name.' }
        : {
            description: 'A number, or a text such as 25% or a port name.',
            format: 'int-or-string',
            oneOf: [{ type: 'integer' }, { type: 'string' }],
          };
    case rawName:
      return { type: 'object', description: 'An object of any kind.' };
    case fieldsName:
      return { type: 'object', description: 'A set of fields, as a tree of path elements.' };
    case patchName:
      return { type: 'object', description: 'A patch in the form that the content type says.' };
    default:
      return undefined;
  }
}

export function referenceTo(name: string, version: OpenApiVersion): string {
  return version === 2 ? `#/definitions/${name}` : `#/components/schemas/${name}`;
}

/** Schema of `name`, which is a message or one of the leaf types. */
export function schemaOf(name: string, version: OpenApiVersion): JsonObject {
  return leafSchema(name, version) ?? messageSchema(messageNamed(name), version);
}

function messageSchema(message: MessageSchema, version: OpenApiVersion): JsonObject {
  const fields = jsonFields(message).ordered;
  const properties: JsonObject = {};
  if (message.isKind) {
    properties['apiVersion'] = { description: 'Group and version of the schema of this object.', type: 'string' };
    properties['kind'] = { description: 'What kind of object this is.', type: 'string' };
  }
  for (const field of fields) properties[field.name] = fieldProperty(field, message, version);
  const required = fields.filter((field) => field.required).map((field) => field.name);
  const kinds = kindsOf(message);
  return {
    ...(message.description === undefined ? {} : { description: message.description }),
    type: 'object',
    ...(required.length === 0 ? {} : { required }),
    ...(Object.keys(properties).length === 0 ? {} : { properties: sorted(properties) }),
    ...(kinds.length === 0 ? {} : { 'x-kubernetes-group-version-kind': kinds }),
    ...(message.mapType === undefined ? {} : { 'x-kubernetes-map-type': message.mapType }),
  };
}

function sorted(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Options and watch events are kinds of every group. */
function kindsOf(message: MessageSchema): JsonObject[] {
  const kind = shortName(message.name);
  if (kind === 'WatchEvent' || kind === 'DeleteOptions') {
    const places = new Map(
      scheme.resources().map(({ group, version }) => [`${group}/${version}`, { group, kind, version }]),
    );
    return [...places.values()].sort((a, b) => (`${a.group}/${a.version}` < `${b.group}/${b.version}` ? -1 : 1));
  }
  return message.isKind ? [{ group: message.group, kind, version: message.version }] : [];
}

function fieldProperty(field: FieldSchema, message: MessageSchema, version: OpenApiVersion): JsonObject {
  const isManagedFields = field.type.kind === 'json' && message.name === `${meta}.ManagedFieldsEntry`;
  const type = isManagedFields ? ({ kind: 'message', message: fieldsName } as const) : field.type;
  const property = typeSchema(type, version, field);
  if (field.description !== undefined) property['description'] = field.description;
  if (field.enumValues !== undefined) property['enum'] = field.enumValues;
  if (field.listMapKeys !== undefined) property['x-kubernetes-list-map-keys'] = field.listMapKeys;
  if (field.listType !== undefined) property['x-kubernetes-list-type'] = field.listType;
  if (field.mapType !== undefined) property['x-kubernetes-map-type'] = field.mapType;
  if (field.patchMergeKey !== undefined) property['x-kubernetes-patch-merge-key'] = field.patchMergeKey;
  if (field.patchStrategy !== undefined) property['x-kubernetes-patch-strategy'] = field.patchStrategy;
  return property;
}

/** `holder` is the field, or undefined for the items of a list or map. */
function typeSchema(type: FieldType, version: OpenApiVersion, holder: FieldSchema | undefined): JsonObject {
  const referenced = referencedName(type);
  if (referenced !== undefined) return referenceSchema(referenced, type, version, holder);
  const isByValue = holder === undefined || (holder.required === true && !holder.isPointer);
  const plain = (schema: JsonObject, zero: unknown): JsonObject => {
    if (version === 2) return schema;
    const wanted = holder?.defaultValue ?? (isByValue ? zero : undefined);
    return wanted === undefined ? schema : { ...schema, default: wanted };
  };
  switch (type.kind) {
    case 'string':
      return plain({ type: 'string' }, '');
    case 'bool':
      return plain({ type: 'boolean' }, false);
    case 'int32':
    case 'int64':
      return plain({ type: 'integer', format: type.kind }, 0);
    case 'double':
      return plain({ type: 'number', format: 'double' }, 0);
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'list':
      return { type: 'array', items: typeSchema(type.item, version, undefined) };
    case 'stringList':
      return { type: 'array', items: typeSchema({ kind: 'string' }, version, undefined) };
    case 'map':
      return { type: 'object', additionalProperties: typeSchema(type.value, version, undefined) };
    default:
      assert(false, `type ${type.kind} must be a reference`);
  }
}

function referenceSchema(
  name: string,
  type: FieldType,
  version: OpenApiVersion,
  holder: FieldSchema | undefined,
): JsonObject {
  const reference = { $ref: referenceTo(name, version) };
  if (version === 2) return reference;
  const isStruct = type.kind === 'message' && !holder?.isPointer;
  // A reference stands alone unless something has to be said beside it.
  if (!isStruct && holder === undefined) return reference;
  return { ...(isStruct ? { default: {} } : {}), allOf: [reference] };
}

/** Name of the definition of types that are references. */
export function referencedName(type: FieldType): string | undefined {
  switch (type.kind) {
    case 'message':
      return type.message;
    case 'time':
      return timeName;
    case 'microTime':
      return microTimeName;
    case 'duration':
      return durationName;
    case 'quantity':
      return quantityName;
    case 'intOrString':
      return intOrStringName;
    case 'json':
      return rawName;
    default:
      return undefined;
  }
}

/** Everything that `roots` refer to, themselves included, by name. */
export function closureOf(roots: Iterable<string>): string[] {
  const found = new Set<string>();
  const queue = [...roots];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    if (leafSchema(name, 2) !== undefined) continue;
    if (name === `${meta}.ManagedFieldsEntry`) queue.push(fieldsName);
    for (const field of jsonFields(messageNamed(name)).ordered) queue.push(...referencesOf(field.type));
  }
  return [...found].sort();
}

function referencesOf(type: FieldType): string[] {
  if (type.kind === 'list') return referencesOf(type.item);
  if (type.kind === 'map') return referencesOf(type.value);
  const name = referencedName(type);
  return name === undefined ? [] : [name];
}

/** Names of the kinds of a group version that are not lists of something else's, for documents without paths. */
export function kindNames(group: string, version: string): string[] {
  return [...allMessages()]
    .filter((message) => message.isKind && message.group === group && message.version === version)
    .filter((message) => !message.name.startsWith(`${meta}.`))
    .map((message) => message.name);
}
