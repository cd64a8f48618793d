/** Calls over a connection without a socket: mutated traffic through all layers leaves nothing behind and breaks nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SeededRandom, seededRandom } from '../../../chaos/sim/random.ts';
import { grpcStatus } from '../../../src/rpc/grpc-status.ts';
import { Connection } from '../../../src/rpc/h2/connection.ts';
import { Dispatcher } from '../../../src/rpc/h2/dispatch.ts';
import {
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  frameFlag,
  frameType,
  preface,
} from '../../../src/rpc/h2/frames.ts';
import type { CallScope } from '../../../src/rpc/h2/grpc-call.ts';
import { HpackEncoder } from '../../../src/rpc/h2/hpack/encoder.ts';
import { heldBytesMax } from '../../../src/rpc/h2/limits.ts';
import { OutputBuffer } from '../../../src/rpc/h2/output-buffer.ts';
import { Timers } from '../../../src/rpc/h2/timers.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { createTestMethods, type TestMethods } from '../../kv/rpc/rpc-methods.ts';
import { data, frame } from './test-connection.ts';

interface Bench {
  readonly clock: FakeClock;
  readonly connection: Connection;
  readonly calls: TestMethods;
  receive(bytes: Buffer): void;
  /** Bytes that were sent, decoded by nobody. */
  flush(): number;
}

function createBench(messageBytesMax = 1000): Bench {
  const clock = new FakeClock();
  const timers = new Timers(clock);
  const calls = createTestMethods();
  const dispatcher = new Dispatcher(calls.methods, undefined);
  const output = new OutputBuffer();
  const connection = new Connection({
    nowMs: clock.nowMs,
    concurrentStreamsMax: 100,
    onRequest: (stream, head) => dispatcher.dispatch(stream, head, scope, clock.nowMs),
    wake: () => undefined,
  });
  const scope: CallScope = { connection, timers, messageBytesMax, clientCommonName: undefined, peer: '' };
  return {
    clock,
    connection,
    calls,
    receive: (bytes) => {
      if (!connection.isFailed) connection.receive(bytes, clock.nowMs);
    },
    flush: () => {
      let bytes = 0;
      for (let hasMore = true; hasMore; ) {
        hasMore = connection.produce(output);
        for (const part of output.take()) bytes += part.length;
        connection.tellDrained();
      }
      return bytes;
    },
  };
}

function callHeaders(
  streamId: number,
  method: string,
  more: readonly (readonly [string, string])[] = [],
  isEnd = false,
) {
  const block = new HpackEncoder().block([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', `/test.Echo/${method}`],
    ['content-type', 'application/grpc'],
    ...more,
  ]);
  return frame(frameType.headers, frameFlag.endHeaders | (isEnd ? frameFlag.endStream : 0), streamId, block);
}

function framed(message: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  message.copy(bytes, 5);
  return bytes;
}

const methods = ['Unary', 'Fail', 'Throw', 'Wait', 'Bidi', 'Sum', 'Count', 'FailLate', 'Hold', 'Nonsense'];

/** A client that mostly does what is right, byte by byte. */
function traffic(random: SeededRandom): Buffer {
  const parts: Buffer[] = [preface, encodeSettings([[4, random.integer(0, 100_000)]])];
  const open: number[] = [];
  let nextId = 1;
  for (let step = 0; step < 40; step++) {
    const streamId = open[random.integer(0, Math.max(0, open.length - 1))] ?? 0;
    switch (streamId === 0 ? 0 : random.integer(0, 6)) {
      case 0:
      case 1: {
        const more = random.integer(0, 3) === 0 ? [['grpc-timeout', `${random.integer(0, 50)}m`] as const] : [];
        parts.push(callHeaders(nextId, methods[random.integer(0, methods.length - 1)] as string, more));
        open.push(nextId);
        nextId += 2;
        break;
      }
      case 2:
      case 3: {
        const message = framed(Buffer.from(`${random.integer(0, 9)} ${random.integer(0, 300)}`));
        const cut = random.integer(0, message.length);
        parts.push(
          data(streamId, message.subarray(0, cut)),
          data(streamId, message.subarray(cut), random.integer(0, 2) === 0),
        );
        break;
      }
      case 4:
        parts.push(encodeRstStream(streamId, random.integer(0, 8)));
        break;
      case 5:
        parts.push(encodeWindowUpdate(random.integer(0, 1) * streamId, random.integer(1, 100_000)));
        break;
      default:
        parts.push(encodePing(Buffer.alloc(8), false));
    }
  }
  return Buffer.concat(parts);
}

