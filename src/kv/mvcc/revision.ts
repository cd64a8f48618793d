/**
 * Revisions and their place in the backend.
 *
 * A revision is {main, sub}: main numbers the writing transaction, sub the write in it. Its row key is 17 bytes: the
 * letter `r`, main and sub as 64-bit big-endian numbers, so that byte order is the order of writing and one scan reads
 * history forwards. Whether the row is a tombstone is in the row itself (row.ts), because a row is looked up by revision
 * alone.
 */
import { assert } from '../../env/assert.ts';

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

/** The revision of a row key. */
export function decodeRevision(key: Uint8Array): Revision {
  assert(key.length === revisionKeyBytes, () => `a revision key has ${revisionKeyBytes} bytes, not ${key.length}`);
  assert(key[0] === prefixByte, () => `a revision key begins with r, not with byte ${key[0]}`);
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const main = view.getUint32(1) * wordValues + view.getUint32(5);
  const sub = view.getUint32(9) * wordValues + view.getUint32(13);
  return { main, sub };
}
