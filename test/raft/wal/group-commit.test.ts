import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk, type SimDiskOptions } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { KeelsonError } from '../../../src/env/errors.ts';
import type { HardState, Index, PersistToken, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { mintDurable, openSealed } from '../../../src/raft/wal/durable.ts';
import { createWal, openWal, walIdentity } from '../../../src/raft/wal/open-wal.ts';
import type { Wal } from '../../../src/raft/wal/wal.ts';

const identity = walIdentity('00000000000000aa', '0000000000000001');
const options = (disk: SimDisk) => ({ disk, directory: '/data', segmentBytes: 1 << 20 });
const state = (term: number, commit = 0): HardState => ({
  term: term as Term,
  vote: 1 as ReplicaId,
  commit: commit as Index,
});

async function newLog(diskOptions: Partial<SimDiskOptions> = {}): Promise<{ disk: SimDisk; wal: Wal }> {
  const disk = new SimDisk({ random: seededRandom('group'), ...diskOptions });
  return { disk, wal: (await createWal(options(disk), identity)).wal };
}

function append(wal: Wal, index: number, term = 1) {
  const entry = { term: term as Term, index: index as Index, kind: 'normal' as const, data: new Uint8Array(10) };
  return wal.append({ token: index as PersistToken, hardState: state(term), entries: [entry], mustSync: true });
}

test('appends that arrive while a sync runs share the next one, and are answered in order', async () => {
  const { wal } = await newLog();
  const order: number[] = [];
  const appends = Array.from({ length: 100 }, (_, at) => append(wal, at + 1).then(({ token }) => order.push(token)));
  await Promise.all(appends);
  assert.equal(wal.stats().syncs, 2);
  assert.deepEqual(
    order,
    Array.from({ length: 100 }, (_, at) => at + 1),
  );
});

test('a moved commit index needs no sync of its own, waits its turn, and is there after a clean close', async () => {
  const { disk, wal } = await newLog();
  const first = append(wal, 1);
  const order: string[] = [];
  void first.then(() => order.push('entry'));
  await wal
    .append({ token: 2 as PersistToken, hardState: state(1, 1), entries: [], mustSync: false })
    .then(() => order.push('commit'));
  assert.deepEqual(order, ['entry', 'commit']);
  assert.equal(wal.stats().syncs, 1);
  await wal.close();
  const again = await openWal(options(disk.crash('lost')));
  assert.equal(again.restored.hardState.commit, 1);
});

test('after a failed sync everything rejects, also what comes later, and nothing more is written', async () => {
  let isBroken = false;
  const { disk, wal } = await newLog({
    onOperation: ({ kind }) => (isBroken && kind === 'dataSync' ? { kind: 'error', code: 'EIO' } : undefined),
  });
  await append(wal, 1);
  isBroken = true;
  const failed = (error: unknown) => (error as KeelsonError).code === 'WAL_SYNC_FAILED';
  await Promise.all([assert.rejects(append(wal, 2), failed), assert.rejects(append(wal, 3), failed)]);
  isBroken = false;
  const operations = disk.operationCount;
  await assert.rejects(append(wal, 4), failed);
  assert.equal(disk.operationCount, operations);
  await wal.close();
  const again = await openWal(options(disk.crash('kept')));
  assert.equal(again.restored.entries.length, 1);
});

test('what a restarted process finds after a failed sync is made durable before it counts', async () => {
  let isBroken = false;
  const { disk, wal } = await newLog({
    onOperation: ({ kind }) => (isBroken && kind === 'dataSync' ? { kind: 'error', code: 'EIO' } : undefined),
  });
  await append(wal, 1);
  isBroken = true;
  await assert.rejects(append(wal, 2));
  isBroken = false;
  // The process starts again on the same running machine: the page cache still shows entry 2, but it is not on disk.
  const second = await openWal(options(disk));
  assert.equal(second.restored.entries.length, 2);
  const third = await openWal(options(disk.crash('lost')));
  assert.equal(third.restored.entries.length, 2);
});

test('a full disk has a code of its own, and what did not fit is cut at the next start', async () => {
  const { disk, wal } = await newLog({ capacityBytes: 1200 });
  await append(wal, 1);
  const entry = { term: 1 as Term, index: 2 as Index, kind: 'normal' as const, data: new Uint8Array(2000).fill(1) };
  const large = wal.append({ token: 2 as PersistToken, entries: [entry], mustSync: true });
  await assert.rejects(large, (error) => (error as KeelsonError).code === 'NO_SPACE');
  const again = await openWal(options(disk.crash('kept', { capacityBytes: 1 << 24 })));
  assert.equal(again.restored.entries.length, 1);
  assert.ok(again.cutBytes > 0);
});

test('a full disk makes appends wait until space is given, and a half written record is never taken for a whole one', async () => {
  const disk = new SimDisk({ random: seededRandom('space'), capacityBytes: 4 << 20 });
  const filler = await disk.open('/filler', 'create');
  let asked = 0;
  const giveSpace = async () => {
    asked += 1;
    if (asked === 3) await disk.remove('/filler');
    return true;
  };
  const { wal } = await createWal({ ...options(disk), giveSpace }, identity);
  await append(wal, 1);
  await filler.write(0, [new Uint8Array((await disk.freeBytes('/')) - 1000)]);
  const data = new Uint8Array(3000).fill(9);
  const entry = { term: 1 as Term, index: 2 as Index, kind: 'normal' as const, data };
  const proof = wal.append({ token: 2 as PersistToken, entries: [entry], mustSync: true });
  await Promise.all([proof, append(wal, 3)]);
  assert.equal(asked, 3);
  const again = await openWal(options(disk.crash('lost')));
  assert.deepEqual([again.restored.entries.length, again.cutBytes, again.damage], [3, 0, []]);
});

test('a segment cut on a full disk waits too', async () => {
  const disk = new SimDisk({ random: seededRandom('cut'), capacityBytes: 60_000 });
  let asked = 0;
  const filler = await disk.open('/filler', 'create');
  const giveSpace = async () => {
    asked += 1;
    if (asked === 2) await disk.remove('/filler');
    return true;
  };
  const { wal } = await createWal({ disk, directory: '/data', segmentBytes: 8192, giveSpace }, identity);
  await filler.write(0, [new Uint8Array(50_000)]);
  for (let index = 1; index <= 30; index++) {
    const entry = {
      term: 1 as Term,
      index: index as Index,
      kind: 'normal' as const,
      data: new Uint8Array(900).fill(3),
    };
    await wal.append({ token: index as PersistToken, hardState: state(1), entries: [entry], mustSync: true });
  }
  assert.ok(asked >= 2 && wal.stats().segments >= 3);
  const again = await openWal(options(disk.crash('lost')));
  assert.equal(again.restored.entries.length, 30);
});

test('a step back in term, a second vote and a gap are bugs that stop the caller', async () => {
  const { wal } = await newLog();
  await append(wal, 1, 5);
  const persist = { token: 9 as PersistToken, entries: [], mustSync: true };
  assert.throws(() => wal.append({ ...persist, hardState: state(4) }), /never goes back/);
  assert.throws(
    () => wal.append({ ...persist, token: 10 as PersistToken, hardState: { ...state(5), vote: 2 as ReplicaId } }),
    /vote is not taken back/,
  );
  assert.throws(() => append(wal, 30, 5), /leaves a gap/);
});

test('a seal opens only with a proof from a sync that covers it', async () => {
  const { wal } = await newLog();
  const proof = await append(wal, 1);
  const sealed = { token: 1 as PersistToken, sealedMessages: [] };
  assert.deepEqual(openSealed(sealed, proof), []);
  assert.throws(() => openSealed({ ...sealed, token: 2 as PersistToken }, proof), /only 1 is durable/);
  assert.throws(() => openSealed(sealed, { token: 5 as PersistToken }), /comes from the WAL/);
  assert.equal(mintDurable(3 as PersistToken).token, 3);
});
