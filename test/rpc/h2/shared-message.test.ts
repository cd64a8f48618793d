/** Messages that go to many: what arrives is the same as if each had been sent by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frameType, settingId } from '../../../src/rpc/h2/frames.ts';
import { MessageReader } from '../../../src/rpc/h2/message-reader.ts';
import type { SharedMessage } from '../../../src/rpc/shared-message.ts';
import { frame, headers, TestConnection } from './test-connection.ts';

/** As many zeros as the number says, then the content. */
class TestMessage implements SharedMessage {
  readonly #content: Buffer;
  constructor(content: Buffer) {
    this.#content = content;
  }
  length(number: number): number {
    return number + this.#content.length;
  }
  writeTo(target: Uint8Array, from: number, number: number): number {
    target.fill(0, from, from + number);
    target.set(this.#content, from + number);
    return from + number + this.#content.length;
  }
  of(number: number): Buffer {
    return Buffer.concat([Buffer.alloc(number), this.#content]);
  }
}

/** Everything that is sent on a stream, the client widening its windows by `stepBytes` whenever nothing comes. */
function readAll(connection: TestConnection, streamId: number, bytes: number, stepBytes: number): Buffer[] {
  const reader = new MessageReader(1024 * 1024, false);
  const messages: Buffer[] = [];
  for (let received = 0; received < bytes; ) {
    let came = 0;
    for (const { type, payload, streamId: id } of connection.take()) {
      if (type !== frameType.data || id !== streamId) continue;
      came += payload.length;
      reader.push(payload, 0, payload.length);
      for (let next = reader.next(); next !== undefined; next = reader.next()) messages.push(Buffer.from(next));
    }
    received += came;
    if (came > 0) continue;
    const increment = Buffer.alloc(4);
    increment.writeUInt32BE(stepBytes);
    connection.receive(
      frame(frameType.windowUpdate, 0, streamId, increment),
      frame(frameType.windowUpdate, 0, 0, increment),
    );
  }
  return messages;
}

test('shared and single messages arrive whole and in order through windows and frames of any size', () => {
  const contents = [0, 1, 100, 5_000, 40_000].map((size, place) => new TestMessage(Buffer.alloc(size, place + 1)));
  const message = fc.record({ of: fc.nat(contents.length - 1), number: fc.nat(300), isShared: fc.nat(9) });
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 70_000 }),
      fc.integer({ min: 7, max: 20_000 }),
      fc.nat(5),
      (plan, window, stepBytes, runs) => {
        const connection = new TestConnection({ settings: [[settingId.initialWindowSize, window]] });
        connection.receive(headers(1));
        const stream = connection.requests[0]?.stream;
        assert.ok(stream);
        stream.sendHead('grpc');
        const expected: Buffer[] = [];
        for (const { of, number, isShared } of plan) {
          const content = contents[of] as TestMessage;
          // Several in a row are usual.
          for (let again = 0; again <= runs; again++) {
            expected.push(content.of(number + again));
            if (isShared > 0) stream.sendShared(content, number + again);
            else stream.sendMessage(content.of(number + again));
          }
        }
        const bytes = expected.reduce((sum, each) => sum + 5 + each.length, 0);
        assert.equal(stream.queuedBytes, bytes);
        const messages = readAll(connection, 1, bytes, stepBytes);
        assert.equal(messages.length, expected.length);
        messages.forEach((each, place) => assert.ok(each.equals(expected[place] as Buffer), `message ${place}`));
        assert.equal(stream.queuedBytes, 0);
        // It goes on after it was empty.
        stream.sendShared(contents[1] as TestMessage, 3);
        assert.deepEqual(readAll(connection, 1, 9, stepBytes), [(contents[1] as TestMessage).of(3)]);
      },
    ),
    { numRuns: 60 },
  );
});

test('a stream that is cancelled drops what many share', () => {
  const connection = new TestConnection();
  connection.receive(headers(1), headers(3));
  const [one, two] = connection.requests;
  assert.ok(one && two);
  const message = new TestMessage(Buffer.alloc(1_000));
  for (const { stream } of [one, two]) {
    stream.sendHead('grpc');
    for (let number = 0; number < 100; number++) stream.sendShared(message, number);
  }
  const code = Buffer.from([0, 0, 0, 8]);
  connection.receive(frame(frameType.rstStream, 0, 1, code));
  one.stream.sendShared(message, 0);
  assert.equal(one.stream.queuedBytes, 0);
  assert.ok(connection.dataBytes().get(3) > 60_000);
});
