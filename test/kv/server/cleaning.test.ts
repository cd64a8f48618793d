/** Cleaning up after a compaction: in the steps that were asked for, and across a restart. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sleep } from '../../../src/env/clock.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { putRequest } from '../../../src/kv/api.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import type { Cleaning } from '../../../src/kv/server/contract.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startTestMember } from './test-members.ts';

test('a compaction that a stop interrupts between two steps is cleaned up after the next start', async (context) => {
  const parent = await mkdtemp(join(tmpdir(), 'keelson-cleaning-'));
  context.after(() => rm(parent, { recursive: true, force: true }));
  const [port] = (await freePorts(1)) as [number];
  const peerUrls = [`http://127.0.0.1:${port}`];
  const start = (cleaning?: Cleaning) =>
    startTestMember({
      directory: join(parent, 'data'),
      name: 'm1',
      peerUrls,
      initialCluster: [{ name: 'm1', peerUrls }],
      openBackend: (path) =>
        openLevelBackend(path, { onFatal: (error) => assert.fail(error), log: silentLog, disk: realDisk }),
      ...(cleaning ? { cleaning } : {}),
    });
  const first = await start({ writesMax: 1, pauseMs: 3_600_000 });
  // Five keys at revisions 2 to 6, and again at 7 to 11.
  for (let count = 0; count < 10; count++) {
    await first.server.put(putRequest({ key: Uint8Array.of(97 + (count % 5)), value: Uint8Array.of(count) }));
  }
  await first.server.compact(11, false);
  assert.equal(first.server.timings().compactedAtSeconds, 0, 'the second of ten steps is an hour away');
  // Does not wait for that hour.
  await first.stop();
  const second = await start();
  context.after(() => second.stop());
  for (let rounds = 0; second.server.timings().compactedAtSeconds === 0; rounds++) {
    assert.ok(rounds < 1000, 'what was left is cleaned up');
    await sleep(realClock, 10);
  }
  assert.equal(second.server.timings().rowsCleaned, 4);
});
