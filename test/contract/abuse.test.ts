/**
 * Hostile and broken clients against a running store and API server, over TLS: each gets the protocol's own error, the
 * servers stay up, answer others in time, and their memory stays within a bound that is told beside each test.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createKvClient, type KvClient } from '../../src/kv/index.ts';
import { realClock } from '../../src/env/real.ts';
import {
  type ApiTls,
  callApi,
  makeClusterFiles,
  type RunningApiServer,
  readApiTls,
  startApiServer,
} from './command-line.ts';
import { type StoreCluster, startStoreCluster } from './store-processes.ts';

const megabyte = 1024 * 1024;
/** A request that takes longer than this while others abuse the server was starved; a busy machine alone takes less. */
const answerMsMax = 5_000;
const idleConnections = 1000;

let directory: string;
let store: StoreCluster;
let storePid: number;
let storePort: number;
let peerPort: number;
let kv: KvClient;
let api: RunningApiServer;
let tls: ApiTls;
/** Handshakes with the API server that were begun before all tests and never went on: until it closes them. */
let staleHandshakes: readonly Promise<void>[];
/** The head of a ClientHello that promises more bytes than come. */
const halfHandshake = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
/** Connections of the test that is running; whatever it leaves open is closed after it. */
const opened: { destroy(): void }[] = [];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-abuse-'));
  store = await startStoreCluster({ kind: 'keelson', count: 1, tls: true });
  const member = store.members[0];
  assert.ok(member && store.tls && store.clientTls);
  storePid = member.pid();
  storePort = Number(new URL(member.endpoint).port);
  peerPort = Number(new URL(member.peerUrl).port);
  kv = createKvClient({ clock: realClock, endpoints: store.endpoints, tls: store.clientTls, timeoutMs: 20_000 });
  const files = await makeClusterFiles(join(directory, 'pki'));
  tls = await readApiTls(files);
  api = await startApiServer(files, member.endpoint, [
    `--etcd-cafile=${store.tls.ca}`,
    `--etcd-certfile=${store.tls.cert}`,
    `--etcd-keyfile=${store.tls.key}`,
  ]);
  staleHandshakes = Array.from({ length: 20 }, () => untilClosed(api.port, halfHandshake));
  // They are of no single test, so that none closes them.
  opened.length = 0;
});

after(async () => {
  kv?.close();
  await api?.stop();
  await store?.stop();
  await rm(directory, { recursive: true, force: true });
});

afterEach(() => {
  for (const connection of opened.splice(0)) connection.destroy();
});

const bytes = (text: string) => Buffer.from(text);

/** Both answer another client, each within the limit. */
async function bothServe(): Promise<void> {
  const startedMs = performance.now();
  const { revision } = await kv.put({ key: bytes('still'), value: bytes('here') });
  assert.ok((await kv.range({ key: bytes('still') })).revision >= revision);
  assert.equal((await callApi(api, tls, 'GET', '/readyz')).status, 200);
  assert.equal((await callApi(api, tls, 'GET', '/api/v1/namespaces/default')).status, 200);
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < answerMsMax, `four requests took ${tookMs} ms`);
}

/** Megabytes of memory of a process: what it holds now, and the most it ever held. */
async function memoryOf(pid: number): Promise<{ readonly nowMb: number; readonly peakMb: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  const memory = { nowMb: kilobytes('VmRSS') / 1024, peakMb: kilobytes('VmHWM') / 1024 };
  assert.ok(memory.nowMb > 0 && memory.peakMb >= memory.nowMb, status);
  return memory;
}

/** Runs `abuse`; during it the process must never hold more than `growthMbMax` above what it held before. */
async function withinMemory(pid: number, growthMbMax: number, abuse: () => Promise<void>): Promise<void> {
  // 5 = forget the peak so far (proc(5)), so that no earlier test hides or counts.
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  const before = await memoryOf(pid);
  await abuse();
  const grownMb = (await memoryOf(pid)).peakMb - before.nowMb;
  assert.ok(grownMb <= growthMbMax, `grew by ${grownMb.toFixed(0)} MB, at most ${growthMbMax} MB are right`);
}

