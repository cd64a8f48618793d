/** What the store may send before the client's event loop has had its turn. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Http2Session, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { Connections } from '../../../src/kv/client/connections.ts';
import { realClock } from '../../../src/env/real.ts';

/** Some hundred answers and a resource list, for which a stream of events must not wait. */
const windowBytesMin = 4 * 1024 * 1024;

test('neither a watch nor the answers beside it wait for the event loop after each 64 KB', async () => {
  const server = createServer();
  const sessions: ServerHttp2Session[] = [];
  const widened = Promise.withResolvers<Http2Session>();
  server.on('session', (session) => {
    sessions.push(session);
    // The connection's window comes after the settings; a ping's answer comes after both.
    session.once('remoteSettings', () => session.ping(() => session.ping(() => widened.resolve(session))));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connections = new Connections({ clock: realClock, endpoints: [endpoint] });
  try {
    assert.ok(await connections.connect(endpoint, 2_000));
    assert.equal(connections.get(endpoint).getChannel().getConnectivityState(false), grpc.connectivityState.READY);
    const session = await widened.promise;
    const ofStream = session.remoteSettings.initialWindowSize ?? 0;
    const ofConnection = session.state.remoteWindowSize ?? 0;
    assert.ok(ofStream >= windowBytesMin, `a stream may carry ${ofStream} bytes`);
    assert.ok(ofConnection >= windowBytesMin, `the connection may carry ${ofConnection} bytes`);
  } finally {
    connections.close();
    for (const session of sessions) session.destroy();
    server.close();
  }
});
