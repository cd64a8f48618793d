/**
 * Wrong input to the real commands: each gets one line on standard error that says what is wrong, where, and what to do,
 * and a failing exit code within seconds; nothing on disk is touched.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type ApiTls,
  apiServerFlags,
  type ClusterFiles,
  callApi,
  fingerprint,
  makeClusterFiles,
  type RunningApiServer,
  readApiTls,
  refusal,
  startApiServer,
} from './command-line.ts';
import { freePorts, type StoreCluster, startStoreCluster } from './store-processes.ts';

/** Commands at a time: two, so that one waits for the disk while the other computes. */
const concurrency = 2;

let directory: string;
let files: ClusterFiles;
/** A store that runs, with data. */
let store: StoreCluster;
/** What a stopped member left behind, for copies. */
let dataTemplate: string;
/** A port that somebody listens on all the time. */
let busyPort: number;
const taken = createServer();

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-bad-input-'));
  files = await makeClusterFiles(join(directory, 'pki'));
  await writeFile(
    join(directory, 'broken.pem'),
    '-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n',
  );
  await writeFile(join(directory, 'empty.pem'), '');
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  busyPort = (taken.address() as AddressInfo).port;
  store = await startStoreCluster({ kind: 'keelson', count: 1 });
  // A member that was killed leaves the files of any moment, and is to be refused just as politely.
  const member = store.members[0];
  assert.ok(member);
  assert.equal(await member.end('SIGTERM'), 0);
  dataTemplate = join(directory, 'data-template');
  await cp(member.directory, dataTemplate, { recursive: true, preserveTimestamps: true });
  await member.start();
});

