/** One suite for every implementation of Backend. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { Level } from 'level';
import { KeelsonError } from '../../src/env/errors.ts';
import { silentLog } from '../../src/env/log.ts';
import type { Backend, BackendWrite } from '../../src/kv/backend/contract.ts';
import { openLevelBackend } from '../../src/kv/backend/level.ts';
import { createMemoryBackend } from '../../src/kv/backend/memory.ts';
import { CheckedRows } from '../../src/kv/backend/row-check.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const put = (key: string, value: string): BackendWrite => ({ type: 'put', key: bytes(key), value: bytes(value) });
const del = (key: string): BackendWrite => ({ type: 'delete', key: bytes(key) });

async function rows(backend: Backend, from = '\0', to = '\xff'): Promise<string> {
  return collect(backend.scan(bytes(from), bytes(to)));
}

async function collect(scan: AsyncIterable<readonly [Uint8Array, Uint8Array]>): Promise<string> {
  const found: string[] = [];
  for await (const [key, value] of scan) {
    found.push(`${Buffer.from(key).toString('latin1')}=${Buffer.from(value).toString('latin1')}`);
  }
  return found.join(' ');
}

function read(backend: Backend, key: string): string | undefined {
  const value = backend.get(bytes(key));
  return value === undefined ? undefined : Buffer.from(value).toString('latin1');
}

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-backend-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const noFailure = {
  onFatal: (error: Error) => assert.fail(error),
  log: silentLog,
};

const implementations: Record<string, (context: TestContext) => Promise<Backend>> = {
  memory: async () => createMemoryBackend(),
  level: async (context) => {
    const backend = await openLevelBackend(join(await temporaryDirectory(context), 'db'), noFailure);
    context.after(() => backend.close());
    return backend;
  },
};

for (const [name, open] of Object.entries(implementations)) {
  test(`${name}: a write is read back at once and after it is on disk`, async (context) => {
    const backend = await open(context);
    backend.write([put('a', '1'), put('b', '2')]);
    assert.equal(read(backend, 'a'), '1');
    await backend.sync();
    assert.equal(read(backend, 'a'), '1');
    backend.write([del('a'), put('b', '3')]);
    assert.equal(read(backend, 'a'), undefined);
    assert.equal(await rows(backend), 'b=3');
    await backend.sync();
    assert.equal(read(backend, 'a'), undefined);
    assert.equal(await rows(backend), 'b=3');
    assert.equal(backend.pendingBytes(), 0);
  });

  test(`${name}: a scan goes up in byte order over rows on disk and rows not yet there, its end excluded`, async (context) => {
    const backend = await open(context);
    backend.write([
      put('b', '1'),
      put('\x80', '2'),
      put('d', '3'),
      put('ab', '4'),
      put('a', '5'),
      put('\xfe\xff', '6'),
    ]);
    await backend.sync();
    backend.write([put('c', '7'), del('d'), put('b', '8'), put('a\0', '9')]);
    assert.equal(await rows(backend), 'a=5 a\0=9 ab=4 b=8 c=7 \x80=2 \xfe\xff=6');
    assert.equal(await rows(backend, 'ab', 'c'), 'ab=4 b=8');
    assert.equal(await rows(backend, 'x', 'y'), '');
  });

  test(`${name}: a scan sees the rows as of its call, whatever is written before it is pulled`, async (context) => {
    const backend = await open(context);
    backend.write([put('a', '1'), put('b', '2')]);
    await backend.sync();
    backend.write([put('c', '3')]);
    const scan = backend.scan(bytes('\0'), bytes('\xff'));
    backend.write([put('a', 'later'), del('b'), del('c'), put('d', 'later')]);
    await backend.sync();
    assert.equal(await collect(scan), 'a=1 b=2 c=3');
    assert.equal(await rows(backend), 'a=later d=later');
  });

  test(`${name}: a large scan is undisturbed by writes between its pulls`, async (context) => {
    const backend = await open(context);
    const name = (index: number) => `k${String(index).padStart(5, '0')}`;
    backend.write(Array.from({ length: 4000 }, (_, index) => put(name(index), String(index))));
    let seen = 0;
    for await (const [key, value] of backend.scan(bytes('k'), bytes('l'))) {
      assert.equal(Buffer.from(key).toString(), name(seen));
      assert.equal(Buffer.from(value).toString(), String(seen));
      seen += 1;
      backend.write([del(name((seen * 7919) % 4000)), put(`${name(seen)}x`, 'new'), put(name(4000 - seen), 'changed')]);
    }
    assert.equal(seen, 4000);
    await backend.sync();
  });

  test(`${name}: a scan that is left early does not disturb what follows`, async (context) => {
    const backend = await open(context);
    backend.write(Array.from({ length: 3000 }, (_, index) => put(`k${String(index).padStart(5, '0')}`, 'v')));
    await backend.sync();
    for await (const [key] of backend.scan(bytes('k'), bytes('l'))) {
      assert.equal(Buffer.from(key).toString(), 'k00000');
      break;
    }
    backend.write([put('after', '1')]);
    await backend.sync();
    assert.equal(read(backend, 'after'), '1');
  });

  test(`${name}: clear is seen at once and keeps its place among the writes`, async (context) => {
    const backend = await open(context);
    backend.write([put('a', '1'), put('b', '2')]);
    await backend.sync();
    backend.write([put('c', '3')]);
    const cleared = backend.clear();
    assert.equal(read(backend, 'a'), undefined);
    assert.equal(read(backend, 'c'), undefined);
    backend.write([put('a', 'new')]);
    assert.equal(await rows(backend), 'a=new');
    await cleared;
    assert.equal(await rows(backend), 'a=new');
    await backend.sync();
    assert.equal(await rows(backend), 'a=new');
  });

  test(`${name}: many small writes of one key leave the last`, async (context) => {
    const backend = await open(context);
    for (let index = 0; index < 5000; index++)
      backend.write([put('a', String(index)), put(`k${index}`, 'x'.repeat(300))]);
    assert.equal(read(backend, 'a'), '4999');
    await backend.sync();
    assert.equal(read(backend, 'a'), '4999');
    assert.equal(read(backend, 'k17'), 'x'.repeat(300));
    await backend.compactRange(bytes('\0'), bytes('\xff'));
    assert.ok(backend.bytesOnDisk() > 0);
  });
}

test('level: small writes gather without touching the disk until somebody asks', async (context) => {
  const backend = await openLevelBackend(join(await temporaryDirectory(context), 'db'), noFailure);
  context.after(() => backend.close());
  backend.write([put('a', 'x'.repeat(2 * 1024 * 1024))]);
  await backend.sync();
  backend.write([put('b', '1')]);
  backend.write([put('c', '1')]);
  assert.equal(backend.pendingBytes(), 4);
  assert.ok(backend.bytesOnDisk() >= 2 * 1024 * 1024 + 4);
  await Promise.all([backend.sync(), backend.sync()]);
  assert.equal(backend.pendingBytes(), 0);
  await backend.sync();
});

test('level: what was written before close is there after opening again', async (context) => {
  const directory = join(await temporaryDirectory(context), 'db');
  const first = await openLevelBackend(directory, noFailure);
  first.write([put('a', '1')]);
  await first.close();
  const second = await openLevelBackend(directory, noFailure);
  context.after(() => second.close());
  assert.equal(read(second, 'a'), '1');
});

test('level: a copy taken while writing holds the oldest batches without a gap, each whole, and all that was synced', async (context) => {
  const directory = await temporaryDirectory(context);
  const backend = await openLevelBackend(join(directory, 'db'), noFailure);
  context.after(() => backend.close());
  const batches = 400;
  for (let index = 0; index < batches; index++) {
    const name = String(index).padStart(4, '0');
    backend.write([put(`first ${name}`, 'x'.repeat(6000)), put(`second ${name}`, 'y')]);
    if (index === 100) await backend.sync();
  }
  await cp(join(directory, 'db'), join(directory, 'copy'), { recursive: true });
  await rm(join(directory, 'copy', 'LOCK'), { force: true });
  const copy = await openLevelBackend(join(directory, 'copy'), noFailure);
  context.after(() => copy.close());
  const present = Array.from({ length: batches }, (_, index) => {
    const name = String(index).padStart(4, '0');
    const first = read(copy, `first ${name}`) !== undefined;
    assert.equal(read(copy, `second ${name}`) !== undefined, first, `batch ${index} is whole`);
    return first;
  });
  const missing = present.indexOf(false);
  assert.ok(missing === -1 || missing > 100, `batch ${missing} was synced and is missing`);
  if (missing !== -1) assert.ok(!present.slice(missing).includes(true), 'no newer batch is there without an older one');
});

test('level: a second opener is told who is in the way', async (context) => {
  const directory = join(await temporaryDirectory(context), 'db');
  const first = await openLevelBackend(directory, noFailure);
  context.after(() => first.close());
  await assert.rejects(openLevelBackend(directory, noFailure), (error) => {
    assert.ok(error instanceof KeelsonError);
    assert.equal(error.code, 'BACKEND_LOCKED');
    return true;
  });
});

test('level: a damaged database says what to delete', async (context) => {
  const directory = join(await temporaryDirectory(context), 'db');
  const first = await openLevelBackend(directory, noFailure);
  first.write([put('a', '1')]);
  await first.close();
  for (const name of await readdir(directory)) {
    if (name.startsWith('MANIFEST')) await writeFile(join(directory, name), 'not a manifest');
  }
  await assert.rejects(openLevelBackend(directory, noFailure), (error) => {
    assert.ok(error instanceof KeelsonError);
    assert.equal(error.code, 'BACKEND_CORRUPT');
    assert.ok(error.message.includes('set aside and rebuilt'), error.message);
    return true;
  });
});

test('level: rows in the form of a newer version are refused', async (context) => {
  const directory = join(await temporaryDirectory(context), 'db');
  const first = await openLevelBackend(directory, noFailure);
  first.write([put('a', '1')]);
  await first.close();
  const raw = new Level<Buffer, Buffer>(directory, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  const key = Buffer.from([0xff, 0xff, 0]);
  await raw.put(key, new CheckedRows().row(key, Uint8Array.of(2)));
  await raw.close();
  await assert.rejects(openLevelBackend(directory, noFailure), { code: 'DATA_NEWER_VERSION' });
});

test('level: a failed write is told once, and every later call throws it', async (context) => {
  const directory = join(await temporaryDirectory(context), 'db');
  const failures: Error[] = [];
  const backend = await openLevelBackend(directory, { onFatal: (error) => failures.push(error), log: silentLog });
  // A value without bytes cannot be written; to the backend that is as good as a disk that refuses.
  backend.write([{ type: 'put', key: bytes('a'), value: { length: 1 } as Uint8Array }]);
  await assert.rejects(backend.sync(), { code: 'BACKEND_FAILED' });
  assert.equal(failures.length, 1);
  assert.throws(() => backend.write([put('b', '1')]), { code: 'BACKEND_FAILED' });
  assert.throws(() => backend.get(bytes('a')), { code: 'BACKEND_FAILED' });
  assert.equal(failures.length, 1);
  await backend.close();
});
