/** Members are known by the key of their data directory; addresses are data, and a wiped directory is somebody else. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import { realDisk } from '../../../src/env/real.ts';
import { putRequest } from '../../../src/kv/api.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { abandonIdentity } from '../../../src/kv/server/data-directory.ts';
import type { GoneBecause } from '../../../src/kv/server/member.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startTestMember, startTestMembers, type TestMember } from './test-members.ts';

async function until(what: string, isTrue: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await isTrue())) {
    assert.ok(performance.now() < end, `waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function emptyDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-identity-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** On disk: what is restarted must find its member table again. */
const openBackend = (path: string) =>
  openLevelBackend(path, {
    log: silentLog,
    onFatal: (error) => {
      throw error;
    },
  });

async function threeMembers(t: TestContext): Promise<{ readonly members: TestMember[]; readonly third: object }> {
  const members = [...(await startTestMembers(3))];
  t.after(() => Promise.all(members.map((member) => member.stop())));
  const known = await (members[0] as TestMember).server.members(true);
  const initialCluster = known.map(({ name, peerUrls }) => ({ name, peerUrls }));
  const peerUrls = initialCluster.find(({ name }) => name === 'm3')?.peerUrls ?? [];
  return { members, third: { name: 'm3', peerUrls, initialCluster } };
}

const put = (server: TestMember['server'], key: string) =>
  server.put(putRequest({ key: Buffer.from(key), value: Buffer.from(key) }));

test('every member publishes its key, and keeps it over a restart', async (t) => {
  const { members } = await threeMembers(t);
  const keys = (await (members[0] as TestMember).server.members(true)).map((member) => member.key);
  assert.equal(new Set(keys).size, 3);
  assert.ok(keys.every((key) => key !== undefined && key.length === 43));
});

test('a member that comes back with an empty disk under its old id is refused, and says why', async (t) => {
  const { members, third } = await threeMembers(t);
  await put((members[0] as TestMember).server, 'before');
  await members.pop()?.stop();
  const gone: GoneBecause[] = [];
  const wiped = await startTestMember({ ...third, onRemoved: (because) => gone.push(because) });
  members.push(wiped);
  await until('the wiped member is told', () => gone.length > 0);
  assert.deepEqual(gone, ['otherKey']);
  // Its votes and acknowledgements count for nothing: alone with it, one of the others cannot write.
  await (members[1] as TestMember).stop();
  await assert.rejects((members[0] as TestMember).server.checkQuorum(1_500));
  members.splice(1, 1);
});

test('with --rejoin a wiped member comes back as a new learner, in place of who it was', async (t) => {
  const { members, third } = await threeMembers(t);
  const [first] = members as [TestMember];
  await put(first.server, 'before');
  await members.pop()?.stop();
  const directory = await emptyDirectory(t);
  let isGone = false;
  const wiped = await startTestMember({
    ...third,
    directory,
    openBackend,
    rejoin: true,
    onRemoved: () => void (isGone = true),
  });
  await until('the wiped member is told', () => isGone);
  const oldId = wiped.server.memberId;
  await wiped.stop();
  await abandonIdentity(realDisk, directory);
  const back = await startTestMember({ ...third, directory, openBackend, rejoin: true });
  members.push(back);
  await back.member.server.publish();
  assert.notEqual(back.server.memberId, oldId);
  const list = await first.server.members(true);
  assert.ok(!list.some((member) => member.id === oldId));
  assert.equal(list.find((member) => member.id === back.server.memberId)?.isLearner, true);
  await until('it holds what was written before', () => back.server.status().keys > 0);
});

test('a member that was removed is told so by whoever it calls', async (t) => {
  const { members, third } = await threeMembers(t);
  const [first] = members as [TestMember];
  const directory = await emptyDirectory(t);
  const old = members.pop();
  const id = old?.server.memberId ?? 0;
  await old?.stop();
  await until('removing it is safe', () =>
    first.server.memberRemove(id).then(
      () => true,
      () => false,
    ),
  );
  const gone: GoneBecause[] = [];
  const back = await startTestMember({ ...third, directory, onRemoved: (because) => gone.push(because) });
  members.push(back);
  await until('it is told', () => gone.length > 0);
  assert.deepEqual(gone, ['removed']);
});

test('a member that comes back with another address tells the others, and stays a member', async (t) => {
  const ports = await freePorts(4);
  const urls = ports.map((port) => `http://127.0.0.1:${port}`) as [string, string, string, string];
  const initialCluster = [0, 1, 2].map((at) => ({ name: `m${at + 1}`, peerUrls: [urls[at] as string] }));
  const directory = await emptyDirectory(t);
  const members = await Promise.all(
    initialCluster.map(({ name, peerUrls }) =>
      startTestMember({ name, peerUrls, initialCluster, ...(name === 'm3' ? { directory, openBackend } : {}) }),
    ),
  );
  t.after(() => Promise.all(members.map((member) => member.stop())));
  await Promise.all(members.map(({ member }) => member.server.publish()));
  const [first] = members as [TestMember];
  const third = members.pop() as TestMember;
  const id = third.server.memberId;
  await third.stop();
  const moved = await startTestMember({
    name: 'm3',
    directory,
    openBackend,
    peerUrls: [urls[3]],
    initialCluster: [...initialCluster.slice(0, 2), { name: 'm3', peerUrls: [urls[3]] }],
  });
  members.push(moved);
  assert.equal(moved.server.memberId, id);
  await until('the table has the new address', async () =>
    (await first.server.members(true)).some((member) => member.id === id && member.peerUrls[0] === urls[3]),
  );
  const { revision } = await put(first.server, 'after');
  await until('it follows', () => moved.server.position().revision >= revision);
});

test('an address that is not signed with the key of the member is refused', async (t) => {
  const { members } = await threeMembers(t);
  const [first, second] = members as [TestMember, TestMember];
  const move = { memberId: second.server.memberId, peerUrls: ['http://127.0.0.1:1'], signature: 'AAAA' };
  await assert.rejects(first.server.memberMove(move), /not signed with its key/);
  await assert.rejects(first.server.memberMove({ ...move, memberId: 7 }), /member not found/);
});
