/**
 * One header field, judged once: fields of the tables are used again by every request, so what kind of field it is and
 * whether it may stand in a request is worked out when it is made.
 */

/** What servers and clients look at; every other field is `other`. */
export const fieldKind = {
  malformed: -1,
  other: 0,
  method: 1,
  scheme: 2,
  path: 3,
  authority: 4,
  contentType: 5,
  te: 6,
  grpcTimeout: 7,
  grpcEncoding: 8,
  contentLength: 9,
  /** Of answers: a request that has it is malformed. */
  status: 10,
} as const;

const kinds = new Map<string, number>([
  [':method', fieldKind.method],
  [':scheme', fieldKind.scheme],
  [':path', fieldKind.path],
  [':authority', fieldKind.authority],
  ['content-type', fieldKind.contentType],
  ['te', fieldKind.te],
  ['grpc-timeout', fieldKind.grpcTimeout],
  ['grpc-encoding', fieldKind.grpcEncoding],
  ['content-length', fieldKind.contentLength],
  [':status', fieldKind.status],
  // Of the connection, not of the message (RFC 9113, section 8.2.2).
  ['connection', fieldKind.malformed],
  ['keep-alive', fieldKind.malformed],
  ['proxy-connection', fieldKind.malformed],
  ['transfer-encoding', fieldKind.malformed],
  ['upgrade', fieldKind.malformed],
]);

/** Lower-case tokens (RFC 9110, section 5.6.2). */
const namePattern = /^[a-z0-9!#$%&'*+\-.^_`|~]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a value must not contain.
const badValuePattern = /[\0\r\n]/;
/** What RFC 7541, section 4.1 adds to each entry. */
const entryOverheadBytes = 32;

export class Field {
  readonly name: string;
  readonly value: string;
  readonly kind: number;
  /** As the tables and limits reckon it. */
  readonly sizeBytes: number;

  /** `nameKind`: of `kindOfName`. */
  constructor(name: string, value: string, nameKind: number) {
    this.name = name;
    this.value = value;
    this.kind = badValuePattern.test(value) ? fieldKind.malformed : nameKind;
    this.sizeBytes = name.length + value.length + entryOverheadBytes;
  }
}

export function kindOfName(name: string): number {
  const known = kinds.get(name);
  if (known !== undefined) return known;
  return namePattern.test(name) ? fieldKind.other : fieldKind.malformed;
}
