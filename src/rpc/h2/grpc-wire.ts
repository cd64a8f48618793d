/** The texts of gRPC over HTTP/2: content types, time-outs, statuses. */
import { grpcStatus } from '../grpc-status.ts';
import { errorCode } from './frames.ts';
import { statusTextBytesMax } from './limits.ts';
import type { FieldPair, HeaderBlock, Stream } from './stream.ts';

/** `application/grpc`, alone or with a codec or parameters; `application/grpc-web` is another protocol. */
export function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined) return false;
  if (contentType === 'application/grpc') return true;
  return /^application\/grpc(?:[+;]|$)/.test(contentType);
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of `grpc-timeout`; undefined when it is malformed. */
export function parseTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match ? Number(match[1]) * (unitMs[match[2] as string] as number) : undefined;
}

/** `grpc-message`: UTF-8, everything but printable ASCII as `%XX`. Cut where it is longer than clients take. */
export function encodeStatusText(text: string): string {
  if (text.length <= statusTextBytesMax && /^[ -$&-~]*$/.test(text)) return text;
  let encoded = '';
  // By characters, so that none is cut in two.
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const isPlain = code >= 0x20 && code <= 0x7e && character !== '%';
    const next = isPlain ? character : percentEncode(character);
    if (encoded.length + next.length > statusTextBytesMax) break;
    encoded += next;
  }
  return encoded;
}

function percentEncode(character: string): string {
  let encoded = '';
  for (const byte of Buffer.from(character)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return encoded;
}

function statusFields(code: number, details: string): FieldPair[] {
  const fields: FieldPair[] = [['grpc-status', String(code)]];
  if (details !== '') fields.push(['grpc-message', encodeStatusText(details)]);
  return fields;
}

/** Ends the answer with a status other than OK, in one header block when nothing was sent before. */
export function endWithStatus(stream: Stream, code: number, details: string, more: readonly FieldPair[] = []): void {
  const fields = [...statusFields(code, details), ...more];
  if (stream.head !== undefined) {
    stream.end(fields);
    return;
  }
  const head: HeaderBlock = [[':status', '200'], ['content-type', 'application/grpc'], ...fields];
  stream.sendHead(head);
  stream.end();
}

/** Answers a request that is no gRPC, or not one that can be answered as such. */
export function endWithText(stream: Stream, httpStatus: number, text: string): void {
  const body = Buffer.from(`${text}\n`);
  stream.sendHead([
    [':status', String(httpStatus)],
    ['content-type', 'text/plain; charset=utf-8'],
    ['content-length', String(body.length)],
  ]);
  stream.sendBytes(body);
  stream.end();
}

/** The text of `grpc-message`; what is not encoded well is taken as it is. */
export function decodeStatusText(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const hex = /^%([0-9A-Fa-f]{2})/.exec(text.slice(at, at + 3));
    bytes.push(hex ? Number.parseInt(hex[1] as string, 16) : text.charCodeAt(at) & 0xff);
    if (hex) at += 2;
  }
  return Buffer.from(bytes).toString();
}

/** What an HTTP status means where gRPC's was wanted. */
export function statusOfHttp(status: string): number {
  if (status === '401') return grpcStatus.unauthenticated;
  if (status === '403') return grpcStatus.permissionDenied;
  if (status === '404') return grpcStatus.unimplemented;
  return ['429', '502', '503', '504'].includes(status) ? grpcStatus.unavailable : grpcStatus.unknown;
}

/** What it means that the server has reset a stream. */
export function statusOfReset(code: number): number {
  if (code === errorCode.refusedStream) return grpcStatus.unavailable;
  if (code === errorCode.cancel) return grpcStatus.cancelled;
  if (code === errorCode.enhanceYourCalm) return grpcStatus.resourceExhausted;
  return code === errorCode.inadequateSecurity ? grpcStatus.permissionDenied : grpcStatus.internal;
}
