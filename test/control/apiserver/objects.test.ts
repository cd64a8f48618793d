import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  configMap,
  type Etcd,
  makeNamespace,
  podManifest,
  startEtcd,
  startServer,
  type TestServer,
} from './harness.ts';

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

test('a created object comes back with uid, creation time and the revision of the store', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const created = await admin.ok('POST', path, configMap('a', { x: 'y' }));
  assert.match(created.metadata.uid, /^[0-9a-f-]{36}$/);
  assert.match(created.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(await admin.ok('GET', `${path}/a`), created);
  const list = await admin.ok('GET', path);
  assert.equal(list.kind, 'ConfigMapList');
  assert.deepEqual(
    list.items.map((item: { metadata: { name: string } }) => item.metadata.name),
    ['a'],
  );
  assert.ok(Number(list.metadata.resourceVersion) >= Number(created.metadata.resourceVersion));
  const second = await admin.call('POST', path, { body: configMap('a') });
  assert.equal(second.status, 409);
  assert.equal(second.body.reason, 'AlreadyExists');
  assert.equal(second.body.message, 'configmaps "a" already exists');
});

test('generateName makes distinct names', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'job-' } };
  const names = await Promise.all([1, 2, 3].map(async () => (await admin.ok('POST', path, body)).metadata.name));
  assert.equal(new Set(names).size, 3);
  for (const name of names) assert.match(name, /^job-[a-z0-9]{5}$/);
});

test('an update with a stale revision is a conflict, one without a revision wins', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const first = await admin.ok('POST', path, configMap('a', { n: '1' }));
  const second = await admin.ok('PUT', `${path}/a`, { ...first, data: { n: '2' } });
  assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion);
  const stale = await admin.call('PUT', `${path}/a`, { body: { ...first, data: { n: '3' } } });
  assert.equal(stale.status, 409);
  assert.equal(stale.body.reason, 'Conflict');
  assert.equal(
    stale.body.message,
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  );
  const forced = await admin.ok('PUT', `${path}/a`, configMap('a', { n: '4' }));
  assert.deepEqual(forced.data, { n: '4' });
  const same = await admin.ok('PUT', `${path}/a`, configMap('a', { n: '4' }));
  assert.equal(same.metadata.resourceVersion, forced.metadata.resourceVersion, 'nothing changed, nothing written');
});

test('concurrent patches are all applied', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', path, configMap('a'));
  const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => admin.patch(`${path}/a`, 'merge', { data: { [key]: 'x' } })));
  const found = await admin.ok('GET', `${path}/a`);
  assert.deepEqual(Object.keys(found.data).sort(), [...keys].sort());
});

test('each patch type does what its format says', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const container = (name: string, image: string) => ({ name, image });
  await admin.ok('POST', path, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: {
        metadata: { labels: { a: 'b' } },
        spec: { containers: [container('x', 'one'), container('y', 'two')] },
      },
    },
  });
  const strategic = await admin.patch(`${path}/d`, 'strategic-merge', {
    spec: { template: { spec: { containers: [container('y', 'three')] } } },
  });
  assert.deepEqual(strategic.body.spec.template.spec.containers.map((item: { image: string }) => item.image).sort(), [
    'one',
    'three',
  ]);
  assert.equal(strategic.body.metadata.generation, 2);
  const json = await admin.patch(`${path}/d`, 'json', [{ op: 'replace', path: '/spec/replicas', value: 5 }]);
  assert.equal(json.body.spec.replicas, 5);
  const merged = await admin.patch(`${path}/d`, 'merge', { metadata: { labels: { l: '1' } } });
  assert.equal(merged.body.metadata.generation, 3, 'labels are not part of the generation');
  const bad = await admin.call('PATCH', `${path}/d`, { body: {}, headers: { 'content-type': 'text/plain' } });
  assert.equal(bad.status, 415);
});

test('status and spec are written apart', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const created = await admin.ok('POST', path, { ...podManifest('p'), status: { phase: 'Running' } });
  assert.equal(created.status.phase, 'Pending');
  const byStatus = await admin.patch(`${path}/p/status`, 'merge', {
    status: { phase: 'Running' },
    spec: { nodeName: 'elsewhere' },
  });
  assert.equal(byStatus.body.status.phase, 'Running');
  assert.equal(byStatus.body.spec.nodeName, undefined);
  const byMain = await admin.patch(`${path}/p`, 'merge', {
    status: { phase: 'Failed' },
    metadata: { labels: { z: '1' } },
  });
  assert.equal(byMain.body.status.phase, 'Running');
  assert.equal(byMain.body.metadata.labels.z, '1');
});

