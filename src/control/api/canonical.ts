/**
 * The canonical form of an object: upstream's field order, unknown fields dropped, empty values left out or kept as
 * upstream's `omitempty` has it, maps sorted, quantities and times rewritten. Two objects that mean the same have the
 * same canonical JSON text, which is what makes "nothing changed" cheap to see and managed fields stable.
 *
 * Wrong types throw StatusError 400 with the text of Go's decoder; unknown fields are reported, not thrown.
 */
import { assert } from '../../env/assert.ts';
import type { FieldSchema, FieldType, JsonObject, MessageSchema } from './contract.ts';
import { LargeInteger } from './json-text.ts';
import { canonicalQuantity } from './quantity.ts';
import { jsonFields, messageNamed, shortName } from './schema/messages.ts';
import { formatDuration, formatMicroTime, formatTime, parseDuration, parseTime } from './time-text.ts';

/** The value does not fit the field; the decoder adds the kind in front. */
export class UnmarshalError extends Error {
  override readonly name = 'UnmarshalError';
}

/** Where we are: for the texts of errors. */
interface Place {
  /** `spec.containers[0]`, for unknown fields. */
  readonly path: string;
  /** `spec.containers`, for type errors: Go does not say the index. */
  readonly fieldPath: string;
  /** Go name of the struct that has the field. */
  readonly struct: string;
}

/** More unknown fields than this are not listed: the client has seen enough. */
const strictErrorsMax = 100;

export interface CanonicalOptions {
  /** Receives `unknown field "spec.foo"`. */
  readonly strictErrors?: string[];
  /** Only what is given, empty values too, and nothing that upstream would write by itself: for server-side apply. */
  readonly isSparse?: boolean;
}

/** Throws UnmarshalError. The input is not changed and not shared, except for values of type json. */
export function canonicalObject(value: unknown, message: MessageSchema, options: CanonicalOptions = {}): JsonObject {
  return canonicalMessage(value, message, { path: '', fieldPath: '', struct: '' }, options);
}

function canonicalMessage(value: unknown, message: MessageSchema, place: Place, options: CanonicalOptions): JsonObject {
  const source = value === null || value === undefined ? {} : value;
  if (typeof source !== 'object' || Array.isArray(source) || source instanceof LargeInteger) {
    return refuse(value, place, goMessage(message));
  }
  // The checks above make it an object; its content is looked at field by field below.
  const given = source as JsonObject;
  const fields = jsonFields(message);
  const result: JsonObject = {};
  let known = 0;
  const struct = shortName(message.name);
  if (message.isKind) {
    for (const name of ['kind', 'apiVersion']) {
      if (!Object.hasOwn(given, name)) continue;
      known++;
      const text = given[name];
      if (text === null || text === '') continue;
      if (typeof text !== 'string') refuse(text, childPlace(place, struct, name), 'string');
      result[name] = text;
    }
  }
  for (const field of fields.ordered) {
    const isGiven = Object.hasOwn(given, field.name);
    if (isGiven) known++;
    const item = isGiven ? given[field.name] : undefined;
    if (item === undefined || item === null) {
      if (field.keepEmpty && !options.isSparse) result[field.name] = emptyValue(field);
      continue;
    }
    const canonical = canonicalValue(item, field.type, childPlace(place, struct, field.name), options);
    if (field.keepEmpty || field.isPointer || options.isSparse || !isEmpty(canonical, field.type))
      result[field.name] = canonical;
  }
  if (options.strictErrors !== undefined && known < Object.keys(given).length) {
    reportUnknown(given, message, place, options.strictErrors);
  }
  return result;
}

function childPlace(place: Place, struct: string, name: string): Place {
  return {
    path: place.path === '' ? name : `${place.path}.${name}`,
    fieldPath: place.fieldPath === '' ? name : `${place.fieldPath}.${name}`,
    struct,
  };
}

function reportUnknown(given: JsonObject, message: MessageSchema, place: Place, strictErrors: string[]): void {
  const { byName } = jsonFields(message);
  for (const name of Object.keys(given)) {
    if (byName.has(name) || given[name] === undefined) continue;
    if (message.isKind && (name === 'kind' || name === 'apiVersion')) continue;
    if (strictErrors.length >= strictErrorsMax) return;
    strictErrors.push(`unknown field "${place.path === '' ? name : `${place.path}.${name}`}"`);
  }
}

