/** The connection without a socket: what it does with what a client sends, well-behaved and otherwise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../../chaos/sim/random.ts';
import {
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  errorCode,
  frameFlag,
  frameType,
  settingId,
} from '../../../src/rpc/h2/frames.ts';
import { connectionQueueBytesHigh, streamWindowBytes } from '../../../src/rpc/h2/limits.ts';
import type { Stream } from '../../../src/rpc/h2/stream.ts';
import { data, frame, headers, TestConnection } from './test-connection.ts';

test('a request is answered, within the windows of the client', () => {
  const connection = new TestConnection({ settings: [[settingId.initialWindowSize, 10]] });
  connection.receive(headers(1), data(1, Buffer.from('hello'), true));
  const [request] = connection.requests;
  assert.equal(request?.head.path, '/a');
  assert.deepEqual(request?.told, ['hello', 'ended']);
  request?.stream.sendHead([[':status', '200']]);
  request?.stream.sendBytes(Buffer.from('0123456789abcdef'));
  request?.stream.end();
  assert.deepEqual(connection.sentOn(1), ['headers', 'data 0123456789']);
  connection.receive(encodeWindowUpdate(1, 4));
  assert.deepEqual(connection.sentOn(1), ['data abcd']);
  connection.receive(encodeSettings([[settingId.initialWindowSize, 11]]));
  assert.deepEqual(connection.sentOn(1), ['data e']);
  connection.receive(encodeSettings([[settingId.initialWindowSize, 0]]), encodeWindowUpdate(1, 5));
  assert.deepEqual(connection.sentOn(1), [], 'the window is negative');
  connection.receive(encodeWindowUpdate(1, 7));
  assert.deepEqual(connection.sentOn(1), ['data f end']);
  assert.equal(connection.core.streamCount, 0);
});

test('streams share the window of the connection in turns', () => {
  const connection = new TestConnection({ settings: [[settingId.initialWindowSize, 2 ** 31 - 1]] });
  connection.receive(headers(1, true), headers(3, true), headers(5, true));
  for (const { stream } of connection.requests) {
    stream.sendHead([[':status', '200']]);
    stream.sendBytes(Buffer.alloc(100_000));
    stream.end();
  }
  const first = connection.dataBytes();
  assert.equal(first.get(1) + first.get(3) + first.get(5), 65_535);
  for (const id of [1, 3, 5]) assert.ok(first.get(id) >= 16_000, `stream ${id} has its share: ${first.get(id)}`);
  connection.receive(encodeWindowUpdate(0, 1_000_000));
  const second = connection.dataBytes();
  for (const id of [1, 3, 5]) assert.equal(first.get(id) + second.get(id), 100_000);
});

test('what needs no window passes streams that wait for it', () => {
  const connection = new TestConnection();
  connection.receive(headers(1, true), headers(3, true));
  const [big, small] = connection.requests;
  big?.stream.sendHead([[':status', '200']]);
  big?.stream.sendBytes(Buffer.alloc(100_000));
  connection.take();
  small?.stream.sendHead([[':status', '204']]);
  small?.stream.end();
  assert.deepEqual(connection.sentOn(3), ['headers end']);
});

test('windows are given back for what is consumed, and only for that', () => {
  const connection = new TestConnection();
  connection.isConsuming = false;
  connection.receive(headers(1));
  const chunk = Buffer.alloc(16_384);
  const chunks = streamWindowBytes / chunk.length;
  for (let index = 0; index < chunks; index++) connection.receive(data(1, chunk));
  const updates = () => connection.take().filter(({ type }) => type === frameType.windowUpdate);
  const before = updates();
  assert.ok(before.length > 0 && before.every(({ streamId }) => streamId === 0), 'the connection gets its window back');
  connection.requests[0]?.stream.consumed(streamWindowBytes);
  assert.deepEqual(
    updates().map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]),
    [[1, streamWindowBytes]],
  );
  for (let index = 0; index < chunks; index++) connection.receive(data(1, chunk));
  assert.equal(connection.requests[0]?.gone, undefined);
  connection.receive(data(1, Buffer.from('x')));
  assert.equal(connection.requests[0]?.gone, errorCode.flowControlError, 'one byte more breaks the stream');
});

test('streams above the limit are refused, and cancelled ones make room', () => {
  const connection = new TestConnection({ concurrentStreamsMax: 2 });
  connection.receive(headers(1), headers(3), headers(5));
  assert.equal(connection.requests.length, 2);
  assert.deepEqual(connection.resets(), [[5, errorCode.refusedStream]]);
  connection.receive(encodeRstStream(1, errorCode.cancel));
  assert.equal(connection.requests[0]?.gone, errorCode.cancel);
  connection.receive(headers(7));
  assert.equal(connection.requests.length, 3);
});

test('headers in pieces are put together, and nothing may come between', () => {
  const whole = headers(1, true);
  const block = whole.subarray(9);
  const pieces = [
    frame(frameType.headers, frameFlag.endStream, 1, block.subarray(0, 3)),
    frame(frameType.continuation, 0, 1, Buffer.alloc(0)),
    frame(frameType.continuation, frameFlag.endHeaders, 1, block.subarray(3)),
  ];
  const good = new TestConnection();
  good.receive(...pieces);
  assert.equal(good.requests[0]?.head.path, '/a');
  assert.deepEqual(good.requests[0]?.told, ['ended']);
  const bad = new TestConnection();
  bad.receive(pieces[0] as Buffer, encodePing(Buffer.alloc(8), false));
  assert.equal(bad.core.failure?.code, errorCode.protocolError);
});

test('late frames for a stream that we have closed are passed over', () => {
  const connection = new TestConnection();
  connection.receive(headers(1));
  const [request] = connection.requests;
  request?.stream.sendHead([[':status', '200']]);
  request?.stream.end();
  const sent = connection.take().filter(({ streamId }) => streamId === 1);
  assert.deepEqual(
    sent.map(({ type }) => type),
    [frameType.headers, frameType.rstStream],
  );
  assert.equal(sent[1]?.payload.readUInt32BE(0), errorCode.noError);
  connection.receive(data(1, Buffer.alloc(100)), data(1, Buffer.alloc(0), true), encodeWindowUpdate(1, 5));
  assert.deepEqual(connection.resets(), []);
  assert.equal(connection.core.isFailed, false);
});

/** Stream 1 was answered before its request was whole, and the client, which has not read that yet, has given it up. */
function answeredThenReset(): TestConnection {
  const connection = new TestConnection();
  connection.receive(headers(1));
  const [request] = connection.requests;
  request?.stream.sendHead([[':status', '200']]);
  request?.stream.end();
  assert.deepEqual(connection.resets(), [[1, errorCode.noError]]);
  connection.receive(encodeRstStream(1, errorCode.cancel));
  assert.deepEqual(connection.resets(), []);
  return connection;
}

