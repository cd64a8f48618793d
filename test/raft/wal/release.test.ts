/** Space given back: what a snapshot covers goes, whoever asks for it and however many at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { ConfState, Index, PersistToken, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { createWal, openWal, walIdentity } from '../../../src/raft/wal/open-wal.ts';
import type { Wal } from '../../../src/raft/wal/wal.ts';

const identity = walIdentity('00000000000000aa', '0000000000000001');
const options = (disk: SimDisk) => ({ disk, directory: '/data', segmentBytes: 1_000 });
const confState: ConfState = {
  voters: [1 as ReplicaId],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

async function append(wal: Wal, index: number): Promise<void> {
  const entry = { term: 1 as Term, index: index as Index, kind: 'normal' as const, data: new Uint8Array(100) };
  const hardState = { term: 1 as Term, vote: 1 as ReplicaId, commit: 0 as Index };
  await wal.append({ token: index as PersistToken, hardState, entries: [entry], mustSync: true });
}

async function snapshotAt(wal: Wal, index: number): Promise<void> {
  const writer = await wal.createSnapshot({ index: index as Index, term: 1 as Term, confState }, 'local');
  await writer.write(new Uint8Array(100).fill(index));
  await writer.finish();
}

// Found by the simulation (seed 287): a snapshot that was taken and one that was received had both come to their end.
test('two that give space back at once do not stumble over each other', async () => {
  const disk = new SimDisk({ random: seededRandom('release') });
  const { wal } = await createWal(options(disk), identity);
  for (let index = 1; index <= 60; index++) {
    await append(wal, index);
    if (index % 20 === 0) await snapshotAt(wal, index);
  }
  await Promise.all([wal.release(60 as Index), wal.release(60 as Index), wal.release(40 as Index)]);
  const snapshots = disk.files().filter(({ path }) => path.includes('/snap/'));
  assert.equal(snapshots.length, 2, 'the older of two stays usable');
  await wal.close();
  const { restored } = await openWal(options(disk.crash('kept')));
  assert.equal(restored.snapshot.index, 60);
});
