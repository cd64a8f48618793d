/** What only the store's own server does: plain HTTP on the same port, anything as authority, its limits on real sockets. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type Log, silentLog } from '../../../src/env/log.ts';
import { realClock } from '../../../src/env/real.ts';
import { encodePing, encodeSettings, errorCode, frameFlag, frameType, preface } from '../../../src/rpc/h2/frames.ts';
import { startH2Server } from '../../../src/rpc/h2/index.ts';
import type { RpcServer, RpcServerOptions } from '../../../src/rpc/rpc-server.ts';
import { createTestMethods, type TestMethods } from '../../kv/rpc/rpc-methods.ts';
import { RawClient } from './raw-client.ts';
import { data, frame } from './test-connection.ts';

const run = promisify(execFile);
let calls: TestMethods;
let server: RpcServer;
const warnings: string[] = [];
const log: Log = { ...silentLog, warn: (_message, fields) => warnings.push(String(fields?.['error'])) };

/** Without a handler for plain HTTP. */
const bareOptions = (): RpcServerOptions => ({
  clock: realClock,
  log,
  methods: calls.methods,
  listenUrls: ['http://127.0.0.1:0'],
  messageBytesMax: 16 * 2 ** 20,
  concurrentStreamsMax: 1000,
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
});

/** Tells what it was asked; `/large` answers with ten megabytes. */
function answerHttp(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/large') {
      let left = 1000;
      const go = () => {
        while (left-- > 0) if (!response.write(Buffer.alloc(10_000, 'x'))) return void response.once('drain', go);
        response.end();
      };
      return go();
    }
    response.setHeader('x-method', request.method ?? '');
    response.writeHead(request.url === '/missing' ? 404 : 200, { 'content-type': 'text/plain', connection: 'close' });
    response.end(`${request.url} ${request.headers['x-asked'] ?? ''} ${Buffer.concat(chunks).length}`);
  });
}

before(async () => {
  calls = createTestMethods();
  server = await startH2Server({ ...bareOptions(), http: answerHttp });
});
after(() => server.close());

async function ask(session: ClientHttp2Session, fields: Record<string, string>, body?: Buffer) {
  const stream = session.request(fields, { endStream: body === undefined });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const answered = once(stream, 'response');
  if (body) stream.end(body);
  const [head] = (await answered) as [Record<string, unknown>];
  await once(stream, 'close');
  return { head, body: Buffer.concat(chunks) };
}

test('requests that are no gRPC go to the HTTP handler: by HTTP/1, and by HTTP/2', async () => {
  const url = server.urls[0] as string;
  const first = await fetch(`${url}/version`, { method: 'POST', body: 'hello', headers: { 'x-asked': 'yes' } });
  assert.equal(first.status, 200);
  assert.equal(await first.text(), '/version yes 5');
  const session = connectHttp2(url);
  const { head, body } = await ask(
    session,
    { ':path': '/version', ':method': 'POST', 'x-asked': 'yes' },
    Buffer.alloc(5_000_000),
  );
  assert.deepEqual([head[':status'], head['x-method'], head['connection']], [200, 'POST', undefined]);
  assert.equal(body.toString(), '/version yes 5000000');
  assert.equal((await ask(session, { ':path': '/missing' })).head[':status'], 404);
  assert.equal((await ask(session, { ':path': '/large' })).body.length, 10_000_000);
  assert.equal((await ask(session, { ':path': '/version', ':method': 'HEAD' })).body.length, 0);
  session.destroy();
});

test('without a handler for them, requests that are no gRPC are refused', async () => {
  const bare = await startH2Server(bareOptions());
  const session = connectHttp2(bare.urls[0] as string);
  assert.equal((await ask(session, { ':path': '/version' })).head[':status'], 415);
  const type = { 'content-type': 'application/grpc' };
  assert.equal((await ask(session, { ':path': '/test.Echo/Unary', ...type })).head[':status'], 405);
  session.destroy();
  await assert.rejects(fetch(`${bare.urls[0]}/version`));
  assert.ok(warnings.includes('the client does not speak HTTP/2'));
  await bare.close();
});