test('after an early answer and the reset by the client, its data is told that the stream is closed', () => {
  for (const late of [data(1, Buffer.from('late')), data(1, Buffer.alloc(0), true)]) {
    const connection = answeredThenReset();
    connection.receive(late);
    assert.deepEqual(connection.resets(), [[1, errorCode.streamClosed]]);
    assert.equal(connection.core.isFailed, false);
  }
});

test('after an early answer and the reset by the client, its headers end the connection', () => {
  const connection = answeredThenReset();
  connection.receive(headers(1));
  assert.equal(connection.core.failure?.code, errorCode.streamClosed);
});

test('a graceful end serves what was begun before the client knew', () => {
  const connection = new TestConnection();
  connection.receive(headers(1, true));
  connection.core.drain();
  const sent = connection.take();
  const goAways = sent.filter(({ type }) => type === frameType.goAway);
  assert.deepEqual(
    goAways.map(({ payload }) => payload.readUInt32BE(0)),
    [2 ** 31 - 1],
  );
  const ping = sent.find(({ type }) => type === frameType.ping);
  connection.receive(headers(3, true));
  assert.equal(connection.requests.length, 2, 'it did not know');
  connection.receive(encodePing(ping?.payload as Buffer, true), headers(5, true));
  assert.equal(connection.requests.length, 2, 'it knew');
  const last = connection.take().filter(({ type }) => type === frameType.goAway);
  assert.deepEqual(
    last.map(({ payload }) => payload.readUInt32BE(0)),
    [3],
  );
  for (const { stream } of connection.requests) {
    assert.equal(connection.core.isDrained, false);
    stream.sendHead([[':status', '200']]);
    stream.end();
    connection.take();
  }
  assert.equal(connection.core.isDrained, true);
});

