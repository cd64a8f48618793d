/**
 * OpenAPI version 2 in protobuf, the only form that older kubectl asks for. The messages are those of the public
 * openapi.v2 protocol; only the fields that our document has are written.
 */
import { assert } from '../../../env/assert.ts';
import type { JsonObject } from '../contract.ts';
import { WireWriter, wireVarint } from '../protobuf/wire.ts';
import { openApiV2Object } from './documents.ts';

let encoded: Uint8Array | undefined;

/** The body of `/openapi/v2` for `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`. */
export function openApiV2Protobuf(): Uint8Array {
  if (encoded !== undefined) return encoded;
  const writer = new WireWriter();
  writeDocument(openApiV2Object(), writer);
  encoded = writer.finish();
  return encoded;
}

type Write<T> = (value: T, writer: WireWriter) => void;

/** The writer goes backwards, so every function below writes the highest field number first. */
function nested<T>(number: number, value: T | undefined, write: Write<T>, writer: WireWriter): void {
  if (value === undefined) return;
  const before = writer.length;
  write(value, writer);
  writer.nested(number, before);
}

function repeated<T>(number: number, values: readonly T[] | undefined, write: Write<T>, writer: WireWriter): void {
  for (const value of [...(values ?? [])].reverse()) nested(number, value, write, writer);
}

function text(number: number, value: string | undefined, writer: WireWriter): void {
  if (value !== undefined && value !== '') writer.string(number, value);
}

function texts(number: number, values: readonly string[] | undefined, writer: WireWriter): void {
  for (const value of [...(values ?? [])].reverse()) writer.string(number, value);
}

function flag(number: number, value: boolean | undefined, writer: WireWriter): void {
  if (value !== true) return;
  writer.uint(1);
  writer.tag(number, wireVarint);
}

/** `{name 1, value 2}` for every member of an object. */
function named<T>(
  number: number,
  object: Readonly<Record<string, T>> | undefined,
  write: Write<T>,
  writer: WireWriter,
): void {
  const entries = Object.entries(object ?? {});
  repeated(
    number,
    entries,
    ([name, value], inner) => {
      nested(2, value, write, inner);
      text(1, name, inner);
    },
    writer,
  );
}

/** Any: the value as YAML, of which JSON is a part. */
function writeAny(value: unknown, writer: WireWriter): void {
  writer.string(2, `${JSON.stringify(value)}\n`);
}

/** `x-kubernetes-…`: what the protocol does not know. */
function extensions(number: number, object: JsonObject, writer: WireWriter): void {
  const unknown = Object.entries(object).filter(([name]) => name.startsWith('x-'));
  named(number, Object.fromEntries(unknown), writeAny, writer);
}

function writeDocument(document: JsonObject, writer: WireWriter): void {
  nested(13, document['securityDefinitions'] as JsonObject, writeSecurityDefinitions, writer);
  repeated(12, document['security'] as JsonObject[], writeSecurityRequirement, writer);
  nested(9, document['definitions'] as JsonObject, writeNamedSchemas, writer);
  nested(8, document['paths'] as JsonObject, (paths, inner) => named(2, paths, writePathItem, inner), writer);
  nested(2, document['info'] as JsonObject, writeInfo, writer);
  text(1, document['swagger'], writer);
}

function writeInfo(info: JsonObject, writer: WireWriter): void {
  text(2, info['version'], writer);
  text(1, info['title'], writer);
}

/** Definitions and Properties have the same form. */
function writeNamedSchemas(schemas: JsonObject, writer: WireWriter): void {
  named(1, schemas as Record<string, JsonObject>, writeSchema, writer);
}

