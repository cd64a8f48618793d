/**
 * Revisions and their place in the backend.
 *
 * A revision is {main, sub}: main numbers the writing transaction, sub the write in it. Its row key is 17 bytes: the
 * letter `r`, main and sub as 64-bit big-endian numbers, so that byte order is the order of writing and one scan reads
 * history forwards. Whether the row is a tombstone is in the row itself (row.ts), because a row is looked up by revision
 * alone.
 */
import { assert } from '../../env/assert.ts';
import { asBuffer } from '../backend/bytes.ts';

export interface Revision {
  readonly main: number;
  readonly sub: number;
}

const prefixByte = 0x72;
const wordValues = 2 ** 32;
export const revisionKeyBytes = 17;

/** First and one-past-last row key of all revisions. */
export const revisionRowsFrom: Uint8Array = Uint8Array.of(prefixByte);
export const revisionRowsTo: Uint8Array = Uint8Array.of(prefixByte + 1);

/** The row key of a revision. */
export function encodeRevision(main: number, sub: number): Uint8Array {
  assert(Number.isSafeInteger(main) && main > 0, () => `revision ${main} must be a positive integer`);
  assert(Number.isSafeInteger(sub) && sub >= 0, () => `sub revision ${sub} must be a natural number`);
  const key = Buffer.allocUnsafe(revisionKeyBytes);
  key[0] = prefixByte;
  key.writeUInt32BE(Math.floor(main / wordValues), 1);
  key.writeUInt32BE(main % wordValues, 5);
  key.writeUInt32BE(Math.floor(sub / wordValues), 9);
  key.writeUInt32BE(sub % wordValues, 13);
  return key;
}

/** Whether a row key of a revision stands at `at`. */
export function isRevisionKeyAt(bytes: Buffer, at: number): boolean {
  return bytes[at] === prefixByte && at + revisionKeyBytes <= bytes.length;
}

/** The main revision of the row key at `at`. */
export function mainAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + 1) * wordValues + bytes.readUInt32BE(at + 5);
}

/** The sub revision of the row key at `at`. */
export function subAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + 9) * wordValues + bytes.readUInt32BE(at + 13);
}

/** The revision of a row key. */
export function decodeRevision(key: Uint8Array): Revision {
  assert(key.length === revisionKeyBytes, () => `a revision key has ${revisionKeyBytes} bytes, not ${key.length}`);
  assert(key[0] === prefixByte, () => `a revision key begins with r, not with byte ${key[0]}`);
  const bytes = asBuffer(key);
  return { main: mainAt(bytes, 0), sub: subAt(bytes, 0) };
}