after(async () => {
  await store?.stop();
  await new Promise((resolve) => taken.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

/** A data directory with the data of the member that wrote it. */
async function copyOfData(): Promise<string> {
  const copy = await mkdtemp(join(directory, 'data-'));
  await cp(dataTemplate, copy, { recursive: true, preserveTimestamps: true });
  return copy;
}

/** Flags of the member whose data `copyOfData` gives; listens on free ports. */
async function memberFlags(dataDirectory: string): Promise<Record<string, string>> {
  const [client, metrics] = await freePorts(2);
  const peerUrl = store.members[0]?.peerUrl as string;
  const [peer] = await freePorts(1);
  return {
    name: 'm1',
    'data-dir': dataDirectory,
    'listen-client-urls': `http://127.0.0.1:${client}`,
    'advertise-client-urls': `http://127.0.0.1:${client}`,
    'listen-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `m1=${peerUrl}`,
    'initial-cluster-token': 'contract',
    'listen-metrics-urls': `http://127.0.0.1:${metrics}`,
  };
}

function toArguments(flags: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

/** The store refuses these flags, and neither a directory with data nor one that is to be made is touched. */
async function storeRefuses(changes: Record<string, string>, says: readonly (string | RegExp)[]): Promise<void> {
  const data = await copyOfData();
  const flags = { ...(await memberFlags(data)), ...changes };
  const before = await fingerprint(data);
  await refusal(['store', ...toArguments(flags)], says);
  assert.deepEqual(await fingerprint(data), before, 'its data directory is as it was');
}

describe('flags', { concurrency }, () => {
  for (const command of ['store', 'apiserver', 'controller-manager', 'scheduler', 'node', 'server', 'balancer', 'up']) {
    test(`keelson ${command} refuses a flag it does not know and names the help`, () =>
      refusal([command, '--colour=blue'], ['unknown flag: --colour', `keelson ${command} --help`]));
  }

  test('a value of the wrong form is named with what is wanted', async () => {
    await storeRefuses({ 'heartbeat-interval': 'often' }, ['"often"', '--heartbeat-interval', /want a whole number/]);
    await refusal(
      ['scheduler', '--log-level=loud', '--kubeconfig=x', '--tls-cert-file=x', '--tls-private-key-file=x'],
      ['"loud"', '--log-level', 'want one of debug, info'],
    );
  });
  test('a certificate without its key', () =>
    storeRefuses({ 'cert-file': files.serving.cert }, ['--cert-file', '--key-file']));
  test('https without a certificate, for clients', () =>
    storeRefuses({ 'listen-client-urls': 'https://127.0.0.1:0' }, [
      '--listen-client-urls',
      '--cert-file',
      '--key-file',
    ]));
  test('https without a certificate, for members', () =>
    storeRefuses({ 'listen-peer-urls': 'https://127.0.0.1:0' }, ['--listen-peer-urls', '--peer-cert-file']));
  test('clients to be verified by no authority', () =>
    storeRefuses({ 'client-cert-auth': 'true' }, ['--client-cert-auth', '--trusted-ca-file']));
  test('https without a certificate, for metrics', () =>
    storeRefuses({ 'listen-metrics-urls': 'https://127.0.0.1:0' }, ['--listen-metrics-urls', '--cert-file']));
  test('an election shorter than five heartbeats', () =>
    storeRefuses({ 'election-timeout': '300' }, ['--election-timeout[300ms]', '--heartbeat-interval[100ms]']));
  test('an initial cluster without the member itself', async () => {
    const fresh = join(directory, 'never-made');
    const flags = { ...(await memberFlags(fresh)), 'initial-cluster': 'm2=http://127.0.0.1:1' };
    await refusal(['store', ...toArguments(flags)], ['"m1"', '--initial-cluster', '--name']);
    await assert.rejects(fingerprint(fresh), { code: 'ENOENT' }, 'the data directory is not made');
  });
  test('an API server with half of its client certificate for the store', () =>
    refusal(
      ['apiserver', ...apiServerFlags(files, 'https://127.0.0.1:1'), `--etcd-certfile=${files.admin.cert}`],
      ['--etcd-certfile', '--etcd-keyfile'],
    ));
  test('an API server that reaches its store over https without knowing its authority', () =>
    refusal(['apiserver', ...apiServerFlags(files, 'https://127.0.0.1:1')], ['--etcd-servers', '--etcd-cafile']));
  test('a master that is not in its own cluster', async () => {
    const data = join(directory, 'server');
    await refusal(
      [
        'server',
        '--name=m1',
        `--data-dir=${data}`,
        `--pki-dir=${directory}/pki`,
        '--advertise-address=127.0.0.1',
        '--cluster-token=t',
        '--initial-cluster=m2=127.0.0.2',
      ],
      ['--initial-cluster', 'm1=127.0.0.1'],
    );
    await assert.rejects(fingerprint(data), { code: 'ENOENT' });
  });
});

describe('a port that somebody else listens on', { concurrency }, () => {
  for (const [name, flag] of [
    ['clients', 'listen-client-urls'],
    ['members', 'listen-peer-urls'],
    ['metrics', 'listen-metrics-urls'],
  ] as const) {
    test(`the store's port for ${name}`, () =>
      storeRefuses({ [flag]: `http://127.0.0.1:${busyPort}` }, [
        `http://127.0.0.1:${busyPort}`,
        `--${flag}`,
        /in use/,
        /free|choose/,
      ]));
  }
  test('one port for two purposes of the store', async () => {
    const [port] = await freePorts(1);
    const url = `http://127.0.0.1:${port}`;
    await storeRefuses({ 'listen-client-urls': url, 'listen-peer-urls': url }, [
      url,
      '--listen-client-urls',
      '--listen-peer-urls',
    ]);
  });
  test("the API server's port", () =>
    refusal(
      ['apiserver', ...apiServerFlags(files, store.endpoints[0] as string), `--secure-port=${busyPort}`],
      [`127.0.0.1:${busyPort}`, '--secure-port', /in use/, /free|choose/],
    ));
  test("the balancer's port", () =>
    refusal(
      ['balancer', `--listen=127.0.0.1:${busyPort}`, '--backends=127.0.0.1:1'],
      [`127.0.0.1:${busyPort}`, /in use/, 'another port'],
    ));
  for (const flag of ['port', 'metrics-port', 'healthz-port']) {
    test(`the node agent's --${flag}`, async () => {
      const node = await nodeFlags();
      await nodeRefuses({ ...node, [flag]: String(busyPort) }, [`127.0.0.1:${busyPort}`, `--${flag}`, /in use/]);
    });
  }
});

/** Flags of a node agent that would start if one were not spoiled; it must find that out before it touches the machine. */
async function nodeFlags(): Promise<Record<string, string>> {
  const [port, metrics, health] = await freePorts(3);
  const home = await mkdtemp(join(directory, 'node-'));
  const kubeconfig = join(home, 'kubeconfig');
  await writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1', 'certificate-authority': files.ca } }],
      users: [{ name: 'u', user: { 'client-certificate': files.admin.cert, 'client-key': files.admin.key } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  return {
    'node-name': 'n1',
    kubeconfig,
    'node-ip': '127.0.0.1',
    'root-dir': join(home, 'root'),
    'pod-log-dir': join(home, 'pods'),
    'cni-conf-dir': join(home, 'cni'),
    'bind-address': '127.0.0.1',
    port: String(port),
    'metrics-port': String(metrics),
    'healthz-port': String(health),
    'container-runtime-endpoint': `unix://${home}/containerd.sock`,
    'tls-cert-file': files.serving.cert,
    'tls-private-key-file': files.serving.key,
    'client-ca-file': files.ca,
  };
}

async function nodeRefuses(flags: Record<string, string>, says: readonly (string | RegExp)[]): Promise<void> {
  const home = join(flags['root-dir'] as string, '..');
  const before = await fingerprint(home);
  await refusal(['node', ...toArguments(flags)], says);
  assert.deepEqual(await fingerprint(home), before, 'the agent made and changed no file');
}

describe('a data directory that is not for this start', { concurrency }, () => {
  test('of another cluster', () =>
    storeRefuses({ 'initial-cluster-token': 'other' }, ['--data-dir', 'another cluster', '"contract"', '"other"']));
  test('of other members', () =>
    storeRefuses({ 'initial-cluster': 'm1=http://127.0.0.1:1', 'initial-advertise-peer-urls': 'http://127.0.0.1:1' }, [
      '--data-dir',
      'another cluster',
      '--initial-cluster',
    ]));
  test('written by a newer program', async () => {
    const data = await copyOfData();
    await writeFile(join(data, 'member.json'), JSON.stringify({ formatVersion: 2 }));
    const before = await fingerprint(data);
    await refusal(
      ['store', ...toArguments(await memberFlags(data))],
      [data, 'format is 2', 'knows 1', 'newer program'],
    );
    assert.deepEqual(await fingerprint(data), before);
  });
  test('of etcd', async () => {
    const data = await mkdtemp(join(directory, 'etcd-'));
    await mkdir(join(data, 'member/wal'), { recursive: true });
    const before = await fingerprint(data);
    await refusal(['store', ...toArguments(await memberFlags(data))], [data, 'etcd', '--data-dir']);
    assert.deepEqual(await fingerprint(data), before);
  });
  test('below something that is no directory', async () => {
    const path = join(files.ca, 'data');
    await refusal(
      ['store', ...toArguments(await memberFlags(path))],
      [path, 'ENOTDIR', /check that the path is right/],
    );
  });
  test('in use by a running member', async () => {
    const member = store.members[0];
    assert.ok(member);
    // Held still, so that whatever changes was not changed by its owner.
    process.kill(member.pid(), 'SIGSTOP');
    try {
      const before = await fingerprint(member.directory);
      const flags = await memberFlags(member.directory);
      await refusal(
        ['store', ...toArguments(flags)],
        [member.directory, 'another process', /stop that process|another data directory/],
      );
      assert.deepEqual(await fingerprint(member.directory), before);
    } finally {
      process.kill(member.pid(), 'SIGCONT');
    }
  });
});

describe('certificates and keys', { concurrency }, () => {
  const spoiled = [
    ['missing', () => join(directory, 'nowhere.pem')],
    ['broken', () => join(directory, 'broken.pem')],
  ] as const;
  for (const [state, path] of spoiled) {
    test(`a certificate of the store is ${state}`, () =>
      storeRefuses({ 'cert-file': path(), 'key-file': files.serving.key }, ['--cert-file', path(), 'give']));
    test(`a certificate of the API server is ${state}`, () =>
      refusal(
        ['apiserver', ...apiServerFlags(files, 'http://127.0.0.1:1'), `--tls-cert-file=${path()}`],
        ['--tls-cert-file', path(), 'give'],
      ));
    test(`a certificate of the node agent is ${state}`, async () =>
      nodeRefuses({ ...(await nodeFlags()), 'tls-cert-file': path() }, ['--tls-cert-file', path(), 'give']));
  }
  test('a certificate of the store is empty', async () => {
    const path = join(directory, 'empty.pem');
    await storeRefuses({ 'cert-file': path, 'key-file': files.serving.key }, ['--cert-file', path, /give/]);
  });
  test('a key that belongs to another certificate, for the store', () =>
    storeRefuses({ 'cert-file': files.serving.cert, 'key-file': files.admin.key }, [
      '--cert-file',
      '--key-file',
      files.serving.cert,
      files.admin.key,
    ]));
  test('a key that belongs to another certificate, for the API server', () =>
    refusal(
      ['apiserver', ...apiServerFlags(files, 'http://127.0.0.1:1'), `--tls-private-key-file=${files.admin.key}`],
      ['--tls-cert-file', '--tls-private-key-file', files.admin.key],
    ));
  test('a key that belongs to another certificate, for the node agent', async () =>
    nodeRefuses({ ...(await nodeFlags()), 'tls-private-key-file': files.admin.key }, [
      '--tls-private-key-file',
      files.admin.key,
    ]));
  test('an authority that is no certificate', async () => {
    const path = join(directory, 'broken.pem');
    await storeRefuses({ 'cert-file': files.serving.cert, 'key-file': files.serving.key, 'trusted-ca-file': path }, [
      '--trusted-ca-file',
      path,
    ]);
    await refusal(
      ['apiserver', ...apiServerFlags(files, 'http://127.0.0.1:1'), `--client-ca-file=${path}`],
      ['--client-ca-file', path],
    );
    await nodeRefuses({ ...(await nodeFlags()), 'client-ca-file': path }, ['--client-ca-file', path]);
  });
  test('a service account key that is none', () =>
    refusal(
      [
        'apiserver',
        ...apiServerFlags(files, 'http://127.0.0.1:1'),
        `--service-account-signing-key-file=${join(directory, 'broken.pem')}`,
      ],
      ['use a key', /--service-account-signing-key-file|broken\.pem/],
    ));
  test("a master's certificates are missing", async () => {
    const data = join(directory, 'server');
    await refusal(
      [
        'server',
        '--name=m1',
        `--data-dir=${data}`,
        `--pki-dir=${directory}/pki`,
        '--advertise-address=127.0.0.1',
        '--cluster-token=t',
        '--initial-cluster=m1=127.0.0.1',
      ],
      ['--pki-dir', `${directory}/pki/store-ca.crt`, 'give'],
    );
    await assert.rejects(fingerprint(data), { code: 'ENOENT' });
  });
  for (const command of ['controller-manager', 'scheduler']) {
    test(`a broken certificate and a taken port of the ${command}`, async () => {
      const flags = {
        kubeconfig: join(directory, 'nowhere'),
        'bind-address': '127.0.0.1',
        'secure-port': '0',
        'tls-cert-file': files.serving.cert,
        'tls-private-key-file': files.serving.key,
      };
      const broken = join(directory, 'broken.pem');
      await refusal(
        [command, ...toArguments({ ...flags, 'tls-cert-file': broken })],
        ['--tls-cert-file', broken, 'give'],
      );
      await refusal(
        [command, ...toArguments({ ...flags, 'secure-port': String(busyPort) })],
        [`127.0.0.1:${busyPort}`, '--secure-port', /in use/],
      );
      await refusal([command, ...toArguments(flags)], ['kubeconfig', flags.kubeconfig]);
    });
  }
  test('a kubeconfig that is not there', async () =>
    nodeRefuses({ ...(await nodeFlags()), kubeconfig: join(directory, 'nowhere') }, [
      join(directory, 'nowhere'),
      'kubeconfig',
    ]));
});

describe('keelson up', { concurrency }, () => {
  /** What the directory of a cluster with three masters and two nodes holds first of all. */
  const plan = (formatVersion: number, at: string) => ({
    formatVersion,
    id: 'abcdef',
    directory: at,
    subnet: '10.89.250',
    apiPort: 1,
    choices: {
      masters: 3,
      nodes: 2,
      mastersRunNodes: false,
      nodeMonitorPeriodMs: 1,
      nodeMonitorGraceMs: 1,
      tolerationSeconds: 1,
    },
    hosts: [],
  });
  const upRefuses = async (
    content: Record<string, string>,
    flags: readonly string[],
    says: readonly (string | RegExp)[],
  ) => {
    const home = await mkdtemp(join(directory, 'up-'));
    for (const [name, text] of Object.entries(content)) await writeFile(join(home, name), text);
    const before = await fingerprint(home);
    await refusal(['up', `--dir=${home}`, '--subnet=10.89.250', ...flags], says);
    assert.deepEqual(await fingerprint(home), before);
  };

  test('an even number of masters is explained', () =>
    upRefuses({}, ['--masters=4'], ['even number', 'majority', '--masters 3', '--masters 5', '--allow-even-masters']));
  test('more masters than fit', () => upRefuses({}, ['--masters=9'], ['--masters', '"9"', '1 to 7']));
  test('a subnet that is none', () => upRefuses({}, ['--subnet=ten', '--api-port=0'], ['--subnet', '"ten"']));
  test('a directory that holds other things', () =>
    upRefuses({ 'notes.txt': 'mine' }, ['--fresh'], ['holds no cluster', 'notes.txt', '--dir']));
  test("a newer program's cluster, even to start over", () =>
    upRefuses(
      { 'cluster.json': JSON.stringify(plan(2, directory)) },
      ['--fresh'],
      ['cluster.json', 'version 2', 'knows 1', 'newer'],
    ));
  test('commands for a cluster refuse a directory without one', async () => {
    const home = await mkdtemp(join(directory, 'none-'));
    for (const args of [['down'], ['stop', 'm1']]) {
      await refusal([...args, `--dir=${home}`], [home, 'holds no cluster', 'keelson up', '--dir']);
    }
    assert.deepEqual(await fingerprint(home), []);
  });
  test('a cluster description that is not JSON', () =>
    upRefuses({ 'cluster.json': '{' }, [], ['cluster.json', 'not JSON', '--fresh']));
  test('another number of masters than the directory has', () =>
    upRefuses(
      { 'cluster.json': JSON.stringify(plan(1, directory)) },
      ['--masters=5'],
      ['masters 3, not 5', '--fresh', '--dir'],
    ));
  test('a port for kubectl that is taken', () =>
    upRefuses({}, [`--api-port=${busyPort}`], [`127.0.0.1:${busyPort}`, '--api-port', /in use/]));
});

describe('a manifest with a wrong field', { concurrency: 1 }, () => {
  let api: RunningApiServer;
  let tls: ApiTls;
  before(async () => {
    tls = await readApiTls(files);
    api = await startApiServer(files, store.endpoints[0] as string);
  });
  after(() => api?.stop());

  const deployment = (spec: object) => ({
    bytes: JSON.stringify({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'web', image: 'web:1', ...spec }] },
        },
      },
    }),
  });
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const create = (spec: object) => callApi(api, tls, 'POST', `${deployments}?fieldValidation=Strict`, deployment(spec));

  test('a field that does not exist is named with its path', async () => {
    const { status, body } = await create({ imagePullPolice: 'Always' });
    assert.equal(status, 400);
    assert.equal(body.kind, 'Status');
    assert.equal(body.reason, 'BadRequest');
    assert.ok(body.message.includes('unknown field "spec.template.spec.containers[0].imagePullPolice"'), body.message);
  });
  test('a value of the wrong type is named with its path', async () => {
    const { status, body } = await create({ ports: [{ containerPort: 'eighty' }] });
    assert.equal(status, 400);
    assert.match(body.message, /containerPort/);
  });
  test('a value out of its range is refused with the path as a cause', async () => {
    const { status, body } = await create({ ports: [{ containerPort: 70_000 }] });
    assert.equal(status, 422);
    assert.equal(body.reason, 'Invalid');
    assert.equal(body.details.causes[0].field, 'spec.template.spec.containers[0].ports[0].containerPort');
    assert.match(body.message, /70000/);
  });
  test('nothing of them was stored', async () => {
    assert.equal((await callApi(api, tls, 'GET', `${deployments}/web`)).status, 404);
    assert.deepEqual((await callApi(api, tls, 'GET', deployments)).body.items, []);
  });
});
