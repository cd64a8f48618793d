/** /openapi/v2 and /openapi/v3: the schema as clients read it for validation and `explain`. */
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse, Headers } from './http.ts';
import { openApiV2Document, openApiV2Protobuf, openApiV3Document, openApiV3Index } from './kinds.ts';

const encoder = new TextEncoder();
const protobufV2 = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

/** Undefined when the path is none of OpenAPI's. */
export function openApiResponse(context: RequestContext): ApiResponse | undefined {
  const { path } = context.info;
  const { request } = context;
  if (path === '/openapi/v2') {
    const document = openApiV2Document();
    const accept = request.headers['accept'] ?? '';
    const isProtobuf = accept.includes('com.github.proto-openapi.spec.v2');
    const type = isProtobuf ? protobufV2 : 'application/json';
    return cached(context, document.hash, () => (isProtobuf ? openApiV2Protobuf() : encoder.encode(document.text)), {
      'content-type': type,
      vary: 'Accept',
    });
  }
  if (path === '/openapi/v3' || path === '/openapi/v3/') {
    return {
      kind: 'body',
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: encoder.encode(JSON.stringify(openApiV3Index())),
    };
  }
  if (!path.startsWith('/openapi/v3/')) return undefined;
  const document = openApiV3Document(path.slice('/openapi/v3/'.length));
  if (document === undefined) throw fail.noPath();
  // A URL with the right hash names this very content for ever.
  const isPinned = request.query.get('hash') === document.hash;
  return cached(context, document.hash, () => encoder.encode(document.text), {
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
