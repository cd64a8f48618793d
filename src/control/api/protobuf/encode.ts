/**
 * Objects to protobuf, byte for byte as upstream's generated code writes them: fields by number, values that are not
 * pointers even when zero, map keys sorted.
 */
import { assert } from '../../../env/assert.ts';
import { canonicalObject } from '../canonical.ts';
import type { FieldSchema, FieldType, JsonObject, MessageSchema } from '../contract.ts';
import { findMessageOfKind, messageNamed } from '../schema/messages.ts';
import { notAcceptable } from '../status-error.ts';
import { parseDuration, parseTime } from '../time-text.ts';
import { WireWriter, wireFixed64, wireVarint } from './wire.ts';

/** `k8s\0`, in front of every body. */
export const envelopePrefix: Uint8Array = Uint8Array.from([0x6b, 0x38, 0x73, 0x00]);

/** An object with apiVersion and kind, in its envelope. Throws StatusError 406 for kinds that have no protobuf form. */
export function encodeProtobuf(object: JsonObject): Uint8Array {
  const writer = new WireWriter();
  writeEnveloped(object, writer);
  return writer.finish();
}

/**
 * One frame of a watch: four bytes of length, then a WatchEvent whose object is in an envelope. `object` is a Status
 * when `type` is ERROR.
 */
export function encodeProtobufWatchFrame(
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR',
  object: JsonObject,
): Uint8Array {
  const writer = new WireWriter();
  writeEnveloped(object, writer);
  writer.nested(1, 0);
  writer.nested(2, 0);
  writer.string(1, type);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, writer.length);
  writer.raw(length);
  return writer.finish();
}

function writeEnveloped(object: JsonObject, writer: WireWriter): void {
  const apiVersion = String(object['apiVersion'] ?? '');
  const kind = String(object['kind'] ?? '');
  const message = findMessageOfKind(apiVersion, kind);
  if (message === undefined || !hasProtobufForm(message)) throw notAcceptable(['application/json', 'application/yaml']);
  // runtime.Unknown: typeMeta 1, raw 2, contentEncoding 3, contentType 4; the last two are always there and empty.
  writer.string(4, '');
  writer.string(3, '');
  const beforeRaw = writer.length;
  writeMessage(canonicalObject(object, message), message, writer);
  writer.nested(2, beforeRaw);
  const beforeTypeMeta = writer.length;
  writer.string(2, kind);
  writer.string(1, apiVersion);
  writer.nested(1, beforeTypeMeta);
  writer.raw(envelopePrefix);
}

function hasProtobufForm(message: MessageSchema): boolean {
  return message.fields.length === 0 || message.fields.some((field) => field.number > 0);
}

const reversedFields = new Map<string, readonly FieldSchema[]>();

/** Highest number first, because the writer goes backwards. */
function fieldsReversed(message: MessageSchema): readonly FieldSchema[] {
  const known = reversedFields.get(message.name);
  if (known !== undefined) return known;
  const fields = message.fields.filter((field) => field.number > 0).sort((a, b) => b.number - a.number);
  reversedFields.set(message.name, fields);
  return fields;
}

function writeMessage(object: JsonObject, message: MessageSchema, writer: WireWriter): void {
  for (const field of fieldsReversed(message)) {
    if (field.inline) {
      assert(field.type.kind === 'message', `inline field ${field.name} must be a message`);
      const before = writer.length;
      writeMessage(object, messageNamed(field.type.message), writer);
      writer.nested(field.number, before);
    } else writeField(object[field.name], field, writer);
  }
}

function writeField(value: unknown, field: FieldSchema, writer: WireWriter): void {
  const { type, number } = field;
  const isAbsent = value === undefined || value === null;
  if (type.kind === 'list') {
    if (isAbsent) return;
    assert(Array.isArray(value), `list ${field.name} must be an array`);
    for (let index = value.length - 1; index >= 0; index--) writeValue(value[index], type.item, number, writer);
    return;
  }
  if (type.kind === 'map') {
    if (!isAbsent) writeMap(value as JsonObject, type.value, number, writer);
    return;
  }
  if (isAbsent && (field.isPointer || type.kind === 'bytes' || type.kind === 'stringList')) return;
  writeValue(value, type, number, writer);
}

function writeMap(value: JsonObject, type: FieldType, number: number, writer: WireWriter): void {
  for (const key of Object.keys(value).sort().reverse()) {
    const before = writer.length;
    writeValue(value[key], type, 2, writer);
    writer.string(1, key);
    writer.nested(number, before);
  }
}

/** Writes the zero value when `value` is absent. */
function writeValue(value: unknown, type: FieldType, number: number, writer: WireWriter): void {
  switch (type.kind) {
    case 'string':
      writer.string(number, typeof value === 'string' ? value : '');
      return;
    case 'bool':
      writer.uint(value === true ? 1 : 0);
      writer.tag(number, wireVarint);
      return;
    case 'int32':
    case 'int64':
      writeInteger(value, number, writer);
      return;
    case 'double':
      writer.double(typeof value === 'number' ? value : 0);
      writer.tag(number, wireFixed64);
      return;
    case 'bytes':
      writer.bytes(number, Buffer.from(typeof value === 'string' ? value : '', 'base64'));
      return;
    default:
      writeNested(value, type, number, writer);
  }
}

function writeInteger(value: unknown, number: number, writer: WireWriter): void {
  if (typeof value === 'number' && value >= 0) writer.uint(value);
  else writer.int64(typeof value === 'string' || typeof value === 'number' ? BigInt(value) : 0n);
  writer.tag(number, wireVarint);
}

function writeNested(value: unknown, type: FieldType, number: number, writer: WireWriter): void {
  const before = writer.length;
  switch (type.kind) {
    case 'message':
      // Canonical values of messages are objects.
      writeMessage((value ?? {}) as JsonObject, messageNamed(type.message), writer);
      break;
    case 'time':
    case 'microTime':
      writeTime(value, type.kind, writer);
      break;
    case 'quantity':
      writer.string(1, typeof value === 'string' ? value : '0');
      break;
    case 'intOrString':
      writer.string(3, typeof value === 'string' ? value : '');
      writeInteger(typeof value === 'number' ? value : 0, 2, writer);
      writeInteger(typeof value === 'string' ? 1 : 0, 1, writer);
      break;
    case 'duration': {
      const nanos = parseDuration(typeof value === 'string' ? value : '0s');
      assert(nanos !== undefined, 'a canonical duration must parse');
      writer.int64(nanos);
      writer.tag(1, wireVarint);
      break;
    }
    case 'json':
      if (value !== undefined && value !== null) writer.string(1, JSON.stringify(value));
      break;
    case 'stringList':
      for (const item of [...((value ?? []) as string[])].reverse()) writer.string(1, item);
      break;
    default:
      assert(false, `type ${type.kind} is not nested`);
  }
  writer.nested(number, before);
}

function writeTime(value: unknown, kind: 'time' | 'microTime', writer: WireWriter): void {
  if (typeof value !== 'string') return;
  const moment = parseTime(value);
  assert(moment !== undefined, 'a canonical time must parse');
  writeInteger(kind === 'time' ? 0 : moment.nanos - (moment.nanos % 1000), 2, writer);
  writeInteger(moment.seconds, 1, writer);
}