test('a pod gets account, token volume, tolerations and class of service', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const pod = await admin.ok('POST', `/api/v1/namespaces/${namespace}/pods`, podManifest('p'));
  assert.equal(pod.spec.serviceAccountName, 'default');
  const [mount] = pod.spec.containers[0].volumeMounts;
  assert.equal(mount.mountPath, '/var/run/secrets/kubernetes.io/serviceaccount');
  const [volume] = pod.spec.volumes;
  assert.equal(volume.name, mount.name);
  assert.deepEqual(
    volume.projected.sources.map((source: object) => Object.keys(source)[0]),
    ['serviceAccountToken', 'configMap', 'downwardAPI'],
  );
  assert.deepEqual(
    pod.spec.tolerations.map((item: { key: string; tolerationSeconds: number }) => [item.key, item.tolerationSeconds]),
    [
      ['node.kubernetes.io/not-ready', 300],
      ['node.kubernetes.io/unreachable', 300],
    ],
  );
  assert.equal(pod.status.qosClass, 'BestEffort');
  const orphan = await admin.call('POST', `/api/v1/namespaces/${namespace}/pods`, {
    body: podManifest('q', { serviceAccountName: 'nobody' }),
  });
  assert.equal(orphan.status, 403);
  assert.match(orphan.body.message, /error looking up service account .*\/nobody: serviceaccount "nobody" not found/);
});

