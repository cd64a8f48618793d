/** The JSON gateway beside Debian's etcd: the same requests, the same answers, and the same HTTP status. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { ask, type HttpAnswer, type HttpMember, startHttpMember } from '../kv/gateway/http-member.ts';
import { etcdProgram, type StoreCluster, startStoreCluster } from './store-processes.ts';

let etcd: StoreCluster;
let keelson: HttpMember;

before(async () => {
  [etcd, keelson] = await Promise.all([startStoreCluster({ kind: 'etcd', count: 1 }), startHttpMember()]);
});
after(async () => {
  await Promise.all([etcd?.stop(), keelson?.stop()]);
});

const isOld = execFileSync(etcdProgram, ['--version']).toString().startsWith('etcd Version: 3.4.');

const own = new Set(['cluster_id', 'member_id', 'raft_term']);

/** What both must say alike. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !own.has(name))
      .map(([name, field]) => [name, comparable(field)]),
  );
}

/**
 * Since grpc-gateway 1.15, which etcd 3.5 came with, a failed precondition is a bad request; 3.4 has 412. And 3.4 takes a
 * stream's bad request for an error of its own.
 */
function statusOf36(answer: HttpAnswer, isStream: boolean): number {
  if (answer.status === 412) return 400;
  return isStream && answer.status === 500 ? 400 : answer.status;
}

/**
 * An error is told twice by 3.4 and once by 3.6; Keelson tells it as 3.4 does, which those who read the one or the other
 * both understand. Where nothing is, 3.4 says so without JSON.
 */
function bodyOf36({ body }: HttpAnswer): unknown {
  if (body === 'Not Found\n') return { code: 5, message: 'Not Found' };
  const { error: _, ...rest } = JSON.parse(body) as { readonly error?: string };
  return rest;
}

async function both(path: string, body: string, isEnough?: (text: string) => boolean) {
  const options = { body, ...(isEnough ? { isEnough } : {}) };
  return Promise.all([ask(etcd.endpoints[0] as string, path, options), ask(keelson.url, path, options)]);
}

/** Requests in order: state builds up. */
const requests: readonly (readonly [path: string, body: string])[] = [
  ['kv/put', '{"key":"Zm9v","value":"YmFy"}'],
  ['kv/put', '{"key":"Zm9v","value":"YmF6","prev_kv":true}'],
  ['kv/put', '{"key":"Zm9v","value":"YmF6","prevKv":true}'],
  ['kv/put', '{"key":"Zm9vMg==","value":"YmF6"}'],
  ['kv/range', '{"key":"Zm9v"}'],
  ['kv/range', '{"key":"Zm9v","range_end":"Zm9w","limit":"1","sort_order":"DESCEND","sort_target":3}'],
  ['kv/range', '{"key":"Zm9v","rangeEnd":"Zm9w","count_only":true}'],
  ['kv/range', '{"key":"Zm9v","range_end":"Zm9w","keysOnly":true,"revision":"3"}'],
  ['kv/range', '{"key":"Zm9v","nope":1}'],
  ['kv/range', '{"key":"Zm9v"} trailing'],
  ['kv/range', '{}'],
  ['kv/range', ''],
  ['kv/range', '{"key":null}'],
  ['kv/range', '{"key":"Zm9v","revision":999}'],
  [
    'kv/txn',
    '{"compare":[{"result":"EQUAL","target":"CREATE","key":"bmV3","createRevision":"0"}],"success":[{"requestPut":{"key":"bmV3","value":"eA=="}}],"failure":[{"request_range":{"key":"bmV3"}}]}',
  ],
  [
    'kv/txn',
    '{"compare":[{"target":"CREATE","key":"bmV3","create_revision":0}],"success":[{"request_put":{"key":"bmV3","value":"eA=="}}],"failure":[{"request_range":{"key":"bmV3"}},{"request_txn":{"success":[{"request_delete_range":{"key":"bmV3"}}]}}]}',
  ],
  ['kv/deleterange', '{"key":"Zm9v","range_end":"Zm9w","prev_kv":true}'],
  ['kv/compaction', '{"revision":"2"}'],
  ['kv/compaction', '{"revision":"2"}'],
  ['kv/range', '{"key":"Zm9v","revision":1}'],
  ['lease/grant', '{"TTL":100,"ID":77}'],
  ['lease/grant', '{"TTL":100,"ID":77}'],
  ['lease/grant', '{"TTL":"100","ID":7587862094447412345}'],
  ['kv/put', '{"key":"bGVhc2U=","lease":7587862094447412345}'],
  ['kv/range', '{"key":"bGVhc2U="}'],
  ['kv/lease/revoke', '{"ID":"7587862094447412345"}'],
  ['lease/revoke', '{"ID":78}'],
  ['lease/revoke', '{"ID":77}'],
  ['kv/lease/leases', '{}'],
  ['lease/timetolive', '{"ID":77,"keys":true}'],
  ['cluster/member/add', '{}'],
  ['cluster/member/remove', '{"ID":"5"}'],
  ['maintenance/transfer-leadership', '{"targetID":"5"}'],
  ['auth/authenticate', '{"name":"x","password":"y"}'],
  ['auth/user/list', '{}'],
  ['auth/user/add', '{"name":"","password":"y"}'],
  ['auth/role/add', '{"name":"reader"}'],
  ['auth/role/grant', '{"name":"reader","perm":{"permType":"READ","key":"YQ==","range_end":"Yg=="}}'],
  ['auth/role/get', '{"role":"reader"}'],
  ['auth/role/get', '{"role":"nobody"}'],
  ['election/leader', '{"name":"dG93bg=="}'],
  ['lease/grant', '{"TTL":100,"ID":90}'],
  ['election/campaign', '{"name":"dG93bg==","lease":90,"value":"YW5u"}'],
  ['election/leader', '{"name":"dG93bg=="}'],
  ['lock/lock', '{"name":"ZG9vcg==","lease":90}'],
  ['lock/unlock', '{"key":"ZG9vci81YQ=="}'],
  ['nope', '{}'],
];

