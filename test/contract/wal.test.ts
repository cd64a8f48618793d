/**
 * The log's contract: whatever was acknowledged is there after any crash, in order and whole; nothing else appears;
 * term and vote never go back. The process is stopped at every single disk operation of a workload.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CrashPolicy, SimDisk } from '../../chaos/sim/disk.ts';
import { seededRandom } from '../../chaos/sim/random.ts';
import type { Disk } from '../../src/env/disk.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import { realDisk } from '../../src/env/real.ts';
import { createWal, openWal, walExists, walIdentity } from '../../src/raft/wal/open-wal.ts';
import type { OpenedWal } from '../../src/raft/wal/wal.ts';
import { confState, WalModel } from './wal-workload.ts';

const identity = walIdentity('00000000000000aa', '0000000000000001');
const policies: CrashPolicy[] = ['kept', 'lost', 'torn', 'random'];
const directory = '/members/one';
// Small enough that the workload cuts and releases many segments.
const segmentBytes = 3000;

const optionsFor = (disk: Disk, path = directory) => ({ disk, directory: path, segmentBytes });

async function openOrCreate(disk: Disk, path = directory): Promise<OpenedWal> {
  if (await walExists(disk, path)) return openWal(optionsFor(disk, path), identity);
  return createWal(optionsFor(disk, path), identity, { confState });
}

/** Runs until done or until the disk stops; says what the model knows. */
async function run(disk: SimDisk, seed: string, steps: number): Promise<WalModel | undefined> {
  let model: WalModel | undefined;
  const work = async () => {
    const opened = await openOrCreate(disk);
    model = new WalModel(opened, seededRandom(seed));
    for (let step = 0; step < steps; step++) await model.step();
    await model.drain();
    await opened.wal.close();
  };
  await Promise.race([work(), disk.stopped]);
  return model;
}

/** Opens, maybe being stopped again at operation `stopAfter` of the recovery, until it is open. */
async function recover(disk: SimDisk, policy: CrashPolicy, stopAfter: number): Promise<[SimDisk, OpenedWal]> {
  let current = disk;
  if (stopAfter > 0) {
    const stopAt = current.operationCount + stopAfter;
    const stopping = current.crash('lost', {
      onOperation: (operation) => (operation.sequence === stopAt ? { kind: 'stop' } : undefined),
    });
    await Promise.race([openOrCreate(stopping), stopping.stopped]);
    current = stopping.crash(policy, { onOperation: () => undefined });
  }
  return [current, await openOrCreate(current)];
}

for (const seed of ['first', 'second']) {
  test(`a crash at every disk operation keeps every promise (workload ${seed})`, async () => {
    const steps = 70;
    const whole = new SimDisk({ random: seededRandom(seed) });
    await run(whole, seed, steps);
    const operations = whole.operationCount;
    assert.ok(operations > 100, `the workload does enough: ${operations} operations`);
    let cuts = 0;
    for (let stopAt = 1; stopAt <= operations; stopAt++) {
      for (const [position, policy] of policies.entries()) {
        const random = seededRandom(`${seed}/${stopAt}/${policy}`);
        const disk = new SimDisk({
          random,
          onOperation: (operation) => (operation.sequence === stopAt ? { kind: 'stop' } : undefined),
        });
        const model = await run(disk, seed, steps);
        const crashed = disk.crash(policy, { onOperation: () => undefined });
        // Every other recovery is itself cut off, at one of its operations.
        const stopAfter = (stopAt + position) % 2 === 0 ? random.integer(1, 14) : 0;
        try {
          const [, opened] = await recover(crashed, policy, stopAfter);
          if (opened.cutBytes > 0) cuts += 1;
          if (model) await model.check(opened);
          else assert.equal(opened.restored.entries.length, 0);
          const next = new WalModel(opened, random.fork('next'));
          for (let step = 0; step < 5; step++) await next.step();
          await next.drain();
          await opened.wal.close();
        } catch (error) {
          throw new Error(`stopped at operation ${stopAt} of ${operations}, unsynced data ${policy}`, { cause: error });
        }
      }
    }
    assert.ok(cuts > 20, `torn tails were seen and cut: ${cuts}`);
  });
}

test('on a disk that breaks sectors in the middle a tear may be taken for damage, but nothing acknowledged is missed', async () => {
  const outcomes = { whole: 0, doubtful: 0, refused: 0 };
  for (let seed = 0; seed < 150; seed++) {
    const random = seededRandom(`shredded-${seed}`);
    const stopAt = random.integer(60, 260);
    const disk = new SimDisk({
      random,
      onOperation: (operation) => (operation.sequence === stopAt ? { kind: 'stop' } : undefined),
    });
    const model = await run(disk, `shredded-${seed}`, 70);
    if (!model) continue;
    try {
      const [, opened] = await recover(disk.crash('shredded', { onOperation: () => undefined }), 'shredded', 0);
      if (opened.lost) {
        const acknowledged = model.states[model.acknowledged];
        assert.ok(acknowledged && opened.lost.from > acknowledged.base + acknowledged.entries.length);
        outcomes.doubtful += 1;
      } else if (opened.damage.length === 0) {
        await model.check(opened);
        outcomes.whole += 1;
      }
      await opened.wal.close();
    } catch (error) {
      if (!(error instanceof KeelsonError) || error.code !== 'WAL_VOTE_LOST') {
        throw new Error(`seed ${seed}, stopped at operation ${stopAt}`, { cause: error });
      }
      outcomes.refused += 1;
    }
  }
  assert.ok(outcomes.whole > 75, JSON.stringify(outcomes));
});

test('one life after another: crash after crash on the same disk', async () => {
  const random = seededRandom('lives');
  let disk = new SimDisk({ random });
  for (let life = 0; life < 60; life++) {
    const stopAt = disk.operationCount + random.integer(5, 250);
    const living: SimDisk = disk.crash('lost', {
      onOperation: (operation) => (operation.sequence === stopAt ? { kind: 'stop' } : undefined),
    });
    const model = await run(living, `life-${life}`, 60);
    disk = living.crash(random.next() < 0.3 ? 'torn' : 'random', { onOperation: () => undefined });
    const [after, opened] = await recover(disk, 'random', 0);
    if (model) await model.check(opened);
    await opened.wal.close();
    disk = after;
  }
});

test('the same workload on the real disk, closed and opened again', async () => {
  const path = await mkdtemp(join(tmpdir(), 'keelson-wal-'));
  try {
    for (let life = 0; life < 4; life++) {
      const opened = await openOrCreate(realDisk, `${path}/data`);
      const model = new WalModel(opened, seededRandom(`real-${life}`));
      for (let step = 0; step < 40; step++) await model.step();
      await model.drain();
      await opened.wal.close();
      const again = await openOrCreate(realDisk, `${path}/data`);
      await model.check(again);
      assert.equal(again.cutBytes, 0);
      await again.wal.close();
    }
  } finally {
    await rm(path, { recursive: true });
  }
});
