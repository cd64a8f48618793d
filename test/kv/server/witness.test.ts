/** Two members with data and a witness, which has a vote and none. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { createKvClient } from '../../../src/kv/client/client.ts';
import { KvError } from '../../../src/kv/errors.ts';
import { withWitnesses } from '../../../src/kv/server/cluster-config.ts';
import type { MemberOptions } from '../../../src/kv/server/member.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { openOffline } from '../../../src/kv/snapshot/offline.ts';
import { verifyDirectory } from '../../../src/kv/snapshot/verify.ts';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { freePorts } from '../../support/free-ports.ts';
import { joinTestMember, leaderOf, startTestMember, startTestMembers, type TestMember } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const put = (member: TestMember, key: string) =>
  member.server.put(putRequest({ key: bytes(key), value: bytes(`value of ${key}`) }));
const countOf = async (member: TestMember) =>
  (await member.server.range(rangeRequest({ key: bytes('k'), rangeEnd: bytes('l') }))).count;

/** m1 and m2 are full members, m3 is the witness; each of them a founder. */
async function startWithWitness(overrides: (name: string) => Partial<MemberOptions> = () => ({})) {
  const ports = await freePorts(3);
  const named = ports.map((port, index) => ({ name: `m${index + 1}`, peerUrls: [`http://127.0.0.1:${port}`] }));
  const initialCluster = withWitnesses(named, ['m3']);
  const members = await Promise.all(
    initialCluster.map(({ name, peerUrls, isWitness = false }) =>
      startTestMember({ name, peerUrls, initialCluster, isWitness, ...overrides(name) }),
    ),
  );
  await Promise.all(members.map(({ member }) => member.server.publish()));
  return { members: members as [TestMember, TestMember, TestMember], initialCluster };
}

test('a cluster of two members and a witness loses any one of them and writes on', { timeout: 60_000 }, async (t) => {
  for (const lost of [0, 1, 2]) {
    const { members } = await startWithWitness();
    const left = members.filter((_, index) => index !== lost);
    t.after(() => Promise.all(left.map((member) => member.stop())));
    for (let at = 0; at < 20; at += 1) await put(members[0], `k${at}`);
    await (members[lost] as TestMember).stop();
    const writer = left[0] as TestMember;
    await put(writer, 'k-after');
    assert.equal(await countOf(writer), 21);
    const leader = await leaderOf(left);
    assert.notEqual(leader, members[2], 'a witness does not go on leading');
  }
});

test('clients of a witness are told what it is and whom to ask', { timeout: 60_000 }, async (t) => {
  const { members } = await startWithWitness();
  const [, , witness] = members;
  t.after(() => Promise.all(members.map((member) => member.stop())));
  await put(members[0], 'k');
  const client = createKvClient({ clock: realClock, endpoints: [witness.endpoint], timeoutMs: 500 });
  t.after(() => client.close());
  await assert.rejects(
    client.range(rangeRequest({ key: bytes('k') })),
    /not supported for witness.*ask another member/,
  );
  await assert.rejects(client.put(putRequest({ key: bytes('k'), value: bytes('v') })), /not supported for witness/);
  const { raft, keys, bytesInUse } = witness.server.status();
  assert.deepEqual(raft.confState.witnesses, [witness.server.memberId]);
  assert.equal(keys, 0);
  assert.ok(bytesInUse < 10_000, 'it has no data');
  await witness.server.checkQuorum(5_000);
  const listed = await witness.server.members(true);
  assert.deepEqual(listed.map(({ name, isWitness = false }) => `${name} ${isWitness}`).sort(), [
    'm1 false',
    'm2 false',
    'm3 true',
  ]);
});

test('a witness comes to a running cluster by asking, votes at once, and goes again', {
  timeout: 60_000,
}, async (t) => {
  const members = await startTestMembers(2);
  t.after(() => Promise.all(members.map((member) => member.stop())));
  for (let at = 0; at < 5; at += 1) await put(members[0] as TestMember, `k${at}`);
  const [port] = (await freePorts(1)) as [number];
  const witness = await joinTestMember(members, 'w', `http://127.0.0.1:${port}`, { isWitness: true });
  t.after(() => witness.stop());
  const { voters, witnesses } = witness.server.status().raft.confState;
  assert.equal(voters.length, 3);
  assert.deepEqual(witnesses, [witness.server.memberId]);
  const [first, second] = members as [TestMember, TestMember];
  await assert.rejects(
    first.server.memberRemove(second.server.memberId),
    (error: unknown) =>
      error instanceof KvError && error.kv === 'tooManyWitnesses' && error.message.includes('add a full member first'),
  );
  const leader = await leaderOf([...members, witness]);
  await leader.server.memberRemove(witness.server.memberId);
  assert.equal((await first.server.members(true)).length, 2);
  await put(first, 'k-after');
});