test('requests are answered as etcd answers them', async () => {
  for (const [path, body] of requests) {
    const [wanted, got] = await both(`/v3/${path}`, body);
    const where = `${path} ${body}: ${wanted.body} | ${got.body}`;
    assert.equal(got.status, statusOf36(wanted, false), where);
    assert.deepEqual(comparable(bodyOf36(got)), comparable(bodyOf36(wanted)), where);
  }
});

test('JSON that is no such message is refused with the same status and code', async () => {
  const wrong = [
    '{"key":"Zm9v","limit":"x"}',
    '{"key":"!!"}',
    '{"key":1}',
    '{"key":"Zm9v","serializable":"true"}',
    '{"key":"Zm9v","sort_order":[]}',
    '{"key":["Zm9v"]}',
    '{"key":"Zm9v","limit":99999999999999999999999}',
    '{"key":"Zm9v"',
    'not json',
    '[]',
    '"text"',
    '12',
  ];
  for (const body of wrong) {
    const [wanted, got] = await both('/v3/kv/range', body);
    const code = (answer: HttpAnswer) => (JSON.parse(answer.body) as { readonly code: number }).code;
    assert.deepEqual([got.status, code(got)], [wanted.status, code(wanted)], `${body}: ${wanted.body} | ${got.body}`);
    assert.deepEqual(Object.keys(JSON.parse(got.body) as object), ['error', 'message', 'code']);
  }
});

test('a method is only there by POST', async () => {
  const [wanted, got] = await Promise.all(
    [etcd.endpoints[0] as string, keelson.url].map((base) => ask(base, '/v3/kv/range', { method: 'GET' })),
  );
  // 3.4 answers in plain text.
  if (!isOld) assert.equal(wanted?.status, 501);
  assert.equal(got?.status, 501);
  assert.deepEqual(bodyOf36(got as HttpAnswer), { code: 12, message: 'Method Not Allowed' });
});

test('keep-alives answer one line for each object of the body', async () => {
  await both('/v3/lease/grant', '{"TTL":100,"ID":80}');
  const [wanted, got] = await both('/v3/lease/keepalive', '{"ID":80}{"ID":"81"}\n {"ID":80}');
  const lines = (answer: HttpAnswer) =>
    answer.body
      .trim()
      .split('\n')
      .map((line) => comparable(JSON.parse(line)));
  // etcd answers in the order of asking; so does Keelson.
  assert.deepEqual(lines(got), lines(wanted));
});

test('a watch goes on after the body has ended, one line for each answer', async () => {
  await both('/v3/kv/put', '{"key":"d2F0Y2g=","value":"MQ=="}');
  const isEnough = (text: string) => text.includes('"Mw=="');
  const watching = both(
    '/v3/watch',
    '{"create_request":{"key":"d2F0Y2g=","start_revision":2,"prev_kv":true}}',
    isEnough,
  );
  await both('/v3/kv/put', '{"key":"d2F0Y2g=","value":"Mg=="}');
  await both('/v3/kv/deleterange', '{"key":"d2F0Y2g="}');
  await both('/v3/kv/put', '{"key":"d2F0Y2g=","value":"Mw=="}');
  const [wanted, got] = await watching;
  const events = (answer: HttpAnswer) =>
    answer.body
      .trim()
      .split('\n')
      .flatMap((line) => (JSON.parse(line) as { result: { events?: unknown[] } }).result.events ?? []);
  assert.deepEqual(comparable(events(got)), comparable(events(wanted)));
  const first = (answer: HttpAnswer) => comparable(JSON.parse(answer.body.split('\n')[0] ?? ''));
  assert.deepEqual((first(got) as { result: { created: boolean } }).result.created, true);
});

test('a stream of junk is refused', async () => {
  for (const body of ['junk', '{"create_request":{"key":1}}', '{"create_request"']) {
    // 3.6 leaves such a stream open without a word, which helps nobody.
    const wanted = isOld ? statusOf36(await ask(etcd.endpoints[0] as string, '/v3/watch', { body }), true) : 400;
    assert.equal((await ask(keelson.url, '/v3/watch', { body })).status, wanted, body);
  }
});
