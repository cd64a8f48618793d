import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import descriptor from '../../../proto/gen/raft.json' with { type: 'json' };
import { KeelsonError } from '../../../src/env/errors.ts';
import type { Message } from '../../../src/raft/core/types.ts';
import { fromProto, type ProtoMessage, type ProtoMessageBatch, toProto } from '../../../src/raft/host/message-codec.ts';
import { BatchEncoder, decodeBatch } from '../../../src/raft/host/message-wire.ts';
import { decodePart, encodePart } from '../../../src/raft/host/snapshot-parts.ts';
import { loadMessage } from '../../../src/proto/grpc-service.ts';

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

const batch = fc.array(message, { maxLength: 6 });
const toReference = (messages: readonly Message[]) => reference.encode({ messages: messages.map(toProto) });
const fromReference = (bytes: Uint8Array) => (reference.decode(bytes).messages ?? []).map(fromProto);
const encode = (messages: readonly Message[]) => new BatchEncoder().encode(messages);
const plain = (messages: readonly Message[]) =>
  messages.map((each) =>
    'entries' in each
      ? { ...each, entries: each.entries.map((item) => ({ ...item, data: Buffer.from(item.data).toString('hex') })) }
      : each,
  );

/** Proposals that follow each other may have become one. */
function apart(messages: readonly Message[]): readonly Message[] {
  return messages.flatMap((each) =>
    each.type === 'prop' && each.entries.length > 1 ? each.entries.map((one) => ({ ...each, entries: [one] })) : [each],
  );
}
const meant = (messages: readonly Message[]) =>
  plain(apart(messages).filter((each) => each.type !== 'prop' || each.entries.length > 0));

test('members of this version and of the one before understand each other', () => {
  fc.assert(
    fc.property(batch, (drawn) => {
      // As one member sends them to one other.
      const sent = drawn.map((each) => ({ ...each, from: 1, to: 2 }) as Message);
      assert.deepEqual(meant(fromReference(encode(sent))), meant(sent));
      assert.deepEqual(plain(decodeBatch(toReference(sent))), plain(sent));
    }),
    { numRuns: 300 },
  );
});

test('entries that go to several members are encoded once, others never taken for them', () => {
  const entryAt = (index: number) => ({ term: 3, index, kind: 'normal', data: Buffer.alloc(300, index) });
  const entries = [1, 2, 3, 4].map(entryAt);
  const append = (to: number, sent: readonly object[]) =>
    ({ type: 'app', from: 1, to, term: 3, prevIndex: 0, prevTerm: 0, commit: 0, entries: sent }) as unknown as Message;
  const encoder = new BatchEncoder();
  for (const sent of [
    entries,
    [...entries],
    entries.slice(1),
    entries.slice(0, 3),
    [],
    [entryAt(1), ...entries.slice(1)],
  ]) {
    for (const to of [2, 3]) {
      const messages = [append(to, sent)];
      assert.deepEqual(plain(decodeBatch(encoder.encode(messages))), plain(messages));
    }
  }
});

test('proposals of one turn travel as one, but for changes of the membership and other terms', () => {
  const proposal = (kind: string, term: number, name: string) =>
    ({ type: 'prop', from: 1, to: 2, term, entries: [{ kind, data: Buffer.from(name) }] }) as unknown as Message;
  const sent = [
    ...Array.from({ length: 100 }, (_, at) => proposal('normal', 3, `${at}`)),
    proposal('confChange', 3, 'change'),
    proposal('confChange', 3, 'change too'),
    proposal('normal', 3, 'after'),
    proposal('normal', 4, 'later'),
  ];
  const received = decodeBatch(encode(sent));
  assert.deepEqual(
    received.map((each) => (each as Message & { type: 'prop' }).entries.length),
    [64, 36, 1, 1, 1, 1],
  );
  assert.deepEqual(meant(received), meant(sent));
});

test('a description of a snapshot comes through in its own stream, and in no other', () => {
  const confState = { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const snap = {
    type: 'snap',
    from: 1,
    to: 2,
    term: 3,
    snapshot: { index: 9, term: 2, confState },
  } as unknown as Message;
  const { message: received } = decodePart(encodePart({ message: toProto(snap) }));
  const got = fromProto(received as ProtoMessage) as Message & { type: 'snap' };
  assert.deepEqual(got.snapshot.confState.voters, confState.voters);
  assert.deepEqual([got.snapshot.index, got.snapshot.term], [9, 2]);
  assert.throws(() => decodeBatch(toReference([snap])), /without its content/);
});

test('damaged batches are read or refused', () => {
  fc.assert(
    fc.property(batch, fc.nat(), fc.nat(255), fc.nat(), (sent, place, byte, length) => {
      const bytes = encode(sent);
      if (bytes.length > 0) bytes[place % bytes.length] = byte;
      try {
        decodeBatch(bytes.subarray(0, length % (bytes.length + 1)));
      } catch (error) {
        assert.ok(error instanceof RangeError || error instanceof KeelsonError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