interface GrpcAnswer {
  readonly status: number;
  readonly text: string;
}

function openSession(
  url: string,
  certificates: { ca: Uint8Array; cert: Uint8Array; key: Uint8Array },
): ClientHttp2Session {
  const session = connectHttp2(url, {
    ca: Buffer.from(certificates.ca),
    cert: Buffer.from(certificates.cert),
    key: Buffer.from(certificates.key),
    // In megabytes; Node's own limit would break off a client that sends more than it may.
    maxSessionMemory: 200,
  });
  session.on('error', () => undefined);
  opened.push(session);
  return session;
}

function storeSession(): ClientHttp2Session {
  assert.ok(store.clientTls);
  return openSession(store.endpoints[0] as string, store.clientTls);
}

function openCall(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
}

/** Sends these bytes as the whole of a call; the status it ends with. */
function rawCall(path: string, content: Uint8Array): Promise<GrpcAnswer> {
  const call = openCall(storeSession(), path);
  return new Promise((resolve, reject) => {
    const take = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] === undefined) return;
      resolve({
        status: Number(headers['grpc-status']),
        text: decodeURIComponent(String(headers['grpc-message'] ?? '')),
      });
    };
    call.on('response', take);
    call.on('trailers', take);
    call.once('error', reject);
    call.once('close', () => reject(new Error(`the call ended without a status (code ${call.rstCode})`)));
    call.resume();
    call.end(content);
  });
}

/** A gRPC message: a flag, the length, the bytes. */
function framed(message: Uint8Array, claimedBytes = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(claimedBytes, 1);
  return Buffer.concat([head, message]);
}

/** Field `number` with a length, of a protobuf message. */
function field(number: number, content: Uint8Array): Buffer {
  assert.ok(content.length < 128);
  return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
}

/** Opens a connection, sends `content`, and resolves once the other end has closed it. */
function untilClosed(port: number, content: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(content));
    opened.push(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.resume();
  });
}

describe('requests that are too large', () => {
  test('the API refuses a body above its limit with 413 over HTTP/2 as well', async () => {
    await withinMemory(api.pid, 96, async () => {
      const { status, text } = await largeHttp2Body();
      assert.equal(status, 413);
      assert.equal(JSON.parse(text).reason, 'RequestEntityTooLarge');
    });
    await bothServe();
  });
  test('the store refuses a put above its limit with its own text', async () => {
    // The largest message that is taken is 2 MiB and must be read before it can be refused; it is not kept.
    await withinMemory(storePid, 64, async () => {
      const value = Buffer.alloc(1.6 * megabyte);
      await assert.rejects(kv.put({ key: bytes('large'), value }), { message: /etcdserver: request is too large/ });
    });
    assert.equal((await kv.range({ key: bytes('large') })).kvs.length, 0);
    await bothServe();
  });
  test('the store refuses a message that gRPC does not take, by its length, without reading it', async () => {
    await withinMemory(storePid, 64, async () => {
      const { status, text } = await rawCall('/etcdserverpb.KV/Put', framed(Buffer.alloc(64 * 1024), 2 ** 31));
      assert.equal(status, 8, text);
      assert.match(text, /larger than max|exceeds/i);
    });
    await bothServe();
  });
  test('the API refuses a body above its limit with 413, whatever its length says', async () => {
    // Three megabytes are taken at a time; the rest of the hundred is thrown away as it comes.
    await withinMemory(api.pid, 96, async () => {
      const { status, body } = await callApi(api, tls, 'POST', '/api/v1/namespaces/default/configmaps', {
        bytes: Buffer.alloc(100 * megabyte, ' '),
      });
      assert.equal(status, 413);
      assert.equal(body.kind, 'Status');
      assert.equal(body.reason, 'RequestEntityTooLarge');
    });
    await bothServe();
  });
});

