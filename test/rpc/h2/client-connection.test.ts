/** The client against servers that break the rules, say nothing sensible, or never stop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { type CallEnd, ClientCall } from '../../../src/rpc/h2/client-call.ts';
import { ClientConnection } from '../../../src/rpc/h2/client-connection.ts';
import {
  encodeGoAway,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  errorCode,
  frameFlag,
  frameType,
  settingId,
} from '../../../src/rpc/h2/frames.ts';
import { HpackEncoder } from '../../../src/rpc/h2/hpack/encoder.ts';
import { OutputBuffer } from '../../../src/rpc/h2/output-buffer.ts';
import { data, frame } from './test-connection.ts';

const messageBytesMax = 64 * 1024;

interface Told {
  begun: number;
  readonly messages: Buffer[];
  end: CallEnd | undefined;
}

function bench() {
  const core = new ClientConnection({ nowMs: 0, wake: () => undefined });
  const output = new OutputBuffer();
  const calls: { readonly call: ClientCall; readonly told: Told }[] = [];
  let lost = '';
  return {
    core,
    calls,
    open() {
      const told: Told = { begun: 0, messages: [], end: undefined };
      const options = { path: '/a/B', scheme: 'http', authority: 'a', metadata: [], messageBytesMax } as const;
      const handler = {
        begun: () => void told.begun++,
        message: (bytes: Buffer) => void told.messages.push(bytes),
        drained: () => undefined,
        ended: (end: CallEnd) => {
          assert.equal(told.end, undefined, 'a call ends once');
          told.end = end;
        },
      };
      const call = new ClientCall(core, options, handler, () => lost);
      calls.push({ call, told });
      return { call, told };
    },
    receive(...pieces: readonly Buffer[]) {
      for (const piece of pieces) if (!core.isFailed) core.receive(piece, 0);
    },
    /** Bytes that would have been sent. */
    take() {
      let bytes = 0;
      for (let hasMore = true; hasMore; ) {
        hasMore = core.produce(output);
        for (const part of output.take()) bytes += part.length;
        core.tellDrained();
      }
      return bytes;
    },
    lose() {
      lost = 'the connection is gone';
      core.lost();
    },
  };
}

const fields = (streamId: number, isEnd: boolean, ...pairs: [string, string][]) =>
  frame(
    frameType.headers,
    frameFlag.endHeaders | (isEnd ? frameFlag.endStream : 0),
    streamId,
    new HpackEncoder().block(pairs),
  );
const head = (streamId: number) => fields(streamId, false, [':status', '200'], ['content-type', 'application/grpc']);
const trailers = (streamId: number) => fields(streamId, true, ['grpc-status', '0']);
const message = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);
const hello = encodeSettings([]);

test('a head, messages, and a status are a good answer; a status alone is one, too', () => {
  const { open, receive } = bench();
  const one = open();
  const two = open();
  receive(hello, head(1), data(1, message('a')), data(1, Buffer.concat([message('b'), message('c')])), trailers(1));
  assert.deepEqual(one.told.messages.map(String), ['a', 'b', 'c']);
  assert.deepEqual([one.told.begun, one.told.end?.code], [1, 0]);
  receive(
    fields(
      3,
      true,
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['grpc-status', '7'],
      ['grpc-message', 'n%C3%B6'],
    ),
  );
  assert.deepEqual([two.told.begun, two.told.end?.code, two.told.end?.details], [0, 7, 'nö']);
});

test('answers that are none end the call, not the connection', () => {
  for (const [what, code, ...frames] of [
    ['no status', 2, head(1), data(1, message('a'), true)],
    ['a status that is no number', 2, head(1), fields(1, true, ['grpc-status', '-1'])],
    ['HTTP that is no gRPC', 14, fields(1, false, [':status', '503'], ['content-type', 'text/html'])],
    ['a page', 2, fields(1, false, [':status', '200'], ['content-type', 'text/html'])],
    ['a message without a head', 13, data(1, message('a'))],
    ['two heads', 13, head(1), head(1)],
    ['a message that is too long', 8, head(1), data(1, Buffer.from([0, 255, 255, 255, 255]))],
    ['a compressed message that was not asked for', 13, head(1), data(1, Buffer.from([1, 0, 0, 0, 0]))],
    ['a reset', 13, encodeRstStream(1, errorCode.internalError)],
    ['a refusal', 14, encodeRstStream(1, errorCode.refusedStream)],
    ['fields that are none', 13, fields(1, false, ['BAD', 'x'])],
    ['a window without end', 13, encodeWindowUpdate(1, 2 ** 31 - 1)],
  ] as const) {
    const { core, open, receive } = bench();
    const { told } = open();
    const other = open();
    receive(hello, ...frames);
    assert.equal(told.end?.code, code, what);
    receive(head(3), trailers(3));
    assert.equal(core.failure, undefined, what);
    assert.equal(other.told.end?.code, 0, what);
    assert.equal(core.streamCount, 0, what);
  }
});

