/** The gRPC client against two servers, the one over grpc-js and the store's own: plain and behind TLS. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { startGrpcServer } from '../../../src/kv/rpc/grpc-server.ts';
import { grpcStatus } from '../../../src/rpc/grpc-status.ts';
import type { H2Client, H2ClientOptions } from '../../../src/rpc/h2/client-host.ts';
import { encodePing, encodeSettings } from '../../../src/rpc/h2/frames.ts';
import { startH2Server } from '../../../src/rpc/h2/index.ts';
import type { RpcServer, RpcServerOptions } from '../../../src/rpc/rpc-server.ts';
import { anyName } from '../../../src/rpc/tls/rules.ts';
import { openServerTls } from '../../../src/rpc/tls/server-tls.ts';
import { createTestMethods, type TestMethods } from '../../kv/rpc/rpc-methods.ts';
import { filesOf, makeAuthority } from '../tls/certificates.ts';
import { frame } from './test-connection.ts';
import { clientTo, openCall, timers, until } from './test-client.ts';

const megabyte = 1024 * 1024;
after(() => timers.close());

for (const [name, start] of [
  ['grpc-js', startGrpcServer],
  ['h2', startH2Server],
] as const) {
  describe(`a client of a server over ${name}`, { timeout: 60_000 }, () => suite(start));
}

function suite(start: (options: RpcServerOptions) => Promise<RpcServer>): void {
  let methods: TestMethods;
  let server: RpcServer;
  let client: H2Client;
  const closed: string[] = [];
  const startServer = (more: Partial<RpcServerOptions> = {}) =>
    start({
      clock: realClock,
      log: silentLog,
      methods: methods.methods,
      listenUrls: ['http://127.0.0.1:0'],
      messageBytesMax: 16 * megabyte,
      concurrentStreamsMax: 1000,
      keepaliveIntervalMs: 7_200_000,
      keepaliveTimeoutMs: 20_000,
      ...more,
    });

  before(async () => {
    methods = createTestMethods();
    server = await startServer();
    client = clientTo(server.urls[0] as string, { onClosed: (reason) => void closed.push(reason) });
  });
  after(async () => {
    client.close();
    await server.close();
  });

  const ask = async (method: string, message: string | Buffer, metadata: [string, string][] = []) => {
    const { call, answered, ended } = openCall(client, `/test.Echo/${method}`, metadata);
    call.write(Buffer.from(message));
    call.end();
    await ended;
    return answered;
  };

  test('a request before the connection stands is answered once it does', async () => {
    const { messages, end } = await ask('Unary', 'hello');
    assert.deepEqual(messages.map(String), ['hello']);
    assert.equal(end?.code, grpcStatus.ok);
  });

  test('metadata reaches the handler, and a refusal tells its code and its text as they were', async () => {
    const { messages } = await ask('Metadata', 'x-asked', [['x-asked', 'for it']]);
    assert.deepEqual(JSON.parse(String(messages[0])), ['for it']);
    const { end } = await ask('Fail', JSON.stringify({ code: 9, details: '100 % nicht — 終\nzwei' }));
    assert.deepEqual([end?.code, end?.details], [9, '100 % nicht — 終\nzwei']);
    const late = await ask('FailLate', 'first');
    assert.deepEqual([late.messages.map(String), late.end?.code], [['first'], 5]);
    assert.equal((await ask('Nothing', '')).end?.code, grpcStatus.unimplemented);
  });

  test('messages go both ways on one call, in order, larger than any window', async () => {
    const { call, answered, ended } = openCall(client, '/test.Echo/Bidi');
    const sizes = [0, 1, 20_000, 3 * megabyte, 7];
    for (const size of sizes) call.write(Buffer.alloc(size, size & 0xff));
    call.end();
    await ended;
    assert.deepEqual(
      answered.messages.map((message) => message.length),
      sizes,
    );
    assert.ok(answered.messages.every((message) => message.every((byte) => byte === (message.length & 0xff))));
    assert.equal(answered.isBegun, true);
  });

  test('a writer that waits for room sends twenty megabytes without holding them', async () => {
    const { call, answered, ended, drained } = openCall(client, '/test.Echo/Sum');
    let most = 0;
    for (let sent = 0; sent < 40; sent++) {
      if (!call.write(Buffer.alloc(megabyte / 2))) await drained();
      most = Math.max(most, call.queuedBytes);
    }
    call.end();
    await ended;
    assert.equal(String(answered.messages[0]), String(20 * megabyte));
    assert.ok(most <= 2 * megabyte, `${most} bytes waited`);
  });

  test('a server that answers with a hundred megabytes is read to the end', async () => {
    const { messages, end } = await ask('Count', '100 1000000');
    assert.deepEqual([messages.length, end?.code], [100, grpcStatus.ok]);
  });

  test('a call that is given up is over for the server, and tells nothing any more', async () => {
    const { call, answered } = openCall(client, '/test.Echo/Hold');
    call.write(Buffer.from('x'));
    await methods.until(() => methods.held.some(({ requests }) => String(requests[0]) === 'x'), 'the request came');
    const seen = methods.held.at(-1);
    call.cancel();
    await methods.until(() => seen?.told.includes('gone') === true, 'the server heard of it');
    assert.equal(answered.end, undefined);
    assert.equal((await ask('Unary', 'still there')).end?.code, grpcStatus.ok);
  });

  test('a thousand calls at once, and then no more than the server takes', async () => {
    const all = await Promise.all(Array.from({ length: 500 }, (_, index) => ask('Unary', `${index}`)));
    all.forEach(({ messages }, index) => assert.equal(String(messages[0]), `${index}`));
  });

  test('a server that ends tells its calls, and the client once', async (t) => {
    const other = await startServer();
    let reasons = 0;
    const own = clientTo(other.urls[0] as string, { onClosed: () => void reasons++ });
    t.after(() => own.close());
    const { answered, call } = openCall(own, '/test.Echo/Hold');
    call.write(Buffer.from('last words'));
    await methods.until(() => methods.held.some(({ requests }) => String(requests[0]) === 'last words'), 'it came');
    await other.close();
    await until('the client knows', () => reasons > 0);
    assert.ok(answered.end !== undefined && answered.end.code !== grpcStatus.ok);
    assert.equal(own.mayCall, false);
    assert.equal(reasons, 1);
  });

  test('behind TLS both sides prove who they are', async (t) => {
    const authority = await makeAuthority();
    const own = await authority.issue({ commonName: 'server', addresses: ['127.0.0.1'] });
    const theirs = await authority.issue({ commonName: 'alice', addresses: ['127.0.0.1'] });
    const files = await filesOf({ ca: authority.pem, cert: own.cert, key: own.key });
    t.after(() => files.remove());
    const tls = await openServerTls({
      disk: realDisk,
      clock: realClock,
      log: silentLog,
      files: { ca: files.path('ca'), cert: files.path('cert'), key: files.path('key') },
      isClientVerified: true,
      limits: { minVersion: 'TLSv1.2' },
      allowed: anyName,
    });
    t.after(() => tls.close());
    const secure = await startServer({ listenUrls: ['https://127.0.0.1:0'], listen: { tls } });
    t.after(() => secure.close());
    const url = secure.urls[0] as string;
    const friend = clientTo(url, { tls: { ca: authority.pem, ...theirs } });
    t.after(() => friend.close());
    const { call, answered, ended } = openCall(friend, '/test.Echo/Unary');
    call.write(Buffer.alloc(3 * megabyte, 'tls'));
    call.end();
    await ended;
    assert.equal(answered.messages[0]?.length, 3 * megabyte);
    const reasons: string[] = [];
    const stranger = await makeAuthority('strangers');
    for (const ways of [{ tls: { ca: stranger.pem, ...theirs } }, { tls: { ca: authority.pem } }, {}]) {
      const other = clientTo(url.replace(/^https/, 'tls' in ways ? 'https' : 'http'), {
        onClosed: (reason) => void reasons.push(reason),
        ...ways,
      });
      const refused = openCall(other, '/test.Echo/Unary');
      await refused.ended;
      assert.equal(refused.answered.end?.code, grpcStatus.unavailable);
    }
    assert.equal(reasons.length, 3);
  });
}

test('who does not answer, or is not there, is given up in time, and calls end as unavailable', async (t) => {
  const mute = createServer((socket) => socket.on('error', () => undefined).resume());
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const { port } = mute.address() as { port: number };
  const reasons: string[] = [];
  const give = (more: Partial<H2ClientOptions>) =>
    clientTo(`http://127.0.0.1:${port}`, { onClosed: (reason) => void reasons.push(reason), ...more });
  const one = give({ connectTimeoutMs: 50 });
  t.after(() => one.close());
  const { answered, ended } = openCall(one, '/test.Echo/Unary');
  await ended;
  assert.match(reasons[0] ?? '', /did not answer within 50 ms/);
  assert.equal(answered.end?.code, grpcStatus.unavailable);
  mute.close();
  await once(mute, 'close');
  const two = give({});
  t.after(() => two.close());
  await until('nobody is there', () => reasons.length === 2);
  assert.match(reasons[1] ?? '', /ECONNREFUSED/);
});

test('servers that send anything are left, and nothing of it is held', async (t) => {
  const random = seededRandom('garbage');
  const settings = encodeSettings([]);
  const answers = [
    () => random.bytes(3_000),
    () => Buffer.concat([settings, random.bytes(3_000)]),
    () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    () =>
      Buffer.concat([
        settings,
        ...Array.from({ length: 50 }, () => frame(random.integer(0, 10), 5, 1, random.bytes(40))),
      ]),
    // A frame that says it is as long as none may be.
    () => Buffer.concat([settings, Buffer.from([255, 255, 255, 1, 4, 0, 0, 0, 1])]),
  ];
  let served = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined).resume();
    socket.end((answers[served++ % answers.length] as () => Uint8Array)());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  for (let count = 0; count < 100; count++) {
    const closed = Promise.withResolvers<string>();
    const client = clientTo(`http://127.0.0.1:${port}`, { onClosed: closed.resolve });
    const { ended, answered } = openCall(client, '/test.Echo/Bidi');
    await ended;
    assert.notEqual(answered.end?.code, grpcStatus.ok);
    assert.notEqual(await closed.promise, '');
    assert.equal(client.mayCall, false);
  }
});

test('a server that falls silent is asked, and left when it does not answer', async (t) => {
  let pings = 0;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(encodeSettings([]));
    socket.on('data', (bytes: Buffer) => {
      if (bytes.includes('areThere')) pings++;
      // The first one is answered.
      if (pings === 1 && bytes.includes('areThere')) socket.write(encodePing(Buffer.from('areThere'), true));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const reasons: string[] = [];
  const client = clientTo(`http://127.0.0.1:${port}`, {
    keepaliveIntervalMs: 20,
    keepaliveTimeoutMs: 60,
    onClosed: (reason) => void reasons.push(reason),
  });
  const { ended, answered } = openCall(client, '/test.Echo/Bidi');
  await ended;
  assert.equal(answered.end?.code, grpcStatus.unavailable);
  assert.match(answered.end?.details ?? '', /did not answer a ping within 60 ms/);
  assert.deepEqual([pings, reasons.length], [2, 1]);
});
