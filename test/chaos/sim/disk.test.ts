import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CrashPolicy, SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { DiskError } from '../../../src/env/disk.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const policies: CrashPolicy[] = ['kept', 'lost', 'torn', 'random'];

async function diskWithFile(options: Partial<ConstructorParameters<typeof SimDisk>[0]> = {}) {
  const disk = new SimDisk({ random: seededRandom(1), ...options });
  await disk.makeDirectory('/data');
  await disk.syncDirectory('/');
  const file = await disk.open('/data/file', 'create');
  await disk.syncDirectory('/data');
  return { disk, file };
}

test('synced data and names survive every crash', async () => {
  for (const policy of policies) {
    const { disk, file } = await diskWithFile();
    await file.write(0, [text('hello '), text('world')]);
    await file.dataSync();
    const after = disk.crash(policy);
    assert.equal(new TextDecoder().decode(await after.readFile('/data/file')), 'hello world');
  }
});

test('unsynced data is kept, lost or torn as the policy says', async () => {
  const crashWith = async (policy: CrashPolicy) => {
    const { disk, file } = await diskWithFile();
    await file.write(0, [new Uint8Array(2048).fill(1)]);
    await file.dataSync();
    await file.write(0, [new Uint8Array(2048).fill(2)]);
    return disk.crash(policy).readFile('/data/file');
  };
  assert.deepEqual(new Set(await crashWith('kept')), new Set([2]));
  assert.deepEqual(new Set(await crashWith('lost')), new Set([1]));
  assert.deepEqual(new Set(await crashWith('torn')), new Set([1, 2]));
});

test('a file without a synced directory entry can be gone, although its data was synced', async () => {
  const disk = new SimDisk({ random: seededRandom(2) });
  const file = await disk.open('/loose', 'create');
  await file.write(0, [text('x')]);
  await file.dataSync();
  assert.equal(await disk.crash('lost').exists('/loose'), false);
});

test('a rename is one change: before or after, never both names and never none', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { disk } = await diskWithFile();
    await disk.rename('/data/file', '/data/other');
    const names = await disk.crash('random', { random: seededRandom(seed) }).list('/data');
    assert.equal(names.length, 1);
  }
});

test('a failed sync keeps showing the data and loses it at the crash, even after a later good sync', async () => {
  let failures = 1;
  const { disk, file } = await diskWithFile({
    onOperation: (operation) =>
      operation.kind === 'dataSync' && failures-- > 0 ? { kind: 'error', code: 'EIO' } : undefined,
  });
  await file.write(0, [new Uint8Array(512).fill(7)]);
  await assert.rejects(file.dataSync(), (error) => error instanceof DiskError && error.code === 'EIO');
  await file.dataSync();
  assert.equal((await disk.readFile('/data/file'))[0], 7);
  assert.equal((await disk.crash('kept').readFile('/data/file')).length, 0);
});

test('writing again after a failed sync and syncing makes the sector whole', async () => {
  let failures = 1;
  const { disk, file } = await diskWithFile({
    onOperation: (operation) =>
      operation.kind === 'dataSync' && failures-- > 0 ? { kind: 'error', code: 'EIO' } : undefined,
  });
  await file.write(0, [new Uint8Array(512).fill(7)]);
  await assert.rejects(file.dataSync());
  await file.write(0, [new Uint8Array(1024).fill(8)]);
  await file.dataSync();
  assert.deepEqual(new Set(await disk.crash('lost').readFile('/data/file')), new Set([8]));
});

test('a full disk takes what fits and says ENOSPC', async () => {
  const { disk, file } = await diskWithFile({ capacityBytes: 1000 });
  await file.write(0, [new Uint8Array(900)]);
  assert.equal(await disk.freeBytes('/data'), 100);
  await assert.rejects(file.write(900, [new Uint8Array(200)]), (error) => (error as DiskError).code === 'ENOSPC');
  assert.equal(await file.size(), 1000);
  await disk.remove('/data/file');
  assert.equal(await disk.freeBytes('/data'), 1000);
});

test('a stop leaves everything under way unsettled; the old handles fail after the crash', async () => {
  let stopAt = Number.POSITIVE_INFINITY;
  const { disk, file } = await diskWithFile({
    onOperation: (operation) => (operation.sequence === stopAt ? { kind: 'stop' } : undefined),
  });
  stopAt = disk.operationCount + 2;
  await file.write(0, [text('a')]);
  let isSettled = false;
  void file.dataSync().finally(() => {
    isSettled = true;
  });
  await disk.stopped;
  assert.equal(isSettled, false);
  const after = disk.crash('lost', { onOperation: () => undefined });
  await assert.rejects(file.size(), (error) => (error as DiskError).code === 'EIO');
  assert.equal((await after.readFile('/data/file')).length, 0);
});

test('the same seed gives the same crash', async () => {
  const run = async () => {
    const { disk, file } = await diskWithFile();
    for (let round = 0; round < 20; round++) {
      await file.write(round * 300, [seededRandom(round).bytes(700)]);
      if (round % 7 === 3) await file.dataSync();
    }
    return disk.crash('random', { random: seededRandom('crash') }).readFile('/data/file');
  };
  assert.deepEqual(await run(), await run());
});
