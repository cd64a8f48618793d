/** Logs and exec through a node's agent, played by a small HTTPS server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { issueLeaf } from '../../../src/cluster/pki.ts';
import { env, type Etcd, makeNamespace, podManifest, startEtcd, startServer, type TestServer } from './harness.ts';

let etcd: Etcd;
let api: TestServer;
let agent: ReturnType<typeof createServer>;
let namespace: string;
const asked: string[] = [];

before(async () => {
  etcd = await startEtcd();
  api = await startServer(etcd);
  const leaf = await issueLeaf(env, api.authority, { commonName: 'n1', hosts: ['127.0.0.1'], usages: ['server'] });
  agent = createServer({ cert: leaf.certificatePem, key: leaf.keyPem }, (incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    if (incoming.url?.startsWith('/exec')) {
      response.writeHead(403, { 'content-type': 'text/plain' });
      response.end('no upgrade here');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('first\n');
    setImmediate(() => response.end('second\n'));
  });
  agent.on('upgrade', (incoming, socket: Duplex, head: Buffer) => {
    asked.push(`${incoming.method} ${incoming.url} ${incoming.headers['x-stream-protocol-version']}`);
    if (incoming.headers.upgrade === 'websocket') {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno');
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    if (head.length > 0) socket.write(head);
    socket.pipe(socket);
  });
  agent.listen(0, '127.0.0.1');
  await once(agent, 'listening');
  const { admin } = api;
  const node = await admin.ok('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  await admin.ok('PUT', '/api/v1/nodes/n1/status', {
    ...node,
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: (agent.address() as AddressInfo).port } },
    },
  });
  namespace = await makeNamespace(admin);
  await admin.ok('POST', `/api/v1/namespaces/${namespace}/pods`, podManifest('p', { nodeName: 'n1' }));
  await admin.ok('POST', `/api/v1/namespaces/${namespace}/pods`, podManifest('unscheduled'));
});
after(async () => {
  await api.stop();
  agent.closeAllConnections();
  agent.close();
  await etcd.stop();
});

test('a log is streamed from the node of the pod', async () => {
  const path = `/api/v1/namespaces/${namespace}/pods/p/log`;
  const answer = await api.admin.call('GET', `${path}?tailLines=5&follow=true`);
  assert.equal(answer.bytes.toString(), 'first\nsecond\n');
  assert.equal(asked.at(-1), `GET /containerLogs/${namespace}/p/main?follow=true&tailLines=5`);
  const wrong = await api.admin.call('GET', `${path}?container=other`);
  assert.equal(wrong.status, 400);
  const early = await api.admin.call('GET', `/api/v1/namespaces/${namespace}/pods/unscheduled/log`);
  assert.equal(early.status, 400);
  assert.match(early.body.message, /does not have a host assigned/);
});

async function upgrade(protocol: string): Promise<{ status: number; socket: Duplex | undefined; text: string }> {
  const kubeconfigClient = await issueLeaf(env, api.authority, {
    commonName: 'kubernetes-admin',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const call = request({
    host: '127.0.0.1',
    port: api.port,
    ca: api.ca,
    cert: kubeconfigClient.certificatePem,
    key: kubeconfigClient.keyPem,
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods/p/exec?command=sh&command=-c&command=echo%20a%20b&stdin=true&stdout=true`,
    headers: { connection: 'Upgrade', upgrade: protocol, 'x-stream-protocol-version': 'v4.channel.k8s.io' },
  });
  call.end();
  return new Promise((resolve, reject) => {
    call.on('error', reject);
    call.on('upgrade', (response, socket) => resolve({ status: response.statusCode ?? 0, socket, text: '' }));
    call.on('response', (response) => {
      const told = (text: string) => resolve({ status: response.statusCode ?? 0, socket: undefined, text });
      textOf(response).then(told, reject);
    });
  });
}

test('exec is a tunnel to the node for whatever the two ends speak', async () => {
  const { status, socket } = await upgrade('SPDY/3.1');
  assert.equal(status, 101);
  assert.ok(socket);
  assert.equal(
    asked.at(-1),
    `POST /exec/${namespace}/p/main?input=1&output=1&command=sh&command=-c&command=echo+a+b v4.channel.k8s.io`,
  );
  socket.write('hello');
  const [echo] = await once(socket, 'data');
  assert.equal(String(echo), 'hello');
  socket.destroy();
});

test('what the node answers instead of an upgrade is the answer', async () => {
  const { status } = await upgrade('websocket');
  assert.equal(status, 403);
});
