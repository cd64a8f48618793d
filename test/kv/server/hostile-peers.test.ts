/**
 * Hostile peers against real members on loopback: one of three is stopped, and somebody speaks in its name, or in nobody's.
 * Whatever is said, no member stops, memory stays bounded, nothing acknowledged is lost or changed, and once it is over the
 * members elect and write again.
 *
 * Left out is what Raft must believe of a voter: an acknowledgement of entries that are there, a commit index within the log.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import storeLeaderDescriptor from '../../../proto/gen/store-leader.json' with { type: 'json' };
import storePeerDescriptor from '../../../proto/gen/store-peer.json' with { type: 'json' };
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Random } from '../../../src/env/random.ts';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import type { Message, ReplicaId } from '../../../src/raft/core/types.ts';
import { loadRoot } from '../../../src/proto/grpc-service.ts';
import { encodeHeader, peerService } from '../../../src/raft/host/grpc-wire.ts';
import { encodeCallKeys } from '../../../src/raft/host/grpc-words.ts';
import { type ProtoMessageBatch, type ProtoSnapshotPart, toProto } from '../../../src/raft/host/message-codec.ts';
import { mutated, randomMessage } from '../../support/random-messages.ts';
import { startTestMembers, type TestMember } from './test-members.ts';

const megabyte = 1024 * 1024;
/** An election at a test's timing takes half a second; the rest is for a busy machine. */
const wellAgainMs = 20_000;
/** What the collector has not collected yet, beside what is in flight. */
const growthBytesMax = 400 * megabyte;

/** Who says it: a member's id and key, or neither. */
interface Name {
  readonly from: number;
  readonly key: string | undefined;
}

interface Ended {
  readonly code: number;
  readonly details: string;
}

let members: readonly [TestMember, TestMember];
let urls: ReadonlyMap<number, string>;
let keys: ReadonlyMap<number, string>;
/** The stopped one, in whose name lies are told. */
let absent: Name;
let absentUrl: string;
let clusterId: string;
let bytesBefore: number;
const fatal: Error[] = [];
const acknowledged = new Map<string, string>();
const clients: grpc.Client[] = [];

const text = (value: string) => Buffer.from(value);

before(async () => {
  const all = await startTestMembers(3, { onFatal: (error) => void fatal.push(error) });
  const known = await (all[0] as TestMember).server.members(true);
  const last = all[2] as TestMember;
  keys = new Map(known.map(({ id, key }) => [id, key ?? '']));
  urls = new Map(known.map(({ id, peerUrls }) => [id, new URL(peerUrls[0] as string).host]));
  absent = { from: last.server.memberId, key: keys.get(last.server.memberId) };
  absentUrl = urls.get(absent.from) as string;
  clusterId = last.server.clusterId.toString(16).padStart(16, '0');
  await last.stop();
  members = [all[0] as TestMember, all[1] as TestMember];
  for (let count = 0; count < 5; count++) await write(`before/${count}`);
  bytesBefore = process.memoryUsage().rss;
});
after(() => Promise.all(members.map((member) => member.stop())));
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await wellAgain();
});

async function write(key: string): Promise<void> {
  const value = `${key} at ${acknowledged.size}`;
  await members[acknowledged.size % 2]?.server.put(putRequest({ key: text(key), value: text(value) }));
  acknowledged.set(key, value);
}

/** Nobody stopped, a write goes through in time, and both members hold everything that was acknowledged. */
async function wellAgain(): Promise<void> {
  const endMs = performance.now() + wellAgainMs;
  for (;;) {
    assert.deepEqual(fatal, []);
    try {
      await write(`after/${acknowledged.size}`);
      break;
    } catch (error) {
      // The outcome of a write under an old leader may be unknown; it was not acknowledged.
      assert.ok(performance.now() < endMs, `writes go through again: ${String(error)}`);
    }
  }
  for (const { server } of members) {
    const { kvs } = await server.range(rangeRequest({ key: Buffer.of(0), rangeEnd: Buffer.of(0) }));
    const held = new Map(kvs.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]));
    for (const [key, value] of acknowledged) assert.equal(held.get(key), value);
  }
  const grownBytes = process.memoryUsage().rss - bytesBefore;
  assert.ok(grownBytes < growthBytesMax, `${grownBytes / megabyte} MB more than before`);
}

