/** One directory takes the place of another: cut off after any step, it is done to the end by the next call. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Disk } from '../../../src/env/disk.ts';
import { realDisk } from '../../../src/env/real.ts';
import { finishSwitch, isSwitching, switchOver } from '../../../src/kv/snapshot/switch-over.ts';

class CutOff extends Error {}

function onlyCutOff(error: unknown): void {
  if (!(error instanceof CutOff)) throw error;
}

/** The real disk, until `steps` changes have been made: then the process is gone. */
function diskFor(steps: number): { readonly disk: Disk; readonly changes: () => number } {
  let made = 0;
  const change = <Args extends readonly unknown[], Result>(act: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      if (made === steps) throw new CutOff();
      made += 1;
      return act(...args);
    };
  };
  const { rename, remove, makeDirectory, open, syncDirectory } = realDisk;
  const disk: Disk = {
    ...realDisk,
    rename: change(rename),
    remove: change(remove),
    makeDirectory: change(makeDirectory),
    syncDirectory: change(syncDirectory),
    open: change(open),
  };
  return { disk, changes: () => made };
}

/** An old directory with a new one beside it, and, if it is to lie apart, the log of both. */
async function prepare(root: string, isApart: boolean) {
  const directory = join(root, 'data');
  const log = join(root, 'log');
  const write = async (path: string, text: string) => {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, text);
  };
  await write(join(directory, 'member.json'), 'old');
  await write(join(root, 'data.made', 'member.json'), 'new');
  for (const part of ['wal', 'snap']) {
    await write(join(isApart ? log : join(directory, 'raft'), part, 'file'), 'old');
    await write(join(isApart ? join(log, 'made-1') : join(root, 'data.made', 'raft'), part, 'file'), 'new');
  }
  const names = ['snap', 'wal'];
  const plan = {
    made: join(root, 'data.made'),
    aside: join(root, 'data.before'),
    ...(isApart && { log: { directory: log, made: 'made-1', aside: 'before-1', names } }),
  };
  const read = async (path: string) => (await readFile(join(root, path))).toString();
  const expectNew = async () => {
    const [now, before] = isApart ? ['log', 'log/before-1'] : ['data/raft', 'data.before/raft'];
    assert.deepEqual([await read('data/member.json'), await read('data.before/member.json')], ['new', 'old']);
    for (const part of names) {
      assert.deepEqual([await read(`${now}/${part}/file`), await read(`${before}/${part}/file`)], ['new', 'old']);
    }
    assert.deepEqual((await readdir(root)).sort(), ['data', 'data.before', ...(isApart ? ['log'] : [])]);
    if (isApart) assert.deepEqual((await readdir(log)).sort(), ['before-1', 'snap', 'wal']);
  };
  return { directory, plan, read, expectNew };
}

for (const isApart of [false, true]) {
  test(`a switch ${isApart ? 'with a log that lies apart ' : ''}is cut off after every step, and done to the end`, async () => {
    const { disk: whole, changes } = diskFor(Number.POSITIVE_INFINITY);
    const first = await mkdtemp(join(tmpdir(), 'keelson-switch-'));
    const { directory, plan, expectNew } = await prepare(first, isApart);
    await switchOver(whole, directory, plan);
    await expectNew();
    await rm(first, { recursive: true });
    const steps = changes();
    assert.ok(steps > 5, `${steps} changes`);
    let wereOld = 0;
    for (let step = 0; step < steps; step++) {
      const root = await mkdtemp(join(tmpdir(), 'keelson-switch-'));
      const next = await prepare(root, isApart);
      await assert.rejects(switchOver(diskFor(step).disk, next.directory, next.plan), CutOff);
      const hasBegun = await isSwitching(realDisk, next.directory);
      // Cut off again at the same place of the second try, then left alone.
      if (hasBegun) await finishSwitch(diskFor(step).disk, next.directory).catch(onlyCutOff);
      await finishSwitch(realDisk, next.directory);
      if (hasBegun || (await next.read('data/member.json')) === 'new') await next.expectNew();
      else wereOld += 1;
      assert.equal(await finishSwitch(realDisk, next.directory), false, 'there is nothing more to do');
      await rm(root, { recursive: true });
    }
    assert.ok(wereOld > 0 && wereOld < steps, `${wereOld} of ${steps} times it had not begun`);
  });
}

test('a note that says nothing is refused, and what to look for is said', async () => {
  const root = await mkdtemp(join(tmpdir(), 'keelson-switch-'));
  for (const text of ['', '{}', '{"made":1}', 'null']) {
    await writeFile(join(root, 'data.switching'), text);
    await assert.rejects(finishSwitch(realDisk, join(root, 'data')), { code: 'DATA_DAMAGED', message: /before-/ });
  }
  await rm(root, { recursive: true });
});
