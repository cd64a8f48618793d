import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Clock } from '../../../src/env/clock.ts';
import { type Log, type LogFields, silentLog } from '../../../src/env/log.ts';
import { realClock } from '../../../src/env/real.ts';
import type { Entry, Index, Message, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { GrpcPeerTransport, type GrpcPeerTransportOptions } from '../../../src/raft/host/grpc-transport.ts';
import { peerLimits } from '../../../src/raft/host/grpc-wire.ts';
import { testAuthority } from './test-certificates.ts';

const clusterId = '00000000000000cc';
const one = 1 as ReplicaId;
const two = 2 as ReplicaId;
const term = 1 as Term;

const heartbeat = (readContext: number, from = one, to = two): Message => ({
  type: 'heartbeat',
  from,
  to,
  term,
  commit: 0 as Index,
  readContext,
});

function append(bytes: number, index = 1): Message {
  const entry: Entry = { term, index: index as Index, kind: 'normal', data: new Uint8Array(bytes).fill(index) };
  const previous = { prevIndex: (index - 1) as Index, prevTerm: 0 as Term };
  return { type: 'app', from: one, to: two, term, ...previous, entries: [entry], commit: 0 as Index };
}

const snap: Message & { type: 'snap' } = {
  type: 'snap',
  from: one,
  to: two,
  term,
  snapshot: {
    index: 7 as Index,
    term,
    confState: { voters: [one, two], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
  },
};

/** Collects log lines and lets a test wait for one. */
function collectingLog(): { log: Log; lines: { message: string; fields: LogFields }[] } {
  const lines: { message: string; fields: LogFields }[] = [];
  const add = (message: string, fields: LogFields = {}) => void lines.push({ message, fields });
  const log: Log = { debug: add, info: add, warn: add, error: add, with: () => log };
  return { log, lines };
}

interface End {
  transport: GrpcPeerTransport;
  url: string;
  messages: Message[];
  unreachable: ReplicaId[];
  ended: ReplicaId[];
  snapshots: Uint8Array[];
  snapshotError: Error | undefined;
}

async function listen(
  t: TestContext,
  selfId: ReplicaId,
  overrides: Partial<GrpcPeerTransportOptions> & { log?: Log; address?: string } = {},
): Promise<End> {
  const { log = silentLog, address = '127.0.0.1:0', ...options } = overrides;
  const env = { clock: realClock, random: seededRandom(selfId), log };
  const transport = new GrpcPeerTransport({ env, clusterId, selfId, ...options });
  t.after(() => transport.close());
  const [bound] = await transport.listen(address);
  const end: End = {
    transport,
    url: `${options.tls ? 'https' : 'http'}://${bound}`,
    messages: [],
    unreachable: [],
    ended: [],
    snapshots: [],
    snapshotError: undefined,
  };
  transport.start({
    message: (message) => end.messages.push(message),
    unreachable: (peer) => end.unreachable.push(peer),
    ended: (peer) => end.ended.push(peer),
    snapshotStaged: () => end.snapshots.reduce((sum, chunk) => sum + chunk.length, 0),
    snapshot: async (message, chunks) => {
      assert.deepEqual(message, snap);
      for await (const chunk of chunks) {
        if (end.snapshotError) throw end.snapshotError;
        end.snapshots.push(new Uint8Array(chunk));
      }
    },
  });
  return end;
}

async function until(what: string, isTrue: () => boolean, limitMs = 8000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isTrue()) {
    assert.ok(performance.now() < end, `waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function* chunksOf(...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield new Uint8Array(size).fill(size % 251);
}

test('messages of every type arrive as they were sent, in order', async (t) => {
  const a = await listen(t, one);
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [b.url]]]));
  const common = { from: one, to: two, term: 2 ** 52 };
  const index = (value: number) => value as Index;
  const sent = [
    append(1000),
    { ...append(0), entries: [] },
    { ...common, type: 'appResp', index: index(3), reject: true, hintIndex: index(2), hintTerm: 9 },
    heartbeat(2 ** 52 + 1),
    { ...common, type: 'heartbeatResp', readContext: 4 },
    { ...common, type: 'vote', lastIndex: index(2 ** 50), lastTerm: 3, isTransfer: true },
    { ...common, type: 'preVote', lastIndex: index(5), lastTerm: 3, isTransfer: false },
    { ...common, type: 'voteResp', reject: false },
    { ...common, type: 'preVoteResp', reject: true },
    { ...common, type: 'timeoutNow' },
    { ...common, type: 'prop', entries: [{ kind: 'confChange', data: new Uint8Array([1, 2]) }] },
    { ...common, type: 'readIndex', context: 77 },
    { ...common, type: 'readIndexResp', context: 77, index: index(6) },
    { ...common, type: 'transferLeader', transferee: two },
  ] as Message[];
  a.transport.send(sent);
  await until('all arrived', () => b.messages.length === sent.length);
  const plain = (messages: readonly Message[]) =>
    messages.map((message) =>
      'entries' in message
        ? { ...message, entries: message.entries.map((entry) => ({ ...entry, data: [...entry.data] })) }
        : message,
    );
  assert.deepEqual(plain(b.messages), plain(sent));
  assert.ok(a.transport.connectedSinceMs(two) !== undefined);
});

test('an acknowledgement that tells nothing new goes along with the next message, or a little later', async (t) => {
  const a = await listen(t, one);
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [b.url]]]));
  const ack = (index: number, reject = false): Message =>
    ({ type: 'appResp', from: one, to: two, term, index, reject, hintIndex: 0, hintTerm: 0 }) as Message;
  const heard = () =>
    b.messages.map((message) => (message.type === 'appResp' ? `ack ${message.index}` : message.type)).join(', ');
  a.transport.send([ack(5)]);
  await until('the first arrived', () => b.messages.length === 1);
  a.transport.send([ack(5)]);
  a.transport.send([ack(5)]);
  await until('the last of its repetitions arrived by itself', () => b.messages.length === 2);
  a.transport.send([ack(5)]);
  a.transport.send([ack(6)]);
  await until('the next one arrived, alone', () => b.messages.length === 3);
  a.transport.send([ack(6)]);
  a.transport.send([heartbeat(1)]);
  await until('a message took it along', () => b.messages.length === 5);
  a.transport.send([ack(6), ack(2, true), ack(6)]);
  await until('a refusal took it along', () => b.messages.length === 8);
  assert.equal(heard(), 'ack 5, ack 5, ack 6, ack 6, heartbeat, ack 6, ack 2, ack 6');
});

test('both ends prove who they are: strangers are not heard', async (t) => {
  const authority = await testAuthority('members');
  const strangers = await testAuthority('strangers');
  const b = await listen(t, two, { tls: await authority.issue('two') });
  const a = await listen(t, one, { tls: await authority.issue('one') });
  a.transport.setPeers(new Map([[two, [b.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('the message arrived over TLS', () => b.messages.length === 1);
  const foreign = await listen(t, one, { tls: await strangers.issue('one') });
  foreign.transport.setPeers(new Map([[two, [b.url]]]));
  foreign.transport.send([heartbeat(2)]);
  await until('the stranger gave up', () => foreign.unreachable.length > 0);
  const plain = await listen(t, one);
  plain.transport.setPeers(new Map([[two, [b.url]]]));
  plain.transport.send([heartbeat(3)]);
  await until('plain text gave up', () => plain.unreachable.length > 0);
  assert.equal(b.messages.length, 1);
});

test('a peer of another cluster is refused, and both sides say why', async (t) => {
  const heard = collectingLog();
  const told = collectingLog();
  const b = await listen(t, two, { log: heard.log });
  const a = await listen(t, one, { log: told.log, clusterId: '00000000000000dd' });
  a.transport.setPeers(new Map([[two, [b.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('it was refused', () => a.unreachable.length > 0);
  const reason = /belongs to cluster 00000000000000dd, this is cluster 00000000000000cc/;
  assert.match(String(heard.lines.find(({ message }) => message === 'refused a peer')?.fields['reason']), reason);
  assert.match(
    String(told.lines.find(({ message }) => message === 'peer refuses this member')?.fields['reason']),
    reason,
  );
  await assert.rejects(a.transport.sendSnapshot(snap, chunksOf(1)), /cannot be reached|belongs to cluster/);
  assert.equal(b.messages.length, 0);
});

test('a call that looks for another member is refused', async (t) => {
  const heard = collectingLog();
  const b = await listen(t, two, { log: heard.log });
  const a = await listen(t, one);
  a.transport.setPeers(new Map([[3 as ReplicaId, [b.url]]]));
  a.transport.send([heartbeat(1, one, 3 as ReplicaId)]);
  await until('it was refused', () => a.unreachable.length > 0);
  assert.match(String(heard.lines[0]?.fields['reason']), /for member 3, this is member 2/);
});

test('when a peer’s process ends, whom it spoke to is told at once', async (t) => {
  const [a, b] = [await listen(t, one), await listen(t, two)];
  a.transport.setPeers(new Map([[two, [b.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('it arrived', () => b.messages.length === 1);
  assert.deepEqual(b.ended, []);
  await a.transport.close();
  await until('the other end knows', () => b.ended.length > 0);
  assert.deepEqual(b.ended, [one]);
});

test('a peer that was down is reached again by itself once it is up, and again after its restart', async (t) => {
  const a = await listen(t, one);
  const first = await listen(t, two);
  const address = first.url.replace('http://', '');
  await first.transport.close();
  a.transport.setPeers(new Map([[two, [first.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('it is unreachable', () => a.unreachable.length > 0);
  const second = await listen(t, two, { address });
  await until('the link is open', () => a.transport.connectedSinceMs(two) !== undefined);
  a.transport.send([heartbeat(2)]);
  await until('it arrived', () => second.messages.length === 1);
  await second.transport.close();
  await until('the loss is seen', () => a.transport.connectedSinceMs(two) === undefined);
  const third = await listen(t, two, { address });
  await until('the link is open again', () => a.transport.connectedSinceMs(two) !== undefined);
  a.transport.send([heartbeat(3)]);
  await until('it arrived again', () => third.messages.length === 1);
});

const proposal = (text: string): Message => ({
  type: 'prop',
  from: one,
  to: two,
  term,
  entries: [{ kind: 'normal', data: new TextEncoder().encode(text) }],
});

/** Where nobody tries again by itself: waits as long as a link's stay for ever. */
const withoutBackoff: Clock = {
  ...realClock,
  after: (ms, action) => (isBackoff(ms) ? () => undefined : realClock.after(ms, action)),
};
const isBackoff = (ms: number) => ms >= peerLimits.backoffFirstMs / 2 && ms <= peerLimits.backoffLastMs * 2;

test('a peer that comes back is reached as soon as it calls, with the proposals that wait for it', async (t) => {
  const env = { clock: withoutBackoff, random: seededRandom(1), log: silentLog };
  const a = await listen(t, one, { env });
  const first = await listen(t, two);
  const address = first.url.replace('http://', '');
  a.transport.setPeers(new Map([[two, [first.url]]]));
  await until('the link is open', () => a.transport.connectedSinceMs(two) !== undefined);
  await first.transport.close();
  await until('the loss is seen', () => a.transport.connectedSinceMs(two) === undefined);
  a.transport.send([proposal('kept'), heartbeat(1)]);
  const second = await listen(t, two, { address });
  second.transport.setPeers(new Map([[one, [a.url]]]));
  await until('the link is open again', () => a.transport.connectedSinceMs(two) !== undefined);
  a.transport.send([heartbeat(2)]);
  await until('all arrived', () => second.messages.length === 2);
  assert.deepEqual(
    second.messages.map(({ type }) => type),
    ['prop', 'heartbeat'],
  );
});

test('a proposal waits for the next connection and not for one after that', async (t) => {
  const a = await listen(t, one);
  const first = await listen(t, two);
  const address = first.url.replace('http://', '');
  a.transport.setPeers(new Map([[two, [first.url]]]));
  await until('the link is open', () => a.transport.connectedSinceMs(two) !== undefined);
  await first.transport.close();
  await until('the loss is seen', () => a.transport.connectedSinceMs(two) === undefined);
  const before = a.unreachable.length;
  a.transport.send([proposal('given up')]);
  await until('nobody was there', () => a.unreachable.length > before);
  const second = await listen(t, two, { address });
  await until('the link is open again', () => a.transport.connectedSinceMs(two) !== undefined);
  a.transport.send([heartbeat(2)]);
  await until('it arrived', () => second.messages.length > 0);
  assert.equal(second.messages[0]?.type, 'heartbeat');
});

test('a peer with two addresses is reached on the one that answers, and follows a change of address', async (t) => {
  const a = await listen(t, one);
  const dead = await listen(t, two);
  await dead.transport.close();
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [dead.url, b.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('the second address is used', () => a.transport.connectedSinceMs(two) !== undefined);
  const moved = await listen(t, two);
  a.transport.setPeers(new Map([[two, [moved.url]]]));
  await until('the old connection is gone', () => a.transport.connectedSinceMs(two) === undefined);
  await until('the new address is used', () => a.transport.connectedSinceMs(two) !== undefined);
  a.transport.send([heartbeat(2)]);
  await until('it arrived at the new address', () => moved.messages.length === 1);
  a.transport.setPeers(new Map());
  a.transport.send([heartbeat(3)]);
  assert.equal(a.transport.connectedSinceMs(two), undefined);
});

/** A line that can stop carrying bytes, as a full receiver does. */
async function stallingProxy(t: TestContext, url: string): Promise<{ url: string; pause(): void; resume(): void }> {
  const port = Number(new URL(url).port);
  const sockets: Socket[] = [];
  const server: Server = createServer((inbound) => {
    const outbound = connect(port, '127.0.0.1');
    for (const socket of [inbound, outbound]) socket.on('error', () => undefined);
    sockets.push(inbound, outbound);
    inbound.pipe(outbound);
    outbound.pipe(inbound);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${address.port}`,
    pause: () => {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    resume: () => {
      for (let at = 0; at + 1 < sockets.length; at += 2) {
        sockets[at]?.pipe(sockets[at + 1] as Socket);
        sockets[at + 1]?.pipe(sockets[at] as Socket);
      }
    },
  };
}

test('a peer that is asked and says nothing for long gets a new connection, and is heard again', async (t) => {
  const told = collectingLog();
  const a = await listen(t, one, { log: told.log });
  const b = await listen(t, two);
  const line = await stallingProxy(t, b.url);
  a.transport.setPeers(new Map([[two, [line.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('the first message arrived', () => b.messages.length === 1);
  line.pause();
  await until('a later one arrives, on a line that is not clogged', () => {
    a.transport.send([heartbeat(2)]);
    return b.messages.length > 1;
  });
  const broke = told.lines.find(({ message }) => message === 'peer connection broke');
  assert.match(String(broke?.fields['reason']), /was asked and said nothing for 3\d{3} ms/);
});

test('a connection without answers is given up when the peer connects anew', async (t) => {
  const told = collectingLog();
  const a = await listen(t, one, { log: told.log });
  const b = await listen(t, two);
  const line = await stallingProxy(t, b.url);
  a.transport.setPeers(new Map([[two, [line.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('the first message arrived', () => b.messages.length === 1);
  line.pause();
  const question = { from: one, to: two, term, lastIndex: 0 as Index, lastTerm: term, isTransfer: false } as const;
  a.transport.send([{ ...question, type: 'preVote' }]);
  const askedAtMs = performance.now();
  await until(
    'it has not been answered for long',
    () => performance.now() > askedAtMs + peerLimits.reachTimeoutMs + 50,
  );
  b.transport.setPeers(new Map([[one, [a.url]]]));
  await until('the old connection is given up', () =>
    told.lines.some(({ fields }) => /has connected anew/.test(String(fields['reason']))),
  );
  await until('there is another one', () => a.transport.connectedSinceMs(two) !== undefined);
  a.transport.send([heartbeat(3)]);
  await until('it works', () => b.messages.length === 2);
});

test('the queue to a peer that takes nothing is bounded, and the peer is reported', async (t) => {
  const a = await listen(t, one);
  const b = await listen(t, two);
  const line = await stallingProxy(t, b.url);
  a.transport.setPeers(new Map([[two, [line.url]]]));
  a.transport.send([heartbeat(1)]);
  await until('the first message arrived', () => b.messages.length === 1);
  line.pause();
  const size = 1024 * 1024;
  const count = peerLimits.queueBytesMax / size + 40;
  for (let index = 1; index <= count; index++) {
    a.transport.send([append(size, index)]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(a.unreachable.length >= 10, `${a.unreachable.length} messages were dropped and reported`);
  line.resume();
  await until('what was queued arrived', () => b.messages.length > count - a.unreachable.length);
  assert.equal(b.messages.length, 1 + count - a.unreachable.length);
});

test('a message larger than a frame is dropped with a word, and the others still arrive', async (t) => {
  const told = collectingLog();
  const a = await listen(t, one, { log: told.log });
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [b.url]]]));
  a.transport.send([heartbeat(1), append(peerLimits.frameBytesMax + 1), append(12 * 1024 * 1024), heartbeat(2)]);
  await until('the others arrived', () => b.messages.length === 3);
  assert.ok(told.lines.some(({ message }) => message.includes('larger than a frame')));
  const [, large] = b.messages;
  assert.equal(large?.type === 'app' && large.entries[0]?.data.length, 12 * 1024 * 1024);
});

test('a snapshot arrives whole, in chunks, beside the messages', async (t) => {
  const a = await listen(t, one);
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [b.url]]]));
  const sizes = [10, 3 * 1024 * 1024, 0, 700];
  const sending = a.transport.sendSnapshot(snap, chunksOf(...sizes));
  a.transport.send([heartbeat(1)]);
  await sending;
  const total = b.snapshots.reduce((sum, chunk) => sum + chunk.length, 0);
  assert.equal(total, 10 + 3 * 1024 * 1024 + 700);
  assert.ok(b.snapshots.every((chunk) => chunk.length <= peerLimits.snapshotChunkBytesMax));
  await until('the heartbeat arrived too', () => b.messages.length === 1);
});

test('a snapshot that the receiver refuses, or whose source breaks, is not delivered', async (t) => {
  const a = await listen(t, one);
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [b.url]]]));
  b.snapshotError = new Error('the disk is full');
  await assert.rejects(a.transport.sendSnapshot(snap, chunksOf(10, 20)), /the disk is full/);
  b.snapshotError = undefined;
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(5);
    throw new Error('the file is damaged');
  }
  await assert.rejects(a.transport.sendSnapshot(snap, broken()), /the file is damaged/);
  b.snapshots = [];
  await a.transport.sendSnapshot(snap, chunksOf(30));
  const unknown = { ...snap, to: 9 as ReplicaId };
  await assert.rejects(a.transport.sendSnapshot(unknown, chunksOf(1)), /address of member 9 is not known/);
});

test('a snapshot whose stream broke goes on where it broke, and only the rest travels', async (t) => {
  const a = await listen(t, one);
  const b = await listen(t, two);
  a.transport.setPeers(new Map([[two, [b.url]]]));
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* chunksOf(1_000, 2_000_000);
    await until(
      'the beginning is stored',
      () => b.snapshots.reduce((sum, chunk) => sum + chunk.length, 0) === 2_001_000,
    );
    throw new Error('the line is cut');
  }
  await assert.rejects(a.transport.sendSnapshot(snap, broken()), /the line is cut/);
  const before = b.snapshots.length;
  await a.transport.sendSnapshot(snap, chunksOf(1_000, 2_000_000, 500));
  assert.deepEqual(
    b.snapshots.slice(before).map((chunk) => chunk.length),
    [500],
  );
});
