/** Users and roles with Debian's etcdctl: line by line as on Debian's etcd, and on three members that stop, lag and start. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ensureAuthority, issueLeaf } from '../../src/cluster/pki.ts';
import { realClock, realDisk, realRandom } from '../../src/env/real.ts';
import { createKvClient } from '../../src/kv/index.ts';
import { newer, script } from './auth-script.ts';
import { type StoreCluster, type StoreMember, startStoreCluster } from './store-processes.ts';

interface Outcome {
  readonly code: number;
  readonly output: string;
}

function etcdctl(endpoints: readonly string[], words: readonly string[], input = ''): Promise<Outcome> {
  return new Promise((resolve) => {
    const all = ['--endpoints', endpoints.join(','), ...words];
    const env = { ...process.env, ETCDCTL_API: '3' };
    const child = execFile('/usr/bin/etcdctl', all, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, output: `${stdout}${stderr}` });
    });
    // A command that wants no input may be gone before it is written.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

async function ok(endpoints: readonly string[], ...words: readonly string[]): Promise<string> {
  const { code, output } = await etcdctl(endpoints, words);
  assert.equal(code, 0, `etcdctl ${words.join(' ')}: ${output}`);
  return output.trimEnd();
}

async function refused(endpoints: readonly string[], reason: RegExp, ...words: readonly string[]): Promise<void> {
  const { code, output } = await etcdctl(endpoints, words);
  assert.notEqual(code, 0, `etcdctl ${words.join(' ')} is refused: ${output}`);
  assert.match(output, reason);
}

function run(cluster: StoreCluster, line: string): Promise<Outcome> {
  const [command = '', input = ''] = line.split(' <<< ');
  const words = command.split(' ').map((word) => (word === "''" ? '' : word));
  return etcdctl(cluster.endpoints, words, `${input.replaceAll('\\n', '\n')}\n`);
}

/** Without what differs from run to run: stamps, ports, ids of endpoints. */
function plain({ code, output }: Outcome): string {
  const text = output
    .replaceAll(/"ts":"[^"]*",?/g, '')
    .replaceAll(/"target":"[^"]*"/g, '"target"')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ENDPOINT');
  return `exit ${code}\n${text}`;
}

async function both(
  flags: (kind: 'keelson' | 'etcd') => readonly string[],
): Promise<readonly [StoreCluster, StoreCluster]> {
  const start = (kind: 'keelson' | 'etcd') => startStoreCluster({ kind, count: 1, flags: flags(kind) });
  return [await start('keelson'), await start('etcd')];
}

test('an operator’s session comes out as on etcd, line by line', { timeout: 180_000 }, async (t) => {
  const clusters = await both(() => ['--bcrypt-cost', '4']);
  t.after(() => Promise.all(clusters.map((cluster) => cluster.stop())));
  const [keelson, etcd] = clusters;
  const differences: string[] = [];
  for (const line of script) {
    const [ours, theirs] = await Promise.all([run(keelson, line), run(etcd, line)]);
    if (plain(ours) !== plain(theirs))
      differences.push(`etcdctl ${line}\n${plain(ours)}\ninstead of\n${plain(theirs)}`);
  }
  assert.deepEqual(differences, []);
  for (const line of ['user add root:rootpw', 'user grant-role root root', 'auth enable']) {
    await ok(keelson.endpoints, ...line.split(' '));
  }
  for (const [line, wanted] of newer) {
    assert.match((await run(keelson, line)).output, wanted, `etcdctl ${line}`);
  }
  assert.doesNotMatch(keelson.members[0]?.output() ?? '', /\$2[aby]\$|rootpw|bpw/, 'no log line holds a secret');
});

test('JSON web tokens, signed with a key of one’s own, do as on etcd', { timeout: 120_000 }, async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const directory = await realDirectory(t);
  const [pub, priv] = [join(directory, 'jwt.pub'), join(directory, 'jwt.key')];
  await writeFile(pub, publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(priv, privateKey.export({ type: 'pkcs1', format: 'pem' }));
  const token = `jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=10m`;
  const clusters = await both(() => ['--bcrypt-cost', '4', '--auth-token', token]);
  t.after(() => Promise.all(clusters.map((cluster) => cluster.stop())));
  const lines = [
    'user add root:rootpw',
    'user grant-role root root',
    'user add alice:apw',
    'role add r',
    'role grant-permission r readwrite k',
    'user grant-role alice r',
    'auth enable',
    '--user alice:apw put k v',
    '--user alice:apw get k',
    '--user alice:apw get other',
    '--user alice:wrong get k',
    '--user root:rootpw role grant-permission r read other',
    '--user alice:apw get other',
    'get k',
    '--user root:rootpw user delete alice',
    '--user alice:apw get k',
  ];
  for (const line of lines) {
    const [ours, theirs] = await Promise.all(clusters.map((cluster) => run(cluster, line)));
    assert.ok(ours && theirs);
    assert.equal(plain(ours), plain(theirs), `etcdctl ${line}`);
  }
});

