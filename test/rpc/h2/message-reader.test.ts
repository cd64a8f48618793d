/** Messages out of the body of a request, however it is cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { grpcStatus } from '../../../src/rpc/grpc-status.ts';
import { encodeStatusText, isGrpc, parseTimeout } from '../../../src/rpc/h2/grpc-wire.ts';
import { MessageReader } from '../../../src/rpc/h2/message-reader.ts';

function framed(message: Uint8Array, flag = 0): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

/** `takes`: how many messages are asked for at most after each piece, in turns; after the last one, all. */
function readAll(reader: MessageReader, pieces: readonly Buffer[], takes: readonly number[] = [Infinity]): string[] {
  const messages: Buffer[] = [];
  for (const [turn, piece] of [...pieces.entries(), [-1, Buffer.alloc(0)] as const]) {
    // In the middle of something else, as frames are.
    const surrounded = Buffer.concat([Buffer.from('before'), piece, Buffer.from('behind')]);
    reader.push(surrounded, 6, 6 + piece.length);
    for (let left = turn < 0 ? Infinity : (takes[turn % takes.length] as number); left > 0; left--) {
      const message = reader.next();
      if (message === undefined) break;
      messages.push(message);
    }
  }
  // Looked at only now: nothing that was handed out may change.
  return messages.map((message) => message.toString('hex'));
}

test('messages are the same however their bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 6 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })), { minLength: 1 }),
      fc.array(fc.constantFrom(0, 1, Infinity), { minLength: 1 }),
      (messages, cuts, takes) => {
        const bytes = Buffer.concat(messages.map((message) => framed(message)));
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const end = at + (cuts[turn % cuts.length] as number);
          pieces.push(bytes.subarray(at, end));
          at = end;
        }
        const reader = new MessageReader(5000, false);
        assert.deepEqual(
          readAll(reader, pieces, takes),
          messages.map((message) => Buffer.from(message).toString('hex')),
        );
        assert.equal(reader.heldBytes, 0);
      },
    ),
    { numRuns: 1000 },
  );
});

test('a length above the limit is refused before anything is kept for it', () => {
  const reader = new MessageReader(100, false);
  reader.push(framed(new Uint8Array(101)), 0, 5);
  assert.throws(() => reader.next(), {
    status: { code: grpcStatus.resourceExhausted, details: 'grpc: received message larger than max (101 vs. 100)' },
  });
});

test('a length alone reserves nothing', () => {
  const reader = new MessageReader(2 ** 30, false);
  const head = framed(new Uint8Array(0));
  head.writeUInt32BE(2 ** 30, 1);
  const before = process.memoryUsage().arrayBuffers;
  reader.push(head, 0, 5);
  assert.equal(reader.next(), undefined);
  reader.push(Buffer.alloc(10), 0, 10);
  assert.equal(reader.next(), undefined);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test('messages that wait behind others are not copied again with each piece that comes', () => {
  const message = Buffer.alloc(64 * 1024, 'm');
  const body = Buffer.concat(Array.from({ length: 400 }, () => framed(message)));
  const reader = new MessageReader(2 ** 20, false);
  let taken = 0;
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let at = 0; at < body.length; at += 16_384) {
    reader.push(body, at, Math.min(at + 16_384, body.length));
    // The receiver is slow: some megabyte waits, and one message is taken for each that comes.
    if (reader.heldBytes > 2 ** 20 && reader.next() !== undefined) taken++;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  while (reader.next() !== undefined) taken++;
  assert.equal(taken, 400);
  assert.ok(most < 2 * body.length, `${most} bytes for ${body.length}`);
});

test('a byte at a time takes no object for each, and a few bytes that wait do not hold what was read with them', () => {
  const reader = new MessageReader(2 ** 20, false);
  const read = Buffer.alloc(64 * 1024, 'x');
  framed(new Uint8Array(200_000)).copy(read, 0, 0, 5);
  reader.push(read, 0, 5);
  assert.equal(reader.next(), undefined);
  read.fill('y');
  const before = process.memoryUsage();
  for (let count = 0; count < 199_999; count++) {
    reader.push(read, count % read.length, (count % read.length) + 1);
    if (count % 1000 === 0) assert.equal(reader.next(), undefined);
  }
  const after = process.memoryUsage();
  assert.ok(after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers < 4_000_000);
  reader.push(Buffer.from('z'), 0, 1);
  assert.equal(reader.next()?.toString(), `${'y'.repeat(199_999)}z`);
  assert.equal(reader.heldBytes, 0);
});

test('a part of what was read that has to wait does not hold the rest of it', () => {
  const readers: MessageReader[] = [];
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < 500; count++) {
    const reader = new MessageReader(2 ** 20, false);
    // Two of many frames that came in one read of 64 KB, of a message that never ends.
    for (let frame = 0; frame < 2; frame++) {
      const read = Buffer.allocUnsafeSlow(64 * 1024);
      framed(Buffer.alloc(500_000)).copy(read, 0, 0, 2000);
      reader.push(read, 0, 2000);
      assert.equal(reader.next(), undefined);
    }
    readers.push(reader);
  }
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  setFlagsFromString('--no-expose-gc');
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.equal(
    readers.reduce((sum, reader) => sum + reader.heldBytes, 0),
    2_000_000,
  );
  assert.ok(grown < 8_000_000, `${grown} bytes`);
});

test('gzip is unpacked, but not without end', () => {
  const reader = new MessageReader(1000, true);
  const zipped = framed(gzipSync(Buffer.alloc(1000, 'a')), 1);
  assert.deepEqual(readAll(reader, [zipped]), [Buffer.alloc(1000, 'a').toString('hex')]);
  const bomb = framed(gzipSync(Buffer.alloc(100_000, 'a')), 1);
  assert.throws(() => readAll(new MessageReader(1000, true), [bomb]), /after decompression larger than max/);
  assert.throws(() => readAll(new MessageReader(1000, true), [framed(Buffer.from('no gzip'), 1)]), /decompress/);
  assert.throws(() => readAll(new MessageReader(1000, false), [zipped]), /compressed flag set/);
  assert.throws(() => readAll(new MessageReader(1000, true), [framed(Buffer.from('x'), 7)]), /payload format 7/);
});

test('time-outs of gRPC', () => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['5000u', 5],
    ['6000000n', 6],
    ['99999999H', 99_999_999 * 3_600_000],
    ['', undefined],
    ['S', undefined],
    ['-1S', undefined],
    ['1.5S', undefined],
    ['123456789S', undefined],
    ['1x', undefined],
  ];
  for (const [text, milliseconds] of table) assert.equal(parseTimeout(text), milliseconds, text);
});

test('status texts are printable ASCII, at most 4 KiB, and never end within a character', () => {
  assert.equal(encodeStatusText('etcdserver: key not found'), 'etcdserver: key not found');
  assert.equal(encodeStatusText('100 %, grün\n'), '100 %25, gr%C3%BCn%0A');
  assert.equal(encodeStatusText('\u{1F600}'), '%F0%9F%98%80');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 1500 }), (text) => {
      const encoded = encodeStatusText(text);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.ok(encoded.length <= 4096);
      const decoded = decodeURIComponent(encoded);
      assert.ok(Buffer.from(text).toString().startsWith(decoded));
    }),
    { numRuns: 50 },
  );
});

test('which content types are gRPC', () => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=y']) assert.ok(isGrpc(type));
  for (const type of [undefined, '', 'text/plain', 'application/grpc-web', 'application/grpcx'])
    assert.ok(!isGrpc(type));
});
