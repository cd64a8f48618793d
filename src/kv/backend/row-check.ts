/**
 * A checksum with every row on disk: over key and value, so that a row whose key changed is found as well.
 *
 *   stored value = value, then CRC-32 of key and value (4 bytes, little-endian)
 */
import { crc32 } from 'node:zlib';
import { assert, present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

const checkBytes = 4;

/** Rows of usual size are many to a block; larger ones have memory of their own. */
const blockBytes = 256 * 1024;
/** What a disk batch takes as a rule (src/kv/backend/level.ts). */
const blocksMax = 16;

/**
 * Makes what is stored for the rows of one disk batch after the other in the same memory: LevelDB has copied a batch when it
 * was written, and new memory for each row would have V8 look through its whole heap every 64 MB.
 */
export class CheckedRows {
  readonly #blocks: Buffer[] = [];
  #taken = 0;
  #at = blockBytes;

  /** Nobody looks at the rows made so far any more. */
  restart(): void {
    this.#taken = 0;
    this.#at = blockBytes;
  }

  /** What is stored for `value`; good until `restart`. */
  row(key: Buffer, value: Uint8Array): Buffer {
    assert(key.length > 0, 'a row has a key');
    const stored = this.#room(value.length + checkBytes);
    stored.set(value);
    stored.writeUInt32LE(crc32(value, crc32(key)), value.length);
    return stored;
  }

  #room(bytes: number): Buffer {
    if (bytes > blockBytes) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > blockBytes - this.#at) {
      if (this.#taken === blocksMax) return Buffer.allocUnsafe(bytes);
      this.#blocks[this.#taken] ??= Buffer.allocUnsafeSlow(blockBytes);
      this.#taken++;
      this.#at = 0;
    }
    const block = present(this.#blocks[this.#taken - 1], 'a block to write to');
    const from = this.#at;
    this.#at += bytes;
    return block.subarray(from, this.#at);
  }
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
