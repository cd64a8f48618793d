/** Members of a cluster that was lost and recovered without them: they hear of it, and join the new one as new members. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import { realDisk } from '../../../src/env/real.ts';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { abandonIdentity } from '../../../src/kv/server/data-directory.ts';
import type { GoneBecause } from '../../../src/kv/server/member.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startTestMember } from '../server/test-members.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-rejoin-'));
});

after(() => rm(directory, { recursive: true, force: true }));

const openBackend = (path: string) => openLevelBackend(path, { log: silentLog, onFatal: () => undefined });
const all = rangeRequest({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) });

test('a member of the lost cluster hears that another one succeeds it, and joins that as a new member', async () => {
  const ports = await freePorts(2);
  const initialCluster = ports.map((port, index) => ({
    name: `m${index + 1}`,
    peerUrls: [`http://127.0.0.1:${port}`],
  }));
  const [own, other] = initialCluster.map((each) => ({
    ...each,
    initialCluster,
    directory: join(directory, each.name),
    openBackend,
  }));
  assert.ok(own && other);
  const [survivor, lost] = await Promise.all([startTestMember(own), startTestMember(other)]);
  await Promise.all([survivor.member.server.publish(), lost.member.server.publish()]);
  for (let number = 1; number <= 5; number++) {
    await survivor.server.put(putRequest({ key: Buffer.from(`key ${number}`), value: Buffer.from('value') }));
  }
  await Promise.all([survivor.stop(), lost.stop()]);

  const forced = await startTestMember({ ...own, forceNewCluster: true });
  await forced.member.server.publish();
  const gone = Promise.withResolvers<GoneBecause>();
  const returning = await startTestMember({ ...other, onRemoved: (because) => gone.resolve(because) });
  assert.equal(await gone.promise, 'succeeded');
  const oldId = returning.server.memberId;
  await returning.stop();

  // What `keelson store --rejoin` does when a member is gone.
  await abandonIdentity(realDisk, other.directory);
  const rejoined = await startTestMember({ ...other, rejoin: true });
  await rejoined.member.server.publish();
  assert.notEqual(rejoined.server.memberId, oldId);
  assert.equal(rejoined.server.clusterId, forced.server.clusterId);
  assert.equal((await rejoined.server.range({ ...all, serializable: true })).count, 5);
  assert.equal((await forced.server.members(true)).length, 2);
  await rejoined.stop();
  await forced.stop();
});