function writeSchema(schema: JsonObject, writer: WireWriter): void {
  extensions(31, schema, writer);
  nested(25, schema['properties'] as JsonObject | undefined, writeNamedSchemas, writer);
  const { items, type, additionalProperties } = schema;
  nested(23, items as JsonObject | undefined, (item, inner) => nested(1, item, writeSchema, inner), writer);
  nested(22, type as string | undefined, (name, inner) => text(1, name, inner), writer);
  nested(
    21,
    additionalProperties as JsonObject | undefined,
    (value, inner) => nested(1, value, writeSchema, inner),
    writer,
  );
  repeated(20, schema['enum'] as unknown[] | undefined, writeAny, writer);
  texts(19, schema['required'], writer);
  text(4, schema['description'], writer);
  text(2, schema['format'], writer);
  text(1, schema['$ref'], writer);
}

const methodNumbers: readonly (readonly [string, number])[] = [
  ['patch', 8],
  ['delete', 5],
  ['post', 4],
  ['put', 3],
  ['get', 2],
];

function writePathItem(item: JsonObject, writer: WireWriter): void {
  repeated(9, item['parameters'] as JsonObject[] | undefined, writeParametersItem, writer);
  for (const [method, number] of methodNumbers) {
    nested(number, item[method] as JsonObject | undefined, writeOperation, writer);
  }
}

function writeOperation(operation: JsonObject, writer: WireWriter): void {
  extensions(13, operation, writer);
  texts(10, operation['schemes'], writer);
  nested(
    9,
    operation['responses'] as JsonObject,
    (responses, inner) => named(1, responses, writeResponseValue, inner),
    writer,
  );
  repeated(8, operation['parameters'] as JsonObject[], writeParametersItem, writer);
  texts(7, operation['consumes'], writer);
  texts(6, operation['produces'], writer);
  text(5, operation['operationId'], writer);
  texts(1, operation['tags'], writer);
}

function writeResponseValue(response: JsonObject, writer: WireWriter): void {
  nested(
    1,
    response,
    (value, inner) => {
      const schema = value['schema'] as JsonObject | undefined;
      nested(2, schema, (item, innermost) => nested(1, item, writeSchema, innermost), inner);
      text(1, value['description'], inner);
    },
    writer,
  );
}

function writeParametersItem(parameter: JsonObject, writer: WireWriter): void {
  nested(1, parameter, writeParameter, writer);
}

function writeParameter(parameter: JsonObject, writer: WireWriter): void {
  if (parameter['in'] === 'body') {
    nested(1, parameter, writeBodyParameter, writer);
    return;
  }
  const isPath = parameter['in'] === 'path';
  assert(isPath || parameter['in'] === 'query', () => `a parameter must be in a known place: ${parameter['in']}`);
  nested(
    2,
    parameter,
    (value, inner) => nested(isPath ? 4 : 3, value, isPath ? writePathParameter : writeQueryParameter, inner),
    writer,
  );
}

function writeBodyParameter(parameter: JsonObject, writer: WireWriter): void {
  nested(5, parameter['schema'] as JsonObject, writeSchema, writer);
  flag(4, parameter['required'], writer);
  text(3, parameter['in'], writer);
  text(2, parameter['name'], writer);
}

function writeQueryParameter(parameter: JsonObject, writer: WireWriter): void {
  flag(20, parameter['uniqueItems'], writer);
  text(6, parameter['type'], writer);
  text(4, parameter['name'], writer);
  text(2, parameter['in'], writer);
}

function writePathParameter(parameter: JsonObject, writer: WireWriter): void {
  flag(19, parameter['uniqueItems'], writer);
  text(5, parameter['type'], writer);
  text(4, parameter['name'], writer);
  text(2, parameter['in'], writer);
  flag(1, parameter['required'], writer);
}

function writeSecurityRequirement(requirement: JsonObject, writer: WireWriter): void {
  named(1, requirement as Record<string, string[]>, (values, inner) => texts(1, values, inner), writer);
}

function writeSecurityDefinitions(definitions: JsonObject, writer: WireWriter): void {
  named(1, definitions as Record<string, JsonObject>, (value, inner) => nested(2, value, writeApiKey, inner), writer);
}

function writeApiKey(definition: JsonObject, writer: WireWriter): void {
  text(4, definition['description'], writer);
  text(3, definition['in'], writer);
  text(2, definition['name'], writer);
  text(1, definition['type'], writer);
}
