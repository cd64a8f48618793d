/** A member on a disk whose sync fails: it stops with code and message, and answers nothing that it cannot keep. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Disk, DiskError, type DiskFile, fileOver } from '../../../src/env/disk.ts';
import type { KeelsonError } from '../../../src/env/errors.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk, realRandom } from '../../../src/env/real.ts';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startTestMember } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const put = (key: string) => putRequest({ key: bytes(key), value: bytes('kept') });

/** The real disk; syncs of the log fail from `break` on. */
function breakableDisk() {
  let isBroken = false;
  const wrap = (file: DiskFile): DiskFile =>
    fileOver(file, {
      dataSync: () =>
        isBroken && file.path.endsWith('.wal')
          ? Promise.reject(new DiskError('EIO', 'fdatasync', file.path))
          : file.dataSync(),
    });
  const disk: Disk = { ...realDisk, open: async (path, mode) => wrap(await realDisk.open(path, mode)) };
  return {
    disk,
    break: () => {
      isBroken = true;
    },
  };
}

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-failing-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('a failed sync of the log stops the member; what it had acknowledged is there at the next start', async (context) => {
  const directory = await temporaryDirectory(context);
  const [port] = (await freePorts(1)) as [number];
  const peerUrls = [`http://127.0.0.1:${port}`];
  const fatal = Promise.withResolvers<Error>();
  const { disk, break: breakDisk } = breakableDisk();
  const same = { directory, name: 'm1', peerUrls, initialCluster: [{ name: 'm1', peerUrls }] };
  const env = { clock: realClock, random: realRandom, log: silentLog };
  const first = await startTestMember({ ...same, env: { ...env, disk }, onFatal: fatal.resolve });
  await first.server.put(put('before'));
  breakDisk();
  let isAnswered = false;
  const second = first.server.put(put('after')).then(
    () => {
      isAnswered = true;
    },
    () => undefined,
  );
  const error = (await fatal.promise) as KeelsonError;
  assert.equal(error.code, 'WAL_SYNC_FAILED');
  assert.match(
    error.message,
    /write log segment .*\.wal: fdatasync .*: EIO.*this member stops: check the disk, then start again/,
  );
  assert.equal(isAnswered, false);
  await first.stop();
  await second;
  assert.equal(isAnswered, false, 'it never was');
  const again = await startTestMember({ ...same, env: { ...env, disk: realDisk } });
  const { count } = await again.server.range(rangeRequest({ key: bytes('before') }));
  assert.equal(count, 1);
  await again.stop();
});