test('the texts of what is not there are those of grpc-go', async () => {
  const session = connectHttp2(server.urls[0] as string);
  const type = { ':method': 'POST', 'content-type': 'application/grpc' };
  const statusOf = async (fields: Record<string, string>) => {
    const { head } = await ask(session, { ...type, ...fields });
    return [head['grpc-status'], head['grpc-message']].map(String);
  };
  assert.deepEqual(await statusOf({ ':path': '/a.B/C' }), ['12', 'unknown service a.B']);
  assert.deepEqual(await statusOf({ ':path': '/test.Echo/C' }), ['12', 'unknown method C for service test.Echo']);
  assert.deepEqual(await statusOf({ ':path': '/x' }), ['12', 'malformed method name: "/x"']);
  const unary = { ':path': '/test.Echo/Unary' };
  assert.deepEqual(await statusOf({ ...unary, 'grpc-encoding': 'snappy' }), [
    '12',
    'grpc: Decompressor is not installed for grpc-encoding "snappy"',
  ]);
  assert.deepEqual(await statusOf({ ...unary, 'grpc-timeout': 'soon' }), ['13', 'malformed grpc-timeout: "soon"']);
  session.destroy();
});

test('the authority of a call may be anything, as etcdctl 3.4 puts a URL there', async () => {
  const client = await RawClient.open(server.urls[0] as string);
  for (const authority of ['http://127.0.0.1:2379', '', '#', 'a b/../%00']) {
    const answer = await client.call('/test.Echo/Unary', Buffer.from('hello'), [[':authority', authority]]);
    assert.deepEqual([answer.status, answer.body.toString()], ['0', 'hello']);
  }
  client.destroy();
});

test('a preface in pieces is a preface; one that turns out to be something else is not', async () => {
  const client = await RawClient.open(server.urls[0] as string, async (socket) => {
    for (const byte of preface) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  assert.equal((await client.call('/test.Echo/Unary', Buffer.from('x'))).status, '0');
  client.destroy();
  const { hostname, port } = new URL(server.urls[0] as string);
  const other = connect(Number(port), hostname);
  other.write('PRI * HTTP/2.0\r\n');
  other.write('\r\nSX\r\n\r\n');
  const [answer] = (await once(other, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 400 /);
  other.destroy();
});

test('headers that are too large cost the call, not the connection', async () => {
  const client = await RawClient.open(server.urls[0] as string);
  const answer = await client.call('/test.Echo/Unary', Buffer.from('x'), [['x-large', 'y'.repeat(70_000)]]);
  assert.equal(answer.httpStatus, '431');
  assert.equal((await client.call('/test.Echo/Unary', Buffer.from('x'))).status, '0');
  client.destroy();
});

test('a client that breaks the protocol is told why, then closed; others go on', async () => {
  const good = await RawClient.open(server.urls[0] as string);
  const broken: readonly (readonly [bytes: Buffer, code: number])[] = [
    [frame(frameType.headers, frameFlag.endHeaders, 2, Buffer.from([0x83])), errorCode.protocolError],
    [frame(frameType.headers, frameFlag.endHeaders, 1, Buffer.from([0xff, 0xff])), errorCode.compressionError],
    [frame(frameType.settings, 0, 0, Buffer.alloc(5)), errorCode.frameSizeError],
    [frame(frameType.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])), errorCode.flowControlError],
    [data(1, Buffer.from('x')), errorCode.protocolError],
  ];
  for (const [bytes, code] of broken) {
    const client = await RawClient.open(server.urls[0] as string);
    client.write(bytes);
    const goAway = await client.goAway;
    assert.equal(goAway.code, code, goAway.reason);
    await client.closed;
  }
  assert.equal((await good.call('/test.Echo/Unary', Buffer.from('x'))).status, '0');
  good.destroy();
});

test('a client that floods with pings and never reads is closed', async () => {
  const client = await RawClient.open(server.urls[0] as string);
  client.stopReading();
  const pings = Buffer.concat(Array.from({ length: 4000 }, () => encodePing(Buffer.alloc(8), false)));
  let isClosed = false;
  void client.closed.then(() => {
    isClosed = true;
  });
  for (let count = 0; count < 2000 && !isClosed; count++) {
    if (!client.write(pings)) await Promise.race([client.drained(), client.closed]);
  }
  // Only who reads learns of the end.
  client.goOnReading();
  await client.closed;
});

test('a thousand slow readers cost no writer its speed, and are held back', async () => {
  const slow = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(server.urls[0] as string)));
  const before = calls.held.length;
  for (const client of slow) {
    for (let count = 0; count < 10; count++) client.open('/test.Echo/Hold', Buffer.from('x'));
    client.stopReading();
  }
  await calls.until(
    () => calls.held.slice(before).filter(({ requests }) => requests.length > 0).length === 1000,
    'all are there',
  );
  const message = Buffer.alloc(50_000);
  let written = 0;
  for (const { answers } of calls.held.slice(before)) {
    // One that is not full takes a message, and each is full soon.
    for (let count = 0; count < 20; count++) {
      written++;
      if (!answers.write(message)) break;
    }
  }
  assert.ok(written < 10_000, `${written} messages were taken, 20 for each is the most`);
  const fast = await RawClient.open(server.urls[0] as string);
  const startedMs = performance.now();
  for (let count = 0; count < 100; count++) {
    assert.equal((await fast.call('/test.Echo/Unary', Buffer.from('quick'))).body.toString(), 'quick');
  }
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < 5_000, `a hundred calls took ${tookMs} ms`);
  for (const client of [...slow, fast]) client.destroy();
  await calls.until(() => calls.held.slice(before).every(({ told }) => told.at(-1) === 'gone'), 'all are gone');
});

