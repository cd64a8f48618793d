/** The reader of frames: however the bytes are cut, it tells the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameReader } from '../../../src/rpc/h2/frame-reader.ts';
import { ConnectionError, errorCode, frameFlag, frameType, writeFrameHeader } from '../../../src/rpc/h2/frames.ts';
import { frameBytesMax } from '../../../src/rpc/h2/limits.ts';

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
}

function encode({ type, flags, streamId, payload }: Frame): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}

/** What the reader tells, with the pieces of DATA put together. */
function readAll(pieces: readonly Buffer[]): string[] {
  const told: string[] = [];
  let data = '';
  const reader = new FrameReader({
    dataBegins: (streamId, flags, length) => {
      data = `data ${streamId} ${flags} ${length} `;
    },
    dataBytes: (bytes, start, end) => {
      assert.ok(end > start, 'no empty pieces');
      data += bytes.toString('hex', start, end);
    },
    dataEnds: () => told.push(data),
    frame: (type, flags, streamId, bytes, start, end) => {
      told.push(`${type} ${flags} ${streamId} ${bytes.toString('hex', start, end)}`);
    },
  });
  for (const piece of pieces) reader.read(piece);
  return told;
}

const frames = fc.array(
  fc.record({
    type: fc.integer({ min: 0, max: 12 }),
    flags: fc.integer({ min: 0, max: 255 }).map((flags) => flags & ~frameFlag.padded),
    streamId: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    payload: fc.uint8Array({ maxLength: 60 }),
  }),
  { maxLength: 10 },
);

test('frames are the same however their bytes are cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(encode));
      const pieces: Buffer[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const end = at + (cuts[turn % cuts.length] as number);
        pieces.push(bytes.subarray(at, end));
        at = end;
      }
      assert.deepEqual(readAll(pieces), readAll([bytes]));
      assert.equal(readAll([bytes]).length, sent.length);
    }),
  );
});

test('padding of DATA is left out but counts', () => {
  const payload = Buffer.from([3, 0x61, 0x62, 0, 0, 0]);
  const frame = encode({ type: frameType.data, flags: frameFlag.padded, streamId: 1, payload });
  assert.deepEqual(readAll([frame]), ['data 1 8 6 6162']);
  assert.deepEqual(readAll([...frame].map((byte) => Buffer.from([byte]))), ['data 1 8 6 6162']);
  const onlyPadding = encode({
    type: frameType.data,
    flags: frameFlag.padded,
    streamId: 1,
    payload: Buffer.from([2, 0, 0]),
  });
  assert.deepEqual(readAll([onlyPadding]), ['data 1 8 3 ']);
});

test('padding that is longer than its frame, and frames that are too long, end the connection', () => {
  const bad = encode({ type: frameType.data, flags: frameFlag.padded, streamId: 1, payload: Buffer.from([3, 0, 0]) });
  assert.throws(() => readAll([bad]), { code: errorCode.protocolError });
  const without = encode({ type: frameType.data, flags: frameFlag.padded, streamId: 1, payload: Buffer.alloc(0) });
  assert.throws(() => readAll([without]), { code: errorCode.frameSizeError });
  const long = encode({ type: frameType.headers, flags: 0, streamId: 1, payload: Buffer.alloc(frameBytesMax + 1) });
  assert.throws(() => readAll([long]), { code: errorCode.frameSizeError });
  assert.throws(() => readAll([long.subarray(0, 4), long.subarray(4)]), ConnectionError);
});
