/** Who may look into a data directory, and who may use it at the same time. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import { realDisk } from '../../../src/env/real.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { abandonIdentity } from '../../../src/kv/server/data-directory.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startTestMember } from './test-members.ts';

test('only the owner can read what a member writes, and a second member is kept out until the first has stopped', async (context) => {
  const parent = await mkdtemp(join(tmpdir(), 'keelson-modes-'));
  context.after(() => rm(parent, { recursive: true, force: true }));
  const directory = join(parent, 'data');
  const [port] = (await freePorts(1)) as [number];
  const peerUrls = [`http://127.0.0.1:${port}`];
  const openBackend = (path: string) =>
    openLevelBackend(path, { onFatal: (error) => assert.fail(error), log: silentLog, disk: realDisk });
  const options = { directory, name: 'm1', peerUrls, initialCluster: [{ name: 'm1', peerUrls }], openBackend };
  const first = await startTestMember(options);
  const modes = new Map<string, number>();
  for (const name of ['.', ...(await readdir(directory, { recursive: true }))]) {
    modes.set(name, (await stat(join(directory, name))).mode & 0o777);
  }
  for (const name of ['.', 'raft', 'raft/wal', 'raft/snap', 'kv']) assert.equal(modes.get(name), 0o700, name);
  for (const [name, mode] of modes) {
    // LevelDB makes its files itself; nobody else gets into their directory.
    if (/\.(wal|json)$|LOCK$|newest$/.test(name) && !name.startsWith('kv/')) assert.equal(mode, 0o600, name);
  }
  await assert.rejects(startTestMember(options), { code: 'DATA_IN_USE' });
  await first.stop();
  const second = await startTestMember(options);
  await second.stop();
});

test('a directory whose log is gone is not begun anew: its votes are gone with it', async (context) => {
  const parent = await mkdtemp(join(tmpdir(), 'keelson-gone-'));
  context.after(() => rm(parent, { recursive: true, force: true }));
  const directory = join(parent, 'data');
  const [port] = (await freePorts(1)) as [number];
  const peerUrls = [`http://127.0.0.1:${port}`];
  const options = { directory, name: 'm1', peerUrls, initialCluster: [{ name: 'm1', peerUrls }] };
  const first = await startTestMember(options);
  await first.stop();
  await rm(join(directory, 'raft'), { recursive: true });
  await rm(join(directory, 'kv'), { recursive: true });
  await assert.rejects(startTestMember(options), { code: 'LOG_MISSING', message: /--rejoin/ });
});

test('an identity is given up although a crash left parts of it in both places', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-aside-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const memberId = 0x2a;
  await writeFile(join(directory, 'abandoned.json'), JSON.stringify({ memberId }));
  for (const place of [directory, join(directory, 'abandoned-2a')]) {
    await mkdir(join(place, 'raft', 'wal'), { recursive: true });
    await writeFile(join(place, 'raft', 'wal', 'segment'), place);
  }
  await abandonIdentity(realDisk, directory);
  assert.deepEqual((await readdir(join(directory, 'abandoned-2a'))).sort(), ['raft', 'raft.2']);
  assert.ok(!(await readdir(directory)).includes('raft'));
});