test('traffic that is mutated and cut anywhere leaves no call, no byte and no timer behind', async () => {
  for (let seed = 0; seed < 400; seed++) {
    const random = seededRandom(seed);
    const bytes = traffic(random);
    // The first ones are right as they are; the others lose, change or repeat some bytes behind the preface.
    for (let count = seed < 100 ? 0 : random.integer(1, 4); count > 0; count--) {
      bytes[random.integer(preface.length, bytes.length - 1)] = random.integer(0, 255);
    }
    const bench = createBench();
    for (let at = 0; at < bytes.length; ) {
      const end = at + random.integer(1, 200);
      bench.receive(bytes.subarray(at, end));
      at = end;
      if (random.integer(0, 3) === 0) await bench.clock.advance(random.integer(0, 20));
      if (random.integer(0, 2) === 0) bench.flush();
      if (random.integer(0, 5) === 0) for (const { answer } of bench.calls.waiting) answer();
      for (const { answers } of bench.calls.held) {
        const choice = random.integer(0, 6);
        if (choice === 0) answers.pause();
        else if (choice === 1) answers.resume();
        else if (choice === 2) answers.write(Buffer.from('answer'));
        else if (choice === 3 && random.integer(0, 4) === 0) answers.end();
      }
    }
    bench.flush();
    if (seed < 100) assert.equal(bench.connection.failure, undefined, `seed ${seed} did nothing wrong`);
    bench.connection.lost();
    for (const { answer } of bench.calls.waiting) answer();
    await settle();
    assert.equal(bench.connection.streamCount, 0, `seed ${seed}`);
    assert.equal(bench.connection.heldBytes, 0, `seed ${seed}: bytes are counted to the end`);
    assert.equal(bench.connection.orphans, 0, `seed ${seed}: cancelled calls are counted to the end`);
    for (const { told } of bench.calls.held) assert.ok(told.filter((what) => what === 'gone').length <= 1);
  }
});

test('many unfinished requests on one connection are bounded together', () => {
  const bench = createBench(2 ** 30);
  bench.receive(Buffer.concat([preface, encodeSettings([])]));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(2 ** 29, 1);
  const chunk = Buffer.alloc(16_384);
  for (let streamId = 1; streamId < 80; streamId += 2) {
    bench.receive(callHeaders(streamId, streamId % 4 === 1 ? 'Unary' : 'Hold'));
    bench.receive(data(streamId, head));
  }
  for (let round = 0; round < 400; round++) {
    for (let streamId = 1; streamId < 80; streamId += 2) bench.receive(data(streamId, chunk));
    assert.ok(bench.connection.heldBytes <= heldBytesMax);
    bench.flush();
  }
  assert.equal(bench.connection.isFailed, false);
});

test('handlers of cancelled calls count until they end, and too many of them hold new calls back', async () => {
  const bench = createBench();
  bench.receive(Buffer.concat([preface, encodeSettings([])]));
  let streamId = 1;
  for (; bench.calls.waiting.length < 10_000; streamId += 2) {
    bench.receive(callHeaders(streamId, 'Wait'));
    bench.receive(data(streamId, framed(Buffer.from('x')), true));
    bench.receive(encodeRstStream(streamId, 8));
    bench.flush();
  }
  assert.equal(bench.connection.orphans, 10_000);
  bench.receive(callHeaders(streamId, 'Unary'));
  assert.equal(bench.connection.streamCount, 0, 'refused');
  for (const { answer } of bench.calls.waiting) answer();
  await settle();
  assert.equal(bench.connection.orphans, 0);
  bench.receive(callHeaders(streamId + 2, 'Unary'));
  assert.equal(bench.connection.streamCount, 1);
});

test('a deadline that has passed is told as such, and the reason is known', async () => {
  const bench = createBench();
  bench.receive(Buffer.concat([preface, encodeSettings([])]));
  bench.receive(callHeaders(1, 'Wait', [['grpc-timeout', '100m']]));
  bench.receive(data(1, framed(Buffer.from('x')), true));
  const [call] = bench.calls.waiting;
  await bench.clock.advance(99);
  assert.equal(call?.call.signal.aborted, false);
  await bench.clock.advance(1);
  assert.equal((await call?.aborted)?.code, grpcStatus.deadlineExceeded);
  assert.equal(bench.connection.orphans, 1);
});
