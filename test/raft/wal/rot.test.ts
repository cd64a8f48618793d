/**
 * Rot anywhere: bytes that change, pages that read as zeros, files that vanish, in every kind of file of a log that was
 * written by a drawn workload. Whatever the next start makes of it, nothing acknowledged is silently missing or different.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CrashPolicy, SimDisk } from '../../../chaos/sim/disk.ts';
import { type SeededRandom, seededRandom } from '../../../chaos/sim/random.ts';
import { KeelsonError } from '../../../src/env/errors.ts';
import { createWal, openWal, walIdentity } from '../../../src/raft/wal/open-wal.ts';
import type { OpenedWal } from '../../../src/raft/wal/wal.ts';
import { confState, WalModel } from '../../contract/wal-workload.ts';

const identity = walIdentity('00000000000000aa', '0000000000000001');
const options = (disk: SimDisk) => ({ disk, directory: '/data', segmentBytes: 8192 });
const refusals = new Set(['WAL_VOTE_LOST', 'WAL_CORRUPT']);

async function write(seed: string): Promise<{ readonly disk: SimDisk; readonly model: WalModel }> {
  const random = seededRandom(seed);
  const disk = new SimDisk({ random: random.fork('disk') });
  const opened = await createWal(options(disk), identity, { confState });
  const model = new WalModel(opened, random.fork('work'));
  for (let step = 0; step < 60; step++) await model.step();
  await model.drain();
  if (random.next() < 0.5) await opened.wal.close();
  // Killed, maybe in the middle of a segment cut.
  return { disk: disk.crash('kept'), model };
}

/** What the rot took, for the message of a failure. */
async function rot(disk: SimDisk, random: SeededRandom, isOneOfTwo: boolean): Promise<string> {
  // A last segment that is gone together with the note that it was there has left no trace at all.
  const files = disk.files().filter(({ path, sizeBytes }) => sizeBytes > 0 && !(isOneOfTwo && path.endsWith('newest')));
  const file = files[random.integer(0, files.length - 1)];
  assert.ok(file);
  if (random.next() < 0.15) {
    await disk.remove(file.path);
    return `${file.path} removed`;
  }
  const content = await disk.readFile(file.path);
  const dataEnd = content.findLastIndex((byte) => byte !== 0) + 1;
  const offset = random.integer(0, dataEnd - 1);
  const length = random.next() < 0.7 ? 1 : random.integer(2, 600);
  for (let at = offset; at < Math.min(offset + length, dataEnd); at++)
    disk.corrupt(file.path, at, random.integer(1, 255));
  return `${file.path}: ${length} bytes at ${offset} of ${dataEnd}`;
}

function judge(opened: OpenedWal, model: WalModel): void {
  const truth = model.states.at(-1);
  assert.ok(truth);
  const { restored, lost } = opened;
  assert.deepEqual(
    [restored.hardState.term, restored.hardState.vote],
    [truth.hardState.term, truth.hardState.vote],
    'the newest vote is known',
  );
  const lastIndex = restored.snapshot.index + restored.entries.length;
  const trueLast = truth.base + truth.entries.length;
  for (const entry of restored.entries) {
    if (entry.index <= truth.base) continue;
    const acknowledged = truth.entries[entry.index - truth.base - 1];
    const isSame = entry.term === acknowledged?.term && Buffer.compare(entry.data, acknowledged.data) === 0;
    assert.ok(isSame, `entry ${entry.index} is the acknowledged one`);
  }
  if (restored.snapshot.index > 0) assert.ok(model.snapshots.has(restored.snapshot.index));
  assert.ok(lastIndex <= trueLast, `the log ends at ${lastIndex}, not after ${trueLast}`);
  if (lost === undefined) {
    assert.equal(lastIndex, trueLast, 'nothing is missing without being told');
    assert.equal(restored.lostUpTo, undefined);
    return;
  }
  assert.equal(lost.from, lastIndex + 1);
  assert.ok(lost.upTo >= trueLast, `lost up to ${lost.upTo} covers ${trueLast}`);
  assert.equal(restored.lostUpTo, lost.upTo);
}

