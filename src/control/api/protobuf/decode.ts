/** Protobuf bodies to objects in canonical form. Fields that the schema does not know are skipped. */
import { assert } from '../../../env/assert.ts';
import { canonicalObject, UnmarshalError } from '../canonical.ts';
import { decodeJson, type ExpectedKind } from '../codec-json.ts';
import type { Decoded, FieldSchema, FieldType, JsonObject, KubeObject, MessageSchema } from '../contract.ts';
import { findMessageOfKind, messageNamed } from '../schema/messages.ts';
import { badRequest } from '../status-error.ts';
import { formatDuration, formatMicroTime, formatTime } from '../time-text.ts';
import { envelopePrefix } from './encode.ts';
import { WireError, WireReader, wireBytes, wireFixed64, wireVarint } from './wire.ts';

/** Nesting beyond this is refused, so that a small body cannot exhaust the stack. Schemas nest about 30 deep. */
const depthMax = 100;

/** Decodes `k8s\0` + runtime.Unknown. Throws StatusError 400. */
export function decodeProtobuf(body: Uint8Array, expected?: ExpectedKind): Decoded {
  if (body.length === 0) throw badRequest('empty data');
  if (!envelopePrefix.every((byte, index) => body[index] === byte)) {
    throw badRequest(
      `the object provided is unrecognized${expected === undefined ? '' : ` (must be of type ${expected.kind})`}: provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]`,
    );
  }
  try {
    return decodeEnvelope(body.subarray(envelopePrefix.length), expected);
  } catch (error) {
    if (error instanceof WireError || error instanceof UnmarshalError) {
      throw badRequest(
        `the object provided is unrecognized${expected === undefined ? '' : ` (must be of type ${expected.kind})`}: ${error.message}`,
      );
    }
    throw error;
  }
}

function decodeEnvelope(bytes: Uint8Array, expected: ExpectedKind | undefined): Decoded {
  const reader = new WireReader(bytes);
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  let contentType = '';
  while (reader.hasMore()) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    if (number === 1) [apiVersion, kind] = readTypeMeta(reader.nested());
    else if (number === 2) raw = reader.bytes();
    else if (number === 4) contentType = reader.string();
    else reader.skip(tag & 7);
  }
  apiVersion ||= expected?.apiVersion ?? '';
  kind ||= expected?.kind ?? '';
  if (contentType === 'application/json') return decodeJson(new TextDecoder().decode(raw), { apiVersion, kind });
  const message = findMessageOfKind(apiVersion, kind);
  if (message === undefined) {
    throw badRequest(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  }
  const object = decodeMessage(new WireReader(raw), message, 0);
  const canonical = canonicalObject({ ...object, kind, apiVersion }, message);
  // Every kind has metadata or is used without it, as a list or an option.
  return { object: canonical as KubeObject, strictErrors: [] };
}

function readTypeMeta(reader: WireReader): [string, string] {
  let apiVersion = '';
  let kind = '';
  while (reader.hasMore()) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) apiVersion = reader.string();
    else if (tag >>> 3 === 2) kind = reader.string();
    else reader.skip(tag & 7);
  }
  return [apiVersion, kind];
}

const fieldsByNumber = new Map<string, ReadonlyMap<number, FieldSchema>>();

function fieldsOf(message: MessageSchema): ReadonlyMap<number, FieldSchema> {
  const known = fieldsByNumber.get(message.name);
  if (known !== undefined) return known;
  const fields = new Map(message.fields.filter((field) => field.number > 0).map((field) => [field.number, field]));
  fieldsByNumber.set(message.name, fields);
  return fields;
}

function decodeMessage(reader: WireReader, message: MessageSchema, depth: number): JsonObject {
  if (depth > depthMax) throw new WireError('exceeded max depth');
  const fields = fieldsOf(message);
  const object: JsonObject = {};
  while (reader.hasMore()) {
    const tag = reader.uint32();
    const field = fields.get(tag >>> 3);
    const wireType = tag & 7;
    if (field === undefined) {
      if (tag >>> 3 === 0) throw new WireError(`illegal tag 0 (wire type ${wireType})`);
      reader.skip(wireType);
    } else decodeField(reader, field, wireType, object, depth);
  }
  return object;
}