test('a running pod is deleted gracefully, an unscheduled one at once', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/pods`;
  await admin.ok('POST', path, podManifest('waiting'));
  await admin.ok('DELETE', `${path}/waiting`);
  assert.equal((await admin.call('GET', `${path}/waiting`)).status, 404);

  const pod = await admin.ok('POST', path, podManifest('running'));
  const bound = await admin.call('POST', `${path}/running/binding`, {
    body: { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'running' }, target: { kind: 'Node', name: 'n1' } },
  });
  assert.equal(bound.status, 201, bound.body.message);
  const again = await admin.call('POST', `${path}/running/binding`, {
    body: { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'running' }, target: { kind: 'Node', name: 'n2' } },
  });
  assert.equal(again.status, 409);
  const scheduled = await admin.ok('GET', `${path}/running`);
  assert.equal(scheduled.spec.nodeName, 'n1');
  assert.equal(scheduled.status.conditions[0].type, 'PodScheduled');

  const wrong = await admin.call('DELETE', `${path}/running`, {
    body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'other' } },
  });
  assert.equal(wrong.status, 409);
  const marked = await admin.ok('DELETE', `${path}/running`, {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    preconditions: { uid: pod.metadata.uid },
    gracePeriodSeconds: 17,
  });
  assert.equal(marked.metadata.deletionGracePeriodSeconds, 17);
  const kept = await admin.ok('GET', `${path}/running`);
  assert.ok(kept.metadata.deletionTimestamp);
  // The node agent confirms with zero grace.
  await admin.ok('DELETE', `${path}/running?gracePeriodSeconds=0`);
  assert.equal((await admin.call('GET', `${path}/running`)).status, 404);
});

test('finalizers hold an object back until the last one is taken off', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const held = configMap('a');
  await admin.ok('POST', path, { ...held, metadata: { ...held.metadata, finalizers: ['example.com/hold'] } });
  const marked = await admin.ok('DELETE', `${path}/a`);
  assert.ok(marked.metadata.deletionTimestamp);
  assert.equal((await admin.call('GET', `${path}/a`)).status, 200);
  await admin.patch(`${path}/a`, 'merge', { metadata: { finalizers: null } });
  assert.equal((await admin.call('GET', `${path}/a`)).status, 404);

  await admin.ok('POST', path, configMap('b'));
  const foreground = await admin.ok('DELETE', `${path}/b?propagationPolicy=Foreground`);
  assert.deepEqual(foreground.metadata.finalizers, ['foregroundDeletion']);
});

test('a collection is deleted by selector', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  for (const name of ['a', 'b', 'c']) {
    await admin.ok('POST', path, configMap(name, {}, { keep: name === 'b' ? 'yes' : 'no' }));
  }
  await admin.ok('DELETE', `${path}?labelSelector=keep%3Dno`);
  const left = await admin.ok('GET', path);
  assert.deepEqual(
    left.items.map((item: { metadata: { name: string } }) => item.metadata.name),
    ['b'],
  );
});

test('a terminating namespace takes no new objects and goes when its finalizer does', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const terminating = await admin.ok('DELETE', `/api/v1/namespaces/${namespace}`);
  assert.equal(terminating.status.phase, 'Terminating');
  const refused = await admin.call('POST', `/api/v1/namespaces/${namespace}/configmaps`, { body: configMap('a') });
  assert.equal(refused.status, 403);
  assert.match(refused.body.message, /because it is being terminated/);
  await admin.ok('PUT', `/api/v1/namespaces/${namespace}/finalize`, { ...terminating, spec: { finalizers: [] } });
  assert.equal((await admin.call('GET', `/api/v1/namespaces/${namespace}`)).status, 404);
  const missing = await admin.call('POST', `/api/v1/namespaces/nowhere/configmaps`, { body: configMap('a') });
  assert.equal(missing.status, 404);
  assert.equal((await admin.call('DELETE', '/api/v1/namespaces/kube-system')).status, 403);
});

test('dry runs answer as if and write nothing', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const created = await admin.ok('POST', `${path}?dryRun=All`, configMap('a'));
  assert.ok(created.metadata.uid);
  assert.equal((await admin.call('GET', `${path}/a`)).status, 404);
  await admin.ok('POST', path, configMap('a', { n: '1' }));
  const patched = await admin.call('PATCH', `${path}/a?dryRun=All`, {
    body: { data: { n: '2' } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  assert.equal(patched.body.data.n, '2');
  await admin.ok('DELETE', `${path}/a?dryRun=All`);
  assert.equal((await admin.ok('GET', `${path}/a`)).data.n, '1');
});

test('services get addresses and ports of their own, also from several servers at once', async () => {
  const other = await startServer(etcd);
  try {
    const namespace = await makeNamespace(api.admin);
    const path = `/api/v1/namespaces/${namespace}/services`;
    const service = (name: string, extra: Record<string, unknown> = {}) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { type: 'NodePort', selector: { a: 'b' }, ports: [{ port: 80 }], ...extra },
    });
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        (index % 2 === 0 ? api : other).admin.ok('POST', path, service(`s${index}`)),
      ),
    );
    const addresses = made.map((item) => item.spec.clusterIP);
    const ports = made.map((item) => item.spec.ports[0].nodePort);
    assert.equal(new Set(addresses).size, 10);
    assert.equal(new Set(ports).size, 10);
    for (const address of addresses) assert.match(address, /^10\.96\./);
    for (const port of ports) assert.ok(port >= 30000 && port <= 32767);

    const taken = await api.admin.call('POST', path, { body: service('t', { clusterIP: addresses[0] }) });
    assert.equal(taken.status, 422);
    assert.match(taken.body.message, /provided IP is already allocated/);
    await api.admin.ok('DELETE', `${path}/s0`);
    const reused = await api.admin.ok('POST', path, service('t', { clusterIP: addresses[0] }));
    assert.equal(reused.spec.clusterIP, addresses[0]);

    const headless = await api.admin.ok('POST', path, service('h', { type: 'ClusterIP', clusterIP: 'None' }));
    assert.equal(headless.spec.clusterIP, 'None');
    const patched = await api.admin.patch(`${path}/s1`, 'merge', { spec: { type: 'ClusterIP' } });
    assert.equal(patched.body.spec.clusterIP, addresses[1]);
    assert.equal(patched.body.spec.ports[0].nodePort, undefined);
    const kubernetes = await api.admin.ok('GET', '/api/v1/namespaces/default/services/kubernetes');
    assert.equal(kubernetes.spec.clusterIP, '10.96.0.1');
  } finally {
    await other.stop();
  }
});

test('bad requests are told apart', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const status = async (method: string, where: string, body?: unknown) =>
    (await admin.call(method, where, body === undefined ? {} : { body })).status;
  assert.equal(await status('POST', path, '{"kind":'), 400);
  assert.equal(await status('POST', path, podManifest('p')), 400);
  assert.equal(await status('POST', path, 'x'.repeat(4 * 1024 * 1024)), 413);
  assert.equal(await status('GET', `${path}/missing`), 404);
  assert.equal(await status('GET', '/api/v1/nothings'), 404);
  assert.equal(await status('GET', '/nowhere'), 404);
  assert.equal(await status('PUT', path, configMap('a')), 405);
  assert.equal(await status('GET', `${path}?labelSelector=%3D%3D`), 400);
  assert.equal(await status('GET', `${path}?fieldSelector=spec.foo%3Dbar`), 400);
  assert.equal(await status('GET', `${path}?resourceVersion=abc`), 400);
  const invalid = await admin.call('POST', path, { body: configMap('Not_A_Name') });
  assert.equal(invalid.status, 422);
  assert.equal(invalid.body.reason, 'Invalid');
  const yaml = await admin.call('POST', path, {
    body: 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\ndata:\n  a: "1"\n',
    headers: { 'content-type': 'application/yaml' },
  });
  assert.equal(yaml.status, 201);
});

test('unknown fields warn, or are refused when validation is strict', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const body = { ...configMap('a'), daat: {} };
  const strict = await admin.call('POST', `${path}?fieldValidation=Strict`, { body });
  assert.equal(strict.status, 400);
  assert.match(strict.body.message, /unknown field "daat"/);
  const warned = await admin.call('POST', path, { body });
  assert.equal(warned.status, 201);
  assert.equal(warned.headers['warning'], '299 - "unknown field \\"daat\\""');
});
