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

const rbac = 'rbac.authorization.k8s.io/v1';

test('who may do nothing is told so in the words of Kubernetes', async () => {
  const alice = await api.client('alice', ['dev']);
  const listed = await alice.call('GET', '/api/v1/namespaces/default/pods');
  assert.equal(listed.status, 403);
  assert.equal(
    listed.body.message,
    'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"',
  );
  const got = await alice.call('GET', '/apis/apps/v1/namespaces/a/deployments/d/status');
  assert.equal(
    got.body.message,
    'deployments.apps "d" is forbidden: User "alice" cannot get resource "deployments/status" in API group "apps" in the namespace "a"',
  );
  const nodes = await alice.call('GET', '/api/v1/nodes');
  assert.match(nodes.body.message, /at the cluster scope$/);
  const metrics = await alice.call('GET', '/metrics');
  assert.equal(metrics.body.message, 'forbidden: User "alice" cannot get path "/metrics"');
});

test('everybody reads health and version, only the known read discovery', async () => {
  const nobody = api.tokenClient();
  assert.equal((await nobody.call('GET', '/livez')).status, 200);
  assert.equal((await nobody.call('GET', '/version')).status, 200);
  assert.equal((await nobody.call('GET', '/api')).status, 403);
  const alice = await api.client('alice');
  assert.equal((await alice.call('GET', '/apis')).status, 200);
  assert.equal((await api.tokenClient('nonsense').call('GET', '/version')).status, 401);
});

test('a role binding gives rights in its namespace and takes them back', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const bob = await api.client('bob');
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await admin.ok('POST', `/apis/${rbac}/namespaces/${namespace}/rolebindings`, {
    apiVersion: rbac,
    kind: 'RoleBinding',
    metadata: { name: 'bob' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
  });
  assert.equal((await bob.call('POST', path, { body: configMap('a') })).status, 201);
  assert.equal((await bob.call('GET', '/api/v1/namespaces/default/configmaps')).status, 403);
  const review = await bob.ok('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'delete', resource: 'pods', namespace } },
  });
  assert.equal(review.status.allowed, true);
  await admin.ok('DELETE', `/apis/${rbac}/namespaces/${namespace}/rolebindings/bob`);
  assert.equal((await bob.call('GET', path)).status, 403);
});

test('nobody can write down more rights than they have', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const carol = await api.client('carol');
  await admin.ok('POST', `/apis/${rbac}/namespaces/${namespace}/rolebindings`, {
    apiVersion: rbac,
    kind: 'RoleBinding',
    metadata: { name: 'carol' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'carol' }],
  });
  const role = (name: string, resources: string[]) => ({
    apiVersion: rbac,
    kind: 'Role',
    metadata: { name },
    rules: [{ apiGroups: ['*'], resources, verbs: ['*'] }],
  });
  const refused = await carol.call('POST', `/apis/${rbac}/namespaces/${namespace}/roles`, { body: role('all', ['*']) });
  assert.equal(refused.status, 403);
  assert.match(refused.body.message, /is attempting to grant RBAC permissions not currently held/);
});

test('a node does what nodes do and not more', async () => {
  const node = await api.client('system:node:n1', ['system:nodes']);
  const created = await node.call('POST', '/api/v1/nodes', {
    body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { phase: 'Pending' } },
  });
  assert.equal(created.status, 201, created.body.message);
  for (const path of [
    '/api/v1/services',
    '/api/v1/namespaces',
    '/apis/discovery.k8s.io/v1/endpointslices',
    '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1',
  ]) {
    assert.equal((await node.call('GET', path)).status, 200, path);
  }
  assert.equal((await node.call('GET', '/apis/apps/v1/deployments')).status, 403);
});

test('a service account token is good while its pod lives', async () => {
  const { admin } = api;
  const namespace = await makeNamespace(admin);
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const pod = await admin.ok('POST', pods, podManifest('p'));
  const answer = await admin.ok('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: pod.metadata.uid } },
  });
  const { token } = answer.status;
  assert.match(answer.status.expirationTimestamp, /Z$/);
  const client = api.tokenClient(token);
  const who = await client.ok('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });
  assert.equal(who.status.userInfo.username, `system:serviceaccount:${namespace}:default`);
  assert.ok(who.status.userInfo.groups.includes('system:serviceaccounts'));
  const review = await admin.ok('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token },
  });
  assert.equal(review.status.authenticated, true);
  await admin.ok('DELETE', `${pods}/p`);
  assert.equal((await client.call('GET', '/apis')).status, 401);
  const forged = `${token.slice(0, -4)}AAAA`;
  assert.equal((await api.tokenClient(forged).call('GET', '/apis')).status, 401);
});
