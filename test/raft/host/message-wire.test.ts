import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import descriptor from '../../../proto/gen/raft.json' with { type: 'json' };
import type { Message } from '../../../src/raft/core/types.ts';
import { fromProto, type ProtoMessageBatch, toProto } from '../../../src/raft/host/message-codec.ts';
import { decodeMessages, encodeMessages, withLeanStream } from '../../../src/raft/host/message-wire.ts';
import { loadMessage, loadService } from '../../../src/proto/grpc-service.ts';

const reference = loadMessage<ProtoMessageBatch>(descriptor, 'keelson.raft.v1.MessageBatch');

const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const data = fc.uint8Array({ maxLength: 300 });
const entry = fc.record({ term: number, index: number, kind: fc.constantFrom('normal', 'confChange'), data });
const common = { from: number, to: number, term: number };
const message = fc.oneof(
  fc.record({
    ...common,
    type: fc.constant('app'),
    prevIndex: number,
    prevTerm: number,
    commit: number,
    entries: fc.array(entry, { maxLength: 5 }),
  }),
  fc.record({
    ...common,
    type: fc.constant('heartbeat'),
    commit: number,
    readContext: number,
    held: fc.integer({ min: 1 }),
  }),
  fc.record({
    ...common,
    type: fc.constant('appResp'),
    index: number,
    reject: fc.boolean(),
    hintIndex: number,
    hintTerm: number,
  }),
  fc.record({ ...common, type: fc.constant('heartbeat'), commit: number, readContext: number }),
  fc.record({ ...common, type: fc.constant('vote'), lastIndex: number, lastTerm: number, isTransfer: fc.boolean() }),
  fc.record({
    ...common,
    type: fc.constant('prop'),
    entries: fc.array(fc.record({ kind: fc.constant('normal'), data }), { maxLength: 3 }),
  }),
  fc.record({ ...common, type: fc.constant('readIndexResp'), context: number, index: number }),
  fc.record({ ...common, type: fc.constant('transferLeader'), transferee: number }),
) as fc.Arbitrary<Message>;

const batch = fc.array(message, { maxLength: 6 }).map((messages) => ({ messages: messages.map(toProto) }));
const meant = ({ messages = [] }: ProtoMessageBatch) =>
  messages
    .map(fromProto)
    .map((each) =>
      'entries' in each
        ? { ...each, entries: each.entries.map((item) => ({ ...item, data: Buffer.from(item.data).toString('hex') })) }
        : each,
    );

test('members of this version and of the one before understand each other', () => {
  fc.assert(
    fc.property(batch, (sent) => {
      assert.deepEqual(meant(reference.decode(encodeMessages(sent))), meant(sent));
      assert.deepEqual(meant(decodeMessages(reference.encode(sent)) ?? {}), meant(sent));
    }),
    { numRuns: 300 },
  );
});

test('a description of a snapshot comes through as well', () => {
  const stream = withLeanStream(loadService(descriptor, 'keelson.raft.v1.RaftTransport'))['Stream'];
  const confState = { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const snap = {
    type: 'snap',
    from: 1,
    to: 2,
    term: 3,
    snapshot: { index: 9, term: 2, confState },
  } as unknown as Message;
  const sent = { messages: [toProto(snap)] };
  const received = stream?.requestDeserialize(stream.requestSerialize(sent)) as ProtoMessageBatch;
  assert.deepEqual(meant(received), [snap]);
});

test('damaged batches are read or refused', () => {
  fc.assert(
    fc.property(batch, fc.nat(), fc.nat(255), fc.nat(), (sent, place, byte, length) => {
      const bytes = encodeMessages(sent);
      if (bytes.length > 0) bytes[place % bytes.length] = byte;
      try {
        decodeMessages(bytes.subarray(0, length % (bytes.length + 1)));
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
