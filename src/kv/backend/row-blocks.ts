/**
 * Many rows in one piece of memory: a big scan hands them on so, because a buffer for each key and each value is memory
 * outside V8's heap, and enough of those make it look at its whole heap again and again.
 *
 *     { key length u32, value length u32, key, value } …          lengths big-endian, whole rows only
 *
 * It is the form that a snapshot's stream has between its magic and its end mark.
 */
import { assert } from '../../env/assert.ts';
import { asBuffer } from './bytes.ts';
import type { Backend } from './contract.ts';

export const rowHeadBytes = 8;
/** A block is full at this, and longer only when a single row is. */
export const blockBytes = 256 * 1024;
const lengthLimit = 2 ** 32 - 1;

export function packedBytes(key: Uint8Array, value: Uint8Array): number {
  return rowHeadBytes + key.length + value.length;
}

/** Writes a row at `at` and returns where it ends. */
export function packRow(target: Buffer, at: number, key: Uint8Array, value: Uint8Array): number {
  assert(key.length > 0 && key.length < lengthLimit, 'a row has a key');
  assert(at + packedBytes(key, value) <= target.length, 'a row fits where it is written');
  target.writeUInt32BE(key.length, at);
  target.writeUInt32BE(value.length, at + 4);
  target.set(key, at + rowHeadBytes);
  target.set(value, at + rowHeadBytes + key.length);
  return at + packedBytes(key, value);
}

/** Shows every row of a block as views of it. */
export function eachRow(block: Uint8Array, onRow: (key: Buffer, value: Buffer) => void): void {
  const bytes = asBuffer(block);
  for (let at = 0; at < bytes.length; ) {
    assert(at + rowHeadBytes <= bytes.length, 'a block ends with a whole row');
    const keyAt = at + rowHeadBytes;
    const valueAt = keyAt + bytes.readUInt32BE(at);
    const end = valueAt + bytes.readUInt32BE(at + 4);
    assert(valueAt > keyAt && end <= bytes.length, () => `a row from ${at} to ${end} of ${bytes.length}`);
    onRow(bytes.subarray(keyAt, valueAt), bytes.subarray(valueAt, end));
    at = end;
  }
}

/** The rows in blocks. Each is valid until the next one is asked for. */
export async function* packRows(
  rows: AsyncIterable<readonly [Uint8Array, Uint8Array]>,
): AsyncGenerator<Uint8Array, void, void> {
  // Most states are smaller than a block.
  let block = Buffer.allocUnsafeSlow(16 * 1024);
  let used = 0;
  for await (const [key, value] of rows) {
    const bytes = packedBytes(key, value);
    if (used > 0 && used + bytes > blockBytes) {
      yield block.subarray(0, used);
      used = 0;
    }
    if (used + bytes > block.length) {
      const longer = Buffer.allocUnsafeSlow(Math.max(used + bytes, Math.min(block.length * 4, blockBytes)));
      longer.set(block.subarray(0, used));
      block = longer;
    }
    used = packRow(block, used, key, value);
  }
  if (used > 0) yield block.subarray(0, used);
}

/** Gives back what a scan holds that nobody will read: a generator that was never begun does not clean up. */
export async function abandon(blocks: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = blocks[Symbol.asyncIterator]();
  await iterator.next();
  await iterator.return?.();
}

/** All rows in [from, to) as of the call, in blocks that are each valid until the next one is asked for. */
export function blocksOf(backend: Backend, from: Uint8Array, to: Uint8Array): AsyncIterable<Uint8Array> {
  return backend.blocks?.(from, to) ?? packRows(backend.scan(from, to));
}
