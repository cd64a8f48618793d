/** The machine's own kubectl against the API server, with objects that need no node. Needs `kubectl` and `etcd`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Etcd, makeNamespace, startEtcd, startServer, type TestServer } from '../control/apiserver/harness.ts';

let etcd: Etcd;
let api: TestServer;
let config: string;
let namespace: string;

before(async () => {
  etcd = await startEtcd();
  api = await startServer(etcd);
  config = join(etcd.directory, 'admin.conf');
  await api.kubeconfig(config, 'kubernetes-admin', ['system:masters']);
  namespace = await makeNamespace(api.admin);
});
after(async () => {
  await api.stop();
  await etcd.stop();
});

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], input?: string, environment: Record<string, string> = {}): Promise<Output> {
  return new Promise((resolve) => {
    const child = execFile(
      'kubectl',
      ['--kubeconfig', config, '--cache-dir', join(etcd.directory, 'cache'), '-n', namespace, ...args],
      { timeout: 30_000, env: { ...process.env, ...environment } },
      (error, out, err) => resolve({ code: error === null ? 0 : ((error.code as number) ?? -1), out, err }),
    );
    // A program that reads no input may have ended before it is given any; how it ended is told above.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

async function kubectl(...args: string[]): Promise<string> {
  const { code, out, err } = await run(args);
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${err}`);
  return out;
}

async function apply(manifest: object, ...args: string[]): Promise<string> {
  const { code, out, err } = await run(['apply', ...args, '-f', '-'], JSON.stringify(manifest));
  assert.equal(code, 0, err);
  return out;
}

const settings = (data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings' },
  data,
});

test('kubectl get shows the columns of each kind', async () => {
  assert.match(await kubectl('get', 'ns'), /^NAME +STATUS +AGE\ndefault +Active /);
  assert.match(await kubectl('get', 'svc', '-n', 'default'), /kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443\/TCP/);
  assert.match((await run(['get', 'pods'])).err, /No resources found/);
  const missing = await run(['get', 'cm', 'nothing']);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /Error from server \(NotFound\): configmaps "nothing" not found/);
});

test('kubectl apply creates, changes and leaves alone', async () => {
  assert.equal(await apply(settings({ a: '1' })), 'configmap/settings created\n');
  assert.equal(await apply(settings({ a: '1' })), 'configmap/settings unchanged\n');
  assert.equal(await apply(settings({ a: '2' })), 'configmap/settings configured\n');
  assert.equal(await kubectl('get', 'cm', 'settings', '-o', 'jsonpath={.data.a}'), '2');
  const diff = await run(['diff', '-f', '-'], JSON.stringify(settings({ a: '3' })));
  assert.equal(diff.code, 1);
  assert.match(diff.out, /^\+ {2}a: "3"$/m);
});

test('kubectl apply --server-side finds conflicts and can force them', async () => {
  const manifest = { ...settings({ b: '1' }), metadata: { name: 'shared' } };
  const args = ['--server-side', '--field-manager'];
  assert.equal(await apply(manifest, ...args, 'one'), 'configmap/shared serverside-applied\n');
  const other = { ...manifest, data: { b: '2' } };
  const refused = await run(['apply', ...args, 'two', '-f', '-'], JSON.stringify(other));
  assert.equal(refused.code, 1);
  assert.match(refused.err, /conflict with "one": \.data\.b/);
  await apply(other, '--force-conflicts', ...args, 'two');
  assert.equal(await kubectl('get', 'cm', 'shared', '-o', 'jsonpath={.data.b}'), '2');
});

test('kubectl create, label, annotate, scale, set image, edit and delete work', async () => {
  await kubectl('create', 'deployment', 'web', '--image=example.com/a:1');
  await kubectl('label', 'deployment', 'web', 'tier=front');
  await kubectl('annotate', 'deployment', 'web', 'note=hello');
  await kubectl('scale', 'deployment', 'web', '--replicas=3');
  await kubectl('set', 'image', 'deployment/web', 'a=example.com/a:2');
  const path = '{.metadata.labels.tier} {.metadata.annotations.note} {.spec.replicas} {.metadata.generation}';
  assert.equal(await kubectl('get', 'deploy', 'web', '-o', `jsonpath=${path}`), 'front hello 3 3');
  assert.match(await kubectl('get', 'deploy', '-l', 'tier=front'), /web +0\/3/);
  const editor = join(etcd.directory, 'editor.sh');
  await writeFile(editor, '#!/bin/sh\nsed -i "s/tier: front/tier: back/" "$1"\n', { mode: 0o755 });
  const edited = await run(['edit', 'deploy', 'web'], undefined, { KUBE_EDITOR: editor });
  assert.match(edited.out, /deployment\.apps\/web edited/);
  await kubectl('expose', 'deployment', 'web', '--port=80');
  assert.match(await kubectl('get', 'svc', 'web', '-o', 'jsonpath={.spec.clusterIP}'), /^10\.96\./);
  assert.match(await kubectl('describe', 'deploy', 'web'), /Replicas: +3 desired/);
  assert.match(await kubectl('delete', 'deploy,svc', 'web'), /deployment\.apps "web" deleted/);
});

test('kubectl wait sees a condition come and an object go', async () => {
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'waited' },
    spec: { containers: [{ name: 'a', image: 'example.com/a:1' }] },
  });
  const waiting = kubectl('wait', 'pod/waited', '--for=condition=Ready', '--timeout=20s');
  await api.admin.patch(`/api/v1/namespaces/${namespace}/pods/waited/status`, 'merge', {
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  assert.equal(await waiting, 'pod/waited condition met\n');
  const going = run(['wait', 'pod/waited', '--for=delete', '--timeout=20s']);
  await kubectl('delete', 'pod', 'waited');
  const gone = await going;
  // A kubectl that came too late says that there is nothing to wait for; newer ones take it for success.
  assert.ok(gone.code === 0 || /no matching resources found/.test(gone.err), gone.err);
});

test('kubectl explain and api-resources read the schema', async () => {
  assert.match(await kubectl('explain', 'deployment.spec.replicas'), /FIELD: +replicas <integer>/);
  const resources = await kubectl('api-resources');
  assert.match(resources, /^deployments +deploy +apps\/v1 +true +Deployment$/m);
  assert.match(await kubectl('api-versions'), /^rbac\.authorization\.k8s\.io\/v1$/m);
  assert.match(await kubectl('version', '-o', 'json'), /"gitVersion": "v1\.34\.0\+keelson/);
});

test('kubectl auth tells what one may do', async () => {
  assert.equal(await kubectl('auth', 'can-i', 'delete', 'pods'), 'yes\n');
  // By --raw what kubectl 1.20 has no commands for: auth whoami and create token.
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  assert.match(await createRaw('/apis/authentication.k8s.io/v1/selfsubjectreviews', review), /kubernetes-admin/);
  const other = join(etcd.directory, 'alice.conf');
  await api.kubeconfig(other, 'alice', ['dev']);
  const refused = await run(['--kubeconfig', other, 'auth', 'can-i', 'list', 'secrets']);
  assert.equal(refused.out, 'no\n');
  const token = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } };
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`;
  assert.match(await createRaw(path, token), /"token": ?"ey/);
});

test('what kubectl sends is validated and refused with causes', async () => {
  const bad = await run(
    ['create', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: {} }),
  );
  assert.equal(bad.code, 1);
  // Refused by the server with its cause, or by an older kubectl from the published schema.
  assert.match(bad.err, /spec\.containers: Required value|missing required field "containers"/);
  const unknown = await run(
    ['create', '-f', '-'],
    JSON.stringify({ ...settings({}), metadata: { name: 'u' }, daat: {} }),
  );
  assert.match(unknown.err, /unknown field "daat"/);
});

async function createRaw(path: string, body: object): Promise<string> {
  const { code, out, err } = await run(['create', '--raw', path, '-f', '-'], JSON.stringify(body));
  assert.equal(code, 0, err);
  return out;
}
