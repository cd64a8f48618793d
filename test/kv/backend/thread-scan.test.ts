/** A scan on a thread of its own gives what a scan on the loop's thread gives, whatever happens meanwhile. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import type { Backend, BackendWrite } from '../../../src/kv/backend/contract.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { abandon, blocksOf, eachRow } from '../../../src/kv/backend/row-blocks.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const put = (key: string, value: string): BackendWrite => ({ type: 'put', key: bytes(key), value: bytes(value) });
const del = (key: string): BackendWrite => ({ type: 'delete', key: bytes(key) });
const [first, last] = [bytes('\0'), bytes('\xff')];

async function opened(context: TestContext): Promise<Backend> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-thread-scan-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const backend = await openLevelBackend(join(directory, 'db'), {
    onFatal: (error) => assert.fail(error),
    log: silentLog,
    threadFromBytes: 0,
  });
  context.after(() => backend.close());
  return backend;
}

async function rowsOf(blocks: AsyncIterable<Uint8Array>): Promise<string[]> {
  const rows: string[] = [];
  for await (const block of blocks) eachRow(block, (key, value) => rows.push(`${key.toString('latin1')}=${value}`));
  return rows;
}

async function scanned(backend: Backend): Promise<string[]> {
  const rows: string[] = [];
  for await (const [key, value] of backend.scan(first, last)) rows.push(`${Buffer.from(key)}=${Buffer.from(value)}`);
  return rows;
}

function numbered(count: number, value: string): BackendWrite[] {
  return Array.from({ length: count }, (_, number) => put(`k${String(number).padStart(5, '0')}`, value));
}

test('blocks hold the rows on disk and those on their way there, as of the call', async (context) => {
  const backend = await opened(context);
  backend.write(numbered(2_000, 'v'.repeat(500)));
  await backend.sync();
  backend.write([put('k00001', 'newer'), del('k00002'), put('z', ''), put('a', 'first')]);
  const expected = scanned(backend);
  const blocks = blocksOf(backend, first, last);
  // None of this belongs to it, on disk or not.
  backend.write([put('k00003', 'too late'), put('k5', 'too late'), del('a')]);
  const isSynced = backend.sync();
  const rows = await rowsOf(blocks);
  assert.deepEqual(rows, await expected);
  assert.equal(rows.length, 2_001);
  await isSynced;
  assert.equal((await scanned(backend)).length, 2_001);
});

test('a row that is longer than a block keeps its place', async (context) => {
  const backend = await opened(context);
  backend.write([put('a', 'x'), put('b', 'y'.repeat(1_000_000)), put('c', 'z')]);
  await backend.sync();
  assert.deepEqual(await rowsOf(blocksOf(backend, first, last)), ['a=x', `b=${'y'.repeat(1_000_000)}`, 'c=z']);
});

test('a scan that is left early, or never begun, is gone when the backend closes', async (context) => {
  const backend = await opened(context);
  backend.write(numbered(5_000, 'v'.repeat(1_000)));
  await backend.sync();
  for await (const block of blocksOf(backend, first, last)) {
    assert.ok(block.length > 0);
    break;
  }
  await abandon(blocksOf(backend, first, last));
  blocksOf(backend, first, last);
  backend.write([put('k', 'still written')]);
  await backend.close();
});

test('more scans at a time than there are threads for are all answered', async (context) => {
  const backend = await opened(context);
  backend.write(numbered(1_000, 'v'));
  await backend.sync();
  const counts = await Promise.all(
    Array.from({ length: 6 }, async () => (await rowsOf(blocksOf(backend, first, last))).length),
  );
  assert.deepEqual(counts, [1_000, 1_000, 1_000, 1_000, 1_000, 1_000]);
});