test('a lost connection tells each stream once', () => {
  const connection = new TestConnection();
  connection.receive(headers(1), headers(3, true));
  connection.core.lost();
  assert.deepEqual(
    connection.requests.map(({ gone }) => gone),
    [errorCode.cancel, errorCode.cancel],
  );
});

test('a stream that is full is told when there is room', () => {
  const connection = new TestConnection({ settings: [[settingId.initialWindowSize, 2 ** 30]] });
  connection.receive(encodeWindowUpdate(0, 2 ** 30), headers(1, true));
  const request = connection.requests[0];
  request?.stream.sendHead([[':status', '200']]);
  while (!request?.stream.isFull) request?.stream.sendBytes(Buffer.alloc(10_000));
  request.stream.owner.awaitRoom(request.stream);
  assert.equal(request.drained, 0);
  connection.take();
  assert.equal(request.drained, 1);
  connection.take();
  assert.equal(request.drained, 1);
});

test('streams that wait because the connection is full are told when it has room, whatever waits on them', () => {
  const connection = new TestConnection({ settings: [[settingId.initialWindowSize, 2 ** 30]] });
  connection.receive(headers(1, true), headers(3, true));
  const [large, small] = connection.requests;
  assert.ok(large && small);
  for (const { stream } of [large, small]) stream.sendHead([[':status', '200']]);
  small.stream.sendBytes(Buffer.alloc(10));
  while (!small.stream.isFull) large.stream.sendBytes(Buffer.alloc(1_000_000));
  small.stream.owner.awaitRoom(small.stream);
  connection.take();
  assert.equal(small.drained, 0);
  connection.receive(encodeWindowUpdate(0, 2 ** 30));
  connection.take();
  assert.equal(small.drained, 1);
});

test('a thousand streams that wait for room are not looked at while another one of their connection is answered', () => {
  const waiting = 1_000;
  const connection = new TestConnection({ concurrentStreamsMax: waiting + 1 });
  connection.receive(encodeWindowUpdate(0, 2 ** 30), headers(1, true));
  let looks = 0;
  for (let count = 1; count <= waiting; count++) {
    connection.receive(headers(2 * count + 1, true));
    const { stream } = connection.requests[count] as { stream: Stream };
    stream.sendHead([[':status', '200']]);
    // Beyond the window of the stream.
    for (let part = 0; part < 20; part++) stream.sendBytes(Buffer.alloc(10_000));
    stream.owner.awaitRoom(stream);
  }
  connection.take();
  for (const { stream } of connection.requests.slice(1)) {
    let bytes = stream.queuedBytes;
    assert.ok(bytes > 100_000);
    Object.defineProperty(stream, 'queuedBytes', {
      get: () => {
        looks++;
        return bytes;
      },
      set: (value: number) => {
        bytes = value;
      },
    });
  }
  const [answered] = connection.requests;
  answered?.stream.sendHead([[':status', '200']]);
  for (let part = 0; part < 10; part++) {
    answered?.stream.sendBytes(Buffer.alloc(100));
    assert.equal(connection.dataBytes().get(1), 100);
  }
  assert.equal(looks, 0);
});

