/** Bodies of requests: JSON, YAML or protobuf to objects, with what fieldValidation found on the way. */
import { load as loadYaml } from 'js-yaml';
import { errorText } from '../../env/errors.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import {
  apiVersionOf,
  type Decoded,
  decodeJson,
  decodeProtobuf,
  type JsonObject,
  type KubeObject,
  type ResourceSchema,
} from './kinds.ts';
import { bodyFormat, contentTypes } from './negotiation.ts';

export interface ExpectedKind {
  readonly apiVersion: string;
  readonly kind: string;
}

export function expectedOf(resource: ResourceSchema): ExpectedKind {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads and decodes the body as `expected`. Throws 400, 413, 415. An empty body gives undefined. */
export async function readBody(context: RequestContext, expected: ExpectedKind): Promise<KubeObject | undefined> {
  const { request } = context;
  const format = bodyFormat(request.headers['content-type']);
  if (format === undefined) {
    throw fail.unsupportedMediaType(request.headers['content-type'] ?? '', Object.values(contentTypes));
  }
  const bytes = await request.body();
  if (bytes.length === 0) return undefined;
  return decodeBytes(context, bytes, format, expected);
}

export async function requireBody(context: RequestContext, expected: ExpectedKind): Promise<KubeObject> {
  const object = await readBody(context, expected);
  if (object === undefined) throw fail.badRequest(`the body of the request is empty; want a ${expected.kind}`);
  return object;
}

export function decodeBytes(
  context: RequestContext,
  bytes: Uint8Array,
  format: 'json' | 'yaml' | 'protobuf',
  expected: ExpectedKind,
): KubeObject {
  const decoded = format === 'protobuf' ? decodeProtobuf(bytes) : decodeJson(jsonTextOf(bytes, format), expected);
  checkKind(decoded.object, expected);
  reportStrict(context, decoded);
  return decoded.object;
}

/** YAML is JSON with other punctuation: it is read to values and written as JSON, so that one decoder checks both. */
export function jsonTextOf(bytes: Uint8Array, format: 'json' | 'yaml'): string {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw fail.badRequest('the body of the request is not valid UTF-8');
  }
  if (format === 'json') return text;
  try {
    const value = loadYaml(text);
    checkUnfolded(value);
    return JSON.stringify(value);
  } catch (error) {
    throw fail.badRequest(`error parsing YAML: ${errorText(error)}`);
  }
}

/** As much as the largest body may hold. Nobody's manifest comes near; a few lines of references to references do. */
const unfoldedBytesMax = 3 * 1024 * 1024;

/**
 * References in YAML are one value in memory and as many as there are references in JSON: some hundred bytes can stand for
 * gigabytes. Throws when the JSON would be larger than any body that is taken.
 */
function checkUnfolded(root: unknown): void {
  const values: unknown[] = [root];
  let bytes = 0;
  for (let value = values.pop(); value !== undefined; value = values.pop()) {
    bytes += typeof value === 'string' ? value.length : 1;
    if (typeof value === 'object' && value !== null) {
      for (const key of Object.keys(value)) {
        bytes += Array.isArray(value) ? 1 : key.length;
        if (bytes > unfoldedBytesMax) break;
        values.push((value as Record<string, unknown>)[key] ?? null);
      }
    }
    if (bytes > unfoldedBytesMax) throw new Error('the document contains excessive aliasing');
  }
}

function checkKind(object: JsonObject, expected: ExpectedKind): void {
  if (object['kind'] === expected.kind && object['apiVersion'] === expected.apiVersion) return;
  throw fail.badRequest(
    `${object['kind']} in version ${JSON.stringify(object['apiVersion'])} cannot be handled as a ${expected.kind}: want kind ${expected.kind} in version ${JSON.stringify(expected.apiVersion)}`,
  );
}

/** fieldValidation: Ignore drops what was found, Warn (the default) sends it as warnings, Strict refuses the request. */
export function reportStrict(context: RequestContext, decoded: Pick<Decoded, 'strictErrors'>): void {
  const mode = context.request.query.get('fieldValidation') ?? 'Warn';
  if (mode !== 'Ignore' && mode !== 'Warn' && mode !== 'Strict') {
    throw fail.badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(mode)}: supported values: "Ignore", "Strict", "Warn"`,
    );
  }
  if (mode === 'Ignore' || decoded.strictErrors.length === 0) return;
  if (mode === 'Strict') throw fail.badRequest(`strict decoding error: ${decoded.strictErrors.join(', ')}`);
  context.warnings.push(...decoded.strictErrors);
}
