/**
 * LevelDB with damaged files. It may be found at opening or while reading; it may cost the newest batches, which are
 * applied again from the log; but what is read is never different from what was written, and nothing in the middle is missing.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type SeededRandom, seededRandom } from '../../chaos/sim/random.ts';
import { silentLog } from '../../src/env/log.ts';
import { realDisk } from '../../src/env/real.ts';
import type { Backend, BackendWrite } from '../../src/kv/backend/contract.ts';
import { isDamage } from '../../src/kv/backend/level-errors.ts';
import { openLevelBackend } from '../../src/kv/backend/level.ts';
import { openRebuildable } from '../../src/kv/backend/rebuildable.ts';

const batches = 60;
const rowsInBatch = 40;
const from = Buffer.from([0]);
const to = Buffer.from([0xff]);

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'keelson-damage-'));
  const writer = await openLevelBackend(join(root, 'original'), options());
  for (let batch = 0; batch < batches; batch++) {
    writer.write(rowsOf(batch));
    await writer.sync();
    // Some of it in tables, the newest in LevelDB's own log.
    if (batch === batches - 20) await writer.compactRange(from, Buffer.from([0xff, 0xff, 0xff]));
  }
  await writer.close();
});
after(() => rm(root, { recursive: true, force: true }));

function options(onFatal: (error: Error) => void = (error) => assert.fail(error)) {
  return { onFatal, log: silentLog, disk: realDisk };
}

const nameOf = (batch: number, row: number) =>
  `${String(batch).padStart(3, '0')}/${String(row).padStart(3, '0')} of the rows of the store`;

function rowsOf(batch: number): BackendWrite[] {
  const random = seededRandom(batch);
  return Array.from({ length: rowsInBatch }, (_, row) => ({
    type: 'put',
    key: Buffer.from(nameOf(batch, row)),
    value: Buffer.from(random.bytes(100)),
  }));
}

/** How many whole batches there are; fails when one is missing in the middle, in part, or is not what was written. */
async function wholeBatches(backend: Backend): Promise<number> {
  let position = 0;
  for await (const [key, value] of backend.scan(from, to)) {
    const expected = rowsOf(Math.floor(position / rowsInBatch))[position % rowsInBatch];
    assert.ok(expected?.type === 'put');
    assert.equal(Buffer.from(key).toString(), Buffer.from(expected.key).toString());
    assert.deepEqual(Buffer.from(value), expected.value);
    position += 1;
  }
  assert.equal(position % rowsInBatch, 0, 'the last batch is whole');
  const count = position / rowsInBatch;
  // And one by one, which goes other ways through the tables.
  for (let batch = 0; batch < count; batch += 1) {
    for (const row of rowsOf(batch).filter((_, index) => index % 7 === 0)) {
      assert.ok(row.type === 'put');
      assert.deepEqual(backend.get(row.key), row.value, `row ${Buffer.from(row.key).toString()} is found`);
    }
  }
  return count;
}

async function copyOf(name: string): Promise<string> {
  const parent = join(root, name);
  await mkdir(parent);
  await cp(join(root, 'original'), join(parent, 'kv'), { recursive: true });
  return parent;
}

async function damage(directory: string, file: string, random: SeededRandom): Promise<string> {
  const path = join(directory, file);
  const { size } = await stat(path);
  const handle = await open(path, 'r+');
  const offset = random.integer(0, size - 1);
  const length = random.next() < 0.7 ? 1 : Math.min(random.integer(1, 2000), size - offset);
  const byte = Buffer.alloc(length);
  await handle.read(byte, 0, length, offset);
  for (let at = 0; at < length; at++) byte[at] = (byte[at] ?? 0) ^ random.integer(1, 255);
  await handle.write(byte, 0, length, offset);
  await handle.close();
  return `${length} bytes at ${offset} of ${size} of ${file}`;
}

