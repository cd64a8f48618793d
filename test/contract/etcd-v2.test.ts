/** etcd's first API beside Debian's etcd: the same requests and answers, and the tool that speaks it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createV2Handler } from '../../src/kv/v2/v2-handler.ts';
import { ask, type HttpAnswer, type HttpMember, startHttpMember } from '../kv/gateway/http-member.ts';
import { type StoreCluster, startStoreCluster } from './store-processes.ts';

let etcd: StoreCluster;
let keelson: HttpMember;

before(async () => {
  [etcd, keelson] = await Promise.all([
    startStoreCluster({ kind: 'etcd', count: 1, flags: ['--enable-v2'] }),
    startHttpMember((server) => ({ '/v2/': createV2Handler(server) })),
  ]);
});
after(async () => {
  await Promise.all([etcd?.stop(), keelson?.stop()]);
});

const form = { 'content-type': 'application/x-www-form-urlencoded' };
const indexes = new Set(['index', 'modifiedIndex', 'createdIndex', 'expiration']);

/** What both must say alike: indexes count other things in the two. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, indexes.has(name) ? 'any' : comparable(field)]);
  return Object.fromEntries(fields);
}

function parsed(body: string): unknown {
  return body.startsWith('{') ? JSON.parse(body) : body;
}

async function both(method: string, path: string, body = ''): Promise<readonly [HttpAnswer, HttpAnswer]> {
  const options = { method, body, headers: form };
  return Promise.all([
    ask(etcd.endpoints[0] as string, `/v2/keys${path}`, options),
    ask(keelson.url, `/v2/keys${path}`, options),
  ]);
}

/** Requests in order: state builds up. */
const requests: readonly (readonly [method: string, path: string, body?: string])[] = [
  ['GET', '/'],
  ['GET', '/nope'],
  ['GET', '/nope/deeper/still'],
  ['PUT', '/a', 'value=1'],
  ['PUT', '/a', 'value=2'],
  ['GET', '/a'],
  ['GET', '/a?quorum=true'],
  ['GET', '/a/below'],
  ['PUT', '/a/below', 'value=1'],
  ['PUT', '/b', 'value=1&prevExist=false'],
  ['PUT', '/b', 'value=2&prevExist=false'],
  ['PUT', '/b', 'value=2&prevExist=true'],
  ['PUT', '/c', 'value=2&prevExist=true'],
  ['PUT', '/b?prevValue=2', 'value=3'],
  ['PUT', '/b?prevValue=2', 'value=4'],
  ['PUT', '/b?prevValue=', 'value=4'],
  ['PUT', '/c?prevValue=2', 'value=4'],
  ['PUT', '/b?prevIndex=x', 'value=4'],
  ['PUT', '/empty'],
  ['GET', '/empty'],
  ['PUT', '/dir/one', 'value=1'],
  ['PUT', '/dir/two', 'value=2'],
  ['PUT', '/dir/deep/three', 'value=3'],
  ['PUT', '/dir/_hidden', 'value=4'],
  ['GET', '/dir?sorted=true'],
  ['GET', '/dir?recursive=true&sorted=true'],
  ['GET', '/dir?recursive=perhaps'],
  ['GET', '/dir/_hidden'],
  ['PUT', '/dir', 'value=1'],
  ['PUT', '/dir', 'dir=true'],
  ['PUT', '/made', 'dir=true'],
  ['PUT', '/made', 'dir=true&prevExist=false'],
  ['GET', '/made'],
  ['PUT', '/dir?prevValue=x', 'value=1'],
  ['DELETE', '/dir'],
  ['DELETE', '/dir?dir=true'],
  ['DELETE', '/made?dir=true'],
  ['DELETE', '/a?prevValue=7'],
  ['DELETE', '/a?prevValue=2'],
  ['DELETE', '/b'],
  ['DELETE', '/b'],
  ['DELETE', '/dir?recursive=true'],
  ['GET', '/dir/one'],
  ['PUT', '/', 'value=1'],
  ['DELETE', '/?recursive=true'],
  ['PUT', '/short', 'value=1&ttl=1000'],
  ['PUT', '/short', 'ttl=2000&refresh=true&prevExist=true'],
  ['PUT', '/short', 'value=1&ttl=2000&refresh=true&prevExist=true'],
  ['PUT', '/short', 'value=1&ttl=soon'],
  ['PUT', '/with%20space/%C3%BC', 'value=%E2%82%AC+x'],
  ['GET', '/with%20space?recursive=true'],
];

