/** The lock of a data directory, on the real disk: exclusive, and gone with its process however that ended. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { SimDisk } from '../../chaos/sim/disk.ts';
import { seededRandom } from '../../chaos/sim/random.ts';
import { realDisk } from '../../src/env/real.ts';

const program = `
import { realDisk } from ${JSON.stringify(new URL('../../src/env/real.ts', import.meta.url).href)};
await realDisk.lock(process.argv[1]);
process.stdout.write('locked');
setInterval(() => undefined, 1000);
`;

async function temporaryFile(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-lock-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'LOCK');
}

test('a lock keeps a second holder out, in the same process too, until it is given back', async (context) => {
  const path = await temporaryFile(context);
  const lock = await realDisk.lock(path);
  await assert.rejects(realDisk.lock(path), { code: 'EBUSY', operation: 'lock' });
  await lock.release();
  await lock.release();
  const again = await realDisk.lock(path);
  assert.equal((await stat(path)).size, 0, 'nothing is written to it');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, '..')), ['LOCK']);
  await again.release();
});

test('a lock ends with its process, killed or not', async (context) => {
  const path = await temporaryFile(context);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program, path],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  context.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  await assert.rejects(realDisk.lock(path), { code: 'EBUSY' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await realDisk.lock(path);
  await lock.release();
  assert.deepEqual(await readdir(join(path, '..')), ['LOCK'], 'a killed holder leaves nothing else behind');
});

test('a lock of the simulated disk ends with a crash', async () => {
  const disk = new SimDisk({ random: seededRandom('lock') });
  await disk.makeDirectory('/data');
  const lock = await disk.lock('/data/LOCK');
  await assert.rejects(disk.lock('/data/LOCK'), { code: 'EBUSY' });
  await lock.release();
  await disk.lock('/data/LOCK');
  await disk.syncDirectory('/');
  const after = disk.crash('kept');
  await after.lock('/data/LOCK');
});
