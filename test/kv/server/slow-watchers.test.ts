/** A thousand watchers that stop reading: a writer goes on, and the member keeps nothing for each of them. */
import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect } from 'node:http2';
import { after, before, test } from 'node:test';
import { putRequest } from '../../../src/kv/api.ts';
import { startTestMembers, type TestMember } from './test-members.ts';

const watchers = 1_000;
const watchersPerConnection = 50;
const writes = 160;
const writeBytes = 64 * 1024;
/** A busy machine alone takes less; a writer that waited for readers would never come back. */
const writeMsMax = 10_000;
/**
 * Kept for each it would be 10 GB. What they were told before they were slow they share; measured are 160 MB, with the log,
 * the rows and the client's end, which are in this process, too.
 */
const growthBytesMax = 350 * 1024 * 1024;

let member: TestMember;
const sessions: ClientHttp2Session[] = [];

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
});
after(async () => {
  for (const session of sessions) session.destroy();
  await member.stop();
});

/** WatchRequest{create_request{key "slow/", range_end "slow0"}} as a gRPC message. */
function watchRequest(): Buffer {
  const field = (number: number, content: Uint8Array) =>
    Buffer.concat([Buffer.of((number << 3) | 2, content.length), content]);
  const request = field(1, Buffer.concat([field(1, Buffer.from('slow/')), field(2, Buffer.from('slow0'))]));
  return Buffer.concat([Buffer.of(0, 0, 0, 0, request.length), request]);
}

function watchWithoutReading(session: ClientHttp2Session): Promise<void> {
  const call = session.request({
    ':method': 'POST',
    ':path': '/etcdserverpb.Watch/Watch',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.write(watchRequest());
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', () => {
      call.pause();
      resolve();
    });
  });
}

test('a thousand watchers that read nothing cost a writer its time to tell them once, and no memory for each', async () => {
  for (let count = 0; count < watchers; count += watchersPerConnection) {
    const session = connect(member.endpoint);
    session.on('error', () => undefined);
    sessions.push(session);
    await Promise.all(Array.from({ length: watchersPerConnection }, () => watchWithoutReading(session)));
  }
  const bytesBefore = process.memoryUsage().rss;
  for (let count = 0; count < writes; count++) {
    const startedMs = performance.now();
    const value = Buffer.alloc(writeBytes, count);
    await member.server.put(putRequest({ key: Buffer.from(`slow/${count % 2}`), value }));
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < writeMsMax, `write ${count} took ${tookMs} ms`);
  }
  const grownBytes = process.memoryUsage().rss - bytesBefore;
  assert.ok(grownBytes < growthBytesMax, `${Math.round(grownBytes / 1024 / 1024)} MB more`);
  assert.equal(member.server.status().watchers, watchers);
});
