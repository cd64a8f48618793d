/**
 * A checksum with every row on disk: over key and value, so that a row whose key changed is found as well.
 *
 *   stored value = value, then CRC-32 of key and value (4 bytes, little-endian)
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

const checkBytes = 4;

/** What is stored for `value`. */
export function checked(key: Buffer, value: Uint8Array): Buffer {
  assert(key.length > 0, 'a row has a key');
  const stored = Buffer.allocUnsafe(value.length + checkBytes);
  stored.set(value);
  stored.writeUInt32LE(crc32(value, crc32(key)), value.length);
  return stored;
}

/** The value of what is stored; throws `BACKEND_CORRUPT` when it is not what was written. */
export function unchecked(key: Buffer, stored: Buffer): Buffer {
  const bytes = stored.length - checkBytes;
  const value = stored.subarray(0, Math.max(0, bytes));
  if (bytes < 0 || crc32(value, crc32(key)) !== stored.readUInt32LE(bytes)) {
    throw new KeelsonError('BACKEND_CORRUPT', `the checksum of row ${key.toString('hex')} does not match`);
  }
  return value;
}
