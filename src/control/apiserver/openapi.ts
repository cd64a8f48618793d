/** /openapi/v2 and /openapi/v3: the schema as clients read it for validation and `explain`. */
import { contentHash } from './content-hash.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse, Headers } from './http.ts';
import { openApiV2Document, openApiV2Protobuf, openApiV3Document, openApiV3Index } from './kinds.ts';

const encoder = new TextEncoder();
/** Asked for with an @ before v1.0, which parsers of media types refuse; kube-apiserver answers with a dot as well. */
const protobufV2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** By document, of which there are as many as group versions: hashing all of them takes longer than a request may. */
const hashes = new Map<string, string>();

function hashOf(document: string): string {
  const known = hashes.get(document);
  if (known !== undefined) return known;
  const hash = contentHash(document);
  hashes.set(document, hash);
  return hash;
}

/** Undefined when the path is none of OpenAPI's. */
export function openApiResponse(context: RequestContext): ApiResponse | undefined {
  const { path } = context.info;
  const { request } = context;
  if (path === '/openapi/v2') {
    const document = openApiV2Document();
    const accept = request.headers['accept'] ?? '';
    const isProtobuf = accept.includes('com.github.proto-openapi.spec.v2');
    const type = isProtobuf ? protobufV2 : 'application/json';
    return cached(context, hashOf(document), () => (isProtobuf ? openApiV2Protobuf() : encoder.encode(document)), {
      'content-type': type,
      vary: 'Accept',
    });
  }
  if (path === '/openapi/v3' || path === '/openapi/v3/') {
    return {
      kind: 'body',
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: encoder.encode(JSON.stringify(openApiV3Index(hashOf))),
    };
  }
  if (!path.startsWith('/openapi/v3/')) return undefined;
  const document = openApiV3Document(path.slice('/openapi/v3/'.length));
  if (document === undefined) throw fail.noPath();
  // A URL with the right hash names this very content for ever.
  const hash = hashOf(document);
  const isPinned = request.query.get('hash') === hash;
  return cached(context, hash, () => encoder.encode(document), {
    'content-type': 'application/json',
    ...(isPinned ? { 'cache-control': 'public, immutable' } : {}),
  });
}

function cached(context: RequestContext, hash: string, body: () => Uint8Array, headers: Headers): ApiResponse {
  const etag = `"${hash}"`;
  const all = { ...headers, etag };
  return context.request.headers['if-none-match'] === etag
    ? { kind: 'body', status: 304, headers: all, body: new Uint8Array() }
    : { kind: 'body', status: 200, headers: all, body: body() };
}
