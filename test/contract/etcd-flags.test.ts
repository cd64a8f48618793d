/** `keelson store` started as etcd is: what it prints, what it refuses, and that a refusal touches nothing. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePorts, type StoreCluster, startStoreCluster } from './store-processes.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
let directory: string;
let cluster: StoreCluster;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-flags-'));
  cluster = await startStoreCluster({ kind: 'keelson', count: 1 });
});
after(async () => {
  await cluster?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** Lines on standard error that are not log lines. */
  readonly complaint: readonly string[];
}

function store(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const all = ['--disable-warning=ExperimentalWarning', join(root, 'src/cli/entry.ts'), 'store', ...args];
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...environment }, timeout: 30_000, cwd: directory };
    execFile(join(root, 'node_modules/.bin/node'), all, options, (error, stdout, stderr) => {
      const complaint = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, complaint });
    });
  });
}

/** One clear line and a failure; resolves with the exit code. */
async function refuses(
  args: readonly string[],
  pattern: RegExp,
  environment: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { code, complaint } = await store(args, environment);
  assert.notEqual(code, 0);
  assert.equal(complaint.length, 1, complaint.join('\n'));
  assert.match(complaint[0] as string, pattern);
  return code;
}

/** Flags of a member that could start. */
async function flagsOf(dataDirectory: string): Promise<string[]> {
  const [client, peer] = (await freePorts(2)) as [number, number];
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const data = ['--data-dir', dataDirectory];
  const clients = ['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl];
  const peers = ['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl];
  return [...data, ...clients, ...peers];
}

describe('keelson store', () => {
  test('--version prints a version that etcd’s tools can read, --help the flags', async () => {
    const { code, stdout } = await store(['--version']);
    assert.equal(code, 0);
    assert.match(stdout.split('\n')[0] as string, /^etcd Version: 3\.6\.\d+$/);
    const help = await store(['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--initial-cluster-token/);
  });

  // test/cli/store-config.test.ts has them all; here is what a process makes of them.
  test('what cannot be read ends with 2, what contradicts itself or the machine with 1, and each says one line', async () => {
    assert.equal(await refuses(['--no-such-flag'], /unknown flag: --no-such-flag/), 2);
    assert.equal(await refuses([], /--heartbeat-interval/, { ETCD_HEARTBEAT_INTERVAL: 'soon' }), 2);
    assert.equal(
      await refuses(['--election-timeout', '200'], /--election-timeout\[200ms\] should be at least as 5 times/),
      1,
    );
    assert.equal(
      await refuses(['--initial-cluster', 'other=http://127.0.0.1:2380'], /couldn't find local name "default"/),
      1,
    );
    assert.equal(await refuses([], /--config-file no\.yml: cannot be read/, { ETCD_CONFIG_FILE: 'no.yml' }), 1);
  });

  test('a certificate that is missing, no PEM or does not fit its key is named', async () => {
    const flags = [...(await flagsOf(join(directory, 'tls'))), '--key-file', 'no.key'];
    await refuses([...flags, '--cert-file', 'no.crt'], /--cert-file no\.crt: /);
    await writeFile(join(directory, 'bad.crt'), 'not a certificate');
    await writeFile(join(directory, 'no.key'), '-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n');
    await refuses([...flags, '--cert-file', 'bad.crt'], /--cert-file bad\.crt: /);
    await writeFile(join(directory, 'bad.crt'), '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n');
    await refuses([...flags, '--cert-file', 'bad.crt'], /bad\.crt/);
  });

  test('a port that is in use is named', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const flags = await flagsOf(join(directory, 'port'));
    const url = `http://127.0.0.1:${port}`;
    const withPort = flags.map((flag, index) => (flags[index - 1] === '--listen-client-urls' ? url : flag));
    try {
      await refuses(withPort, new RegExp(`listen on ${url}.*EADDRINUSE`));
    } finally {
      server.close();
    }
  });

  test('a data directory of a running process, of another cluster or of etcd is refused and stays as it is', async () => {
    const [member] = cluster.members as [StoreCluster['members'][number]];
    const initialCluster = [
      '--name',
      'm1',
      '--initial-cluster',
      `m1=${member.peerUrl}`,
      '--initial-advertise-peer-urls',
      member.peerUrl,
    ];
    const others = (await flagsOf(member.directory)).slice(0, 8);
    const same = [...others, ...initialCluster, '--initial-cluster-token', 'contract'];
    await refuses(same, /another process is using it/);
    assert.equal(await member.end('SIGTERM'), 0);
    const before = await contents(member.directory);
    await refuses(
      [...others, ...initialCluster, '--initial-cluster-token', 'other'],
      /belongs to another cluster: .*token/,
    );
    await refuses(
      [...(await flagsOf(member.directory)), '--initial-cluster-token', 'contract'],
      /belongs to another cluster: .*initial-cluster/,
    );
    assert.deepEqual(await contents(member.directory), before);
    await member.start();
    const foreign = await startStoreCluster({ kind: 'etcd', count: 1 });
    const [etcd] = foreign.members as [StoreCluster['members'][number]];
    await etcd.end('SIGTERM');
    const etcdBefore = await contents(etcd.directory);
    await refuses(await flagsOf(etcd.directory), /holds data of etcd/);
    assert.deepEqual(await contents(etcd.directory), etcdBefore);
    await foreign.stop();
  });

  test('a healthy start logs neither warnings nor errors', () => {
    const [member] = cluster.members as [StoreCluster['members'][number]];
    const levels = member
      .output()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { level: string }).level);
    assert.deepEqual([...new Set(levels)], ['info']);
  });

  test('health, version and metrics are served in plain HTTP', async () => {
    const [member] = cluster.members as [StoreCluster['members'][number]];
    const get = async (path: string) => {
      const response = await fetch(`${member.metricsUrl}${path}`);
      return { status: response.status, body: await response.text() };
    };
    assert.deepEqual(await get('/health'), { status: 200, body: '{"health":"true","reason":""}' });
    assert.deepEqual(await get('/livez'), { status: 200, body: 'ok\n' });
    assert.match((await get('/readyz?verbose')).body, /\[\+\]linearizable_read ok\n(.*\n)*ok\n$/);
    assert.equal((await get('/readyz/non_learner')).status, 200);
    assert.equal((await get('/readyz/nonsense')).status, 404);
    assert.match((await get('/version')).body, /"etcdserver":"3\.6\.\d+","etcdcluster":"3\.6\.0"/);
    const { body } = await get('/metrics');
    for (const name of [
      'etcd_server_has_leader 1',
      'etcd_disk_wal_fsync_duration_seconds_count',
      'process_cpu_seconds_total',
    ]) {
      assert.ok(body.includes(name), name);
    }
  });
});

/** Every name in a directory and below it. */
async function contents(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name)).sort();
}
