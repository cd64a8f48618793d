/** HPACK against the examples of RFC 7541, appendix C, and against bytes that nobody should send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnectionError, errorCode } from '../../../../src/rpc/h2/frames.ts';
import { HpackDecoder } from '../../../../src/rpc/h2/hpack/decoder.ts';
import { encodeInteger, HpackEncoder } from '../../../../src/rpc/h2/hpack/encoder.ts';
import { fieldKind } from '../../../../src/rpc/h2/hpack/field.ts';
import { decodeHuffman, encodeHuffman } from '../../../../src/rpc/h2/hpack/huffman.ts';
import { headerListBytesMax } from '../../../../src/rpc/h2/limits.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

function decode(decoder: HpackDecoder, block: Buffer): string[] {
  return decoder.decode(block, 0, block.length).fields.map(({ name, value }) => `${name}: ${value}`);
}

const requests = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
];
const responses = [
  [
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
];
/** The examples of responses have a table of 256 bytes. */
const table256 = '3fe101';

const examples: readonly (readonly [name: string, blocks: readonly string[], fields: readonly string[][]])[] = [
  [
    'C.3: requests without Huffman coding',
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    requests,
  ],
  [
    'C.4: requests with Huffman coding',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
    requests,
  ],
  [
    'C.5: responses without Huffman coding, with evictions',
    [
      `${table256}4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
    ],
    responses,
  ],
  [
    'C.6: responses with Huffman coding, with evictions',
    [
      `${table256}4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ],
    responses,
  ],
];

for (const [name, blocks, fields] of examples) {
  test(name, () => {
    const decoder = new HpackDecoder();
    blocks.forEach((block, index) => assert.deepEqual(decode(decoder, hex(block)), fields[index]));
  });
}

test('C.1: numbers', () => {
  assert.deepEqual(encodeInteger(0, 0x1f, 10), hex('0a'));
  assert.deepEqual(encodeInteger(0, 0x1f, 1337), hex('1f9a0a'));
  assert.deepEqual(encodeInteger(0, 0xff, 42), hex('2a'));
});

test('C.2: literals with and without a place in the table, and never indexed', () => {
  const decoder = new HpackDecoder();
  assert.deepEqual(decode(decoder, hex('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572')), [
    'custom-key: custom-header',
  ]);
  assert.deepEqual(decode(decoder, hex('040c 2f73 616d 706c 652f 7061 7468')), [':path: /sample/path']);
  assert.deepEqual(decode(decoder, hex('1008 7061 7373 776f 7264 0673 6563 7265 74')), ['password: secret']);
  assert.deepEqual(decode(decoder, hex('82be')), [':method: GET', 'custom-key: custom-header']);
  assert.throws(() => decode(decoder, hex('bf')), ConnectionError);
});

test('any bytes survive Huffman coding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const coded = encodeHuffman(bytes);
      assert.equal(decodeHuffman(coded, 0, coded.length), Buffer.from(bytes).toString('latin1'));
    }),
  );
});

test('padding of Huffman codes must be the beginning of the end of string, and less than a byte', () => {
  // "a" is 00011; what follows must be ones.
  assert.equal(decodeHuffman(hex('1f'), 0, 1), 'a');
  assert.equal(decodeHuffman(hex('18'), 0, 1), undefined);
  assert.equal(decodeHuffman(hex('1fff'), 0, 2), undefined);
  assert.equal(decodeHuffman(hex('ffffffff'), 0, 4), undefined, 'the end of string itself');
});

test('what the encoder writes is what the decoder reads, with every size of the table', () => {
  for (const tableBytes of [undefined, 0, 100, 4096, 65_536]) {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    if (tableBytes !== undefined) encoder.limitTable(tableBytes);
    const read = (block: Buffer) => decode(decoder, block);
    assert.deepEqual(read(encoder.grpcTrailers()), ['grpc-status: 0'], 'trailers alone');
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(read(encoder.grpcHead()), [':status: 200', 'content-type: application/grpc']);
      assert.deepEqual(read(encoder.grpcHead()), [':status: 200', 'content-type: application/grpc']);
      assert.deepEqual(read(encoder.grpcTrailers()), ['grpc-status: 0']);
      assert.deepEqual(
        read(
          encoder.block([
            [':status', '404'],
            ['x-long', 'y'.repeat(300)],
          ]),
        ),
        [':status: 404', `x-long: ${'y'.repeat(300)}`],
      );
      if (round === 1) encoder.limitTable(0);
    }
  }
});

test('a small block that unfolds to much is read to its end, and its fields are dropped', () => {
  const decoder = new HpackDecoder();
  const name = Buffer.concat([hex('40'), encodeInteger(0, 0x7f, 1), Buffer.from('x'), encodeInteger(0, 0x7f, 4000)]);
  const bomb = Buffer.concat([name, Buffer.alloc(4000, 'v'), Buffer.alloc(10_000, 0xbe)]);
  const { fields, isTooLarge } = decoder.decode(bomb, 0, bomb.length);
  assert.equal(isTooLarge, true);
  assert.ok(fields.reduce((sum, field) => sum + field.sizeBytes, 0) <= headerListBytesMax);
  // The table is as the client believes it to be.
  assert.deepEqual(decode(decoder, hex('be')), [`x: ${'v'.repeat(4000)}`]);
});

test('fields that must not be in a request are known as malformed', () => {
  const decoder = new HpackDecoder();
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([encodeInteger(0, 0x7f, bytes.length), bytes]);
  };
  const literal = (name: string, value: string) => Buffer.concat([hex('00'), text(name), text(value)]);
  const kind = (name: string, value: string) => {
    const block = literal(name, value);
    return decoder.decode(block, 0, block.length).fields[0]?.kind;
  };
  for (const name of ['Upper', 'with space', '', 'connection', 'transfer-encoding', ':unknown', 'ü']) {
    assert.equal(kind(name, 'x'), fieldKind.malformed, name);
  }
  for (const value of ['a\nb', 'a\rb', 'a\0b']) assert.equal(kind('x', value), fieldKind.malformed);
  assert.equal(kind('x', 'anything else \t ü'), fieldKind.other);
  // Also when the name comes from an entry whose value is malformed.
  const bad = Buffer.concat([
    hex('40'),
    encodeInteger(0, 0x7f, 1),
    Buffer.from('y'),
    encodeInteger(0, 0x7f, 1),
    Buffer.from('\n'),
  ]);
  decoder.decode(bad, 0, bad.length);
  const again = hex('7e0161');
  assert.equal(decoder.decode(again, 0, again.length).fields[0]?.kind, fieldKind.other);
});

test('random bytes are read or refused as HPACK, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 20 }), (blocks) => {
      const decoder = new HpackDecoder();
      for (const block of blocks) {
        try {
          decoder.decode(Buffer.from(block), 0, block.length);
        } catch (error) {
          assert.ok(error instanceof ConnectionError && error.code === errorCode.compressionError, String(error));
          return;
        }
      }
    }),
    { numRuns: 3000 },
  );
});
