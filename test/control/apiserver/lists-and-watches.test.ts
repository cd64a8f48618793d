import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { configMap, type Etcd, makeNamespace, startEtcd, startServer, type TestServer, until } from './harness.ts';

let etcd: Etcd;
let api: TestServer;

before(async () => {
  etcd = await startEtcd();
  api = await startServer(etcd);
});
after(async () => {
  await api.stop();
  await etcd.stop();
});

interface Named {
  readonly metadata: { readonly name: string };
}
const names = (list: { items: Named[] }) => list.items.map((item) => item.metadata.name);

test('a list sees every write that was answered before it, on another server too', async () => {
  const other = await startServer(etcd);
  try {
    const namespace = await makeNamespace(api.admin);
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    for (let index = 0; index < 20; index++) {
      await api.admin.ok('POST', path, configMap(`c${index}`));
      const list = await other.admin.ok('GET', path);
      assert.equal(list.items.length, index + 1);
    }
  } finally {
    await other.stop();
  }
});

test('pages of a list are one snapshot', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  for (const name of ['a', 'b', 'c', 'd', 'e']) await admin.ok('POST', path, configMap(name));
  const first = await admin.ok('GET', `${path}?limit=2`);
  assert.deepEqual(names(first), ['a', 'b']);
  assert.equal(first.metadata.remainingItemCount, 3);
  await admin.ok('DELETE', `${path}/d`);
  await admin.ok('POST', path, configMap('cc'));
  const second = await admin.ok('GET', `${path}?limit=2&continue=${first.metadata.continue}`);
  assert.deepEqual(names(second), ['c', 'd']);
  assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
  const third = await admin.ok('GET', `${path}?limit=2&continue=${second.metadata.continue}`);
  assert.deepEqual(names(third), ['e']);
  assert.equal(third.metadata.continue, undefined);
  assert.equal((await admin.call('GET', `${path}?continue=nonsense`)).status, 400);
});

test('resourceVersion chooses the state of a list', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const one = await admin.ok('POST', path, configMap('a'));
  await admin.ok('POST', path, configMap('b'));
  const at = one.metadata.resourceVersion;
  const exact = await admin.ok('GET', `${path}?resourceVersion=${at}&resourceVersionMatch=Exact`);
  assert.deepEqual(names(exact), ['a']);
  assert.equal(exact.metadata.resourceVersion, at);
  const newer = await admin.ok('GET', `${path}?resourceVersion=${at}&resourceVersionMatch=NotOlderThan`);
  assert.deepEqual(names(newer), ['a', 'b']);
  await admin.ok('GET', `${path}?resourceVersion=0`);
  const future = await admin.call('GET', `${path}?resourceVersion=9999999`);
  assert.equal(future.status, 504);
  assert.equal(future.body.details.causes[0].reason, 'ResourceVersionTooLarge');
  const bad = await admin.call('GET', `${path}?resourceVersionMatch=Exact`);
  assert.equal(bad.status, 400);
});

test('selectors narrow lists', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', path, configMap('a', {}, { tier: 'web' }));
  await admin.ok('POST', path, configMap('b', {}, { tier: 'db' }));
  const list = async (query: string) => names(await admin.ok('GET', `${path}?${query}`));
  assert.deepEqual(await list('labelSelector=tier%3Dweb'), ['a']);
  assert.deepEqual(await list('labelSelector=tier%20in%20(web,db)'), ['a', 'b']);
  assert.deepEqual(await list('labelSelector=!tier'), []);
  assert.deepEqual(await list('fieldSelector=metadata.name%3Db'), ['b']);
  assert.deepEqual(await list('fieldSelector=metadata.name!%3Db'), ['a']);
});

test('a watch tells every change after its revision, in order', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const created = await admin.ok('POST', path, configMap('a', { n: '1' }));
  await admin.patch(`${path}/a`, 'merge', { data: { n: '2' } });
  const watch = await admin.watch(`${path}?watch=1&resourceVersion=${created.metadata.resourceVersion}`);
  await admin.patch(`${path}/a`, 'merge', { data: { n: '3' } });
  await admin.ok('POST', path, configMap('b'));
  await admin.ok('DELETE', `${path}/a`);
  const seen = [];
  for (let index = 0; index < 4; index++) {
    const event = await watch.next();
    seen.push([event?.type, event?.object.metadata.name, event?.object.data?.n]);
  }
  assert.deepEqual(seen, [
    ['MODIFIED', 'a', '2'],
    ['MODIFIED', 'a', '3'],
    ['ADDED', 'b', undefined],
    ['DELETED', 'a', '3'],
  ]);
  watch.close();
});