test('answers that nobody reads make every stream full, and in the end cost the connection', () => {
  const connection = new TestConnection();
  connection.receive(headers(1, true), headers(3, true));
  const [first, second] = connection.requests;
  const answer = Buffer.alloc(16 * 2 ** 20);
  first?.stream.sendHead([[':status', '200']]);
  second?.stream.sendHead([[':status', '200']]);
  for (let bytes = 0; bytes < connectionQueueBytesHigh; bytes += answer.length) first?.stream.sendBytes(answer);
  assert.equal(second?.stream.isFull, true);
  for (let count = 0; count < 64 && !connection.core.isFailed; count++) first?.stream.sendBytes(answer);
  assert.equal(connection.core.failure?.code, errorCode.enhanceYourCalm);
});

test('one answer of any size is taken', () => {
  const connection = new TestConnection();
  connection.receive(headers(1, true));
  const [request] = connection.requests;
  request?.stream.sendHead([[':status', '200']]);
  request?.stream.sendBytes({ length: 2 ** 31 } as Uint8Array);
  assert.equal(connection.core.isFailed, false);
});

// Abuse: each flood has a limit, and none hits who is merely busy.

test('a thousand cancelled calls in a moment are normal; a rapid reset attack ends', () => {
  const connection = new TestConnection();
  let streamId = 1;
  const openAndCancel = () => {
    connection.receive(headers(streamId), encodeRstStream(streamId, errorCode.cancel));
    streamId += 2;
  };
  for (let count = 0; count < 10_000; count++) openAndCancel();
  assert.equal(connection.core.isFailed, false);
  for (let count = 0; count < 100_000 && !connection.core.isFailed; count++) openAndCancel();
  assert.equal(connection.core.failure?.code, errorCode.enhanceYourCalm);
});

const floods: readonly (readonly [name: string, frame: (count: number) => Buffer])[] = [
  ['empty DATA', () => data(1, Buffer.alloc(0))],
  ['SETTINGS', () => encodeSettings([[settingId.initialWindowSize, 65_535]])],
  ['PRIORITY', () => frame(frameType.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1]))],
  ['frames of no known type', () => frame(99, 0, 0, Buffer.alloc(0))],
  ['DATA for a closed stream', () => data(3, Buffer.from('x'))],
];
for (const [name, make] of floods) {
  test(`a flood of ${name} ends the connection`, () => {
    const connection = new TestConnection();
    connection.receive(headers(1), headers(3), encodeRstStream(3, errorCode.cancel));
    let count = 0;
    for (; count < 100_000 && !connection.core.isFailed; count++) {
      connection.receive(make(count));
      connection.take();
    }
    assert.equal(connection.core.failure?.code, errorCode.enhanceYourCalm);
    assert.ok(count > 1_000, `${count} are too few`);
  });
}

test('pings are answered as long as the answers are read', () => {
  const connection = new TestConnection();
  for (let count = 0; count < 30_000; count++) {
    connection.receive(encodePing(Buffer.alloc(8), false));
    if (count % 100 === 0) connection.take();
  }
  assert.equal(connection.core.isFailed, false);
  for (let count = 0; count < 30_000 && !connection.core.isFailed; count++) {
    connection.receive(encodePing(Buffer.alloc(8), false));
  }
  assert.equal(connection.core.failure?.code, errorCode.enhanceYourCalm);
});

