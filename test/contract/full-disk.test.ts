/**
 * A real member on a file system that really fills up (a tmpfs, which takes root to mount): alarm, reads and deletes go on,
 * and it ends by itself. Then the same without warning: nothing left at once, a kill, and a start on the full disk.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { realClock } from '../../src/env/real.ts';
import { createKvClient, type KvClient, KvError } from '../../src/kv/index.ts';
import { type StoreCluster, startStoreCluster } from './store-processes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const isRoot = process.getuid?.() === 0;
const mebibyte = 1024 * 1024;
const diskBytes = 256 * mebibyte;
/** The alarm clears after half a minute of good checks; on a busy machine each of them takes its time. */
const takenAgainMs = 150_000;

async function until<T>(what: string, limitMs: number, ask: () => Promise<T | undefined>): Promise<T> {
  const lateAtMs = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    assert.ok(performance.now() < lateAtMs, `${what} within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

describe('a disk that fills up', { skip: isRoot ? false : 'mounting a file system takes root' }, () => {
  let mount: string;
  let cluster: StoreCluster;
  let client: KvClient;
  before(async () => {
    mount = await mkdtemp(join(tmpdir(), 'keelson-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', mount]);
    cluster = await startStoreCluster({ kind: 'keelson', count: 1, parentDirectory: mount });
    client = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
  });
  after(async () => {
    client?.close();
    await cluster?.stop();
    execFileSync('umount', [mount]);
    await rm(mount, { recursive: true });
  });

  const put = (key: string) =>
    client.put({ key: bytes(key), value: bytes('x'.repeat(1000)) }).then(
      () => 'stored',
      (error: unknown) => (error instanceof KvError ? error.kv : String(error)),
    );
  const freeBytes = async () => {
    const stats = await statfs(mount);
    return stats.bavail * stats.bsize;
  };
  const fill = async (leaveBytes: number) => {
    const file = await open(join(mount, 'filler'), 'a');
    try {
      for (let free = await freeBytes(); free > leaveBytes; free = await freeBytes()) {
        await file.write(Buffer.alloc(Math.min(mebibyte, free - leaveBytes)));
      }
    } finally {
      await file.close();
    }
  };
  const isStored = async (key: string) => ((await put(key)) === 'stored' ? true : undefined);
  const isRefused = async (key: string) => ((await put(key)) === 'noSpace' ? true : undefined);

  test('with a warning: writes are refused, reads and deletes served, and it ends by itself', async () => {
    for (let key = 0; key < 100; key++) assert.equal(await put(`before ${key}`), 'stored');
    const reserve = join(cluster.members[0]?.directory ?? '', 'reserve');
    await until('the reserve is made', 30_000, async () => {
      const size = await stat(reserve).then(
        (found) => found.size,
        () => 0,
      );
      return size === diskBytes / 16 ? true : undefined;
    });
    await fill(8 * mebibyte);
    await until('writes are refused', 20_000, () => isRefused('meanwhile'));
    const { kvs } = await client.range({ key: bytes('before'), rangeEnd: bytes('beforf') });
    assert.equal(kvs.length, 100);
    const { deleted } = await client.deleteRange(bytes('before 0'), new Uint8Array(0));
    assert.equal(deleted, 1);
    await rm(join(mount, 'filler'));
    await until('writes are taken again', takenAgainMs, () => isStored('after'));
  });

  test('without a warning: what was acknowledged is there after a kill and a start on the full disk', async () => {
    const [member] = cluster.members;
    assert.ok(member);
    await fill(0);
    let stored = 0;
    // The log has room for a while: in its reserve.
    for (; stored < 3000; stored++) if ((await put(`full ${stored}`)) !== 'stored') break;
    assert.ok(stored > 0, 'the reserve takes some');
    await member.end('SIGKILL');
    await member.start();
    const { kvs } = await client.range({ key: bytes('full'), rangeEnd: bytes('fulm') });
    assert.ok(kvs.length >= stored, `${stored} were acknowledged, ${kvs.length} are there`);
    await until('writes are refused', 20_000, () => isRefused('meanwhile'));
    await client.deleteRange(bytes('full'), bytes('fulm'));
    await rm(join(mount, 'filler'));
    await until('writes are taken again', takenAgainMs, () => isStored('after'));
  });
});