test('requests are answered as etcd answers them', async () => {
  const failures: string[] = [];
  for (const [method, path, body] of requests) {
    const [wanted, got] = await both(method, path, body);
    const where = `${method} ${path} ${body ?? ''}: ${wanted.body} | ${got.body}`;
    const plain = (answer: HttpAnswer) => JSON.stringify([answer.status, comparable(parsed(answer.body))]);
    if (plain(got) !== plain(wanted)) failures.push(`${wanted.status} ${got.status} ${where}`);
    for (const name of ['x-etcd-index', 'x-etcd-cluster-id'] as const) {
      assert.equal(typeof got.headers[name], typeof wanted.headers[name], `${name}: ${where}`);
    }
  }
  assert.deepEqual(failures, []);
});

test('posting gives names that sort in the order of posting', async () => {
  for (const value of ['1', '2', '3']) {
    const [wanted, got] = await both('POST', '/queue', `value=${value}`);
    assert.equal(got.status, wanted.status);
  }
  const [, got] = await both('GET', '/queue?sorted=true');
  const { node } = JSON.parse(got.body) as { readonly node: { readonly nodes: readonly { readonly value: string }[] } };
  assert.deepEqual(
    node.nodes.map(({ value }) => value),
    ['1', '2', '3'],
  );
});

test('a long poll is answered by the next change, of the node or below it', async () => {
  const bases = [etcd.endpoints[0] as string, keelson.url];
  const waits = await Promise.all(
    bases.map(async (base) => {
      const first = await ask(base, '/v2/keys/polled/x', { method: 'PUT', body: 'value=0', headers: form });
      const index = Number(first.headers['x-etcd-index']) + 1;
      const waiting = ask(base, `/v2/keys/polled?wait=true&recursive=true&waitIndex=${index}`, { method: 'GET' });
      await ask(base, '/v2/keys/polled/x', { method: 'PUT', body: 'value=1', headers: form });
      return waiting;
    }),
  );
  const [wanted, got] = waits.map((answer) => comparable(JSON.parse(answer.body)));
  assert.deepEqual(got, wanted);
});

test('a wait for an index that is compacted says that it is outdated', async () => {
  const { server } = keelson.member;
  await server.compact(server.position().revision, true);
  const answer = await ask(keelson.url, '/v2/keys/polled?wait=true&waitIndex=1', { method: 'GET' });
  assert.equal((JSON.parse(answer.body) as { readonly errorCode: number }).errorCode, 401);
});

test('what is stored this way is not in the way of today’s clients’ keys, and other paths are not there', async () => {
  assert.equal((await ask(keelson.url, '/v2/stats/self', { method: 'GET' })).status, 404);
  const members = JSON.parse((await ask(keelson.url, '/v2/members', { method: 'GET' })).body) as {
    readonly members: readonly object[];
  };
  assert.deepEqual(Object.keys(members.members[0] ?? {}), ['id', 'name', 'peerURLs', 'clientURLs']);
});

/** What Debian's etcdctl prints, with the first API. */
async function etcdctl(base: string, ...args: readonly string[]): Promise<string> {
  const run = promisify(execFile);
  const env = { ...process.env, ETCDCTL_API: '2' };
  try {
    const { stdout } = await run('/usr/bin/etcdctl', ['--no-sync', '--endpoints', base, ...args], { env });
    return stdout;
  } catch (error) {
    const failure = error as { readonly code: number; readonly stderr: string };
    return `exit ${failure.code}: ${failure.stderr.replace(/\[\d+\]/g, '[index]')}`;
  }
}

test('etcdctl of the first API does its work', async () => {
  const commands = [
    ['set', '/tool/a', 'one'],
    ['get', '/tool/a'],
    ['mk', '/tool/b', 'two'],
    ['mk', '/tool/b', 'three'],
    ['update', '/tool/b', 'four'],
    ['update', '/tool/none', 'four'],
    ['mkdir', '/tool/d'],
    ['ls', '--sort', '/tool'],
    ['ls', '--sort', '--recursive', '-p', '/tool'],
    ['set', '--swap-with-value', 'four', '/tool/b', 'five'],
    ['set', '--swap-with-value', 'four', '/tool/b', 'six'],
    ['set', '--ttl', '100', '/tool/t', 'short'],
    ['rm', '/tool/a'],
    ['rm', '/tool/a'],
    ['rmdir', '/tool/d'],
    ['rm', '--recursive', '/tool'],
    ['get', '/tool/b'],
    ['ls', '/tool'],
  ];
  for (const command of commands) {
    const [wanted, got] = [
      await etcdctl(etcd.endpoints[0] as string, ...command),
      await etcdctl(keelson.url, ...command),
    ];
    assert.equal(got, wanted, command.join(' '));
  }
});
