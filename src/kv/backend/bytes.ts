/**
 * Bytes as latin1 strings and back. A latin1 string has one code unit per byte, so comparing strings compares bytes, and
 * strings work as map keys, which byte arrays do not.
 */

/** The latin1 string of `bytes`. */
export function toText(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1');
}

/** The bytes of a latin1 string; the inverse of toText. */
export function toBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
