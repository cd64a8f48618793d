/** Two members with data and a witness as processes: each is killed in turn, and nothing that was acknowledged is lost. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { realClock } from '../../src/env/real.ts';
import { putRequest, rangeRequest } from '../../src/kv/api.ts';
import { createKvClient } from '../../src/kv/client/client.ts';
import { startStoreCluster, type StoreMember } from './store-processes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** An election or two, on a machine that does other things as well. */
const writesWithinMs = 20_000;

async function statusOf(endpoints: readonly string[]): Promise<string> {
  const node = join(root, 'node_modules/.bin/node');
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'src/cli/entry.ts'), 'status'];
  const { stdout } = await promisify(execFile)(node, [...args, `--endpoints=${endpoints.join(',')}`]);
  return stdout;
}

test('any one of two members and a witness is killed: writes go on, and none is lost', {
  timeout: 300_000,
}, async (t) => {
  const cluster = await startStoreCluster({
    kind: 'keelson',
    count: 3,
    flags: ['--initial-cluster-witnesses=m3', '--autopilot', '--snapshot-count=50', '--snapshot-catchup-entries=10'],
    flagsOf: (name) => (name === 'm3' ? ['--witness'] : []),
  });
  t.after(() => cluster.stop());
  const members = cluster.members as readonly [StoreMember, StoreMember, StoreMember];
  const [first, second, witness] = members;
  // The witness is named as well: a client that comes to it goes on to the next member.
  const client = createKvClient({ clock: realClock, endpoints: [witness.endpoint, first.endpoint, second.endpoint] });
  t.after(() => client.close());
  const acknowledged: string[] = [];
  const write = async (key: string) => {
    await client.put(putRequest({ key: bytes(`k/${key}`), value: bytes(key) }));
    acknowledged.push(key);
  };
  /** What is in doubt is tried again: the same key with the same value. */
  const writeWithin = async (key: string) => {
    const end = performance.now() + writesWithinMs;
    for (;;) {
      try {
        return await write(key);
      } catch (error) {
        assert.ok(performance.now() < end, `no write within ${writesWithinMs} ms: ${String(error)}`);
      }
    }
  };
  const checkAll = async (what: string) => {
    const { kvs } = await client.range(rangeRequest({ key: bytes('k/'), rangeEnd: bytes('k0') }));
    const there = new Set(kvs.map(({ value }) => Buffer.from(value).toString()));
    assert.deepEqual(
      acknowledged.filter((key) => !there.has(key)),
      [],
      what,
    );
  };
  for (let at = 0; at < 120; at += 1) await write(`before-${at}`);
  assert.match(
    await statusOf([witness.endpoint]),
    /m3 +witness[\s\S]*quorum: 3 of 3 voters answer, 2 are needed; 1 more can be lost/,
  );
  // Twice round, so that each is lost after each other one has come back.
  for (const [round, lost] of [first, second, witness, first, second].entries()) {
    await lost.end('SIGKILL');
    for (let at = 0; at < 20; at += 1) await writeWithin(`${round}-${lost.name}-${at}`);
    await checkAll(`${lost.name} is down`);
    await lost.start();
    await writeWithin(`${round}-${lost.name}-back`);
    await checkAll(`${lost.name} is back`);
  }
  const health = await fetch(`${witness.metricsUrl}/health`);
  assert.equal(health.status, 200);
  const metrics = await (await fetch(`${witness.metricsUrl}/metrics`)).text();
  assert.match(metrics, /etcd_server_has_leader 1/);
});
