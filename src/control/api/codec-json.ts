/** JSON bodies to objects in canonical form and back, with kube-apiserver's answers to what is wrong with them. */
import { assert } from '../../env/assert.ts';
import { canonicalObject, UnmarshalError } from './canonical.ts';
import type { Decoded, FieldType, JsonObject, KubeObject, MessageSchema } from './contract.ts';
import { JsonSyntaxError, LargeInteger, type ParsedJson, parseJson } from './json-text.ts';
import { splitApiVersion } from './scheme.ts';
import { findMessageOfKind, jsonFields, messageNamed } from './schema/messages.ts';
import { badRequest } from './status-error.ts';

/** The kind that the path of a request implies, for bodies that leave it out. */
export interface ExpectedKind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** So much of a body that cannot be read is shown to the client. */
const summaryBytesMax = 30;

/** Decodes a body. Throws StatusError 400. */
export function decodeJson(text: string, expected?: ExpectedKind): Decoded {
  let parsed: ParsedJson;
  try {
    parsed = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw unrecognized(`couldn't get version/kind; json parse error: ${error.message}`, text, expected);
  }
  const { value, duplicates } = parsed;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof LargeInteger) {
    const found = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
    const why = `couldn't get version/kind; json parse error: json: cannot unmarshal ${found} into Go value of type struct`;
    throw unrecognized(why, text, expected);
  }
  const strictErrors = duplicates.map((path) => `duplicate field "${path}"`);
  // The check above makes it an object.
  const decoded = decodeObject(value as JsonObject, expected);
  // Upstream lists unknown fields after duplicate ones.
  return { object: decoded.object, strictErrors: [...strictErrors, ...decoded.strictErrors] };
}

/** Like decodeJson, from a value that is parsed already (YAML, the result of a patch). Throws StatusError 400. */
export function decodeObject(value: JsonObject, expected?: ExpectedKind): Decoded {
  return decodeValue(value, expected, false);
}

/** The body of a server-side apply: only the fields that the client set, empty ones too. Throws StatusError 400. */
export function decodeApplied(value: JsonObject, expected?: ExpectedKind): Decoded {
  return decodeValue(value, expected, true);
}

function decodeValue(value: JsonObject, expected: ExpectedKind | undefined, isSparse: boolean): Decoded {
  const kind = textField(value, 'kind') || expected?.kind || '';
  const apiVersion = textField(value, 'apiVersion') || expected?.apiVersion || '';
  if (kind === '') throw unrecognized(`Object 'Kind' is missing in '${JSON.stringify(value)}'`, '', expected);
  if (apiVersion === '') {
    throw unrecognized(`Object 'apiVersion' is missing in '${JSON.stringify(value)}'`, '', expected);
  }
  const message = findMessageOfKind(apiVersion, kind);
  const version = splitApiVersion(apiVersion).version;
  const wanted = expected?.kind ?? kind;
  if (message === undefined) {
    throw badRequest(
      `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${wanted}: no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
    );
  }
  const strictErrors: string[] = [];
  try {
    const object = canonicalObject({ ...value, kind, apiVersion }, message, { strictErrors, isSparse });
    // Every kind has metadata or is used without it, as a list or an option.
    return { object: object as KubeObject, strictErrors };
  } catch (error) {
    if (!(error instanceof UnmarshalError)) throw error;
    throw badRequest(
      `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${wanted}: ${error.message}`,
    );
  }
}

function textField(value: JsonObject, name: string): string {
  const text = value[name];
  if (text === undefined || text === null) return '';
  if (typeof text === 'string') return text;
  throw badRequest(
    `couldn't get version/kind; json parse error: json: cannot unmarshal ${typeof text} into Go struct field .${name} of type string`,
  );
}

function unrecognized(why: string, text: string, expected: ExpectedKind | undefined): Error {
  if (expected === undefined) return badRequest(why);
  const summary = text.length > summaryBytesMax ? `${text.slice(0, summaryBytesMax)} ...` : text;
  const suffix = text === '' ? '' : ` (${summary})`;
  return badRequest(`the object provided is unrecognized (must be of type ${expected.kind}): ${why}${suffix}`);
}

/** The text of an object in upstream's field order and omission. Throws UnmarshalError when it does not fit. */
export function encodeJson(object: JsonObject, message: MessageSchema): string {
  const canonical = canonicalObject(object, message);
  return JSON.stringify(hasLargeIntegers(message) ? withRawIntegers(canonical, message) : canonical);
}

const largeIntegerMessages = new Map<string, boolean>();

/** Whether any field below is int64: only then must texts of digits be looked for. */
function hasLargeIntegers(message: MessageSchema): boolean {
  const known = largeIntegerMessages.get(message.name);
  if (known !== undefined) return known;
  // Schemas may contain themselves; the entry ends the recursion.
  largeIntegerMessages.set(message.name, false);
  const found = jsonFields(message).ordered.some((field) => typeHasLargeIntegers(field.type));
  largeIntegerMessages.set(message.name, found);
  return found;
}

function typeHasLargeIntegers(type: FieldType): boolean {
  if (type.kind === 'list') return typeHasLargeIntegers(type.item);
  if (type.kind === 'map') return typeHasLargeIntegers(type.value);
  return type.kind === 'int64' || (type.kind === 'message' && hasLargeIntegers(messageNamed(type.message)));
}

/** int64 values beyond 2^53 are kept as text of digits; JSON wants them as numbers. */
function withRawIntegers(object: JsonObject, message: MessageSchema): JsonObject {
  const { byName } = jsonFields(message);
  for (const [name, value] of Object.entries(object)) {
    const type = byName.get(name)?.type;
    if (type !== undefined && value !== null) object[name] = rawValue(value, type);
  }
  return object;
}

function rawValue(value: unknown, type: FieldType): unknown {
  switch (type.kind) {
    case 'int64':
      return typeof value === 'string' ? rawJson(value) : value;
    case 'message':
      // Canonical values of a message are objects, of a list arrays, of a map objects.
      return hasLargeIntegers(messageNamed(type.message))
        ? withRawIntegers(value as JsonObject, messageNamed(type.message))
        : value;
    case 'list':
      return typeHasLargeIntegers(type.item) ? (value as unknown[]).map((item) => rawValue(item, type.item)) : value;
    case 'map':
      return typeHasLargeIntegers(type.value)
        ? Object.fromEntries(
            Object.entries(value as JsonObject).map(([key, item]) => [key, rawValue(item, type.value)]),
          )
        : value;
    default:
      return value;
  }
}

/** JSON.rawJSON is newer than the type library that the project is checked with. */
function rawJson(digits: string): unknown {
  assert(/^-?\d+$/.test(digits), () => `only digits may be written raw: ${digits}`);
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits);
}
