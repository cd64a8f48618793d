/**
 * proto3's JSON form of messages, both ways, driven by their descriptors.
 *
 *   in:  names as in the .proto or in camelCase; 64-bit numbers as numbers or decimal text; bytes as base64 of either
 *        alphabet, padded or not; enums by name or number; null is as good as absent; unknown names of fields and of
 *        enums are passed over.
 *   out: names as in the .proto, 64-bit numbers as text, bytes as padded standard base64, enums by name; what has its
 *        default value is left out. A message that is there and empty is `{}`.
 */
import type protobuf from 'protobufjs';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { fromInt64, type Int64Like } from '../../proto/int64.ts';
import { openProtobuf } from '../../proto/protobuf-library.ts';

/** Deeper than any message of the store means, shallower than what would exhaust the stack. */
const depthMax = 100;

type Plain = Readonly<Record<string, unknown>>;

/** JSON that is no such message. */
export class JsonMismatch extends KeelsonError {
  constructor(message: string) {
    super('JSON_MISMATCH', message);
  }
}

/** Parses JSON so that no digit of a long number is lost: numbers that a double cannot hold stay text. */
export function parseJson(text: string): unknown {
  // Only the reviver sees how a number was written, and it costs; most requests have no long number.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const keepLong = (_name: string, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) ? (context?.source ?? value) : value;
  return JSON.parse(text, keepLong as (name: string, value: unknown) => unknown);
}

/** A message out of parsed JSON. Throws JsonMismatch. */
export function messageFromJson(type: protobuf.Type, json: unknown, depth = 0): Plain {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw mismatch(type.name, 'an object', json);
  if (depth > depthMax) throw new JsonMismatch(`${type.name}: messages are nested too deeply`);
  const message: Record<string, unknown> = {};
  const fields = fieldsByName(type);
  for (const [name, value] of Object.entries(json)) {
    const field = fields.get(name);
    if (!field || value === null) continue;
    assert(!field.map, () => `${type.name}.${name}: no message of the store has a map`);
    if (field.partOf && field.partOf.fieldsArray.some((other) => Object.hasOwn(message, other.name))) {
      throw new JsonMismatch(`${name}: oneof ${type.name}.${field.partOf.name} is already set`);
    }
    if (!field.repeated) {
      const single = valueFromJson(field, value, depth);
      if (single !== undefined) message[field.name] = single;
      continue;
    }
    if (!Array.isArray(value)) throw mismatch(name, 'a list', value);
    message[field.name] = value.map((item) => valueFromJson(field, item, depth)).filter((item) => item !== undefined);
  }
  return message;
}

/** Plain data for JSON.stringify out of a decoded message. */
export function jsonFromMessage(type: protobuf.Type, message: Plain): Plain {
  const json: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(message, field.name)) continue;
    const value = message[field.name];
    if (value === null || value === undefined) continue;
    if (field.repeated) {
      const items = value as readonly unknown[];
      if (items.length > 0) json[nameOf(field)] = items.map((item) => valueToJson(field, item));
      continue;
    }
    const plain = valueToJson(field, value);
    // A member of a oneof says by being there which one it is.
    if (field.partOf || !isDefault(field, value)) json[nameOf(field)] = plain;
  }
  return json;
}

const namesOfTypes = new WeakMap<protobuf.Type, ReadonlyMap<string, protobuf.Field>>();

function fieldsByName(type: protobuf.Type): ReadonlyMap<string, protobuf.Field> {
  const known = namesOfTypes.get(type);
  if (known) return known;
  const fields = new Map(type.fieldsArray.flatMap((field) => [[field.name, field] as const, [nameOf(field), field]]));
  namesOfTypes.set(type, fields);
  return fields;
}

/** The name in the .proto. */
export function nameOf(field: protobuf.Field): string {
  return (field as { readonly protoName?: string | null }).protoName ?? field.name;
}

function valueFromJson(field: protobuf.Field, value: unknown, depth: number): unknown {
  const { resolvedType } = field;
  const protobuf = openProtobuf();
  if (resolvedType instanceof protobuf.Type) return messageFromJson(resolvedType, value, depth + 1);
  if (resolvedType instanceof protobuf.Enum) return enumFromJson(field, resolvedType, value);
  switch (field.type) {
    case 'string':
      if (typeof value !== 'string') throw mismatch(field.name, 'a text', value);
      return value;
    case 'bytes':
      return bytesFromJson(field, value);
    case 'bool':
      if (typeof value !== 'boolean') throw mismatch(field.name, 'true or false', value);
      return value;
    case 'int64':
      return integerFromJson(field, value, -(2n ** 63n), 2n ** 63n - 1n);
    case 'uint64':
      return integerFromJson(field, value, 0n, 2n ** 64n - 1n);
    case 'int32':
      return Number(integerFromJson(field, value, -(2n ** 31n), 2n ** 31n - 1n));
    case 'uint32':
      return Number(integerFromJson(field, value, 0n, 2n ** 32n - 1n));
    default:
      throw new JsonMismatch(`${field.name}: no message of the store has a ${field.type}`);
  }
}

/** Undefined for a name that is not known: passed over, as names of fields are. */
function enumFromJson(field: protobuf.Field, type: protobuf.Enum, value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  if (typeof value !== 'string') throw mismatch(field.name, `a ${type.name}`, value);
  return Object.hasOwn(type.values, value) ? type.values[value] : undefined;
}

function bytesFromJson(field: protobuf.Field, value: unknown): Uint8Array {
  if (typeof value !== 'string') throw mismatch(field.name, 'base64', value);
  const digits = value.replace(/=+$/, '');
  if (!/^[A-Za-z0-9+/_-]*$/.test(digits) || digits.length % 4 === 1 || value.length - digits.length > 2) {
    throw new JsonMismatch(`${field.name}: illegal base64 data`);
  }
  return Buffer.from(digits, 'base64');
}

function integerFromJson(field: protobuf.Field, value: unknown, min: bigint, max: bigint): bigint {
  const integer = integerOf(value);
  if (integer === undefined) throw mismatch(field.name, 'a whole number', value);
  if (integer < min || integer > max) throw new JsonMismatch(`${field.name}: ${integer} is out of range`);
  return integer;
}

/** `12`, `"12"`, `12.0` and `1.2e1` are the same number. */
function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== 'string') return undefined;
  if (/^-?(0|[1-9]\d*)$/.test(value)) return BigInt(value);
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return undefined;
  return Number.isSafeInteger(Number(value)) ? BigInt(Number(value)) : undefined;
}

function valueToJson(field: protobuf.Field, value: unknown): unknown {
  const { resolvedType } = field;
  const protobuf = openProtobuf();
  if (resolvedType instanceof protobuf.Type) return jsonFromMessage(resolvedType, value as Plain);
  if (resolvedType instanceof protobuf.Enum) return resolvedType.valuesById[value as number] ?? value;
  if (field.type === 'bytes') return base64(value as Uint8Array);
  if (field.type === 'int64' || field.type === 'uint64') return fromInt64(value as Int64Like).toString();
  return value;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function isDefault(field: protobuf.Field, value: unknown): boolean {
  if (field.resolvedType instanceof openProtobuf().Type) return false;
  if (field.type === 'bytes') return (value as Uint8Array).length === 0;
  if (field.type === 'int64' || field.type === 'uint64') return fromInt64(value as Int64Like) === 0n;
  return value === '' || value === 0 || value === false;
}

function mismatch(name: string, wanted: string, found: unknown): JsonMismatch {
  const shown = JSON.stringify(found) ?? String(found);
  return new JsonMismatch(`${name}: want ${wanted}, not ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}`);
}