test('rot anywhere in the files of a log is told, repaired or refused, never taken for the end of the log', async () => {
  const outcomes = { whole: 0, repaired: 0, lost: 0, refused: 0 };
  for (let seed = 0; seed < 400; seed++) {
    const { disk: life, model } = await write(`rot-${seed}`);
    const random = seededRandom(`where-${seed}`);
    const isTwice = random.next() < 0.3;
    const what = [await rot(life, random, isTwice)];
    if (isTwice) what.push(await rot(life, random, true));
    const before = life.files();
    try {
      const opened = await openWal(options(life));
      judge(opened, model);
      const isRepaired = opened.damage.length > 0 || opened.setAside.length > 0;
      outcomes[opened.lost ? 'lost' : isRepaired ? 'repaired' : 'whole'] += 1;
      await opened.wal.close();
      const again = await openWal(options(life));
      assert.deepEqual(
        [again.damage, again.lost, again.cutBytes],
        [[], undefined, 0],
        'the second start finds it sound',
      );
      assert.equal(again.restored.lostUpTo, opened.restored.lostUpTo);
      assert.deepEqual(again.restored.entries, opened.restored.entries);
    } catch (error) {
      if (!(error instanceof KeelsonError) || !refusals.has(error.code)) {
        throw new Error(`seed ${seed}, ${what.join(', ')}`, { cause: error });
      }
      outcomes.refused += 1;
      assert.deepEqual(life.files(), before, 'a refused log is left as it is');
    }
  }
  assert.ok(outcomes.lost > 40 && outcomes.repaired > 40 && outcomes.refused < 150, JSON.stringify(outcomes));
});

test('a repair that is cut off at any disk operation is done again, to the same end', async () => {
  const policies: readonly CrashPolicy[] = ['kept', 'lost', 'torn', 'random'];
  let repairs = 0;
  for (let seed = 0; seed < 400 && repairs < 12; seed++) {
    const { disk, model } = await write(`rot-${seed}`);
    await rot(disk, seededRandom(`where-${seed}`), false);
    const untouched = disk.crash('kept');
    const files = await contentOf(untouched);
    const whole = await openWal(options(await diskWith(files, 'whole'))).catch(() => undefined);
    if (!whole || whole.damage.length === 0) continue;
    repairs += 1;
    judge(whole, model);
    for (let stopAt = 1, isOver = false; !isOver; stopAt++) {
      for (const policy of policies) {
        const fresh = await diskWith(files, `${seed}/${stopAt}/${policy}`);
        const stopSequence = fresh.operationCount + stopAt;
        const stopping = fresh.crash('kept', {
          onOperation: ({ sequence }) => (sequence === stopSequence ? { kind: 'stop' } : undefined),
        });
        const first = await Promise.race([openWal(options(stopping)), stopping.stopped]);
        isOver = first !== undefined;
        const again = await openWal(options(stopping.crash(policy, { onOperation: () => undefined })));
        const where = `seed ${seed}, cut off at operation ${stopAt}, unsynced data ${policy}`;
        assert.deepEqual(again.restored, whole.restored, where);
        await again.wal.close();
      }
    }
  }
  assert.equal(repairs, 12);
});

async function contentOf(disk: SimDisk): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { path } of disk.files()) files.set(path, await disk.readFile(path));
  return files;
}

/** A disk with just these files, durable. */
async function diskWith(files: ReadonlyMap<string, Uint8Array>, seed: string): Promise<SimDisk> {
  const disk = new SimDisk({ random: seededRandom(seed) });
  await disk.makeDirectory('/data/wal');
  await disk.makeDirectory('/data/snap');
  for (const [path, content] of files) {
    const file = await disk.open(path, 'create');
    await file.write(0, [content]);
    await file.close();
  }
  return disk.crash('kept');
}
