import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configMap, makeNamespace, startEtcd, startServer, until } from './harness.ts';

test('while the store does not answer, writes fail soon and stale reads go on; then all is well again', async () => {
  const etcd = await startEtcd();
  const api = await startServer(etcd);
  try {
    const { admin } = api;
    const namespace = await makeNamespace(admin);
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    await admin.ok('POST', path, configMap('a'));
    etcd.pause();
    const startMs = performance.now();
    const answers = await Promise.all([
      admin.call('POST', path, { body: configMap('b') }),
      admin.call('PATCH', `${path}/a`, {
        body: { data: { x: '1' } },
        headers: { 'content-type': 'application/merge-patch+json' },
      }),
      admin.call('GET', path),
    ]);
    for (const answer of answers) {
      assert.ok([503, 504].includes(answer.status), `${answer.status} ${answer.body.message}`);
      assert.equal(answer.body.kind, 'Status');
    }
    assert.ok(performance.now() - startMs < 15_000);
    assert.equal((await admin.ok('GET', `${path}?resourceVersion=0`)).items.length, 1);
    assert.equal((await admin.call('GET', '/livez')).status, 200);
    etcd.resume();
    await until(async () => (await admin.call('GET', '/readyz')).status === 200);
    await until(async () => (await admin.call('POST', path, { body: configMap('c') })).status === 201);
  } finally {
    await api.stop();
    await etcd.stop();
  }
});

test('a compacted store makes the cache list again, and watches go on after it', async () => {
  const etcd = await startEtcd();
  const api = await startServer(etcd);
  try {
    const { admin } = api;
    const namespace = await makeNamespace(admin);
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const first = await admin.ok('GET', `${path}?limit=1`);
    for (const name of ['a', 'b', 'c']) await admin.ok('POST', path, configMap(name));
    const page = await admin.ok('GET', `${path}?limit=1`);
    await etcd.client().compact(Number(page.metadata.resourceVersion) + 0);
    await admin.ok('POST', path, configMap('d'));
    await etcd.client().compact(Number((await admin.ok('GET', path)).metadata.resourceVersion));
    const expired = await admin.call('GET', `${path}?limit=1&continue=${page.metadata.continue}`);
    assert.equal(expired.status, 410);
    assert.equal(expired.body.reason, 'Expired');
    assert.equal((await admin.ok('GET', path)).items.length, 4);
    assert.equal(first.items.length, 0);
  } finally {
    await api.stop();
    await etcd.stop();
  }
});