test('a watch without a revision begins with what is there', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', path, configMap('a'));
  const watch = await admin.watch(`${path}?watch=true`);
  assert.deepEqual((await watch.next())?.object.metadata.name, 'a');
  await admin.ok('POST', path, configMap('b'));
  assert.equal((await watch.next())?.object.metadata.name, 'b');
  watch.close();
  const streaming = await admin.watch(
    `${path}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
  );
  assert.deepEqual([(await streaming.next())?.type, (await streaming.next())?.type], ['ADDED', 'ADDED']);
  const bookmark = await streaming.next();
  assert.equal(bookmark?.type, 'BOOKMARK');
  assert.equal(bookmark?.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
  streaming.close();
});

test('entering and leaving a selection look like creation and deletion', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const created = await admin.ok('POST', path, configMap('a', {}, { on: 'no' }));
  const watch = await admin.watch(
    `${path}?watch=1&labelSelector=on%3Dyes&resourceVersion=${created.metadata.resourceVersion}`,
  );
  await admin.patch(`${path}/a`, 'merge', { metadata: { labels: { on: 'yes' } } });
  await admin.patch(`${path}/a`, 'merge', { data: { x: '1' } });
  const left = await admin.patch(`${path}/a`, 'merge', { metadata: { labels: { on: 'no' } } });
  const events = [await watch.next(), await watch.next(), await watch.next()];
  assert.deepEqual(
    events.map((event) => event?.type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
  assert.equal(events[2]?.object.metadata.labels.on, 'yes', 'the last state that was selected');
  assert.equal(events[2]?.object.metadata.resourceVersion, left.body.metadata.resourceVersion);
  watch.close();
});

test('a watch ends at its timeout, and one from a forgotten revision says Expired', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const short = await admin.watch(`${path}?watch=1&timeoutSeconds=1`);
  assert.equal(await short.next(), undefined);
  // A server that came later knows nothing of what was before its first list.
  const other = await startServer(etcd);
  const old = await other.admin.watch(`${path}?watch=1&resourceVersion=1`);
  const event = await old.next();
  assert.equal(event?.type, 'ERROR');
  assert.equal(event?.object.code, 410);
  assert.equal(event?.object.reason, 'Expired');
  assert.equal(await old.next(), undefined);
  await other.stop();
});

test('watches of a server that is stopped end in order', async () => {
  const other = await startServer(etcd);
  const watch = await other.admin.watch('/api/v1/configmaps?watch=1&resourceVersion=0');
  assert.equal(watch.status, 200);
  const stopped = other.stop();
  for (;;) if ((await watch.next()) === undefined) break;
  await stopped;
});

test('tables and partial metadata come when asked for', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', path, configMap('a', { x: '1' }));
  const table = await admin.ok('GET', path, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  assert.equal(table.kind, 'Table');
  assert.equal(table.columnDefinitions[0].name, 'Name');
  assert.equal(table.rows[0].cells[0], 'a');
  assert.equal(table.rows[0].object.kind, 'PartialObjectMetadata');
  assert.ok(table.metadata.resourceVersion);
  const partial = await admin.ok('GET', path, undefined, {
    accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  });
  assert.equal(partial.kind, 'PartialObjectMetadataList');
  assert.equal(partial.items[0].data, undefined);
  const yaml = await admin.call('GET', `${path}/a`, { headers: { accept: 'application/yaml' } });
  assert.match(yaml.body, /^apiVersion: v1$/m);
  const refused = await admin.call('GET', path, { headers: { accept: 'text/html' } });
  assert.equal(refused.status, 406);
});

test('protobuf goes in and out', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', path, configMap('a', { x: '1' }));
  const protobuf = 'application/vnd.kubernetes.protobuf';
  const got = await admin.call('GET', `${path}/a`, { headers: { accept: `${protobuf},application/json` } });
  assert.equal(got.headers['content-type'], protobuf);
  assert.equal(got.bytes.subarray(0, 4).toString(), 'k8s\0');
  await admin.ok('DELETE', `${path}/a`);
  // What came out goes in again, without what the server sets.
  const { decodeProtobuf, encodeProtobuf } = await import('../../../src/control/api/index.ts');
  const { object } = decodeProtobuf(got.bytes);
  const created = await admin.call('POST', path, {
    body: encodeProtobuf({ ...object, metadata: { name: 'b', namespace } }),
    headers: { 'content-type': protobuf, accept: 'application/json' },
  });
  assert.equal(created.status, 201, created.body.message);
  assert.deepEqual(created.body.data, { x: '1' });
  const list = await admin.call('GET', path, { headers: { accept: protobuf } });
  assert.equal(decodeProtobuf(list.bytes).object['items'].length, 1);
  const options = encodeProtobuf({ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' });
  const deleted = await admin.call('DELETE', `${path}/b`, { body: options, headers: { 'content-type': protobuf } });
  assert.equal(deleted.status, 200, deleted.body.message);
  assert.equal((await admin.call('GET', `${path}/b`, { headers: { accept: protobuf } })).status, 404);
});

test('a large answer is compressed when the client can read it', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', path, configMap('big', { x: 'y'.repeat(200_000) }));
  const answer = await admin.call('GET', `${path}/big`, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(answer.headers['content-encoding'], 'gzip');
  assert.equal(JSON.parse(gunzipSync(answer.bytes).toString()).metadata.name, 'big');
});

test('discovery, version, OpenAPI and metrics are served', async () => {
  const { admin } = api;
  const aggregated = await admin.call('GET', '/apis', {
    headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json' },
  });
  assert.equal(aggregated.body.kind, 'APIGroupDiscoveryList');
  const again = await admin.call('GET', '/apis', {
    headers: {
      accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
      'if-none-match': String(aggregated.headers['etag']),
    },
  });
  assert.equal(again.status, 304);
  const plain = await admin.ok('GET', '/api/v1');
  const pods = plain.resources.find((item: { name: string }) => item.name === 'pods');
  assert.deepEqual(pods.shortNames, ['po']);
  assert.match((await admin.ok('GET', '/version')).gitVersion, /^v1\.34\.0\+keelson/);
  const index = await admin.ok('GET', '/openapi/v3');
  const { serverRelativeURL } = index.paths['apis/apps/v1'];
  assert.match(serverRelativeURL, /\?hash=[0-9A-F]{128}$/);
  const document = await admin.ok('GET', serverRelativeURL);
  assert.equal(document.openapi.slice(0, 2), '3.');
  assert.match((await admin.call('GET', '/metrics')).body, /apiserver_request_total\{[^}]*resource="configmaps"/);
  assert.match((await admin.call('GET', '/readyz?verbose')).body, /\[\+\]etcd ok/);
  assert.equal((await admin.call('GET', '/livez/ping')).body, 'ok');
});

test('the kubernetes Service has the live API servers behind it', async () => {
  const { admin } = api;
  await until(async () => {
    const answer = await admin.call('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes');
    return answer.status === 200 && answer.body.endpoints[0]?.addresses[0] === '127.0.0.1';
  });
  const endpoints = await admin.ok('GET', '/api/v1/namespaces/default/endpoints/kubernetes');
  assert.equal(endpoints.subsets[0].addresses[0].ip, '127.0.0.1');
});

test('events are one thing in two groups', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  await admin.ok('POST', `/api/v1/namespaces/${namespace}/events`, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e' },
    involvedObject: { kind: 'Pod', name: 'p', namespace },
    reason: 'Started',
    message: 'hello',
    type: 'Normal',
  });
  const modern = await admin.ok('GET', `/apis/events.k8s.io/v1/namespaces/${namespace}/events/e`);
  assert.equal(modern.apiVersion, 'events.k8s.io/v1');
  assert.equal(modern.note, 'hello');
  assert.equal(modern.regarding.name, 'p');
});
