/**
 * What every server that carries methods must do, seen by two clients: @grpc/grpc-js, and Node's http2 where the bytes
 * matter. The same suite for the server over grpc-js, which is the reference, and for the store's own.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { startGrpcServer } from '../../../src/kv/rpc/grpc-server.ts';
import { startH2Server } from '../../../src/rpc/h2/index.ts';
import type { RpcServer, RpcServerOptions } from '../../../src/rpc/rpc-server.ts';
import { anyName } from '../../../src/rpc/tls/rules.ts';
import { openServerTls } from '../../../src/rpc/tls/server-tls.ts';
import { createTestMethods, type TestMethods } from './rpc-methods.ts';
import { filesOf, makeAuthority } from '../../rpc/tls/certificates.ts';

const megabyte = 1024 * 1024;
const messageBytesMax = 16 * megabyte;
const identity = (bytes: Buffer) => bytes;
const clientOptions: grpc.ClientOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.use_local_subchannel_pool': 1,
};

const implementations = [
  ['grpc-js', startGrpcServer],
  ['h2', startH2Server],
] as const;

for (const [name, start] of implementations) describe(`a server over ${name}`, { timeout: 60_000 }, () => suite(start));

function suite(start: (options: RpcServerOptions) => Promise<RpcServer>): void {
  let calls: TestMethods;
  let server: RpcServer;
  let client: grpc.Client;

  const startServer = (overrides: Partial<RpcServerOptions> = {}) =>
    start({
      clock: realClock,
      log: silentLog,
      methods: calls.methods,
      listenUrls: ['http://127.0.0.1:0'],
      messageBytesMax,
      concurrentStreamsMax: 100_000,
      keepaliveIntervalMs: 7_200_000,
      keepaliveTimeoutMs: 20_000,
      ...overrides,
    });
  const clientOf = (of: RpcServer, options: grpc.ClientOptions = {}) =>
    new grpc.Client(new URL(of.urls[0] as string).host, grpc.credentials.createInsecure(), {
      ...clientOptions,
      ...options,
    });

  before(async () => {
    calls = createTestMethods();
    server = await startServer();
    client = clientOf(server);
  });
  after(async () => {
    client.close();
    await server.close();
  });

  const path = (method: string) => (method.startsWith('/') ? method : `/test.Echo/${method}`);
  const call = (method: string, request: Buffer | string, metadata = new grpc.Metadata(), by = client) =>
    new Promise<Buffer>((resolve, reject) => {
      by.makeUnaryRequest(path(method), identity, identity, Buffer.from(request), metadata, (error, answer) => {
        if (error) reject(error);
        else resolve(answer as Buffer);
      });
    });
  const failure = async (...args: Parameters<typeof call>) => {
    try {
      await call(...args);
    } catch (error) {
      const { code, details } = error as grpc.ServiceError;
      return { code, details };
    }
    return assert.fail('an error was expected');
  };
  const bidi = (method: string, by = client) => by.makeBidiStreamRequest(path(method), identity, identity);
  /** All messages of a stream, and its status. */
  const readAll = async (stream: grpc.ClientReadableStream<Buffer>) => {
    const messages: Buffer[] = [];
    stream.on('data', (message: Buffer) => messages.push(message));
    stream.on('error', () => undefined);
    const status = await new Promise<grpc.StatusObject>((resolve) => stream.once('status', resolve));
    return { messages, code: status.code, details: status.details };
  };

  test('one request, one answer: of no bytes, a few, and ten megabytes', async () => {
    assert.equal((await call('Unary', '')).length, 0);
    assert.equal((await call('Unary', 'hello')).toString(), 'hello');
    const large = Buffer.alloc(10 * megabyte, 'abc');
    assert.ok((await call('Unary', large)).equals(large));
  });

  test('two thousand calls at once on one connection each get their own answer', async () => {
    const answers = await Promise.all(Array.from({ length: 2000 }, (_, index) => call('Unary', `call ${index}`)));
    answers.forEach((answer, index) => assert.equal(answer.toString(), `call ${index}`));
  });

  test('a message above the limit is refused with its size', async () => {
    const { code, details } = await failure('Unary', Buffer.alloc(messageBytesMax + 1));
    assert.equal(code, grpc.status.RESOURCE_EXHAUSTED);
    assert.match(details, new RegExp(`larger than max \\(${messageBytesMax + 1} vs\\.? ${messageBytesMax}\\)`));
  });

  test('methods and services that are not there are not implemented', async () => {
    assert.equal((await failure('Nonsense', '')).code, grpc.status.UNIMPLEMENTED);
    assert.equal((await failure('/test.Nothing/Unary', '')).code, grpc.status.UNIMPLEMENTED);
  });

  test('errors arrive with their code and every character of their text', async () => {
    const status = { code: 9, details: 'etcdserver: 100 % nicht möglich\n→ 終わり "quoted"' };
    assert.deepEqual(await failure('Fail', JSON.stringify(status)), status);
    const { code, details } = await failure('Throw', 'something else');
    assert.equal(code, grpc.status.UNKNOWN);
    assert.match(details, /something else/);
  });

  test('bytes that are no such message are refused', async () => {
    assert.equal((await failure('Unary', Buffer.from([0xff, 1, 2]))).code, grpc.status.INTERNAL);
  });

  test('metadata: one value, several, binary ones, none', async () => {
    const metadata = new grpc.Metadata();
    metadata.add('token', 'secret');
    metadata.add('twice', 'one');
    metadata.add('twice', 'two');
    metadata.add('some-bin', Buffer.from('größer'));
    const ask = async (wanted: string) => JSON.parse((await call('Metadata', wanted, metadata)).toString()) as string[];
    assert.deepEqual(await ask('token'), ['secret']);
    assert.deepEqual((await ask('twice')).join(', '), 'one, two');
    assert.deepEqual(await ask('some-bin'), ['größer']);
    assert.deepEqual(await ask('nothing'), []);
  });

  test('the client is known by address and port', async () => {
    const [peer, commonName] = JSON.parse((await call('Peer', '')).toString()) as [string, string | null];
    assert.match(peer, /^127\.0\.0\.1:\d+$/);
    assert.equal(commonName, null);
  });

  test('compressed requests are read', async () => {
    const zipping = clientOf(server, { 'grpc.default_compression_algorithm': 2 });
    const large = Buffer.alloc(megabyte, 'compress me');
    assert.ok((await call('Unary', large, new grpc.Metadata(), zipping)).equals(large));
    zipping.close();
  });

  test('a call that the client cancels is aborted in the handler', async () => {
    const { waiting, until } = calls;
    const before = waiting.length;
    const under = client.makeUnaryRequest(path('Wait'), identity, identity, Buffer.from('x'), () => undefined);
    await until(() => waiting.length > before, 'the call arrives');
    under.cancel();
    assert.equal((await waiting[before]?.aborted)?.code, grpc.status.CANCELLED);
    waiting[before]?.answer();
    assert.equal((await call('Unary', 'after')).toString(), 'after');
  });

  test('a thousand cancelled calls are no reason to end the connection', async () => {
    const session = connectHttp2(server.urls[0] as string);
    let isClosed = false;
    session.on('close', () => {
      isClosed = true;
    });
    session.on('error', () => undefined);
    for (let count = 0; count < 1000; count++) {
      const stream = rawCall(session, 'Wait');
      stream.on('error', () => undefined);
      stream.end(framed(Buffer.from('x')));
      // The answer to a ping says that the call has arrived.
      await new Promise((resolve) => session.ping(resolve));
      stream.close(8);
    }
    assert.equal((await answerOf(rawCall(session, 'Unary').end(framed(Buffer.from('y'))))).body.toString(), 'y');
    assert.equal(isClosed, false);
    session.destroy();
  });

  test('a deadline ends the call on the server too', async () => {
    const session = connectHttp2(server.urls[0] as string);
    const before = calls.waiting.length;
    const stream = rawCall(session, 'Wait', { 'grpc-timeout': '100m' });
    stream.end(framed(Buffer.from('x')));
    const { status } = await answerOf(stream);
    assert.equal(status, grpc.status.DEADLINE_EXCEEDED);
    assert.ok((await calls.waiting[before]?.aborted)?.code !== undefined);
    const endless = rawCall(session, 'Hold', { 'grpc-timeout': '50m' });
    assert.equal((await answerOf(endless)).status, grpc.status.DEADLINE_EXCEEDED);
    await calls.until(() => calls.held.at(-1)?.told.includes('gone') === true, 'the stream is gone');
    session.destroy();
  });

  test('calls end for their handlers when the connection breaks', async () => {
    const { held, waiting, until } = calls;
    const session = connectHttp2(server.urls[0] as string);
    session.on('error', () => undefined);
    const before = waiting.length;
    const beforeHeld = held.length;
    for (const method of ['Wait', 'Hold']) {
      const stream = rawCall(session, method);
      stream.on('error', () => undefined);
      if (method === 'Wait') stream.end(framed(Buffer.from('x')));
      else stream.write(framed(Buffer.from('y')));
    }
    await until(() => waiting.length > before && held.length > beforeHeld, 'both calls arrive');
    session.destroy();
    assert.equal((await waiting[before]?.aborted)?.code, grpc.status.CANCELLED);
    await until(() => held[beforeHeld]?.told.at(-1) === 'gone', 'the stream is gone');
    assert.equal(held[beforeHeld]?.told.filter((what) => what === 'gone').length, 1);
  });

  test('messages of a stream come in order, both ways', async () => {
    const stream = bidi('Bidi');
    const done = readAll(stream);
    for (let count = 0; count < 1000; count++) stream.write(Buffer.from(`message ${count}`));
    stream.end();
    const { messages, code } = await done;
    assert.equal(code, grpc.status.OK);
    assert.deepEqual(
      messages.map(String),
      Array.from({ length: 1000 }, (_, count) => `message ${count}`),
    );
  });

  test('many requests, one answer: ten megabytes upwards', async () => {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const stream = client.makeClientStreamRequest(path('Sum'), identity, identity, (error, value) =>
        error ? reject(error) : resolve(value as Buffer),
      );
      for (let count = 0; count < 100; count++) stream.write(Buffer.alloc(100_000));
      stream.write(Buffer.alloc(0));
      stream.end();
    });
    assert.equal(answer.toString(), '10000000');
  });

  test('one request, many answers: ten megabytes downwards, and a large one', async () => {
    const ask = (wanted: string) =>
      readAll(client.makeServerStreamRequest(path('Count'), identity, identity, Buffer.from(wanted)));
    const many = await ask('100 100000');
    assert.equal(many.code, grpc.status.OK);
    assert.deepEqual(
      many.messages.map((message) => [message.length, message[0]]),
      Array.from({ length: 100 }, (_, index) => [100_000, 99 - index]),
    );
    const [large] = (await ask(`1 ${10 * megabyte}`)).messages;
    assert.equal(large?.length, 10 * megabyte);
    assert.deepEqual((await ask('0 0')).messages, []);
    assert.equal((await ask('20000 1')).messages.length, 20_000);
  });

  test('a stream may fail after its answers', async () => {
    const { messages, code, details } = await readAll(
      client.makeServerStreamRequest(path('FailLate'), identity, identity, Buffer.from('first')),
    );
    assert.deepEqual(messages.map(String), ['first']);
    assert.deepEqual([code, details], [5, 'nach der Antwort: nicht mehr da — 終']);
  });

  test('a handler learns that a client does not read, and that it reads again', async () => {
    const { held, until } = calls;
    const before = held.length;
    const session = connectHttp2(server.urls[0] as string);
    const stream = rawCall(session, 'Hold');
    stream.write(framed(Buffer.from('hello')));
    await until(() => held[before]?.requests.length === 1, 'the request arrives');
    const { answers, told } = held[before] ?? assert.fail('a stream');
    let written = 0;
    while (answers.write(Buffer.alloc(10_000))) {
      written++;
      assert.ok(written < 10_000, 'a buffer has a limit');
    }
    assert.equal(told.includes('drained'), false);
    let received = 0;
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await until(() => told.includes('drained'), 'the handler is told');
    answers.end();
    await once(stream, 'end');
    assert.equal(received, (written + 1) * 10_005);
    session.destroy();
  });

  test('a handler that pauses holds the client back, and loses nothing', async () => {
    const { held, until } = calls;
    const before = held.length;
    const session = connectHttp2(server.urls[0] as string);
    const stream = rawCall(session, 'Hold');
    const message = Buffer.alloc(100_000, 'x');
    stream.write(framed(message));
    await until(() => held[before]?.requests.length === 1, 'the first request arrives');
    const { answers, requests } = held[before] ?? assert.fail('a stream');
    answers.pause();
    const count = 200;
    for (let index = 1; index < count; index++) stream.write(framed(message));
    stream.end();
    // What the server takes while nobody reads is bounded: the rest stays with the client.
    await quiet(() => stream.session?.socket?.bytesWritten ?? 0);
    assert.ok(stream.writableLength > 5 * megabyte, `${stream.writableLength} bytes are held back`);
    assert.ok(requests.length <= 2, 'one request may have been on its way');
    answers.resume();
    await until(() => held[before]?.told.at(-1) === 'ended', 'everything arrives');
    assert.equal(requests.length, count);
    assert.ok(requests.every((each) => each.equals(message)));
    answers.end();
    session.destroy();
  });

  test('a thousand streams at once on one connection', async () => {
    const session = connectHttp2(server.urls[0] as string);
    session.setMaxListeners(0);
    const before = calls.held.length;
    const streams = Array.from({ length: 1000 }, () => {
      const stream = rawCall(session, 'Hold');
      stream.write(framed(Buffer.from('hello')));
      return stream;
    });
    const seen = () => calls.held.slice(before);
    await calls.until(
      () => seen().filter(({ requests }) => requests.length === 1).length === 1000,
      'all of them arrive',
    );
    for (const { answers } of seen()) {
      answers.write(Buffer.from('welcome'));
      answers.end();
    }
    const all = await Promise.all(streams.map(answerOf));
    assert.ok(all.every(({ body, status }) => body.toString() === 'welcome' && status === grpc.status.OK));
    session.destroy();
  });

  test('calls above the limit of a connection wait or are refused, the others go on', async () => {
    const narrow = await startServer({ concurrentStreamsMax: 5 });
    const narrowClient = clientOf(narrow);
    const before = calls.waiting.length;
    const all = Array.from({ length: 20 }, () => call('Wait', 'x', new grpc.Metadata(), narrowClient));
    for (let served = 0; served < 20; served++) {
      await calls.until(() => calls.waiting.length > before + served, `call ${served} arrives`);
      assert.ok(calls.waiting.length - before - served <= 5);
      calls.waiting[before + served]?.answer();
    }
    await Promise.all(all);
    narrowClient.close();
    await narrow.close();
  });

  test('no request, or two, for a method of one request', async () => {
    const session = connectHttp2(server.urls[0] as string);
    for (const body of [Buffer.alloc(0), Buffer.concat([framed(Buffer.from('1')), framed(Buffer.from('2'))])]) {
      const { status } = await answerOf(rawCall(session, 'Unary').end(body));
      assert.ok([grpc.status.INTERNAL, grpc.status.UNIMPLEMENTED].includes(status), `status ${status}`);
    }
    session.destroy();
  });

  // grpc-js waits only for connections of ports that it has bound itself.
  const isDraining = start === startH2Server;
  test(`a server that closes ${isDraining ? 'lets calls under way finish, and ' : ''}takes no more`, async () => {
    const closing = await startServer();
    const closingClient = clientOf(closing);
    const before = calls.waiting.length;
    const under = call('Wait', 'last words', new grpc.Metadata(), closingClient);
    await calls.until(() => calls.waiting.length > before, 'the call arrives');
    const outcome = isDraining ? under : assert.rejects(under);
    const closed = closing.close();
    calls.waiting[before]?.answer();
    assert.equal((await outcome)?.toString(), isDraining ? 'last words' : undefined);
    await closed;
    assert.equal((await failure('Unary', 'more', new grpc.Metadata(), closingClient)).code, grpc.status.UNAVAILABLE);
    closingClient.close();
  });

  test('a server that closes does not wait for those who never end', async () => {
    const closing = await startServer();
    const session = connectHttp2(closing.urls[0] as string);
    session.on('error', () => undefined);
    const before = calls.held.length;
    const stream = rawCall(session, 'Hold');
    stream.on('error', () => undefined);
    stream.write(framed(Buffer.from('x')));
    await calls.until(() => calls.held.length > before, 'the stream arrives');
    const gone = once(session, 'close');
    await closing.close();
    await gone;
    await calls.until(() => calls.held[before]?.told.at(-1) === 'gone', 'the handler is told');
  });

  test('a client that does not answer pings is closed, one that does is kept', async () => {
    const watchful = await startServer({ keepaliveIntervalMs: 60, keepaliveTimeoutMs: 60 });
    const { hostname, port } = new URL(watchful.urls[0] as string);
    const mute = connect(Number(port), hostname);
    mute.resume();
    mute.on('error', () => undefined);
    mute.write(
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('000000040000000000', 'hex')]),
    );
    const session = connectHttp2(watchful.urls[0] as string);
    let isClosed = false;
    session.on('close', () => {
      isClosed = true;
    });
    await once(mute, 'close');
    assert.equal(isClosed, false);
    assert.equal((await answerOf(rawCall(session, 'Unary').end(framed(Buffer.from('here'))))).body.toString(), 'here');
    session.destroy();
    await watchful.close();
  });

  test('over TLS the client is known by its certificate, and plain text is turned away', async () => {
    const authority = await makeAuthority();
    const own = await authority.issue({ commonName: 'server', addresses: ['127.0.0.1'] });
    const theirs = await authority.issue({ commonName: 'alice', addresses: ['127.0.0.1'] });
    const files = await filesOf({ ca: authority.pem, cert: own.cert, key: own.key });
    const tls = await openServerTls({
      disk: realDisk,
      clock: realClock,
      log: silentLog,
      files: { ca: files.path('ca'), cert: files.path('cert'), key: files.path('key') },
      isClientVerified: true,
      limits: { minVersion: 'TLSv1.2' },
      allowed: anyName,
    });
    const secure = await startServer({ listenUrls: ['https://127.0.0.1:0'], listen: { tls } });
    const pem = (text: string) => Buffer.from(text);
    const credentials = grpc.credentials.createSsl(pem(authority.pem), pem(theirs.key), pem(theirs.cert));
    const secureClient = new grpc.Client(new URL(secure.urls[0] as string).host, credentials, clientOptions);
    const large = Buffer.alloc(3 * megabyte, 'tls');
    assert.ok((await call('Unary', large, new grpc.Metadata(), secureClient)).equals(large));
    if (start === startH2Server) {
      const [, commonName] = JSON.parse(
        (await call('Peer', '', new grpc.Metadata(), secureClient)).toString(),
      ) as string[];
      assert.equal(commonName, 'alice');
    }
    const plain = clientOf(secure);
    assert.equal((await failure('Unary', 'x', new grpc.Metadata(), plain)).code, grpc.status.UNAVAILABLE);
    plain.close();
    secureClient.close();
    await secure.close();
    tls.close();
    await files.remove();
  });
}

function framed(message: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  message.copy(bytes, 5);
  return bytes;
}

function rawCall(session: ClientHttp2Session, method: string, more: Record<string, string> = {}): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': `/test.Echo/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  });
}

/** The status of a raw call, and its messages without their prefixes. */
async function answerOf(stream: ClientHttp2Stream): Promise<{ readonly status: number; readonly body: Buffer }> {
  const chunks: Buffer[] = [];
  let status = -1;
  const look = (fields: Record<string, unknown>) => {
    if (fields['grpc-status'] !== undefined) status = Number(fields['grpc-status']);
  };
  stream.on('response', look);
  stream.on('trailers', look);
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A stream whose other half is open does not close by itself.
  await new Promise<void>((resolve) => {
    stream.once('end', resolve);
    stream.once('close', resolve);
  });
  if (!stream.closed) stream.close();
  return { status, body: Buffer.concat(chunks).subarray(5) };
}

/** Resolves once a figure has stopped to change. */
async function quiet(figure: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = figure();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}
