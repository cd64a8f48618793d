/** Three real members, one of which holds other data than it wrote: the checks find it, and nobody writes any more. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { realClock } from '../../../src/env/real.ts';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import type { Backend } from '../../../src/kv/backend/contract.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { encodeRevision } from '../../../src/kv/mvcc/revision.ts';
import { encodePut } from '../../../src/kv/mvcc/row.ts';
import { askHash } from '../../../src/kv/rpc/peer-questions.ts';
import type { CorruptionChecks } from '../../../src/kv/server/corruption-monitor.ts';
import type { StoreServer } from '../../../src/kv/server/server.ts';
import { freePorts } from '../../support/free-ports.ts';
import { leaderOf, startTestMember, type TestMember } from './test-members.ts';

const never: CorruptionChecks = { isCheckedAtStart: false, checkEveryMs: 0, compactionHashEveryMs: 0 };
const bytes = (text: string) => Buffer.from(text);

interface Cluster {
  readonly members: readonly TestMember[];
  readonly backends: ReadonlyMap<TestMember, Backend>;
}

async function threeMembers(t: TestContext, checks: Partial<CorruptionChecks>): Promise<Cluster> {
  const ports = await freePorts(3);
  const initialCluster = ports.map((port, index) => ({
    name: `m${index + 1}`,
    peerUrls: [`http://127.0.0.1:${port}`],
  }));
  const started = await Promise.all(
    initialCluster.map(async ({ name, peerUrls }) => {
      const backend = createMemoryBackend();
      const corruption = {
        checks: { ...never, ...checks },
        askHash: (urls: readonly string[], question: Parameters<typeof askHash>[2]) =>
          askHash({ clock: realClock, tls: undefined }, urls, question),
      };
      const openBackend = async () => backend;
      const member = await startTestMember({ name, peerUrls, initialCluster, openBackend, corruption });
      t.after(() => member.stop());
      return [member, backend] as const;
    }),
  );
  const members = started.map(([member]) => member);
  await Promise.all(members.map(({ member }) => member.server.publish()));
  return { members, backends: new Map(started) };
}

/** Writes `key` twice; returns the revision of the first, which from then on is read from the backend alone. */
async function writeTwice(server: TestMember['server'], key: string): Promise<number> {
  const { revision } = await server.put(putRequest({ key: bytes(key), value: bytes('first') }));
  await server.put(putRequest({ key: bytes(key), value: bytes('second') }));
  return revision;
}

/** What a bad disk might do: the row is well formed and says something else. */
function falsify(backend: Backend, key: string, revision: number): void {
  const row = encodePut({ key: bytes(key), value: bytes('FIRST'), createRevision: revision, version: 1, lease: 0n });
  backend.write([{ type: 'put', key: encodeRevision(revision, 0), value: row }]);
}

async function untilCorrupt(member: TestMember): Promise<readonly number[]> {
  const lateAtMs = performance.now() + 10_000;
  for (;;) {
    const corrupt = member.server.alarms().filter(({ alarm }) => alarm === 'corrupt');
    if (corrupt.length > 0) return corrupt.map(({ memberId }) => memberId);
    assert.ok(performance.now() < lateAtMs, 'the alarm is raised within ten seconds');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function applied(members: readonly TestMember[], revision: number): Promise<void> {
  const lateAtMs = performance.now() + 5_000;
  while (members.some(({ server }) => server.position().revision < revision)) {
    assert.ok(performance.now() < lateAtMs, 'everybody applies what was written');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const monitorOf = (member: TestMember) => member.member.server as StoreServer;

test('the leader finds the follower whose data differs, and nobody writes any more', async (t) => {
  const { members, backends } = await threeMembers(t, { checkEveryMs: 100 });
  const leader = await leaderOf(members);
  const wrong = members.find((member) => member !== leader) as TestMember;
  const revision = await writeTwice(leader.server, 'ledger');
  await applied(members, revision + 1);
  falsify(backends.get(wrong) as Backend, 'ledger', revision);
  assert.deepEqual(await untilCorrupt(leader), [wrong.server.memberId]);
  await assert.rejects(leader.server.put(putRequest({ key: bytes('a'), value: bytes('b') })), /corrupt cluster/);
  await assert.rejects(leader.server.leaseGrant(7n, 60), /corrupt cluster/);
  // What was written can still be read, as from etcd.
  assert.equal((await leader.server.range(rangeRequest({ key: bytes('ledger') }))).count, 1);
  // Somebody has looked, and takes the alarm back.
  await leader.server.setAlarm('deactivate', wrong.server.memberId, 'corrupt');
});

test('at a compaction the majority tells who is wrong, even when it is the leader', async (t) => {
  const { members, backends } = await threeMembers(t, { compactionHashEveryMs: 100 });
  const leader = await leaderOf(members);
  const revision = await writeTwice(leader.server, 'ledger');
  await applied(members, revision + 1);
  falsify(backends.get(leader) as Backend, 'ledger', revision);
  await leader.server.compact(revision, true);
  const [other] = members.filter((member) => member !== leader) as [TestMember];
  assert.deepEqual(await untilCorrupt(other), [leader.server.memberId]);
});

test('equal members raise nothing, compacted or not', async (t) => {
  const { members } = await threeMembers(t, { compactionHashEveryMs: 60_000, checkEveryMs: 60_000 });
  const leader = await leaderOf(members);
  const revision = await writeTwice(leader.server, 'ledger');
  await leader.server.compact(revision, true);
  await applied(members, revision + 1);
  const hashes = await Promise.all(members.map(async (member) => (await member.server.peerHash(revision + 1)).hash));
  assert.equal(new Set(hashes).size, 1);
  await monitorOf(leader).checkCorruption();
  assert.deepEqual(leader.server.alarms(), []);
});

test('a member that is to start beside others with other data refuses, and says with whom it differs', async (t) => {
  const { members, backends } = await threeMembers(t, { isCheckedAtStart: true });
  const leader = await leaderOf(members);
  const revision = await writeTwice(leader.server, 'ledger');
  await applied(members, revision + 1);
  await monitorOf(leader).checkAtStart();
  falsify(backends.get(leader) as Backend, 'ledger', revision);
  await assert.rejects(monitorOf(leader).checkAtStart(), /found data inconsistency with peers: at revision \d+/);
});
