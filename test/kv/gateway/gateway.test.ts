/** The gateway over one real member: who asks, how much, and clients that hang up. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ask, type HttpMember, startHttpMember } from './http-member.ts';

let keelson: HttpMember;

before(async () => {
  keelson = await startHttpMember();
});
after(async () => {
  await keelson?.stop();
});

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function post(path: string, body: object, headers: Readonly<Record<string, string>> = {}) {
  const answer = await ask(keelson.url, `/v3/${path}`, { body: JSON.stringify(body), headers });
  return { status: answer.status, body: JSON.parse(answer.body) as Readonly<Record<string, unknown>> };
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const lateAtMs = performance.now() + 5_000;
  while (!(await holds())) {
    assert.ok(performance.now() < lateAtMs, what);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a watch ends when its client hangs up', async () => {
  const { server } = keelson.member;
  const before = server.status().watchers;
  const body = JSON.stringify({ create_request: { key: base64('hung') } });
  let during = 0;
  const isEnough = () => {
    during = server.status().watchers;
    return true;
  };
  await ask(keelson.url, '/v3/watch', { body, isEnough });
  assert.equal(during, before + 1);
  await until(() => server.status().watchers === before, 'nobody watches for a client that has gone');
});

test('who hangs up while it waits for a lock leaves the queue', async () => {
  const held = await post('lock/lock', { name: base64('gate') });
  assert.equal(held.status, 200);
  const inQueue = async () => {
    const range = { key: base64('gate/'), range_end: base64('gate0'), count_only: true };
    return Number((await post('kv/range', range)).body['count']);
  };
  const hangUp = new AbortController();
  const waiting = fetch(`${keelson.url}/v3/lock/lock`, {
    method: 'POST',
    body: JSON.stringify({ name: base64('gate') }),
    signal: hangUp.signal,
  });
  waiting.catch(() => undefined);
  await until(async () => (await inQueue()) === 2, 'the second one waits');
  hangUp.abort();
  await until(async () => (await inQueue()) === 1, 'the second one has left');
});

test('a snapshot’s lines begin with the blob, and the blobs make the file', async () => {
  const answer = await ask(keelson.url, '/v3/maintenance/snapshot', { body: '{}' });
  const lines = answer.body.trim().split('\n');
  assert.ok(lines.every((line) => line.startsWith('{"result":{"blob":"')));
  const blobs = lines.map((line) =>
    Buffer.from((JSON.parse(line) as { result: { blob: string } }).result.blob, 'base64'),
  );
  const file = Buffer.concat(blobs);
  const checksum = createHash('sha256').update(file.subarray(0, -32)).digest();
  assert.deepEqual(file.subarray(-32), checksum);
});

test('a downgrade is checked as etcd does, and never begun', async () => {
  const ask = async (action: string, version: string) => {
    const { status, body } = await post('maintenance/downgrade', { action, version });
    return [status, body['message'] ?? body['version']];
  };
  assert.deepEqual(await ask('VALIDATE', '3.5'), [200, '3.6']);
  assert.deepEqual(await ask('VALIDATE', '3.6'), [400, 'etcdserver: invalid downgrade target version']);
  assert.deepEqual(await ask('ENABLE', '3.4'), [400, 'etcdserver: invalid downgrade target version']);
  assert.deepEqual(await ask('ENABLE', 'old'), [400, 'etcdserver: wrong downgrade target version format']);
  const [status, text] = await ask('ENABLE', '3.5');
  assert.equal(status, 400);
  assert.match(String(text), /one format only; take a snapshot/);
  assert.deepEqual(await ask('CANCEL', ''), [200, '3.6']);
});

test('what follows the only request of a stream is passed over', async () => {
  const twice = JSON.stringify({ name: base64('led') }).repeat(2);
  const isEnough = () => true;
  const [observed] = await Promise.all([
    ask(keelson.url, '/v3/election/observe', { body: twice, isEnough }),
    post('election/campaign', { name: base64('led'), value: base64('me') }),
  ]);
  assert.match(observed.body, /"value":"bWU="/);
});

test('a body that no message fits is not kept, and a message over the limit is refused', async () => {
  const { requestBytesMax } = keelson.member.server.limits;
  const over = await post('kv/put', {
    key: base64('big'),
    value: Buffer.alloc(requestBytesMax + 1_000_000).toString('base64'),
  });
  assert.deepEqual([over.status, over.body['code']], [429, 8]);
  const far = await post('kv/put', { key: base64('big'), value: 'A'.repeat(8 * requestBytesMax) });
  assert.deepEqual([far.status, far.body['code']], [429, 8]);
  const large = await post('kv/put', {
    key: base64('big'),
    value: Buffer.alloc(requestBytesMax - 1_000).toString('base64'),
  });
  assert.equal(large.status, 200);
});

test('the Authorization header is the token, and without it nobody comes in once auth is on', async () => {
  await post('auth/user/add', { name: 'root', password: 'secret' });
  await post('auth/role/add', { name: 'root' });
  await post('auth/user/grant', { user: 'root', role: 'root' });
  assert.equal((await post('auth/enable', {})).status, 200);
  const range = { key: base64('a') };
  assert.equal((await post('kv/range', range)).status, 400);
  assert.equal((await post('kv/range', range, { authorization: 'nobody' })).status, 401);
  const { body } = await post('auth/authenticate', { name: 'root', password: 'secret' });
  const headers = { authorization: String(body['token']) };
  assert.equal((await post('kv/range', range, headers)).status, 200);
  assert.equal((await post('auth/disable', {}, headers)).status, 200);
});