/** The status and the end of an HTTP/2 request to the API whose body is ten times what is taken. */
function largeHttp2Body(): Promise<{ readonly status: number; readonly text: string }> {
  const session = openSession(`https://127.0.0.1:${api.port}`, tls);
  const call = session.request({
    ':method': 'POST',
    ':path': '/api/v1/namespaces/default/configmaps',
    'content-type': 'application/json',
  });
  return new Promise((resolve, reject) => {
    let status = 0;
    let text = '';
    call.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    call.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    // What the server does not want to read any more may be refused after its answer.
    call.on('error', (error) => (status === 0 ? reject(error) : undefined));
    call.once('close', () => resolve({ status, text }));
    call.end(Buffer.alloc(30 * megabyte, ' '));
  });
}

describe('requests that cannot be decoded', () => {
  for (const [what, content] of [
    ['a field that is longer than its message', framed(Buffer.from([0x0a, 0x7f, 1, 2]))],
    ['a field of no known type', framed(Buffer.from([0x0f, 0xff, 0xff, 0xff]))],
    ['a number that does not end', framed(Buffer.alloc(64, 0xff))],
  ] as const) {
    test(`the store answers INTERNAL to ${what}`, async () => {
      const { status, text } = await rawCall('/etcdserverpb.KV/Range', content);
      assert.equal(status, 13, text);
      await bothServe();
    });
  }
  test('the store answers UNIMPLEMENTED to a method it does not have', async () => {
    assert.equal((await rawCall('/etcdserverpb.KV/Steal', framed(Buffer.alloc(0)))).status, 12);
  });
  test('the store ends a call whose message never becomes whole', async () => {
    const { status, text } = await rawCall('/etcdserverpb.KV/Range', framed(Buffer.from([1, 2, 3]), 100));
    // To gRPC it is a call without its message.
    assert.ok(status === 12 || status === 13, text);
    await bothServe();
  });

  const configMaps = '/api/v1/namespaces/default/configmaps';
  for (const [what, type, content] of [
    ['JSON that breaks off', 'application/json', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{'],
    ['JSON of another shape', 'application/json', '[1,2,3]'],
    ['JSON of a hundred thousand brackets', 'application/json', '['.repeat(100_000)],
    ['JSON of objects in objects in objects', 'application/json', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
    ['bytes that are no UTF-8', 'application/json', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
    ['no body at all', 'application/json', ''],
    ['YAML with a tab', 'application/yaml', 'kind: ConfigMap\n\tname: x'],
    ['YAML that grows by references', 'application/yaml', yamlBomb()],
    ['protobuf without its magic', 'application/vnd.kubernetes.protobuf', Buffer.from([1, 2, 3, 4, 5])],
    [
      'protobuf that breaks off',
      'application/vnd.kubernetes.protobuf',
      Buffer.from([0x6b, 0x38, 0x73, 0, 0x0a, 0x7f, 1]),
    ],
    [
      'protobuf of noise',
      'application/vnd.kubernetes.protobuf',
      Buffer.concat([bytes('k8s\0'), Buffer.alloc(500, 0xfb)]),
    ],
  ] as const) {
    test(`the API answers 400 to ${what}`, async () => {
      // None of these bodies has a megabyte: a process that grows by a hundred has been made to unfold something.
      await withinMemory(api.pid, 96, async () => {
        const { status, body } = await callApi(api, tls, 'POST', configMaps, { type, bytes: content });
        assert.equal(status, 400, JSON.stringify(body).slice(0, 300));
        assert.equal(body.kind, 'Status');
        assert.equal(body.reason, 'BadRequest');
      });
      await bothServe();
    });
  }
  test('a reference in YAML that unfolds to little is taken', async () => {
    const yaml =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: referring, labels: &l {a: b}, annotations: *l}\ndata: *l\n';
    const { status, body } = await callApi(api, tls, 'POST', configMaps, { type: 'application/yaml', bytes: yaml });
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(body.data, { a: 'b' });
  });
  test('the API answers 415 to a body of a kind it does not know', async () => {
    const { status } = await callApi(api, tls, 'POST', configMaps, { type: 'text/html', bytes: '<p>' });
    assert.equal(status, 415);
  });
});

/** Nine levels of nine references each: some hundred bytes that stand for 9^9 strings. */
function yamlBomb(): string {
  const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x]'];
  for (let level = 1; level <= 8; level++) {
    const reference = `*a${level - 1}`;
    lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => reference).join(',')}]`);
  }
  return lines.join('\n');
}

describe('bytes that are not TLS', () => {
  test('garbage and plain HTTP end the connection and nothing else', async () => {
    const noise = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 131 + 7) % 256));
    const plain = bytes('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const preface = bytes('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const ends: Promise<void>[] = [];
    for (const port of [storePort, peerPort, api.port])
      for (const content of [noise, plain, preface])
        for (let count = 0; count < 20; count++) ends.push(untilClosed(port, content));
    await Promise.all(ends);
    await bothServe();
  });
  test('garbage inside of TLS ends the connection and nothing else', async () => {
    const noise = Buffer.alloc(4096, 0xa5);
    for (const [port, alpn, certificates] of [
      [storePort, 'h2', store.clientTls],
      [api.port, 'h2', tls],
      [api.port, 'http/1.1', tls],
    ] as const) {
      await new Promise<void>((resolve) => {
        const socket = connectTls(
          {
            port,
            host: '127.0.0.1',
            ca: Buffer.from(certificates?.ca ?? []),
            cert: Buffer.from(certificates?.cert ?? []),
            key: Buffer.from(certificates?.key ?? []),
            ALPNProtocols: [alpn],
          },
          () => socket.write(noise),
        );
        opened.push(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => resolve());
        socket.resume();
      });
    }
    await bothServe();
  });
});

describe('clients that stop reading', () => {
  const watchers = 20;
  const writes = 40;
  const writeBytes = megabyte / 2;

  /** Resolves once the first bytes of the answer have come; nothing is read after that. */
  function untilStarted(stream: ClientHttp2Stream): Promise<void> {
    return new Promise((resolve, reject) => {
      stream.on('error', () => undefined);
      stream.once('close', () => reject(new Error('the watch ended at once')));
      stream.once('response', () => {
        stream.pause();
        resolve();
      });
    });
  }

  test('twenty watchers of the store leave 20 MB unread, and the store keeps none of it for them', async () => {
    const session = storeSession();
    for (let count = 0; count < watchers; count++) {
      const call = openCall(session, '/etcdserverpb.Watch/Watch');
      const started = untilStarted(call);
      call.write(framed(field(1, Buffer.concat([field(1, bytes('slow/')), field(2, bytes('slow0'))]))));
      await started;
    }
    // Kept for each of them it would be 400 MB. What grows is the log of the 20 MB and what the collector has not
    // collected yet; each watch may have one batch of events in its buffer.
    await withinMemory(storePid, 200, async () => {
      for (let count = 0; count < writes; count++) {
        const startedMs = performance.now();
        await kv.put({ key: bytes(`slow/${count % 2}`), value: Buffer.alloc(writeBytes, count) });
        assert.ok(performance.now() - startedMs < answerMsMax, 'a writer does not wait for slow readers');
      }
    });
    await bothServe();
  });

  test('twenty watchers of the API leave 20 MB unread, share what waits for them, and are cut off at 64 MB', async () => {
    const session = openSession(`https://127.0.0.1:${api.port}`, tls);
    const path = '/api/v1/namespaces/default/configmaps';
    const cutOff: Promise<unknown>[] = [];
    for (let count = 0; count < watchers; count++) {
      const watch = session.request({ ':path': `${path}?watch=true&resourceVersion=0` });
      const started = untilStarted(watch);
      watch.end();
      await started;
      cutOff.push(new Promise((resolve) => watch.once('close', () => resolve(watch.rstCode))));
    }
    const body = (count: number) => ({
      bytes: JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'slow' },
        data: { text: String(count % 10).repeat(writeBytes) },
      }),
    });
    assert.equal((await callApi(api, tls, 'POST', path, body(0))).status, 201);
    // Frames are shared: 20 MB once, not 400. Beside them the cache keeps its window of events, and the collector lags.
    await withinMemory(api.pid, 250, async () => {
      for (let count = 1; count < writes; count++) {
        const startedMs = performance.now();
        assert.equal((await callApi(api, tls, 'PUT', `${path}/slow`, body(count))).status, 200);
        assert.ok(performance.now() - startedMs < answerMsMax, 'a writer does not wait for slow readers');
      }
    });
    await bothServe();
    // The queue of a watcher ends at 64 MB: whoever left that much unread must begin anew.
    let isOver = false;
    const ends = Promise.all(cutOff).then((codes) => {
      isOver = true;
      return codes;
    });
    for (let count = 0; count < 160 && !isOver; count++) {
      assert.equal((await callApi(api, tls, 'PUT', `${path}/slow`, body(count))).status, 200);
    }
    assert.deepEqual(await ends, Array(watchers).fill(2), 'HTTP/2 INTERNAL_ERROR: a broken stream, not an end');
    await bothServe();
  });
});