/** What upstream writes for a field without omitempty that nobody set. */
function emptyValue(field: FieldSchema): unknown {
  if (field.isPointer) return null;
  switch (field.type.kind) {
    case 'message':
      return canonicalMessage({}, messageNamed(field.type.message), { path: '', fieldPath: '', struct: '' }, {});
    case 'string':
      return '';
    case 'bool':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
    case 'intOrString':
      return 0;
    case 'quantity':
      return '0';
    case 'duration':
      return '0s';
    default:
      return null;
  }
}

function isEmpty(value: unknown, type: FieldType): boolean {
  switch (type.kind) {
    case 'string':
    case 'bytes':
      return value === '';
    case 'bool':
      return value === false;
    case 'int32':
    case 'int64':
    case 'double':
      return value === 0;
    case 'list':
    case 'stringList':
      return Array.isArray(value) && value.length === 0;
    case 'map':
      // The canonical form of a map is an object.
      return Object.keys(value as object).length === 0;
    default:
      return false;
  }
}

function canonicalValue(value: unknown, type: FieldType, place: Place, options: CanonicalOptions): unknown {
  switch (type.kind) {
    case 'message':
      return canonicalMessage(value, messageNamed(type.message), place, options);
    case 'list':
      return canonicalList(value, type, place, options);
    case 'map':
      return canonicalMap(value, type, place, options);
    case 'json':
      return plainJson(value);
    default:
      return canonicalScalar(value, type, place);
  }
}

function canonicalList(
  value: unknown,
  type: FieldType & { kind: 'list' },
  place: Place,
  options: CanonicalOptions,
): unknown[] {
  if (!Array.isArray(value)) return refuse(value, place, goType(type));
  return value.map((item, index) => {
    if (item === null) return emptyItem(type.item);
    return canonicalValue(item, type.item, { ...place, path: `${place.path}[${index}]` }, options);
  });
}

function canonicalMap(
  value: unknown,
  type: FieldType & { kind: 'map' },
  place: Place,
  options: CanonicalOptions,
): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof LargeInteger) {
    return refuse(value, place, goType(type));
  }
  const result: JsonObject = {};
  for (const key of Object.keys(value).sort()) {
    // The check above makes it an object.
    const item = (value as JsonObject)[key];
    if (item === undefined) continue;
    const inner = { ...place, path: `${place.path}.${key}`, fieldPath: `${place.fieldPath}.${key}` };
    const canonical = item === null ? emptyItem(type.value) : canonicalValue(item, type.value, inner, options);
    if (key === '__proto__') {
      Object.defineProperty(result, key, { value: canonical, enumerable: true, configurable: true, writable: true });
    } else result[key] = canonical;
  }
  return result;
}

function emptyItem(type: FieldType): unknown {
  return emptyValue({ name: '', number: 0, type });
}

/** Text-only scalars reject everything but text; the switch is total over what canonicalValue leaves. */
function canonicalScalar(value: unknown, type: FieldType, place: Place): unknown {
  switch (type.kind) {
    case 'string':
      return typeof value === 'string' ? value : refuse(value, place, 'string');
    case 'bool':
      return typeof value === 'boolean' ? value : refuse(value, place, 'bool');
    case 'int32':
    case 'int64':
      return canonicalInteger(value, type.kind, place);
    case 'double':
      if (value instanceof LargeInteger) return Number(value.digits);
      return typeof value === 'number' ? value : refuse(value, place, 'float64');
    case 'bytes':
      return canonicalBytes(value, place);
    case 'time':
    case 'microTime':
      return canonicalTime(value, type.kind, place);
    case 'quantity':
      return canonicalQuantityValue(value);
    case 'intOrString':
      if (typeof value === 'string') return value;
      return canonicalInteger(value, 'int32', place);
    case 'duration': {
      const nanos = typeof value === 'string' ? parseDuration(value) : undefined;
      if (nanos !== undefined) return formatDuration(nanos);
      if (typeof value !== 'string') return refuse(value, place, 'string');
      throw new UnmarshalError(`time: invalid duration ${JSON.stringify(value)}`);
    }
    case 'stringList':
      return canonicalList(value, { kind: 'list', item: { kind: 'string' } }, place, {});
    default:
      return assert(false, `type ${type.kind} is not a scalar`);
  }
}

