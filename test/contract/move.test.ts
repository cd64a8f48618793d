/**
 * Moving in from Debian's etcd and out to it again, with the tools that people use: keys, history, leases, users and roles
 * stay what they are, revision by revision.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runKeelson } from './command-line.ts';
import { planMembers } from './restored-members.ts';
import { startStoreCluster } from './store-processes.ts';

let directory: string;
const root = ['--user', 'root:secret'];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-move-'));
});

after(() => rm(directory, { recursive: true, force: true }));

/** What etcdctl prints; it must succeed. */
function etcdctl(args: readonly string[], endpoint?: string, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const all = endpoint === undefined ? args : ['--endpoints', endpoint, ...args];
    const environment = { ...process.env, ETCDCTL_API: '3' };
    const child = execFile('/usr/bin/etcdctl', all, { env: environment, timeout: 30_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`etcdctl ${all.join(' ')}: ${stderr}`));
      else resolve(stdout.trimEnd());
    });
    // A program that reads no input may have ended before it is given any; how it ended is told above.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

async function keelson(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runKeelson(args);
  assert.equal(code, 0, `keelson ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

interface Answer {
  readonly header: { readonly revision: number };
  readonly kvs?: readonly object[];
}

/** Everything that can be read of a store, revision by revision, without what names its members. */
async function contentOf(endpoint: string, user: readonly string[] = []): Promise<object> {
  const read = (...args: string[]) => etcdctl([...args, ...user], endpoint);
  const range = async (revision: number) =>
    JSON.parse(await read('get', '', '--prefix', '--rev', String(revision), '-w', 'json')) as Answer;
  const head = await range(0);
  const { revision } = head.header;
  const compacted = await compactedAt(range, revision);
  const revisions = Array.from({ length: revision - compacted + 1 }, (_, number) => compacted + number);
  const history = Object.fromEntries(
    await Promise.all(revisions.map(async (at) => [at, (await range(at)).kvs] as const)),
  );
  const leases = (await read('lease', 'list')).split('\n').slice(1).sort();
  const holders: Record<string, string> = {};
  for (const lease of leases) {
    const [, granted, keys] =
      /TTL\((\d+)s\).*attached keys\(\[(.*)\]\)/.exec(await read('lease', 'timetolive', lease, '--keys')) ?? [];
    // etcd names the keys in no order.
    holders[lease] = `${granted} ${keys?.split(' ').sort().join(' ')}`;
  }
  const roles = (await read('role', 'list')).split('\n').filter((role) => role !== '');
  const users = (await read('user', 'list')).split('\n').filter((name) => name !== '');
  const described: string[] = [];
  for (const role of roles) described.push(await read('role', 'get', role));
  for (const name of users) described.push(await read('user', 'get', name));
  return { revision, compacted, head: head.kvs, history, holders, described };
}

/** The lowest revision that can still be read. */
async function compactedAt(range: (revision: number) => Promise<Answer>, revision: number): Promise<number> {
  let [low, high] = [1, revision];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const isReadable = await range(middle).then(
      () => true,
      (error: Error) => {
        assert.match(error.message, /required revision has been compacted/);
        return false;
      },
    );
    if (isReadable) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Keys with history, deletes, several writes in one revision, a compaction in between, leases, and a large value. */
async function fill(endpoint: string): Promise<void> {
  const put = (key: string, value: string, ...flags: string[]) => etcdctl(['put', key, value, ...flags], endpoint);
  for (let number = 1; number <= 12; number++) await put(`key${number}`, `value ${number}`);
  for (let number = 1; number <= 4; number++) await etcdctl(['del', `key${number}`], endpoint);
  await put('key3', 'again');
  await put('key5', 'second');
  await put('large', 'x'.repeat(100_000));
  await put('empty', '');
  // The compacted revision is a delete, of which etcd keeps nothing.
  await etcdctl(['del', 'key6'], endpoint);
  const { header } = JSON.parse(await etcdctl(['get', 'key6', '-w', 'json'], endpoint)) as Answer;
  await etcdctl(['compact', String(header.revision)], endpoint);
  const [, lease = ''] = (await etcdctl(['lease', 'grant', '3600'], endpoint)).split(' ');
  await etcdctl(['lease', 'grant', '7200'], endpoint);
  await put('leased', 'while it lives', `--lease=${lease}`);
  await put('key5', 'third', `--lease=${lease}`);
  await etcdctl(['del', 'key1', '--prefix'], endpoint);
  await etcdctl(['txn'], endpoint, '\nput multi/1 one\nput multi/2 two\ndel key8\n\n\n');
  for (let number = 1; number <= 4; number++) await put('often', `for the ${number}th time`);
  await put('after', 'compaction');
}

async function turnAuthOn(endpoint: string): Promise<void> {
  const run = (...args: string[]) => etcdctl(args, endpoint);
  await run('role', 'add', 'reader');
  await run('role', 'grant-permission', 'reader', 'read', 'key', 'kez');
  await run('role', 'grant-permission', 'reader', 'readwrite', 'own/', '--prefix');
  await run('user', 'add', 'root:secret');
  await run('user', 'grant-role', 'root', 'root');
  await run('user', 'add', 'ann:anns-password');
  await run('user', 'grant-role', 'ann', 'reader');
  await run('auth', 'enable');
}

/** A member of one that is to be restored. */
async function place(name: string) {
  const [member] = await planMembers(directory, name, 1);
  assert.ok(member);
  return member;
}

describe('moving between etcd and the store', { timeout: 400_000 }, () => {
  test('etcd moves in, the store goes on where etcd stopped, and moves out to etcd again', async () => {
    // Each call of etcdctl below says its password: at the usual cost that would be most of the test's time.
    const etcd = await startStoreCluster({ kind: 'etcd', count: 1, flags: ['--bcrypt-cost', '4'] });
    const saved = join(directory, 'etcd.snapshot');
    let original: object;
    try {
      const endpoint = etcd.endpoints[0] as string;
      await fill(endpoint);
      await turnAuthOn(endpoint);
      original = await contentOf(endpoint, root);
      await etcdctl(['snapshot', 'save', saved, ...root], endpoint);
    } finally {
      await etcd.stop();
    }

    const here = await place('here');
    await keelson('store', 'restore', '--from', saved, ...here.restoreFlags);
    await keelson('store', 'verify', here.directory);
    const exported = join(directory, 'exported.snapshot');
    const changed = await here.run('keelson', async (endpoint) => {
      assert.deepEqual(await contentOf(endpoint, root), original, 'the store holds what etcd held');
      await assert.rejects(etcdctl(['get', 'after'], endpoint), /user name is empty/, 'auth is on');
      assert.equal(await etcdctl(['get', 'key5', '--user', 'ann:anns-password'], endpoint), 'key5\nthird');
      await assert.rejects(etcdctl(['put', 'key5', 'x', '--user', 'ann:anns-password'], endpoint), /permission denied/);
      await etcdctl(['put', 'own/new', 'written by ann', '--user', 'ann:anns-password'], endpoint);
      await etcdctl(['del', 'empty', ...root], endpoint);
      const running = [
        'store',
        'export',
        '--endpoints',
        endpoint,
        '--etcd-snapshot',
        join(directory, 'running.snapshot'),
      ];
      const nobody = await runKeelson(running);
      assert.match(nobody.stderr, /user name is empty/, 'not everybody may take everything along');
      await keelson(...running, ...root);
      return contentOf(endpoint, root);
    });
    await keelson('store', 'export', '--data-dir', here.directory, '--etcd-snapshot', exported);
    await keelson('store', 'verify', here.directory);
    const [status, statusRunning] = await Promise.all(
      [exported, join(directory, 'running.snapshot')].map((path) => etcdctl(['snapshot', 'status', path])),
    );
    assert.equal(status?.split(', ')[1], statusRunning?.split(', ')[1], 'both exports end at the same revision');

    const back = await place('back');
    await etcdctl(['snapshot', 'restore', exported, ...back.restoreFlags]);
    await back.run('etcd', async (endpoint) => {
      assert.deepEqual(await contentOf(endpoint, root), changed, 'etcd holds what the store held');
      await etcdctl(['put', 'own/more', 'written by ann', '--user', 'ann:anns-password'], endpoint);
      await etcdctl(['compact', '32', ...root], endpoint);
    });
  });

  test('a snapshot that etcdctl saves of the running store is taken by etcd and by the store', async () => {
    const store = await startStoreCluster({ kind: 'keelson', count: 1 });
    const saved = join(directory, 'store.snapshot');
    const exported = join(directory, 'store.exported');
    let original: object;
    try {
      const endpoint = store.endpoints[0] as string;
      await fill(endpoint);
      original = await contentOf(endpoint);
      await etcdctl(['snapshot', 'save', saved], endpoint);
      await keelson('store', 'export', '--endpoints', endpoint, '--etcd-snapshot', exported);
    } finally {
      await store.stop();
    }
    const { revision } = original as { readonly revision: number };
    assert.match(await etcdctl(['snapshot', 'status', saved]), new RegExp(`^[0-9a-f]+, ${revision}, `));
    assert.equal(
      await etcdctl(['snapshot', 'status', saved]),
      await etcdctl(['snapshot', 'status', exported]),
      'both ways out give the same',
    );

    const there = await place('there');
    await etcdctl(['snapshot', 'restore', saved, ...there.restoreFlags]);
    await there.run('etcd', async (endpoint) => {
      assert.deepEqual(await contentOf(endpoint), original, 'etcd holds what the store held');
    });
    const again = await place('again');
    await keelson('store', 'restore', '--from', saved, ...again.restoreFlags);
    await again.run('keelson', async (endpoint) => {
      assert.deepEqual(await contentOf(endpoint), original, 'another store holds what the store held');
    });
  });

  test('a copied member/snap/db moves in when its missing checksum is allowed, and the revision can be bumped', async () => {
    const etcd = await startStoreCluster({ kind: 'etcd', count: 1 });
    let database: string;
    try {
      const endpoint = etcd.endpoints[0] as string;
      await fill(endpoint);
      await etcd.members[0]?.end('SIGTERM');
      database = join(etcd.members[0]?.directory as string, 'member/snap/db');
      const bumped = await place('bumped');
      const restore = ['store', 'restore', '--from', database, ...bumped.restoreFlags];
      const refused = await runKeelson(restore);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /no checksum behind them.*--skip-hash-check/);
      await keelson(...restore, '--skip-hash-check', '--bump-revision', '1000000000', '--mark-compacted');
      await bumped.run('keelson', async (endpoint) => {
        const { header, kvs } = JSON.parse(await etcdctl(['get', 'key5', '-w', 'json'], endpoint)) as Answer;
        assert.ok(header.revision > 1_000_000_000, `revision ${header.revision}`);
        assert.equal(kvs?.length, 1);
        await assert.rejects(etcdctl(['get', 'key5', '--rev', '30'], endpoint), /has been compacted/);
        await etcdctl(['put', 'key5', 'goes on'], endpoint);
        await etcdctl(['compact', String(header.revision + 1)], endpoint);
      });
    } finally {
      await etcd.stop();
    }
  });

  test('three members restored from one snapshot find each other', async () => {
    const etcd = await startStoreCluster({ kind: 'etcd', count: 1 });
    const saved = join(directory, 'three.snapshot');
    try {
      await fill(etcd.endpoints[0] as string);
      await etcdctl(['snapshot', 'save', saved], etcd.endpoints[0] as string);
    } finally {
      await etcd.stop();
    }
    const members = await planMembers(directory, 'three', 3);
    for (const member of members) await keelson('store', 'restore', '--from', saved, ...member.restoreFlags);
    const endpoints = members.map((member) => member.endpoint);
    // All are up before anybody asks, and all go down after the last answer.
    const allUp = Promise.withResolvers<void>();
    let up = 0;
    const done = Promise.withResolvers<void>();
    const running = members.map((member) =>
      member.run('keelson', async () => {
        up += 1;
        if (up === members.length) allUp.resolve();
        await done.promise;
      }),
    );
    try {
      await Promise.race([allUp.promise, Promise.all(running)]);
      const contents = await Promise.all(endpoints.map((endpoint) => contentOf(endpoint)));
      assert.deepEqual(contents[1], contents[0]);
      assert.deepEqual(contents[2], contents[0]);
      await etcdctl(['put', 'key5', 'by all'], endpoints[1] as string);
      assert.equal(await etcdctl(['get', 'key5'], endpoints[2] as string), 'key5\nby all');
    } finally {
      done.resolve();
      await Promise.all(running);
    }
  });
});