describe('connections that do nothing', () => {
  function openTls(port: number, certificates: { ca: Uint8Array; cert: Uint8Array; key: Uint8Array }): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connectTls(
        {
          port,
          host: '127.0.0.1',
          ca: Buffer.from(certificates.ca),
          cert: Buffer.from(certificates.cert),
          key: Buffer.from(certificates.key),
          ALPNProtocols: ['h2'],
        },
        () => resolve(),
      );
      socket.once('error', reject);
      opened.push(socket);
    });
  }

  function openPlain(port: number, content: Uint8Array): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        if (content.length > 0) socket.write(content);
        resolve(socket);
      });
      socket.once('error', reject);
      opened.push(socket);
    });
  }

  for (const name of ['store', 'API server'] as const) {
    test(`a thousand idle connections to the ${name}`, async () => {
      const port = name === 'store' ? storePort : api.port;
      const certificates = name === 'store' ? store.clientTls : tls;
      assert.ok(certificates);
      // A connection with TLS and HTTP/2 takes some 60 KB of OpenSSL's and Node's buffers.
      await withinMemory(name === 'store' ? storePid : api.pid, 200, async () => {
        for (let count = 0; count < idleConnections; count += 50) {
          await Promise.all(Array.from({ length: 50 }, () => openTls(port, certificates)));
        }
        await bothServe();
      });
    });
  }

  test('a thousand connections that never say a word, and a thousand handshakes that never finish', async () => {
    for (const port of [storePort, api.port]) {
      for (const content of [Buffer.alloc(0), halfHandshake]) {
        const sockets = Array.from({ length: idleConnections / 2 }, () => openPlain(port, content));
        await Promise.all(sockets);
      }
    }
    await bothServe();
    assert.ok((await memoryOf(storePid)).nowMb < 1024);
  });
});

test('the API server closes handshakes that have not gone on for ten seconds', { timeout: 30_000 }, async () => {
  await Promise.all(staleHandshakes);
});

test('after all of it both processes are those that were started, and neither logged a bug', () => {
  assert.equal(store.members[0]?.pid(), storePid);
  for (const output of [store.members[0]?.output() ?? '', api.output()]) {
    assert.doesNotMatch(output, /"level":"(error|fatal)"/, output);
    assert.doesNotMatch(output, /^\s+at .*:\d+:\d+\)?$/m, 'no stack trace');
  }
});
