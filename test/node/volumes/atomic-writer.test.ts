import assert from 'node:assert/strict';
import { mkdtemp, readFile, readlink, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Payload, writePayload } from '../../../src/node/volumes/atomic-writer.ts';
import { realHostFiles } from '../../../src/node/volumes/host-files.ts';

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'keelson-volumes-'));
});
after(() => rm(root, { recursive: true }));

const files = (entries: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(entries).map(([path, text]) => [path, { content: Buffer.from(text), mode }]));

test('files appear through one link, nested paths and modes included', async () => {
  const directory = join(root, 'new');
  await realHostFiles.makeDirectory(directory, 0o755);
  assert.equal(await writePayload(realHostFiles, directory, files({ a: '1', 'b/c': '2' }, 0o440)), true);
  assert.equal(await readFile(join(directory, 'a'), 'utf8'), '1');
  assert.equal(await readFile(join(directory, 'b/c'), 'utf8'), '2');
  assert.equal((await stat(join(directory, 'a'))).mode & 0o777, 0o440);
  assert.equal(await readlink(join(directory, 'a')), '..data/a');
});

test('the same files again change nothing', async () => {
  const directory = join(root, 'same');
  await realHostFiles.makeDirectory(directory, 0o755);
  await writePayload(realHostFiles, directory, files({ a: '1' }));
  const before = await readlink(join(directory, '..data'));
  assert.equal(await writePayload(realHostFiles, directory, files({ a: '1' })), false);
  assert.equal(await readlink(join(directory, '..data')), before);
});

test('a change replaces all files at once; old versions and names go', async () => {
  const directory = join(root, 'change');
  await realHostFiles.makeDirectory(directory, 0o755);
  await writePayload(realHostFiles, directory, files({ a: '1', b: '1', gone: 'x' }));
  // Every moment in which a reader could look: after each step the two files agree.
  const seen: string[] = [];
  const watching = {
    ...realHostFiles,
    rename: async (from: string, to: string) => {
      seen.push((await readFile(join(directory, 'a'), 'utf8')) + (await readFile(join(directory, 'b'), 'utf8')));
      await realHostFiles.rename(from, to);
      seen.push((await readFile(join(directory, 'a'), 'utf8')) + (await readFile(join(directory, 'b'), 'utf8')));
    },
  };
  assert.equal(await writePayload(watching, directory, files({ a: '2', b: '2', new: 'y' })), true);
  assert.deepEqual(seen, ['11', '22']);
  assert.deepEqual((await readdir(directory)).filter((name) => !name.startsWith('..')).sort(), ['a', 'b', 'new']);
  assert.equal((await readdir(directory)).filter((name) => name.startsWith('..')).length, 2);
});

test('an update that was cut off before the link moved is completed by the next one', async () => {
  const directory = join(root, 'cut');
  await realHostFiles.makeDirectory(directory, 0o755);
  await writePayload(realHostFiles, directory, files({ a: '1' }));
  const broken = { ...realHostFiles, rename: () => Promise.reject(new Error('power cut')) };
  await assert.rejects(writePayload(broken, directory, files({ a: '2' })), /power cut/);
  assert.equal(await readFile(join(directory, 'a'), 'utf8'), '1');
  await writePayload(realHostFiles, directory, files({ a: '2' }));
  assert.equal(await readFile(join(directory, 'a'), 'utf8'), '2');
});

test('a file outside the volume is never written', async () => {
  for (const path of ['../x', '/etc/x', '', 'a/../../x', '..data']) {
    await assert.rejects(writePayload(realHostFiles, root, files({ [path]: 'x' })), /inside the volume/);
  }
});
