/** Plain HTTP requests to one real member: health, versions, metrics, and who may ask. */
import assert from 'node:assert/strict';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import type { LogLevel } from '../../../src/kv/http/debug.ts';
import { createHttpHandler, type HttpHandlerOptions } from '../../../src/kv/http/handler.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

let member: TestMember;
const servers: Server[] = [];

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
});
after(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await member?.stop();
});

async function serve(overrides: Partial<HttpHandlerOptions> = {}): Promise<number> {
  const handler = createHttpHandler({
    log: silentLog,
    registry: member.registry,
    access: { corsOrigins: ['*'], hostWhitelist: ['*'] },
    server: () => member.server,
    onFatal: (error) => {
      throw error;
    },
    ...overrides,
  });
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function ask(
  port: number,
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
  body = '',
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

test('health, liveness and readiness are told as etcd tells them', async () => {
  const port = await serve();
  const health = await ask(port, '/health');
  assert.deepEqual([health.status, health.body], [200, '{"health":"true","reason":""}']);
  assert.equal((await ask(port, '/health?serializable=true')).body, '{"health":"true","reason":""}');
  assert.deepEqual([(await ask(port, '/livez')).body, (await ask(port, '/readyz')).body], ['ok\n', 'ok\n']);
  assert.equal((await ask(port, '/livez/serializable_read')).body, 'ok\n');
  assert.equal(
    (await ask(port, '/readyz?verbose')).body,
    '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n',
  );
  assert.equal((await ask(port, '/readyz/no_such_check')).status, 404);
});

test('an alarm makes the member unhealthy, unless it is excluded', async () => {
  const port = await serve();
  await member.server.setAlarm('activate', member.server.memberId, 'noSpace');
  const health = await ask(port, '/health');
  assert.deepEqual([health.status, health.body], [503, '{"health":"false","reason":"ALARM NOSPACE"}']);
  assert.equal((await ask(port, '/health?exclude=NOSPACE')).status, 200);
  await member.server.setAlarm('deactivate', member.server.memberId, 'noSpace');
  await member.server.setAlarm('activate', member.server.memberId, 'corrupt');
  const corrupt = await ask(port, '/readyz/data_corruption');
  assert.deepEqual([corrupt.status, corrupt.body], [503, '[-]data_corruption failed: alarm activated: CORRUPT\n\n']);
  await member.server.setAlarm('deactivate', member.server.memberId, 'corrupt');
});

test('versions, metrics and variables can be read, and only read', async () => {
  const port = await serve();
  const version = JSON.parse((await ask(port, '/version')).body) as Record<string, string>;
  assert.deepEqual(Object.keys(version), ['etcdserver', 'etcdcluster', 'storage']);
  assert.match((await ask(port, '/metrics')).body, /^etcd_server_has_leader 1$/m);
  const vars = JSON.parse((await ask(port, '/debug/vars')).body) as { 'raft.status': { raftState: string } };
  assert.equal(vars['raft.status'].raftState, 'StateLeader');
  for (const path of ['/version', '/health', '/metrics', '/debug/vars']) {
    const refused = await ask(port, path, 'POST');
    assert.deepEqual([refused.status, refused.body], [405, 'Method Not Allowed\n'], path);
  }
});

test('anything else is not found, in etcd’s words', async () => {
  const port = await serve();
  for (const path of ['/', '/nope', '/metrics/x', '/v3alpha/kv/range', '/v3beta/kv/range', '/v2/keys', '/health/x']) {
    const answer = await ask(port, path);
    assert.deepEqual([answer.status, answer.body], [404, '404 page not found\n'], path);
  }
});

test('the level of the log can be changed', async () => {
  const seen: LogLevel[] = [];
  const port = await serve({ setLogLevel: (level) => seen.push(level) });
  assert.equal((await ask(port, '/config/local/log', 'PUT', {}, '{"Level":"DEBUG"}')).status, 204);
  assert.equal((await ask(port, '/config/local/log', 'PUT', {}, '{"Level":"LOUD"}')).status, 400);
  assert.equal((await ask(port, '/config/local/log', 'PUT', {}, 'not json')).status, 400);
  assert.equal((await ask(port, '/config/local/log')).status, 405);
  assert.deepEqual(seen, ['debug']);
});

test('pages of other origins read nothing unless they are named', async () => {
  const open = await serve();
  assert.equal((await ask(open, '/health', 'OPTIONS')).headers['access-control-allow-origin'], '*');
  const named = await serve({ access: { corsOrigins: ['https://good.example'], hostWhitelist: [] } });
  const good = await ask(named, '/health', 'GET', { origin: 'https://good.example' });
  assert.equal(good.headers['access-control-allow-origin'], 'https://good.example');
  const bad = await ask(named, '/health', 'GET', { origin: 'https://bad.example' });
  assert.equal(bad.headers['access-control-allow-origin'], undefined);
});

test('a host name that is not on the list is turned away on a plain connection', async () => {
  const port = await serve({ access: { corsOrigins: [], hostWhitelist: ['store.example', '127.0.0.1', '::1'] } });
  assert.equal((await ask(port, '/health', 'GET', { host: `store.example:${port}` })).status, 200);
  assert.equal((await ask(port, '/health', 'GET', { host: '127.0.0.1' })).status, 200);
  assert.equal((await ask(port, '/health', 'GET', { host: '[::1]:2379' })).status, 200);
  const refused = await ask(port, '/health', 'GET', { host: 'evil.example:2379' });
  assert.equal(refused.status, 421);
  assert.match(refused.body, /"evil.example" is not one this store answers to/);
});

test('a member that has not started says so', async () => {
  const port = await serve({ server: () => undefined });
  assert.deepEqual([(await ask(port, '/health')).status, (await ask(port, '/readyz')).status], [503, 503]);
  assert.equal((await ask(port, '/metrics')).status, 200);
  assert.equal((await ask(port, '/nope')).status, 404);
});