function canonicalInteger(value: unknown, kind: 'int32' | 'int64', place: Place): number | string {
  if (value instanceof LargeInteger || (kind === 'int64' && typeof value === 'string')) {
    const digits = typeof value === 'string' ? value : value.digits;
    if (kind === 'int64' && /^-?\d{16,19}$/.test(digits) && BigInt.asIntN(64, BigInt(digits)) === BigInt(digits)) {
      return digits;
    }
    return typeof value === 'string' ? refuse(value, place, kind) : refuseNumber(digits, place, kind);
  }
  if (typeof value !== 'number') return refuse(value, place, kind);
  const isInRange = kind === 'int64' || (value >= -2147483648 && value <= 2147483647);
  if (!Number.isSafeInteger(value) || !isInRange) return refuseNumber(String(value), place, kind);
  // Minus zero is an integer to JavaScript and not to anybody else.
  return value === 0 ? 0 : value;
}

function canonicalBytes(value: unknown, place: Place): string {
  if (typeof value !== 'string') return refuse(value, place, '[]uint8');
  const text = value.replace(/[\r\n]/g, '');
  const bad = /[^A-Za-z0-9+/=]/.exec(text);
  if (bad !== null) throw new UnmarshalError(`illegal base64 data at input byte ${bad.index}`);
  if (!/^(?:[^=]{4})*(?:[^=]{2}==|[^=]{3}=)?$/.test(text)) {
    throw new UnmarshalError(`illegal base64 data at input byte ${Math.max(0, text.length - (text.length % 4))}`);
  }
  return text;
}

function canonicalTime(value: unknown, kind: 'time' | 'microTime', place: Place): string {
  if (typeof value !== 'string') return refuse(value, place, 'string');
  const moment = parseTime(value);
  if (moment === undefined) {
    const layout = kind === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
    throw new UnmarshalError(`parsing time "${value}" as "${layout}": cannot parse "${value}" as "2006"`);
  }
  return kind === 'time' ? formatTime(moment) : formatMicroTime(moment);
}

function canonicalQuantityValue(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number' && !(value instanceof LargeInteger)) {
    throw new UnmarshalError(
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
  }
  try {
    return canonicalQuantity(
      value instanceof LargeInteger ? value.digits : typeof value === 'string' ? value.trim() : value,
    );
  } catch (error) {
    throw new UnmarshalError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Arbitrary JSON keeps its shape; only integers that a number cannot hold become approximate. */
function plainJson(value: unknown): unknown {
  if (value instanceof LargeInteger) return Number(value.digits);
  if (Array.isArray(value)) return value.map(plainJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainJson(item)]));
}

function refuse(value: unknown, place: Place, type: string): never {
  throw new UnmarshalError(
    `json: cannot unmarshal ${jsonTypeOf(value)} into Go ${describePlace(place)} of type ${type}`,
  );
}

function refuseNumber(digits: string, place: Place, type: string): never {
  throw new UnmarshalError(`json: cannot unmarshal number ${digits} into Go ${describePlace(place)} of type ${type}`);
}

function describePlace(place: Place): string {
  return place.struct === '' ? 'value' : `struct field ${place.struct}.${place.fieldPath}`;
}

function jsonTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value instanceof LargeInteger || typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : 'object';
}

function goMessage(message: MessageSchema): string {
  return message.name.split('.').slice(-2).join('.');
}

function goType(type: FieldType): string {
  switch (type.kind) {
    case 'message':
      return goMessage(messageNamed(type.message));
    case 'list':
      return `[]${goType(type.item)}`;
    case 'map':
      return `map[string]${goType(type.value)}`;
    case 'bytes':
      return '[]uint8';
    case 'double':
      return 'float64';
    case 'stringList':
      return 'v1.ExtraValue';
    case 'time':
      return 'v1.Time';
    case 'microTime':
      return 'v1.MicroTime';
    case 'quantity':
      return 'resource.Quantity';
    case 'intOrString':
      return 'intstr.IntOrString';
    case 'duration':
      return 'v1.Duration';
    case 'json':
      return 'runtime.RawExtension';
    default:
      return type.kind;
  }
}