test('two thousand idle connections take little memory each', async () => {
  const gc = globalThis.gc ?? (() => undefined);
  gc();
  const beforeBytes = process.memoryUsage().rss;
  const clients: RawClient[] = [];
  // Fewer at a time than the system lets wait to be accepted.
  while (clients.length < 2000) {
    const some = Array.from({ length: 200 }, () => RawClient.open(server.urls[0] as string));
    clients.push(...(await Promise.all(some)));
  }
  const bytesEach = (process.memoryUsage().rss - beforeBytes) / clients.length;
  // Both ends are in this process.
  assert.ok(bytesEach < 100_000, `${Math.round(bytesEach)} bytes for each connection`);
  for (const client of clients) client.destroy();
});

test('settings that shrink the table are obeyed', async () => {
  const client = await RawClient.open(server.urls[0] as string);
  assert.equal((await client.call('/test.Echo/Unary', Buffer.from('1'))).status, '0');
  client.limitTable(0);
  client.write(encodeSettings([[1, 0]]));
  for (let count = 0; count < 3; count++) {
    assert.equal((await client.call('/test.Echo/Unary', Buffer.from('2'))).status, '0');
  }
  client.destroy();
});

test('curl speaks to it by both versions', async (t) => {
  const found = await run('curl', ['--version']).catch(() => undefined);
  if (!found?.stdout.includes('HTTP2')) return t.skip('there is no curl with HTTP/2 here');
  const url = `${server.urls[0]}/version`;
  for (const flags of [[], ['--http2-prior-knowledge'], ['--http2-prior-knowledge', '-d', 'x'.repeat(100)]]) {
    const { stdout } = await run('curl', ['-sS', '--max-time', '10', ...flags, url]);
    assert.match(stdout, /^\/version {2}\d+$/);
  }
});

/** What h2spec finds in these parts, which want an answer with some bytes to count. It ends with 1 when there is something, and says it at the end. */
async function h2specFinds(of: RpcServer, parts: readonly string[]): Promise<string> {
  const { port } = new URL(of.urls[0] as string);
  const told = run('h2spec', ['--port', port, '--path', '/some-bytes', '--timeout', '3', ...parts], {
    maxBuffer: 2 ** 24,
  });
  const { stdout } = await told.catch((error: { stdout: string }) => error);
  assert.match(stdout, /\d+ tests, \d+ passed, 0 skipped, \d+ failed/);
  return stdout.split('Failures:')[1] ?? '';
}

test('h2spec finds nothing', async (t) => {
  const found = await run('h2spec', ['--version']).catch(() => undefined);
  if (!found) return t.skip('h2spec is not installed');
  // By a handler that reads the whole request first: h2spec takes an answer for the end of a request that goes on.
  const parts = ['http2/4', 'http2/5', 'http2/6', 'http2/7', 'http2/8', 'generic', 'hpack'];
  for (const part of parts) assert.equal(await h2specFinds(server, [part]), '', part);
  // Without the handler for HTTP/1, which would answer a broken preface as a broken HTTP/1 request.
  const bare = await startH2Server(bareOptions());
  t.after(() => bare.close());
  assert.equal(await h2specFinds(bare, ['http2/3']), '');
});