const kinds: Record<string, RegExp> = { table: /\.ldb$/, log: /\.log$/, manifest: /^MANIFEST/, current: /^CURRENT$/ };

for (const [kind, pattern] of Object.entries(kinds)) {
  test(`a damaged ${kind} file is found, or costs no more than the newest batches`, async () => {
    const found = { damaged: 0, shorter: 0, whole: 0 };
    for (let seed = 0; seed < 60; seed++) {
      const random = seededRandom(`${kind}-${seed}`);
      const parent = await copyOf(`${kind}-${seed}`);
      const directory = join(parent, 'kv');
      const files = (await readdir(directory)).filter((name) => pattern.test(name)).sort();
      const what = await damage(directory, files[random.integer(0, files.length - 1)] ?? '', random);
      try {
        let told: Error | undefined;
        const backend = await openLevelBackend(
          directory,
          options((error) => (told = error)),
        );
        try {
          const count = await wholeBatches(backend);
          found[count === batches ? 'whole' : 'shorter'] += 1;
        } finally {
          await backend.close();
        }
        assert.equal(told, undefined);
      } catch (error) {
        if (!isDamage(error)) throw new Error(`seed ${seed}: ${what}`, { cause: error });
        found.damaged += 1;
      }
      await rm(parent, { recursive: true });
    }
    assert.ok(found.damaged > 0, JSON.stringify(found));
  });

  test(`a missing ${kind} file is found, or costs no more than the newest batches`, async () => {
    const parent = await copyOf(`missing-${kind}`);
    const directory = join(parent, 'kv');
    const [file] = (await readdir(directory)).filter((name) => pattern.test(name)).sort();
    await rm(join(directory, file ?? ''));
    const outcome = await openLevelBackend(directory, options()).then(async (backend) => {
      const count = await wholeBatches(backend);
      await backend.close();
      return count;
    }, isDamage);
    assert.ok(outcome === true || typeof outcome === 'number', `${file}: ${outcome}`);
  });
}

test('a damaged backend is set aside and begun anew, by its note when it was found in use, and only the newest is kept', async () => {
  const parent = await copyOf('rebuild');
  const directory = join(parent, 'kv');
  const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'));
  const told = Promise.withResolvers<Error>();
  const inUse = await openLevelBackend(directory, options(told.resolve));
  const victim = rowsOf(7)[20];
  assert.ok(victim?.type === 'put');
  let struck = 0;
  for (const table of tables) {
    const path = join(directory, table);
    const offset = (await readFile(path)).indexOf(victim.value.subarray(10, 50));
    if (offset < 0) continue;
    const handle = await open(path, 'r+');
    struck += (await handle.write(Buffer.from([(victim.value[10] ?? 0) ^ 4]), 0, 1, offset)).bytesWritten;
    await handle.close();
  }
  assert.equal(struck, 1, 'the row lies in one table');
  await assert.rejects(wholeBatches(inUse), isDamage);
  assert.ok(isDamage(await told.promise));
  await inUse.close();
  assert.ok((await readdir(parent)).includes('kv.damaged'), 'the next start will know');
  const rebuildable = {
    disk: realDisk,
    log: silentLog,
    directory,
    open: (path: string) => openLevelBackend(path, options()),
  };
  for (const number of [1, 2]) {
    const { backend, used } = await openRebuildable(rebuildable, wholeBatches);
    assert.equal(used, 0, 'an empty one takes its place');
    backend.write(rowsOf(0));
    await backend.close();
    assert.deepEqual((await readdir(parent)).sort(), ['kv', `kv.broken-${number}`]);
    if (number === 1) await rm(join(directory, 'CURRENT'));
    if (number === 1) await rm(join(directory, (await readdir(directory)).find((name) => name.endsWith('.log')) ?? ''));
    if (number === 1)
      await damage(
        directory,
        (await readdir(directory)).find((name) => name.startsWith('MANIFEST')) ?? '',
        seededRandom(1),
      );
  }
});