function decodeField(
  reader: WireReader,
  field: FieldSchema,
  wireType: number,
  object: JsonObject,
  depth: number,
): void {
  const { type, name } = field;
  if (field.inline) {
    assert(type.kind === 'message', `inline field ${name} must be a message`);
    requireWireType(wireType, wireBytes, name);
    Object.assign(object, decodeMessage(reader.nested(), messageNamed(type.message), depth + 1));
    return;
  }
  if (type.kind === 'list') {
    object[name] ??= [];
    const wanted = wireTypeOf(type.item);
    // Repeated numbers may come packed into one length-delimited field.
    if (wireType === wireBytes && wanted !== wireBytes) {
      const packed = reader.nested();
      while (packed.hasMore()) object[name].push(decodeValue(packed, type.item, depth));
      return;
    }
    requireWireType(wireType, wanted, name);
    object[name].push(decodeValue(reader, type.item, depth));
    return;
  }
  if (type.kind === 'map') {
    requireWireType(wireType, wireBytes, name);
    object[name] ??= {};
    decodeMapEntry(reader.nested(), type.value, object[name], depth);
    return;
  }
  requireWireType(wireType, wireTypeOf(type), name);
  object[name] = decodeValue(reader, type, depth);
}

function requireWireType(found: number, wanted: number, name: string): void {
  if (found !== wanted) throw new WireError(`wrong wireType = ${found} for field ${name}`);
}

function wireTypeOf(type: FieldType): number {
  switch (type.kind) {
    case 'bool':
    case 'int32':
    case 'int64':
      return wireVarint;
    case 'double':
      return wireFixed64;
    default:
      return wireBytes;
  }
}

function decodeMapEntry(reader: WireReader, type: FieldType, map: JsonObject, depth: number): void {
  let key = '';
  let value: unknown = null;
  while (reader.hasMore()) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) key = reader.string();
    else if (tag >>> 3 === 2) {
      requireWireType(tag & 7, wireTypeOf(type), 'value');
      value = decodeValue(reader, type, depth);
    } else reader.skip(tag & 7);
  }
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

function decodeValue(reader: WireReader, type: FieldType, depth: number): unknown {
  switch (type.kind) {
    case 'string':
      return reader.string();
    case 'bool':
      return reader.varint() !== 0n;
    case 'int32':
      return Number(BigInt.asIntN(32, reader.varint()));
    case 'int64':
      return int64Value(reader.varint());
    case 'double':
      return reader.double();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'message':
      return decodeMessage(reader.nested(), messageNamed(type.message), depth + 1);
    case 'json':
      return decodeRawJson(reader.nested());
    default:
      return decodeWellKnown(reader.nested(), type);
  }
}

function int64Value(unsigned: bigint): number | string {
  const value = BigInt.asIntN(64, unsigned);
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

function decodeRawJson(reader: WireReader): unknown {
  let text = '';
  while (reader.hasMore()) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) text = reader.string();
    else reader.skip(tag & 7);
  }
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WireError(`raw extension is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The small messages that JSON shows as one value: their fields are read by number first. */
function decodeWellKnown(reader: WireReader, type: FieldType): unknown {
  const integers: bigint[] = [0n, 0n, 0n];
  const texts: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    if ((tag & 7) === wireVarint && number < integers.length) integers[number] = BigInt.asIntN(64, reader.varint());
    else if ((tag & 7) === wireBytes && number <= 3) texts.push(reader.string());
    else reader.skip(tag & 7);
  }
  const [, first = 0n, second = 0n] = integers;
  switch (type.kind) {
    case 'time':
    case 'microTime':
      return decodeTime(first, second, type.kind);
    case 'quantity':
      return texts[0] ?? '0';
    case 'intOrString':
      return first === 1n ? (texts[0] ?? '') : Number(second);
    case 'duration':
      return formatDuration(first);
    case 'stringList':
      return texts;
    default:
      return assert(false, `type ${type.kind} is not a well-known message`);
  }
}

function decodeTime(seconds: bigint, nanos: bigint, kind: 'time' | 'microTime'): string | null {
  if (seconds === 0n && nanos === 0n) return null;
  // The years 1 to 9999 are what RFC 3339 can write.
  if (seconds < -62135596800n || seconds > 253402300799n) throw new WireError('time is out of range');
  const moment = { seconds: Number(seconds), nanos: Number(nanos) };
  return kind === 'time' ? formatTime(moment) : formatMicroTime(moment);
}
