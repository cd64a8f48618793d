/** A member whose cluster is lost goes on as a cluster of one, with all that its log holds. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { readMemberFile } from '../../../src/kv/server/data-directory.ts';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { openOffline } from '../../../src/kv/snapshot/offline.ts';
import { rankSurvivors } from '../../../src/kv/snapshot/survivors.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startTestMember } from '../server/test-members.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-forced-'));
});

after(() => rm(directory, { recursive: true, force: true }));

const openBackend = (path: string) => openLevelBackend(path, { log: silentLog, onFatal: () => undefined });

/** Two members of one cluster, their data below `directory`. */
async function planPair(name: string) {
  const ports = await freePorts(2);
  const initialCluster = ports.map((port, index) => ({
    name: `m${index + 1}`,
    peerUrls: [`http://127.0.0.1:${port}`],
  }));
  return initialCluster.map((each) => ({
    ...each,
    initialCluster,
    directory: join(directory, `${name}-${each.name}`),
    openBackend,
  }));
}

const put = (number: number) => putRequest({ key: Buffer.from(`key ${number}`), value: Buffer.from('value') });
const all = rangeRequest({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) });

test('with its other member gone for good it is forced on, once, and keeps everything', async () => {
  const [own, other] = await planPair('forced');
  assert.ok(own && other);
  const [survivor, lost] = await Promise.all([startTestMember(own), startTestMember(other)]);
  await Promise.all([survivor.member.server.publish(), lost.member.server.publish()]);
  for (let number = 1; number <= 20; number++) await survivor.server.put(put(number));
  const { clusterId, memberId } = survivor.server;
  await Promise.all([survivor.stop(), lost.stop()]);

  const forced = await startTestMember({ ...own, forceNewCluster: true });
  await forced.member.server.publish();
  assert.equal((await forced.server.range(all)).count, 20);
  assert.equal((await forced.server.members(true)).length, 1);
  assert.notEqual(forced.server.clusterId, clusterId, 'members of the old cluster are strangers to it');
  assert.notEqual(forced.server.memberId, memberId);
  await forced.server.put(put(21));
  await forced.stop();
  const made = await readMemberFile(realDisk, own.directory);

  const again = await startTestMember({ ...own, forceNewCluster: true });
  await again.member.server.publish();
  assert.equal((await again.server.range(all)).count, 21);
  assert.equal(again.server.clusterId, forced.server.clusterId, 'a member that is alone is not forced again');
  await again.stop();
  assert.deepEqual(await readMemberFile(realDisk, own.directory), made);
  const left = (await readdir(directory)).filter((name) => name.startsWith('forced-m1'));
  assert.equal(left.length, 2, `the old data is set aside, nothing else is left: ${left.join(', ')}`);
});

test('a log that lies apart goes the same way, and stays where it was wanted', async () => {
  const [own, other] = await planPair('apart');
  assert.ok(own && other);
  const logDirectory = join(directory, 'logs', 'apart-m1');
  // As at the root of a file system of its own.
  await mkdir(join(logDirectory, 'lost+found'), { recursive: true });
  const apart = { ...own, logDirectory };
  const [survivor, lost] = await Promise.all([startTestMember(apart), startTestMember(other)]);
  await Promise.all([survivor.member.server.publish(), lost.member.server.publish()]);
  for (let number = 1; number <= 20; number++) await survivor.server.put(put(number));
  const { clusterId } = survivor.server;
  await Promise.all([survivor.stop(), lost.stop()]);

  const forced = await startTestMember({ ...apart, forceNewCluster: true });
  await forced.member.server.publish();
  assert.equal((await forced.server.range(all)).count, 20);
  assert.notEqual(forced.server.clusterId, clusterId);
  await forced.server.put(put(21));
  await forced.stop();
  assert.equal((await readdir(own.directory)).includes('raft'), false, 'no log beside the data');
  const names = (await readdir(logDirectory)).map((name) => name.replace(/-.*/, ''));
  assert.deepEqual(names.sort(), ['before', 'lost+found', 'snap', 'wal']);

  const again = await startTestMember(apart);
  await again.member.server.publish();
  assert.equal((await again.server.range(all)).count, 21);
  await again.stop();
  // The old one is whole, from where both parts are now.
  const [aside] = (await readdir(directory)).filter((name) => name.startsWith('apart-m1.before-'));
  const [asideLog] = (await readdir(logDirectory)).filter((name) => name.startsWith('before-'));
  const old = await openOffline({
    env: { clock: realClock, disk: realDisk },
    directory: join(directory, aside as string),
    logDirectory: join(logDirectory, asideLog as string),
    scratch: join(directory, 'scratch'),
    openBackend,
    takeAll: true,
  });
  assert.equal(old.file.clusterId, clusterId);
  assert.equal(old.kv.revision(), 21);
  await old.close();
});

test('an empty directory is begun as always', async () => {
  const [port] = (await freePorts(1)) as [number];
  const peerUrls = [`http://127.0.0.1:${port}`];
  const initialCluster = [{ name: 'm1', peerUrls }];
  const empty = { peerUrls, initialCluster, directory: join(directory, 'empty'), openBackend, forceNewCluster: true };
  const member = await startTestMember(empty);
  await member.member.server.publish();
  await member.server.put(put(1));
  await member.stop();
});

test('the survivor that Raft would elect comes first', () => {
  const survivor = (place: string, lastTerm: number, lastIndex: number) => {
    return { place, clusterId: 1, memberId: Number(place), lastTerm, lastIndex, revision: 1 };
  };
  const ranked = rankSurvivors([
    survivor('1', 2, 900),
    survivor('2', 3, 10),
    survivor('3', 3, 12),
    survivor('4', 3, 12),
  ]);
  assert.deepEqual(
    ranked.map(({ place }) => place),
    ['3', '4', '2', '1'],
  );
});