const refusals = () => members.reduce((sum, { server }) => sum + server.counters().raft.messagesRefused, 0);
const raftOf = ({ server }: TestMember) => server.status().raft;

function metadataOf(target: TestMember, { from, key }: Name, header: object = {}): grpc.Metadata {
  const to = target.server.memberId as ReplicaId;
  const metadata = new grpc.Metadata();
  const fields = encodeHeader({ clusterId, from: from as ReplicaId, to, ...header });
  for (const [name, value] of [...fields, ...encodeCallKeys({ from: key, to: keys.get(to) })])
    metadata.set(name, value);
  return metadata;
}

type Method = 'Stream' | 'InstallSnapshot';

/** A call whose messages are bytes; `end` waits for how the member ends it. */
function open(target: TestMember, method: Method, metadata: grpc.Metadata) {
  const client = new grpc.Client(urls.get(target.server.memberId) as string, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  clients.push(client);
  let settle: (ended: Ended) => void = () => undefined;
  const ended = new Promise<Ended>((resolve) => {
    settle = resolve;
  });
  const stream = client.makeClientStreamRequest<Buffer, Buffer>(
    `/keelson.raft.v1.RaftTransport/${method}`,
    (bytes) => bytes,
    (bytes) => bytes,
    metadata,
    (error) => settle({ code: error?.code ?? 0, details: error?.details ?? '' }),
  );
  stream.on('error', () => undefined);
  return { stream, ended };
}

async function say(target: TestMember, name: Name, batches: readonly Buffer[], header?: object): Promise<Ended> {
  const { stream, ended } = open(target, 'Stream', metadataOf(target, name, header));
  for (const batch of batches) {
    if (!stream.write(batch)) await Promise.race([once(stream, 'drain'), ended]);
  }
  stream.end();
  return ended;
}

/** A message in the name of `from`; what is not said is usual. */
function message(target: TestMember, type: Message['type'], fields: object, from = absent.from): Message {
  const { term } = raftOf(target);
  return { type, from, to: target.server.memberId, term, ...fields } as unknown as Message;
}

const encodeMessages = (batch: ProtoMessageBatch) => peerService['Stream']?.requestSerialize(batch) as Buffer;
const batchOf = (...messages: Message[]) => encodeMessages({ messages: messages.map(toProto) });

test('who is of another cluster, another member, nobody, or comes without its key is refused', async () => {
  const [target] = members;
  const empty = [batchOf()];
  for (const [name, header, wanted] of [
    [absent, { clusterId: '00000000000000cc' }, /belongs to cluster 00000000000000cc/],
    [absent, { to: 7 }, /the call is for member 7/],
    [{ ...absent, from: 0 }, {}, /no other member's id/],
    [{ ...absent, from: target.server.memberId }, {}, /no other member's id/],
    [{ ...absent, key: 'of somebody else' }, {}, /another data directory/],
    [{ ...absent, key: undefined }, {}, /another data directory/],
  ] as const) {
    const { code, details } = await say(target, name, empty, header);
    assert.equal(code, grpc.status.FAILED_PRECONDITION, details);
    assert.match(details, wanted);
  }
  const { stream, ended } = open(target, 'InstallSnapshot', metadataOf(target, { ...absent, key: 'x' }));
  stream.end();
  assert.equal((await ended).code, grpc.status.FAILED_PRECONDITION);
  assert.equal((await say(target, absent, empty)).code, 0, 'the member itself would be heard');
});

test('bytes that are no HTTP/2, and frames that are no messages, end their connection and nothing else', async () => {
  const random = seededRandom('garbage');
  for (const target of members) {
    const [host, port] = (urls.get(target.server.memberId) as string).split(':') as [string, string];
    for (const bytes of [
      random.bytes(5_000),
      text('GET / HTTP/1.1\r\n\r\n'),
      text('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    ]) {
      const socket = connect(Number(port), host);
      socket.on('error', () => undefined);
      socket.end(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    for (let count = 0; count < 10; count++) {
      const { code } = await say(target, absent, [random.bytes(200) as Buffer]);
      assert.ok(code === grpc.status.INTERNAL || code === grpc.status.INVALID_ARGUMENT || code === 0, `code ${code}`);
    }
  }
});

test('a batch of millions of empty messages is refused before it is memory', async () => {
  const [target] = members;
  const emptyMessages = Buffer.alloc(8 * megabyte, Buffer.of(0x0a, 2, 0x08, 3));
  assert.equal((await say(target, absent, [emptyMessages])).code, grpc.status.INTERNAL);
  const emptyEntries = Buffer.alloc(8 * megabyte, Buffer.of(0x3a, 0));
  const length = Buffer.of(0x0a, 0x80, 0x80, 0x80, 0x04);
  assert.equal((await say(target, absent, [Buffer.concat([length, emptyEntries])])).code, grpc.status.INTERNAL);
  const { stream, ended } = open(target, 'InstallSnapshot', metadataOf(target, absent));
  stream.write(Buffer.concat([length, emptyEntries]));
  assert.equal((await ended).code, grpc.status.INTERNAL);
});

test('lies of a member are refused, counted, and change nothing', async () => {
  const confChange = { kind: 'confChange', data: text('noise') };
  for (const target of members) {
    const { term, lastIndex, leader, role } = raftOf(target);
    const prev = { prevIndex: lastIndex, prevTerm: term };
    const entry = (index: number) => ({ index, term, kind: 'normal', data: text('never') });
    const lies: Message[] = [
      message(target, 'app', { ...prev, entries: [entry(lastIndex + 1)], commit: lastIndex + 1 }),
      message(target, 'heartbeat', { commit: 0, readContext: 0 }),
      message(target, 'heartbeat', { term: term + 1, commit: lastIndex + 1_000_000, readContext: 0 }),
      message(target, 'app', { term: term + 1, ...prev, entries: [entry(lastIndex + 2)], commit: 0 }),
      message(target, 'vote', { term: 2 ** 53 - 1, lastIndex: 2 ** 53 - 1, lastTerm: 1, isTransfer: true }),
      message(target, 'voteResp', { term: 2 ** 53 - 1, reject: true }),
      message(target, 'timeoutNow', {}),
    ];
    if (role === 'leader') {
      lies.push(
        message(target, 'appResp', { index: lastIndex + 1_000, reject: false, hintIndex: 0, hintTerm: 0 }),
        message(target, 'heartbeatResp', { readContext: 2 ** 52 }),
        message(target, 'prop', { entries: [] }),
        message(target, 'prop', { entries: [confChange] }),
        message(target, 'prop', { entries: [{ kind: 'normal', data: text('nobody can apply this') }] }),
      );
    }
    const before = refusals();
    await say(
      target,
      absent,
      lies.map((lie) => batchOf(lie)),
    );
    if (raftOf(target).term !== term) continue;
    assert.deepEqual([raftOf(target).leader, refusals() - before], [leader, lies.length]);
  }
  for (const bad of [{ to: 9 }, { from: 9 }]) {
    const [target] = members;
    const { code } = await say(target, absent, [batchOf({ ...message(target, 'timeoutNow', {}), ...bad } as Message)]);
    assert.equal(code, grpc.status.INVALID_ARGUMENT);
  }
});

const types: readonly Message['type'][] = [
  'app',
  'appResp',
  'heartbeat',
  'heartbeatResp',
  'vote',
  'preVote',
  'voteResp',
  'preVoteResp',
  'timeoutNow',
  'prop',
  'readIndex',
  'readIndexResp',
  'transferLeader',
];

/** Near what is true, or far from it; never what Raft must believe (see the head of this file). */
function lie(random: Random, target: TestMember, from: number): Message {
  const { term, lastIndex } = raftOf(target);
  const far = [0, 2 ** 31, 2 ** 52, 2 ** 53 - 2, 2 ** 53 - 1];
  const oneOf = <T>(list: readonly T[]) => list[random.integer(0, list.length - 1)] as T;
  const near = (value: number) => (random.next() < 0.2 ? oneOf(far) : Math.max(0, value + random.integer(-2, 2)));
  const entries = Array.from({ length: random.integer(0, 2) }, (_, at) => {
    return { index: near(lastIndex + at + 1), term: near(term), kind: 'normal', data: new Uint8Array(0) };
  });
  return message(
    target,
    oneOf(types),
    {
      term: random.next() < 0.1 ? near(term) : term,
      prevIndex: near(lastIndex),
      prevTerm: near(term),
      entries,
      commit: random.next() < 0.5 ? 0 : lastIndex + 1_000,
      index: lastIndex + 1_000,
      reject: random.next() < 0.5,
      hintIndex: near(lastIndex),
      hintTerm: near(term),
      readContext: near(0),
      lastIndex: near(lastIndex),
      lastTerm: near(term),
      isTransfer: random.next() < 0.1,
      context: random.integer(0, 9),
      transferee: near(2),
    },
    from,
  );
}

for (const [who, nameOf] of [
  ['a member', () => absent],
  ['a stranger', () => ({ from: 4711, key: 'a key of its own' })],
] as const) {
  test(`random messages from ${who}, whole and mutated`, async () => {
    const random = seededRandom(`lies of ${who}`);
    for (const target of members) {
      const name = nameOf();
      const whole = Array.from({ length: 300 }, () => batchOf(lie(random, target, name.from)));
      assert.equal((await say(target, name, whole)).code, 0);
      // The first that cannot be read ends its stream, so each has its own. A mutation may make an entry that could be applied
      // by nobody: these are of kinds that hold none.
      for (let count = 0; count < 40; count++) {
        const source = batchOf({ ...lie(random, target, name.from), type: 'vote' } as Message);
        const { code } = await say(target, name, [mutated(random, source) as Buffer]);
        assert.ok([0, grpc.status.INTERNAL, grpc.status.INVALID_ARGUMENT].includes(code), `code ${code}`);
      }
    }
  });
}

test('votes answered again and again elect nobody twice', async () => {
  for (const target of members) {
    const { term } = raftOf(target);
    const answers = [term, term + 1, term + 2].flatMap((voted) => [
      message(target, 'preVoteResp', { term: voted, reject: false }),
      message(target, 'voteResp', { term, reject: false }),
    ]);
    await say(target, absent, Array(50).fill(batchOf(...answers)));
  }
  const [first, second] = members.map(raftOf);
  assert.ok(first?.term !== second?.term || [first, second].filter((own) => own?.role === 'leader').length <= 1);
});

test('what the leader once said, said again to the others', async (t) => {
  const captured: ProtoMessageBatch[] = [];
  const server = new grpc.Server();
  type BatchCall = grpc.ServerReadableStream<ProtoMessageBatch, object>;
  server.addService(peerService, {
    Stream: (call: BatchCall) => {
      call.sendMetadata(new grpc.Metadata());
      call.on('error', () => undefined);
      call.on('data', (batch: ProtoMessageBatch) => captured.push(batch));
    },
    InstallSnapshot: (_call: unknown, answer: grpc.sendUnaryData<object>) => answer(null, {}),
  });
  t.after(() => server.forceShutdown());
  await new Promise<void>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(absentUrl, credentials, (error) => (error ? reject(error) : resolve()));
  });
  const endMs = performance.now() + wellAgainMs;
  while (captured.length < 10) {
    assert.ok(performance.now() < endMs, 'the leader speaks to who is there again');
    await write(`captured/${acknowledged.size}`);
  }
  const all = captured.flatMap((batch) => batch.messages ?? []);
  for (const target of members) {
    const to = target.server.memberId;
    const others = all.filter((said) => Number(said.from) !== to);
    if (others.length === 0) continue;
    const from = Number(others[0]?.from);
    const said = others.filter((one) => Number(one.from) === from).map((one) => ({ ...one, to }));
    const name = { from, key: keys.get(from) };
    const twice = [...said, ...said.toReversed()].map((one) => encodeMessages({ messages: [one] }));
    assert.equal((await say(target, name, twice)).code, 0);
  }
});

test('snapshots that break off, are of another length, or of nothing that a store has, are not taken', async () => {
  const encodePart = peerService['InstallSnapshot']?.requestSerialize as (part: ProtoSnapshotPart) => Buffer;
  const voters = [...keys.keys()] as ReplicaId[];
  const confState = { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const [target] = members;
  const head = (fields: object = {}, snapshot: object = {}) => {
    const { term, lastIndex } = raftOf(target);
    const meta = { index: lastIndex + 100, term, confState, ...snapshot };
    // Of a later term: in the present one somebody else leads.
    return encodePart({ message: toProto(message(target, 'snap', { term: term + 1, snapshot: meta, ...fields })) });
  };
  const chunk = encodePart({ chunk: text('keelson-kv-1\nwhat no store has written') });
  const shuffled = encodePart({ chunk: Buffer.alloc(megabyte, 7) });
  const end = (totalBytes: number) => encodePart({ isLast: true, totalBytes });
  const chunkBytes = 38;
  for (const [what, parts] of [
    ['breaks off', () => [head(), chunk]],
    ['is shorter than it says', () => [head(), chunk, end(chunkBytes + 1)]],
    ['is longer than it says', () => [head(), chunk, chunk, end(chunkBytes)]],
    ['begins with its content', () => [chunk, head(), end(chunkBytes)]],
    ['has only an end', () => [head(), end(0)]],
    ['is of noise', () => [head(), shuffled, end(megabyte)]],
    ['goes on and on', () => [head(), ...Array<Buffer>(30).fill(shuffled)]],
    ['is of a second leader', () => [head({ term: raftOf(target).term }), end(0)]],
    ['is of nobody', () => [head({}, { confState: { ...confState, voters: [] } }), end(0)]],
    ['lies at the end of all numbers', () => [head({}, { index: 2 ** 53 - 1 }), end(0)]],
  ] as const) {
    const { stream, ended } = open(target, 'InstallSnapshot', metadataOf(target, absent));
    for (const part of parts()) stream.write(part);
    stream.end();
    assert.equal((await ended).code, grpc.status.ABORTED, `a snapshot that ${what}`);
    assert.equal(raftOf(target).firstIndex, 1, 'the log was not replaced');
  }
});

test('tens of thousands of requests that nobody waits for', async () => {
  for (const target of members) {
    const many = (type: Message['type'], fields: (at: number) => object) =>
      Array.from({ length: 40 }, (_, batch) =>
        batchOf(...Array.from({ length: 250 }, (_each, at) => message(target, type, fields(batch * 250 + at + 1)))),
      );
    await say(
      target,
      absent,
      many('readIndex', (context) => ({ context })),
    );
    const { term } = raftOf(target);
    await say(
      target,
      absent,
      many('preVote', () => ({ term: term + 1, lastIndex: 0, lastTerm: 0, isTransfer: false })),
    );
  }
});

test('what members ask each other beside Raft, asked with random and mutated messages, is answered or refused', async () => {
  const [target] = members;
  const client = new grpc.Client(urls.get(target.server.memberId) as string, grpc.credentials.createInsecure());
  clients.push(client);
  const ask = (path: string, request: Buffer) =>
    new Promise<Ended>((resolve) => {
      const same = (bytes: Buffer) => bytes;
      const deadline = Date.now() + wellAgainMs;
      client.makeUnaryRequest(path, same, same, request, new grpc.Metadata(), { deadline }, (error) =>
        resolve({ code: error?.code ?? 0, details: error?.details ?? '' }),
      );
    });
  for (const [descriptor, service] of [
    [storePeerDescriptor, 'keelson.store.v1.Peer'],
    [storeLeaderDescriptor, 'keelson.store.v1.Leader'],
  ] as const) {
    for (const { name, resolvedRequestType } of loadRoot(descriptor).lookupService(service).methodsArray) {
      const random = seededRandom(name);
      const type = resolvedRequestType as protobuf.Type;
      for (let count = 0; count < 30; count++) {
        const whole = type.encode(randomMessage(random, type)).finish();
        const request = Buffer.from(count % 2 === 0 ? whole : mutated(random, whole));
        const { code, details } = await ask(`/${service}/${name}`, request);
        const isUnreadable = code === grpc.status.INTERNAL && /deserializ|unmarshal/i.test(details);
        const isOwnFault = [grpc.status.UNKNOWN, grpc.status.INTERNAL, grpc.status.DEADLINE_EXCEEDED].includes(code);
        assert.ok(isUnreadable || !isOwnFault, `${name} ${code} ${details}`);
      }
    }
  }
  assert.equal((await target.server.members(true)).length, 3, 'nobody was taken in');
});

test('a member that was removed is not heard any more', async () => {
  const [target] = members;
  const endMs = performance.now() + wellAgainMs;
  const [yes, no] = [() => true, () => false];
  const removed = () => target.server.memberRemove(absent.from).then(yes, no);
  while (!(await removed())) assert.ok(performance.now() < endMs, 'removing it is safe');
  for (const member of members) {
    while ((await member.server.members(false)).length > 2) assert.ok(performance.now() < endMs, 'both know');
    const { code, details } = await say(member, absent, [batchOf(message(member, 'timeoutNow', {}))]);
    assert.equal(code, grpc.status.FAILED_PRECONDITION);
    assert.match(details, /removed from the cluster/);
  }
});
