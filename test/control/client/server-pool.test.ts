/** Connections to several API servers under a clock that the test moves. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ServerPool } from '../../../src/control/client/server-pool.ts';
import { FakeClock } from './fakes.ts';

async function listen(context: TestContext, server: Server | Http2Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Takes connections and says nothing, so that a TLS handshake never ends. */
async function silentServer(context: TestContext): Promise<{ origin: string; server: Server }> {
  const server = createTcpServer((socket) => context.after(() => socket.destroy()));
  return { origin: `https://127.0.0.1:${await listen(context, server)}`, server };
}

function poolOf(context: TestContext, servers: readonly string[], clock: FakeClock): ServerPool {
  const credentials = { kind: 'token', token: () => 'secret' } as const;
  const pool = new ServerPool({ servers, ca: new Uint8Array(), credentials }, clock);
  context.after(() => pool.close());
  return pool;
}

test('a call that comes late to a server that another call has connected to takes that connection', async (context) => {
  const clock = new FakeClock();
  const gone = createTcpServer();
  const port = await listen(context, gone);
  gone.close();
  const [slow, slower] = [await silentServer(context), await silentServer(context)];
  const pool = poolOf(context, [`http://127.0.0.1:${port}`, slow.origin, slower.origin], clock);

  // The first server refuses and counts as dead for two seconds; the second is waited for, then the third.
  const waitsForThird = once(slower.server, 'connection');
  const first = assert.rejects(pool.session(), /cannot reach any API server/);
  await once(slow.server, 'connection');
  clock.nowMs += 1400;
  await clock.advance(0);
  await waitsForThird;
  // This one waits for the third as well, and has the first one left as its last resort.
  const late = pool.session();
  // Meanwhile the first server is back, and a call that may try it at once connects.
  await clock.advance(600);
  await listen(context, createServer(), port);
  const session = await pool.session();
  await clock.advance(400);
  await first;
  assert.equal(await late, session);
});

test('a connection that finishes its streams after GOAWAY is given up when it falls silent', async (context) => {
  const clock = new FakeClock();
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream) => stream.respond({ ':status': 200 }));
  const port = await listen(context, server);
  const wires: [Socket, Socket][] = [];
  const wire = createTcpServer((near) => {
    const far = connect(port, '127.0.0.1');
    wires.push([near, far]);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      context.after(() => socket.destroy());
    }
  });
  const pool = poolOf(context, [`http://127.0.0.1:${await listen(context, wire)}`], clock);

  const old = await pool.session();
  const watch = old.request({ ':path': '/' });
  await once(watch, 'response');
  sessions[0]?.goaway();
  await once(old, 'goaway');
  assert.notEqual(await pool.session(), old);
  const [near, far] = wires[0] as [Socket, Socket];
  near.unpipe(far);
  far.unpipe(near);
  const ended = once(watch, 'error');
  await clock.advance(6000);
  assert.match(String((await ended)[0]), /no answer to a ping/);
});
