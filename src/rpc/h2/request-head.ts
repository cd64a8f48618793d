/** What the header block of a request says, checked by the rules of RFC 9113, section 8. */
import { type Field, fieldKind } from './hpack/field.ts';

export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly path: string;
  /** Anything: some clients put a whole URL there. */
  readonly authority: string | undefined;
  readonly contentType: string | undefined;
  readonly timeout: string | undefined;
  readonly encoding: string | undefined;
  /** -1: not said. */
  readonly contentLength: number;
  /** All of them, pseudo-fields included, in order. */
  readonly fields: readonly Field[];
  /** Fields are missing: there were more than allowed. */
  readonly isTooLarge: boolean;
}

/** Undefined when the request is malformed. */
export function readRequestHead(fields: readonly Field[], isTooLarge: boolean): RequestHead | undefined {
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let contentType: string | undefined;
  let timeout: string | undefined;
  let encoding: string | undefined;
  let contentLength = -1;
  let isPseudoOver = false;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index] as Field;
    const { kind, value } = field;
    if (kind > fieldKind.other && kind <= fieldKind.authority) {
      if (isPseudoOver) return undefined;
    } else isPseudoOver = true;
    switch (kind) {
      case fieldKind.malformed:
      case fieldKind.status:
        return undefined;
      case fieldKind.method:
        if (method !== undefined) return undefined;
        method = value;
        break;
      case fieldKind.scheme:
        if (scheme !== undefined) return undefined;
        scheme = value;
        break;
      case fieldKind.path:
        if (path !== undefined) return undefined;
        path = value;
        break;
      case fieldKind.authority:
        if (authority !== undefined) return undefined;
        authority = value;
        break;
      case fieldKind.contentType:
        contentType = value;
        break;
      case fieldKind.te:
        if (value !== 'trailers') return undefined;
        break;
      case fieldKind.grpcTimeout:
        timeout = value;
        break;
      case fieldKind.grpcEncoding:
        encoding = value;
        break;
      case fieldKind.contentLength:
        if (!/^\d{1,15}$/.test(value)) return undefined;
        if (contentLength >= 0 && contentLength !== Number(value)) return undefined;
        contentLength = Number(value);
        break;
      default:
    }
  }
  if (isTooLarge) {
    method ??= 'GET';
    scheme ??= 'http';
    path ??= '/';
  }
  if (method === undefined || scheme === undefined || path === undefined || path === '') return undefined;
  return {
    method,
    scheme,
    path,
    authority,
    contentType,
    timeout,
    encoding,
    contentLength,
    fields,
    isTooLarge,
  };
}

/** Trailers carry no pseudo-fields. */
export function areTrailersValid(fields: readonly Field[]): boolean {
  return fields.every(
    ({ kind }) => kind === fieldKind.other || (kind > fieldKind.authority && kind !== fieldKind.status),
  );
}
