/** Debian's etcdctl against three members of the store over TLS, as an operator would use it; then the leader is killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { realClock } from '../../src/env/real.ts';
import { createKvClient, type KvClient } from '../../src/kv/index.ts';
import { type StoreCluster, type StoreMember, startStoreCluster } from './store-processes.ts';

let cluster: StoreCluster;

function tlsArguments(): readonly string[] {
  const { tls } = cluster;
  return tls ? ['--cacert', tls.ca, '--cert', tls.cert, '--key', tls.key] : [];
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], input = '', endpoints = cluster.endpoints): Promise<Outcome> {
  return new Promise((resolve) => {
    const all = ['--endpoints', endpoints.join(','), ...tlsArguments(), ...args];
    const environment = { ...process.env, ETCDCTL_API: '3' };
    const child = execFile('/usr/bin/etcdctl', all, { env: environment, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
    // A program that reads no input may have ended before it is given any; how it ended is told above.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** What etcdctl prints; it must succeed. */
async function etcdctl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args);
  assert.equal(code, 0, `etcdctl ${args.join(' ')}: ${stderr}`);
  return stdout.trimEnd();
}

/** A running `etcdctl watch`. */
function watch(...args: string[]): { until(pattern: RegExp): Promise<string>; stop(): void } {
  const all = ['--endpoints', cluster.endpoints.join(','), ...tlsArguments(), 'watch', ...args];
  const child: ChildProcess = spawn('/usr/bin/etcdctl', all, {
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let wake = () => {};
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    wake();
  });
  return {
    async until(pattern) {
      const lateAtMs = performance.now() + 15_000;
      while (!pattern.test(output)) {
        assert.ok(performance.now() < lateAtMs, `watch prints ${pattern} within 15 s; so far: ${output}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, 1_000).unref();
        });
      }
      return output;
    },
    stop: () => child.kill('SIGKILL'),
  };
}

describe('etcdctl against three members', () => {
  before(async () => {
    cluster = await startStoreCluster({ kind: 'keelson', count: 3, tls: true });
  });
  after(async () => {
    await cluster?.stop();
  });

  test('put and get: one key, prefix, range, limit, order, old revision, keys only, JSON', async () => {
    for (const key of ['a', 'b', 'c']) assert.equal(await etcdctl('put', `fruit/${key}`, `value-${key}`), 'OK');
    assert.equal(await etcdctl('get', 'fruit/a'), 'fruit/a\nvalue-a');
    assert.equal(await etcdctl('get', '--prefix', '--keys-only', 'fruit/'), 'fruit/a\n\nfruit/b\n\nfruit/c');
    assert.equal(await etcdctl('get', '--print-value-only', 'fruit/a', 'fruit/c'), 'value-a\nvalue-b');
    assert.equal(await etcdctl('get', '--prefix', '--limit=1', '--print-value-only', 'fruit/'), 'value-a');
    assert.equal(
      await etcdctl('get', '--prefix', '--order=DESCEND', '--limit=1', '--print-value-only', 'fruit/'),
      'value-c',
    );
    const json = JSON.parse(await etcdctl('get', 'fruit/a', '-w', 'json')) as {
      header: { cluster_id: number; member_id: number; revision: number; raft_term: number };
      kvs: { create_revision: number; version: number }[];
      count: number;
    };
    assert.ok(json.header.cluster_id > 0 && json.header.member_id > 0 && json.header.raft_term > 0);
    assert.equal(json.kvs[0]?.version, 1);
    assert.equal(await etcdctl('put', '--prev-kv', 'fruit/a', 'newer'), 'OK\nfruit/a\nvalue-a');
    assert.equal(await etcdctl('get', `--rev=${json.header.revision}`, '--print-value-only', 'fruit/a'), 'value-a');
    assert.equal(await etcdctl('get', '--consistency=s', '--print-value-only', 'fruit/a'), 'newer');
  });

  test('del: one key, a prefix, and what was deleted', async () => {
    await etcdctl('put', 'gone/1', 'x');
    await etcdctl('put', 'gone/2', 'y');
    assert.equal(await etcdctl('del', '--prev-kv', 'gone/1'), '1\ngone/1\nx');
    assert.equal(await etcdctl('del', '--prefix', 'gone/'), '1');
    assert.equal(await etcdctl('del', 'gone/1'), '0');
  });

  test('txn: compares, success and failure requests', async () => {
    await etcdctl('put', 'txn', 'old');
    const success = 'value("txn") = "old"\n\nput txn new\nget txn\n\nput txn wrong\n\n';
    const first = await run(['txn'], success);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^SUCCESS\n\nOK\n\ntxn\nnew\n/);
    const second = await run(['txn'], success);
    assert.match(second.stdout, /^FAILURE\n\nOK\n/);
    const twice = await run(['txn'], '\nput same 1\nput same 2\n\n\n');
    assert.notEqual(twice.code, 0);
    assert.match(twice.stderr, /duplicate key given in txn request/);
  });

  test('watch: live, from an old revision, with previous values, of a prefix', async () => {
    const { header } = JSON.parse(await etcdctl('put', 'watched/k', '1', '-w', 'json')) as {
      header: { revision: number };
    };
    const watching = watch('--prefix', '--prev-kv', `--rev=${header.revision}`, 'watched/');
    await watching.until(/PUT\n(\n\n)?watched\/k\n1\n/);
    await etcdctl('put', 'watched/k', '2');
    await etcdctl('del', 'watched/k');
    // etcdctl writes line by line: the first line of an event is not all of it.
    const output = await watching.until(/DELETE\nwatched\/k\n2\nwatched\/k\n/);
    watching.stop();
    assert.match(output, /PUT\nwatched\/k\n1\nwatched\/k\n2\n/);
  });

  test('lease: grant, attach, keep alive, time to live, list, revoke, and running out', async () => {
    const id = /^lease (\w+) granted with TTL\(60s\)$/.exec(await etcdctl('lease', 'grant', '60'))?.[1] as string;
    await etcdctl('put', `--lease=${id}`, 'leased', 'x');
    // Every member must know about leases, whoever leads.
    for (const endpoint of cluster.endpoints) {
      const kept = await run(['lease', 'keep-alive', '--once', id], '', [endpoint]);
      assert.equal(kept.stdout.trim(), `lease ${id} keepalived with TTL(60)`, kept.stderr);
      const left = await run(['lease', 'timetolive', '--keys', id], '', [endpoint]);
      assert.match(left.stdout, /granted with TTL\(60s\), remaining\((59|60)s\), attached keys\(\[leased\]\)/);
    }
    assert.match(await etcdctl('lease', 'list'), new RegExp(id));
    assert.equal(await etcdctl('lease', 'revoke', id), `lease ${id} revoked`);
    assert.equal(await etcdctl('get', 'leased'), '');
    assert.match((await run(['lease', 'revoke', id])).stderr, /requested lease not found/);
    assert.match(await etcdctl('lease', 'timetolive', id), /already expired/);
    const short = /^lease (\w+) granted/.exec(await etcdctl('lease', 'grant', '2'))?.[1] as string;
    // From a revision on: the watching program may be slower to start than the writing one.
    const { header } = JSON.parse(await etcdctl('get', 'short', '-w', 'json')) as { header: { revision: number } };
    const watching = watch(`--rev=${header.revision + 1}`, 'short');
    await etcdctl('put', `--lease=${short}`, 'short', 'lived');
    await watching.until(/PUT\nshort\nlived\nDELETE\nshort\n/);
    watching.stop();
  });

  test('compaction: old revisions are gone for reads and watches', async () => {
    await etcdctl('put', 'compacted', '1');
    const { header } = JSON.parse(await etcdctl('put', 'compacted', '2', '-w', 'json')) as {
      header: { revision: number };
    };
    assert.equal(
      await etcdctl('compaction', '--physical', String(header.revision)),
      `compacted revision ${header.revision}`,
    );
    const old = await run(['get', `--rev=${header.revision - 1}`, 'compacted']);
    assert.notEqual(old.code, 0);
    assert.match(old.stderr, /required revision has been compacted/);
    const watching = await run(['watch', `--rev=${header.revision - 1}`, 'compacted']);
    assert.notEqual(watching.code, 0);
    assert.match(watching.stderr, /required revision has been compacted/);
  });

  test('members, status, health, hashes, alarms and defragmentation', async () => {
    const members = await etcdctl('member', 'list');
    for (const member of cluster.members) {
      assert.match(members, new RegExp(`started, ${member.name}, ${member.peerUrl}, ${member.endpoint}, false`));
    }
    const table = await etcdctl('endpoint', 'status', '-w', 'table');
    assert.equal(table.split('\n').filter((line) => line.includes(' 3.6.')).length, 3);
    assert.equal(table.split('\n').filter((line) => /\| +true \|/.test(line)).length, 1, 'one member leads');
    const health = await run(['endpoint', 'health', '-w', 'table']);
    assert.equal(health.code, 0, health.stderr);
    assert.equal(health.stdout.split('\n').filter((line) => /\| +true \|/.test(line)).length, 3);
    const hashes = JSON.parse(await etcdctl('endpoint', 'hashkv', '-w', 'json')) as { HashKV: { hash: number } }[];
    assert.equal(new Set(hashes.map((item) => item.HashKV.hash)).size, 1, 'all members hold the same');
    assert.equal(await etcdctl('alarm', 'list'), '');
    assert.match(await etcdctl('defrag'), /Finished defragmenting etcd member/);
  });

  test('move-leader hands leadership to the member that was named', async () => {
    const { leader } = await whoLeads(cluster);
    const other = (await statuses(cluster.members)).find((status) => status.id !== leader.id);
    assert.ok(other);
    const moved = await run(['move-leader', other.id.toString(16)], '', [leader.member.endpoint]);
    assert.equal(moved.code, 0, moved.stderr);
    assert.equal((await whoLeads(cluster)).leader.id, other.id);
  });

  test('the leader is killed: another leads within three seconds, no acknowledged write is lost, and it comes back', async () => {
    const { leader } = await whoLeads(cluster);
    const client = clientOf(cluster);
    const acknowledged: string[] = [];
    let failed = 0;
    let longestGapMs = 0;
    let lastMs = performance.now();
    const write = async (count: number) => {
      for (let index = 0; index < count; index++) {
        const key = `kill/${String(acknowledged.length + failed).padStart(6, '0')}`;
        try {
          await client.put({ key: new TextEncoder().encode(key), value: new TextEncoder().encode(key) });
          acknowledged.push(key);
          longestGapMs = Math.max(longestGapMs, performance.now() - lastMs);
          lastMs = performance.now();
        } catch {
          // Its outcome is unknown: it may be there or not.
          failed++;
        }
      }
    };
    await write(50);
    const writing = write(200);
    await leader.member.end('SIGKILL');
    await writing;
    assert.ok(longestGapMs < 3_000, `writes go on after ${Math.round(longestGapMs)} ms`);
    const all = { key: new TextEncoder().encode('kill/'), rangeEnd: new TextEncoder().encode('kill0') };
    const found = new Set((await client.range(all)).kvs.map((kv) => new TextDecoder().decode(kv.key)));
    assert.deepEqual(
      acknowledged.filter((key) => !found.has(key)),
      [],
    );
    await leader.member.start();
    const alone = createClient([leader.member.endpoint]);
    const again = await alone.range({ ...all, countOnly: true });
    assert.equal(again.count, found.size, 'the member that came back answers like the others');
    alone.close();
    client.close();
    // A follower that was away learns what it missed before its hash is asked for.
    const hashes = JSON.parse(await etcdctl('endpoint', 'hashkv', '-w', 'json')) as { HashKV: { hash: number } }[];
    assert.equal(new Set(hashes.map((item) => item.HashKV.hash)).size, 1, 'all members hold the same');
  });

  test('asked to stop, a member ends with exit code 0', async () => {
    const { leader } = await whoLeads(cluster);
    assert.equal(await leader.member.end('SIGTERM'), 0);
    // A write that is passed on to the leader that goes is answered `leader changed`, so it waits for the next one.
    const stillLeft = cluster.members.filter((member) => member !== leader.member);
    await allFollow(stillLeft);
    assert.equal(await etcdctl('put', 'after', 'the stop'), 'OK');
  });
});

interface Status {
  readonly id: number;
  readonly leader: number;
  readonly member: StoreMember;
}

function createClient(endpoints: readonly string[]): KvClient {
  const { clientTls } = cluster;
  return createKvClient({ clock: realClock, endpoints, ...(clientTls ? { tls: clientTls } : {}) });
}

function clientOf(of: StoreCluster): KvClient {
  return createClient(of.endpoints);
}

async function statuses(members: readonly StoreMember[]): Promise<readonly Status[]> {
  const client = createClient(members.map((member) => member.endpoint));
  try {
    return await Promise.all(
      members.map(async (member) => {
        const status = await client.status(member.endpoint);
        return { id: status.memberId, leader: status.leader, member };
      }),
    );
  } finally {
    client.close();
  }
}

/** Resolves once all of them name one of them as their leader. */
async function allFollow(members: readonly StoreMember[]): Promise<void> {
  const lateAtMs = performance.now() + 20_000;
  for (;;) {
    const all = await statuses(members);
    const [first] = all;
    const isOneOfThem = all.some((status) => status.id === first?.leader);
    if (isOneOfThem && all.every((status) => status.leader === first?.leader)) return;
    assert.ok(performance.now() < lateAtMs, 'the members that are left have a leader within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function whoLeads(of: StoreCluster): Promise<{ readonly leader: Status }> {
  const all = await statuses(of.members);
  const leader = all.find((status) => status.id === status.leader);
  assert.ok(leader, 'a member leads');
  return { leader };
}