async function realDirectory(t: { after(action: () => Promise<unknown>): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-auth-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('client certificates are users by their common name, on both', { timeout: 120_000 }, async (t) => {
  const clusters = [
    await startStoreCluster({ kind: 'keelson', count: 1, tls: true }),
    await startStoreCluster({ kind: 'etcd', count: 1, tls: true }),
  ] as const;
  t.after(() => Promise.all(clusters.map((cluster) => cluster.stop())));
  const outcomes: string[][] = [];
  for (const cluster of clusters) {
    const env = { clock: realClock, random: realRandom, disk: realDisk };
    const authority = await ensureAuthority(env, cluster.directory, 'ca', 'store test authority');
    const as: Record<string, readonly string[]> = {};
    for (const commonName of ['root', 'alice', 'stranger']) {
      const leaf = await issueLeaf(env, authority, { commonName, hosts: [], usages: ['client'] });
      const [cert, key] = [join(cluster.directory, `${commonName}.crt`), join(cluster.directory, `${commonName}.key`)];
      await writeFile(cert, leaf.certificatePem);
      await writeFile(key, leaf.keyPem);
      as[commonName] = ['--cacert', join(cluster.directory, 'ca.crt'), '--cert', cert, '--key', key];
    }
    const seen: string[] = [];
    const step = async (who: string, line: string) =>
      seen.push(
        `${who}: ${line}: ${plain(await etcdctl(cluster.endpoints, [...(as[who] ?? []), ...line.split(' ')]))}`,
      );
    await step('root', 'user add root --no-password');
    await step('root', 'user grant-role root root');
    await step('root', 'user add alice --no-password');
    await step('root', 'role add r');
    await step('root', 'role grant-permission r readwrite k');
    await step('root', 'user grant-role alice r');
    await step('root', 'auth enable');
    for (const who of ['root', 'alice', 'stranger']) {
      await step(who, 'put k v');
      await step(who, 'get k');
      await step(who, 'put other v');
      await step(who, 'user get alice');
    }
    await step('alice', '--user root:x get k');
    outcomes.push(seen);
  }
  assert.deepEqual(outcomes[0], outcomes[1]);
});

describe('three members with auth on', { timeout: 180_000 }, () => {
  let cluster: StoreCluster;
  const root = ['--user', 'root:rootpw'];
  const alice = ['--user', 'alice:apw'];
  const member = (number: number) => cluster.members[number] as StoreMember;
  const at = (number: number) => [member(number).endpoint];

  before(async () => {
    const flags = ['--bcrypt-cost', '4', '--snapshot-count', '50', '--snapshot-catchup-entries', '10'];
    cluster = await startStoreCluster({ kind: 'keelson', count: 3, flags });
    const line = (text: string) => ok(cluster.endpoints, ...text.split(' '));
    await line('user add root:rootpw');
    await line('user grant-role root root');
    await line('user add alice:apw');
    await line('role add alices');
    await line('role grant-permission alices readwrite alice/ alice0');
    await line('user grant-role alice alices');
    await line('auth enable');
  });
  after(() => cluster?.stop());

  test('every member knows the same users and refuses the same strangers', async () => {
    for (const number of [0, 1, 2]) {
      await ok(at(number), ...alice, 'put', `alice/${number}`, 'x');
      await refused(at(number), /permission denied/, ...alice, 'put', 'bob/1', 'x');
      await refused(at(number), /user name is empty/, 'get', 'alice/1');
      const lease = /lease (\w+) granted/.exec(await ok(at(number), ...alice, 'lease', 'grant', '60'))?.[1] ?? '';
      for (const other of [0, 1, 2]) {
        assert.match(
          await ok(at(other), ...alice, 'lease', 'keep-alive', '--once', lease),
          /keepalived with TTL\(60\)/,
        );
        assert.match(await ok(at(other), ...alice, 'lease', 'timetolive', lease), /granted with TTL\(60s\)/);
      }
    }
  });

  test('a member that was killed knows everybody when it is back', async () => {
    await member(1).end('SIGKILL');
    await ok(at(0), ...root, 'user', 'add', 'carol:cpw');
    await member(1).start();
    await ok(at(1), ...root, 'user', 'get', 'carol');
    await refused(at(1), /user name is empty/, 'get', '--consistency=s', 'alice/1');
    await ok(at(1), ...alice, 'get', 'alice/1');
  });

  test('a member that gets its state as a snapshot gets users and roles with it', async () => {
    await member(2).end('SIGTERM');
    await ok(at(0), ...root, 'user', 'delete', 'carol');
    await ok(at(0), ...root, 'user', 'add', 'dave:dpw');
    await ok(at(0), ...root, 'user', 'grant-role', 'dave', 'alices');
    const client = createKvClient({
      clock: realClock,
      endpoints: [...at(0), ...at(1)],
      user: { name: 'alice', password: 'apw' },
    });
    const puts = Array.from({ length: 200 }, (_, number) => ({ key: `alice/${number}`, value: 'x' }));
    await Promise.all(puts.map(({ key, value }) => client.put({ key: Buffer.from(key), value: Buffer.from(value) })));
    client.close();
    await member(2).start();
    assert.equal(await ok(at(2), ...root, 'user', 'list'), 'alice\ndave\nroot');
    assert.match(member(2).output(), /snapshot/);
    await ok(at(2), '--user', 'dave:dpw', 'get', '--consistency=s', 'alice/11');
    await refused(at(2), /permission denied/, '--user', 'dave:dpw', 'get', '--consistency=s', 'bob');
    await refused(at(2), /authentication failed/, '--user', 'carol:cpw', 'get', 'alice/1');
  });

  test('all stop and start again, and auth is as it was', async () => {
    await Promise.all(cluster.members.map((one) => one.end('SIGKILL')));
    await Promise.all(cluster.members.map((one) => one.start()));
    assert.equal(await ok(cluster.endpoints, ...root, 'role', 'list'), 'alices');
    await refused(cluster.endpoints, /user name is empty/, 'put', 'x', 'y');
    await ok(cluster.endpoints, ...alice, 'put', 'alice/again', 'x');
    await ok(cluster.endpoints, ...root, 'auth', 'disable');
    await ok(cluster.endpoints, 'put', 'x', 'y');
  });
});
