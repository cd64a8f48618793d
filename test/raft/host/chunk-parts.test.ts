import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkParts, decodePart } from '../../../src/raft/host/snapshot-parts.ts';

test('a chunk is a part by itself, of any length, and stays one while the parts that may wait behind it are made', () => {
  const parts = new ChunkParts();
  for (const length of [1, 127, 128, 65_536, 262_144, 1_048_576]) {
    const chunk = new Uint8Array(length).fill(length % 251);
    const encoded = parts.encode(chunk);
    // As many as a stream takes of this size before it is full.
    for (let waiting = 0; waiting < Math.ceil(262_144 / length) && waiting < 100; waiting++) {
      parts.encode(new Uint8Array(length).fill(252));
    }
    assert.deepEqual(Buffer.from(decodePart(encoded).chunk ?? []), Buffer.from(chunk));
  }
});
