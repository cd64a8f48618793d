/** The texts of gRPC over HTTP/2: content types, time-outs, statuses. */
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