test('pings that come too often are told to be too many, except after an answer', () => {
  const ping = encodePing(Buffer.alloc(8), false);
  const calm = new TestConnection({ pingIntervalMinMs: 5000 });
  calm.receive(headers(1));
  for (let count = 0; count < 100; count++) {
    calm.receive(ping);
    calm.nowMs += 5000;
  }
  assert.equal(calm.core.isFailed, false, 'as often as allowed');
  const [request] = calm.requests;
  request?.stream.sendHead([[':status', '200']]);
  for (let count = 0; count < 100; count++) {
    request?.stream.sendBytes(Buffer.from('x'));
    calm.take();
    calm.receive(ping);
  }
  assert.equal(calm.core.isFailed, false, 'one for each answer');
  calm.nowMs += 5000;
  for (let count = 0; count < 3; count++) calm.receive(ping);
  assert.equal(calm.core.isFailed, false);
  calm.receive(ping);
  assert.deepEqual(
    [calm.core.failure?.code, calm.core.failure?.message],
    [errorCode.enhanceYourCalm, 'too_many_pings'],
  );
  const idle = new TestConnection({ pingIntervalMinMs: 5000 });
  for (let count = 0; count < 4; count++) {
    idle.receive(ping);
    idle.nowMs += 60_000;
  }
  assert.equal(idle.core.isFailed, true, 'there is no call to keep alive');
});

test('headers without end cost the connection, not the memory', () => {
  for (const part of [Buffer.alloc(0), Buffer.alloc(16_000)]) {
    const connection = new TestConnection();
    connection.receive(frame(frameType.headers, 0, 1, part));
    let count = 0;
    for (; count < 1000 && !connection.core.isFailed; count++) {
      connection.receive(frame(frameType.continuation, 0, 1, part));
    }
    assert.equal(connection.core.failure?.code, errorCode.enhanceYourCalm);
    assert.ok(count <= 40);
  }
});

test('a client that does not read, opens calls and cancels them, leaves nothing behind', () => {
  const connection = new TestConnection({ settings: [[settingId.initialWindowSize, 0]] });
  for (let streamId = 1; streamId < 20_000; streamId += 2) {
    connection.receive(headers(streamId, true));
    const { stream } = connection.requests.pop() ?? assert.fail('a request');
    stream.sendHead([[':status', '200']]);
    stream.sendBytes(Buffer.alloc(1000));
    connection.receive(encodeRstStream(streamId, errorCode.cancel));
  }
  assert.equal(connection.core.streamCount, 0);
  assert.deepEqual(
    connection.take().filter(({ type }) => type === frameType.headers),
    [],
  );
});

test('random frames never do more than end the connection', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seededRandom(seed);
    const connection = new TestConnection();
    const bytes = (count: number) => Buffer.from(Array.from({ length: count }, () => random.integer(0, 255)));
    for (let count = 0; count < 60 && !connection.core.isFailed; count++) {
      const streamId = random.integer(0, 6);
      switch (random.integer(0, 7)) {
        case 0:
          connection.receive(headers(streamId, random.integer(0, 1) === 1));
          break;
        case 1:
          connection.receive(data(streamId, bytes(random.integer(0, 50)), random.integer(0, 3) === 0));
          break;
        case 2:
          connection.receive(encodeWindowUpdate(streamId, random.integer(0, 100)));
          break;
        case 3:
          connection.receive(encodeRstStream(streamId, random.integer(0, 13)));
          break;
        case 4: {
          const request = connection.requests[random.integer(0, connection.requests.length)];
          if (!request || request.stream.isEnding) break;
          if (request.stream.head === undefined) request.stream.sendHead([[':status', '200']]);
          request.stream.sendBytes(bytes(20));
          if (random.integer(0, 2) === 0) request.stream.end([['x', 'y']]);
          break;
        }
        case 5:
          connection.take();
          break;
        default:
          connection.receive(
            frame(random.integer(0, 11), random.integer(0, 255), streamId, bytes(random.integer(0, 30))),
          );
      }
    }
    connection.take();
    connection.core.lost();
    assert.equal(connection.core.streamCount, 0);
    for (const request of connection.requests) assert.ok(request.isOver, 'every stream has ended');
  }
});

test('random bytes end the connection or wait for more', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
      const connection = new TestConnection();
      for (const piece of pieces) connection.receive(Buffer.from(piece));
      connection.core.lost();
    }),
    { numRuns: 1000 },
  );
});
