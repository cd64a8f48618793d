import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import {
  type ApiClient,
  ApiUnavailableError,
  createApiClient,
  InformerFactory,
  isConflict,
  resources,
} from '../../../src/control/client/index.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realRandom } from '../../../src/env/real.ts';

type Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

async function serve(context: TestContext, handler: Handler): Promise<{ origin: string; close: () => void }> {
  const sessions = new Set<{ destroy(): void }>();
  const server = createServer(handler);
  server.on('session', (session) => sessions.add(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    for (const session of sessions) session.destroy();
  };
  context.after(close);
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

function clientOf(context: TestContext, servers: readonly string[]): ApiClient {
  const client = createApiClient({
    servers,
    ca: new Uint8Array(),
    credentials: { kind: 'token', token: () => 'secret' },
    userAgent: 'test',
    clock: realClock,
  });
  context.after(() => client.close());
  return client;
}

const json = (response: Http2ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};
const pod = (name: string, revision: number) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'a', uid: `uid-${name}`, resourceVersion: String(revision) },
});

test('a call moves on to the next server when the first refuses the connection', async (context) => {
  const { origin } = await serve(context, (request, response) => {
    assert.equal(request.headers.authorization, 'Bearer secret');
    json(response, 200, pod('x', 1));
  });
  const dead = await serve(context, () => undefined);
  dead.close();
  const client = clientOf(context, [dead.origin, origin]);
  assert.equal((await client.get(resources.pods, 'a', 'x')).metadata.name, 'x');
});

test('a write whose connection breaks after it was sent is not sent again; a read is', async (context) => {
  let calls = 0;
  const first = await serve(context, (request) => {
    calls++;
    request.stream.session?.destroy();
  });
  const second = await serve(context, (_request, response) => {
    calls += 100;
    json(response, 200, pod('x', 1));
  });
  const client = clientOf(context, [first.origin, second.origin]);
  await assert.rejects(client.create(resources.pods, pod('x', 1)), (error) => {
    assert.ok(error instanceof ApiUnavailableError);
    return error.wasSent;
  });
  assert.equal(calls, 1);
  first.close();
  assert.equal((await client.get(resources.pods, 'a', 'x')).metadata.name, 'x');
});

test('a refusal is the Status that the server sent', async (context) => {
  const { origin } = await serve(context, (_request, response) => {
    json(response, 409, {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      reason: 'Conflict',
      code: 409,
      message: 'stale',
    });
  });
  const client = clientOf(context, [origin]);
  await assert.rejects(client.update(resources.pods, pod('x', 1) as never), (error) => isConflict(error));
});

test('an informer lists, watches, resumes where it was, and lists again when that revision is gone', async (context) => {
  const requests: string[] = [];
  let lists = 0;
  const watches: Http2ServerResponse[] = [];
  let wake = () => {};
  const { origin } = await serve(context, (request, response) => {
    const url = new URL(request.url, 'http://x');
    if (url.searchParams.get('watch') === null) {
      requests.push('list');
      lists++;
      const items = lists === 1 ? [pod('a', 5), pod('b', 6)] : [pod('b', 6), pod('d', 30)];
      json(response, 200, {
        kind: 'PodList',
        apiVersion: 'v1',
        metadata: { resourceVersion: lists === 1 ? '10' : '40' },
        items,
      });
    } else {
      requests.push(`watch ${url.searchParams.get('resourceVersion')}`);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('\n');
      watches.push(response);
      wake();
    }
  });
  const client = clientOf(context, [origin]);
  const stop = new AbortController();
  context.after(() => stop.abort());
  const factory = new InformerFactory({ client, clock: realClock, random: realRandom, log: silentLog });
  const informer = factory.informer(resources.pods);
  assert.equal(factory.informer(resources.pods), informer, 'informers are shared');
  const changes: string[] = [];
  informer.onChange((key, before, after) => {
    changes.push(`${before === undefined ? '+' : after === undefined ? '-' : '~'}${key}`);
    wake();
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
  };
  const send = (type: string, object: unknown) => watches.at(-1)?.write(`${JSON.stringify({ type, object })}\n`);
  factory.start(stop.signal);
  await factory.waitForSync(stop.signal);
  assert.deepEqual(changes.splice(0), ['+a/a', '+a/b']);
  await until(() => watches.length === 1);
  send('ADDED', pod('c', 11));
  send('DELETED', pod('a', 12));
  send('BOOKMARK', { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: '20' } });
  await until(() => changes.length === 2);
  assert.deepEqual(changes.splice(0), ['+a/c', '-a/a']);
  watches.at(-1)?.end();
  await until(() => watches.length === 2);
  send('ERROR', { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410, message: 'too old' });
  await until(() => watches.length === 3);
  assert.deepEqual(requests, ['list', 'watch 10', 'watch 20', 'list', 'watch 40']);
  assert.deepEqual(changes.sort(), ['+a/d', '-a/c']);
  assert.deepEqual(
    informer
      .list()
      .map((each) => each.metadata.name)
      .sort(),
    ['b', 'd'],
  );
});
