/** Files of a log that somebody else wrote over: a start opens what is left or refuses with one line, whatever the bytes are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { KeelsonError } from '../../../src/env/errors.ts';
import type { Entry, Index, PersistToken, ReplicaId, Term } from '../../../src/raft/core/types.ts';
import { createWal, openWal, walIdentity } from '../../../src/raft/wal/open-wal.ts';
import { readWal } from '../../../src/raft/wal/read-wal.ts';
import { confState } from '../../contract/wal-workload.ts';
import { mutated } from '../../support/random-messages.ts';

const directory = '/data';
const options = (disk: SimDisk) => ({ disk, directory, segmentBytes: 1500 });
const entriesMax = 24;
const seeds = 500;
/** A whole start reads some kilobytes; this is for a busy machine, and still far from an endless loop. */
const openMsMax = 5_000;

type Files = ReadonlyMap<string, Uint8Array>;

async function write(): Promise<Files> {
  const disk = new SimDisk({ random: seededRandom('mutated files') });
  const { wal } = await createWal(options(disk), walIdentity('00000000000000aa', '0000000000000001'), { confState });
  for (let index = 1; index <= entriesMax; index++) {
    const entry: Entry = {
      term: 1 as Term,
      index: index as Index,
      kind: 'normal',
      data: new Uint8Array(120).fill(index),
    };
    const hardState = { term: 1 as Term, vote: 1 as ReplicaId, commit: (index - 1) as Index };
    await wal.append({ token: index as PersistToken, hardState, entries: [entry], mustSync: true });
    if (index !== 8 && index !== 16) continue;
    const writer = await wal.createSnapshot({ index: index as Index, term: 1 as Term, confState }, 'local');
    await writer.write(new Uint8Array(700).fill(index));
    await writer.finish();
  }
  await wal.close();
  const files = new Map<string, Uint8Array>();
  for (const { path } of disk.files()) files.set(path, await disk.readFile(path));
  return files;
}

async function diskWith(files: Files, seed: number): Promise<SimDisk> {
  const disk = new SimDisk({ random: seededRandom(seed) });
  for (const [path, bytes] of files) {
    const parts = path.split('/');
    for (let depth = 2; depth < parts.length; depth++) await disk.makeDirectory(parts.slice(0, depth).join('/'));
    const file = await disk.open(path, 'create');
    await file.write(0, [bytes]);
    await file.dataSync();
    await file.close();
  }
  return disk;
}

test('segments and snapshots of mutated and random bytes are opened or refused, and never believed beyond what was written', async () => {
  const files = await write();
  const paths = [...files.keys()];
  assert.ok(paths.some((path) => path.includes('/snap/')) && paths.filter((path) => path.endsWith('.wal')).length > 2);
  const outcomes = { opened: 0, refused: 0 };
  for (let seed = 0; seed < seeds; seed++) {
    const random = seededRandom(seed);
    const changed = new Map(files);
    for (let count = random.integer(1, 2); count > 0; count--) {
      const path = paths[random.integer(0, paths.length - 1)] as string;
      const bytes = changed.get(path) as Uint8Array;
      const isNoise = random.next() < 0.2;
      changed.set(path, isNoise ? random.bytes(random.integer(0, 3_000)) : mutated(random, bytes));
    }
    const startedMs = performance.now();
    try {
      const disk = await diskWith(changed, seed);
      for await (const _item of readWal(disk, directory)) continue;
      const { wal, restored } = await openWal(options(disk));
      for (const { index, data } of restored.entries) assert.deepEqual([...new Set(data)], [index]);
      for await (const chunk of restored.snapshot.index > 0
        ? (await wal.openSnapshot(restored.snapshot)).chunks()
        : []) {
        assert.deepEqual([...new Set(chunk)], [restored.snapshot.index]);
      }
      await wal.close();
      outcomes.opened += 1;
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw new Error(`seed ${seed}`, { cause: error });
      assert.ok(!error.message.includes('\n'), error.message);
      outcomes.refused += 1;
    }
    assert.ok(performance.now() - startedMs < openMsMax, `seed ${seed} took ${performance.now() - startedMs} ms`);
  }
  assert.ok(outcomes.opened > seeds / 10 && outcomes.refused > seeds / 20, JSON.stringify(outcomes));
});