test('what breaks HTTP/2 ends the connection, and every call with it', () => {
  for (const [what, ...frames] of [
    ['no settings first', encodePing(Buffer.alloc(8), false)],
    ['a pushed stream', hello, frame(frameType.pushPromise, frameFlag.endHeaders, 1, Buffer.from([0, 0, 0, 2, 0x82]))],
    ['an answer to nothing', hello, head(5)],
    ['a stream of the server', hello, head(2)],
    ['data for a stream that is not open', hello, data(9, Buffer.alloc(10))],
    ['a frame that is too long', hello, frame(frameType.ping, 0, 0, Buffer.alloc(9))],
    ['HPACK that is none', hello, frame(frameType.headers, frameFlag.endHeaders, 1, Buffer.from([0xff, 0xff, 0xff]))],
    ['windows without end', hello, encodeWindowUpdate(0, 2 ** 31 - 1)],
    ['settings out of range', encodeSettings([[settingId.maxFrameSize, 1]])],
    ['a server that would push', encodeSettings([[settingId.enablePush, 1]])],
    ['something else', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ] as const) {
    const { core, open, receive, lose, take } = bench();
    const { told } = open();
    receive(...frames);
    assert.ok(core.failure, what);
    take();
    lose();
    assert.equal(told.end?.code, 14, what);
  }
});

test('frames without use are counted, and a server that goes on with them is left', () => {
  for (const useless of [
    fields(1, false, [':status', '103']),
    frame(frameType.priority, 0, 1, Buffer.alloc(5)),
    frame(99, 0, 0, Buffer.alloc(100)),
    encodeSettings([]),
    data(1, Buffer.alloc(0)),
    encodeGoAway(99, 0, 'x'.repeat(1000)),
  ]) {
    const { core, open, receive, take } = bench();
    open();
    receive(hello);
    for (let count = 0; count < 20_000 && !core.isFailed; count++) {
      receive(useless);
      if (count % 100 === 0) take();
    }
    assert.ok(core.isFailed);
  }
  // Pings are answered; a server that does not read the answers is left.
  const { core, receive } = bench();
  receive(hello);
  for (let count = 0; count < 20_000 && !core.isFailed; count++) receive(encodePing(Buffer.alloc(8), false));
  assert.ok(core.isFailed);
});

test('after GOAWAY nothing new begins, what the server has not seen is refused, the rest is answered', () => {
  const { core, open, receive } = bench();
  const [first, second] = [open(), open()];
  receive(hello, encodeGoAway(1, 0, 'maintenance'));
  assert.equal(second.told.end?.code, 14);
  assert.equal(core.mayOpen, false);
  assert.equal(core.goneAway?.reason, 'maintenance');
  receive(head(1), trailers(1));
  assert.equal(first.told.end?.code, 0);
});

test('no more calls than the server takes', () => {
  const { core, open, receive } = bench();
  receive(encodeSettings([[settingId.maxConcurrentStreams, 2]]));
  open();
  open();
  assert.equal(core.mayOpen, false);
  receive(head(1), trailers(1));
  assert.equal(core.mayOpen, true);
});

test('random and damaged frames: no crash, every call ends once, little is held', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = seededRandom(seed);
    const number = (max: number) => random.integer(0, max);
    const { core, calls, open, receive, take, lose } = bench();
    receive(hello);
    for (let step = 0; step < 60 && !core.isFailed; step++) {
      if (core.mayOpen && number(3) === 0) {
        const { call } = open();
        call.write(Buffer.alloc(number(40_000)));
        if (number(1) === 0) call.end();
      }
      const streamId = number(8) === 0 ? number(2 ** 31 - 1) : 2 * number(calls.length) + 1;
      const good = [
        () => head(streamId),
        () => trailers(streamId),
        () => data(streamId, message('x'.repeat(number(200))), number(3) === 0),
        () => encodeWindowUpdate(number(1) * streamId, 1 + number(70_000)),
        () => encodeRstStream(streamId, number(13)),
        () => encodeSettings([[1 + number(6), number(100_000)]]),
        () => encodePing(Buffer.alloc(8), number(1) === 0),
        () =>
          frame(number(11), number(255), streamId, Buffer.from(Array.from({ length: number(60) }, () => number(255)))),
      ];
      const bytes = (good[number(good.length - 1)] as () => Buffer)();
      if (number(5) === 0) bytes[number(bytes.length - 1)] = number(255);
      const cut = number(bytes.length);
      receive(bytes.subarray(0, cut), bytes.subarray(cut));
      if (number(6) === 0) calls[number(Math.max(0, calls.length - 1))]?.call.cancel();
      if (number(2) === 0) take();
    }
    take();
    lose();
    assert.equal(core.streamCount, 0, `seed ${seed}`);
  }
});