test('one full member takes no witness', { timeout: 60_000 }, async (t) => {
  const members = await startTestMembers(1);
  t.after(() => Promise.all(members.map((member) => member.stop())));
  const peerUrls = ['http://127.0.0.1:1'];
  await assert.rejects(
    (members[0] as TestMember).member.server.memberJoin({ peerUrls, key: 'key', replaces: 0, isWitness: true }),
    /needs two full voters/,
  );
  assert.throws(
    () =>
      withWitnesses(
        [
          { name: 'a', peerUrls: ['http://a:1'] },
          { name: 'b', peerUrls: ['http://b:1'] },
        ],
        ['b'],
      ),
    /1 of 2 members.*needs two full members/,
  );
});

test('a witness compacts its log to a snapshot of members, starts from it, and stays what it is', {
  timeout: 60_000,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-witness-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const small = { snapshotEntries: 20, catchUpEntries: 5 };
  const { members, initialCluster } = await startWithWitness((name) => ({
    ...small,
    ...(name === 'm3' && { directory }),
  }));
  const [first, second, witness] = members;
  t.after(() => first.stop());
  for (let at = 0; at < 60; at += 1) await put(first, `k${at}`);
  assert.ok(witness.member.raft.counters().snapshotsTaken > 0, 'what everybody holds is put aside');
  await witness.stop();
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name === 'kv'),
    [],
  );
  for (let at = 0; at < 60; at += 1) await put(second, `k-more${at}`);
  const own = initialCluster.find(({ name }) => name === 'm3');
  const asFull = startTestMember({ name: 'm3', peerUrls: own?.peerUrls ?? [], initialCluster, directory });
  await assert.rejects(asFull, /belongs to a witness.*start it with --witness/);
  const again = await startTestMember({
    name: 'm3',
    peerUrls: own?.peerUrls ?? [],
    initialCluster,
    isWitness: true,
    directory,
    ...small,
  });
  t.after(() => again.stop());
  await again.member.server.publish();
  await second.stop();
  await put(first, 'k-last');
  assert.equal(await countOf(first), 121);
  assert.equal(again.server.status().keys, 0);
});

test('a witness without its directory is refused, and comes back as a new one with --rejoin', {
  timeout: 90_000,
}, async (t) => {
  const { members, initialCluster } = await startWithWitness();
  const [first, second, witness] = members;
  t.after(() => Promise.all([first.stop(), second.stop()]));
  await put(first, 'k');
  const own = initialCluster.find(({ name }) => name === 'm3')?.peerUrls ?? [];
  await witness.stop();
  const refused = Promise.withResolvers<string>();
  const started = { name: 'm3', peerUrls: own, initialCluster, isWitness: true };
  const wiped = await startTestMember({ ...started, onRemoved: (because) => refused.resolve(because) });
  assert.equal(await refused.promise, 'otherKey');
  await wiped.stop();
  const again = await startTestMember({ ...started, state: 'existing', rejoin: true });
  t.after(() => again.stop());
  await again.member.server.publish();
  assert.notEqual(again.server.memberId, witness.server.memberId);
  assert.deepEqual(again.server.status().raft.confState.witnesses, [again.server.memberId]);
  await second.stop();
  await put(first, 'k-after');
});

test('nobody takes the directory of a witness for data', { timeout: 60_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-witness-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const { members } = await startWithWitness((name) => (name === 'm3' ? { directory } : {}));
  await put(members[0], 'k');
  await Promise.all(members.map((member) => member.stop()));
  const env = { clock: realClock, disk: realDisk };
  const options = {
    env,
    directory,
    scratch: join(directory, 'scratch'),
    openBackend: async () => createMemoryBackend(),
  };
  await assert.rejects(
    openOffline(options),
    /belongs to a witness, which keeps a log and no data: give a full member's/,
  );
  const findings = await Array.fromAsync(verifyDirectory(options));
  assert.deepEqual(
    findings.filter(({ kind }) => kind === 'problem'),
    [],
  );
  assert.equal(findings.at(-1)?.text, 'it is a witness: it keeps no data');
});
