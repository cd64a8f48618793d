/** What the writer writes the reader reads, and damage ends in one clear error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeelsonError } from '../../../src/env/errors.ts';
import { openBolt } from '../../../src/kv/bbolt/reader.ts';
import { createBoltWriter } from '../../../src/kv/bbolt/writer.ts';
import { MemoryFile } from './memory-file.ts';

type Content = Readonly<Record<string, readonly (readonly [string, string])[]>>;

async function write(content: Content): Promise<MemoryFile> {
  const file = new MemoryFile();
  const writer = createBoltWriter(file);
  for (const [name, entries] of Object.entries(content)) {
    writer.beginBucket(name);
    for (const [key, value] of entries) {
      writer.add(Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'));
      if (writer.isFull()) await writer.flush();
    }
    writer.endBucket();
  }
  assert.equal(await writer.finish(), file.bytes.length);
  return file;
}

async function read(file: MemoryFile): Promise<Content> {
  const reader = await openBolt(file);
  const content: Record<string, (readonly [string, string])[]> = {};
  for (const bucket of reader.buckets) {
    const entries: (readonly [string, string])[] = [];
    for await (const leaf of reader.entries(bucket)) {
      for (const [key, value] of leaf) {
        entries.push([Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1')]);
      }
    }
    content[bucket] = entries;
  }
  return content;
}

/** A generator of numbers in [0, 1) that a seed repeats. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function numbered(count: number, value: (number: number) => string): readonly (readonly [string, string])[] {
  return Array.from({ length: count }, (_, number) => [String(number).padStart(17, '0'), value(number)] as const);
}

test('an empty file has no buckets, and an empty bucket no entries', async () => {
  assert.deepEqual(await read(await write({})), {});
  assert.deepEqual(await read(await write({ empty: [] })), { empty: [] });
});

for (const count of [1, 2, 3, 100, 101, 5_000, 60_000]) {
  test(`a bucket of ${count} entries comes back as it was written`, async () => {
    const content = { first: numbered(count, (number) => `value ${number}`), second: numbered(2, () => '') };
    assert.deepEqual(await read(await write(content)), content);
  });
}

test('values and keys larger than a page run on over several', async () => {
  const random = randomOf(1);
  const entries = numbered(300, () => 'x'.repeat(Math.floor(random() ** 8 * 100_000)));
  const longKeys = Array.from({ length: 40 }, (_, number) => [`${number + 10}${'k'.repeat(3_000)}`, 'v'] as const);
  const content = { large: entries, long: longKeys };
  assert.deepEqual(await read(await write(content)), content);
});

test('random sizes of keys and values come back, whatever pages they make', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomOf(seed);
    const keyBytes = 1 + Math.floor(random() ** 4 * 5_000);
    const entries = Array.from({ length: Math.floor(random() ** 2 * 400) }, (_, number) => {
      const key = String(number).padStart(5, '0') + 'k'.repeat(Math.floor(random() * keyBytes));
      return [key, 'v'.repeat(Math.floor(random() ** 3 * 3_000))] as const;
    });
    const content = { bucket: entries };
    const file = await write(content);
    assert.deepEqual(await read(file), content, `seed ${seed}`);
    for (const page of branchPages(file)) {
      assert.ok(file.bytes.readUInt16LE(page * 4096 + 10) >= 2, `seed ${seed}: branch ${page} has two pages below it`);
    }
  }
});

/** Numbers of the pages that are branches; bbolt panics in a later transaction over one that leads to a single page. */
function branchPages(file: MemoryFile): readonly number[] {
  const pages: number[] = [];
  for (let page = 3; page * 4096 < file.bytes.length; ) {
    if (file.bytes.readUInt16LE(page * 4096 + 8) === 1) pages.push(page);
    page += 1 + file.bytes.readUInt32LE(page * 4096 + 12);
  }
  return pages;
}

test('a bucket is read with few reads of the disk and one window of memory at a time', async () => {
  const file = await write({ bucket: numbered(50_000, (number) => `value ${number}`) });
  file.reads = 0;
  await read(file);
  assert.ok(file.reads <= file.bytes.length / 65_536 + 3, `${file.reads} reads for ${file.bytes.length} bytes`);
});

test('with its newer meta damaged the file is read by the other one, with both it is refused', async () => {
  const content = { bucket: numbered(10, String) };
  const file = await write(content);
  file.bytes.writeUInt8(file.bytes.readUInt8(30) ^ 1, 30);
  assert.deepEqual(await read(file), content);
  file.bytes.writeUInt8(file.bytes.readUInt8(4096 + 30) ^ 1, 4096 + 30);
  await assert.rejects(read(file), { code: 'BOLT_DAMAGED', message: /no valid meta page.*checksum does not match/ });
});

test('a file cut short is refused before anything is read', async () => {
  const file = await write({ bucket: numbered(1_000, String) });
  file.bytes = file.bytes.subarray(0, file.bytes.length - 4096);
  await assert.rejects(read(file), { code: 'BOLT_DAMAGED', message: /its meta page says at least/ });
});

test('random bytes are refused', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    const bytes = Buffer.alloc(Math.floor(random() * 20_000), 0).map(() => Math.floor(random() * 256));
    await assert.rejects(read(new MemoryFile(bytes)), { code: 'BOLT_DAMAGED' }, `seed ${seed}`);
  }
});

test('mutated files end in a clear error or are read to their end, and never read much more than the file', async () => {
  const whole = await write({
    alpha: numbered(3_000, (number) => 'v'.repeat(number % 50)),
    beta: numbered(3, () => 'w'.repeat(9_000)),
  });
  let refused = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const random = randomOf(seed);
    const file = new MemoryFile(whole.bytes);
    // The metas have checksums: damage goes to the pages.
    const pages = whole.bytes.length / 4096;
    for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
      const page = 3 + Math.floor(random() * (pages - 3));
      const kind = random();
      if (kind < 0.2) {
        // One page over another: same bytes, wrong place.
        const other = 3 + Math.floor(random() * (pages - 3));
        whole.bytes.copy(file.bytes, page * 4096, other * 4096, other * 4096 + 4096);
        if (random() < 0.5) file.bytes.writeBigUInt64LE(BigInt(page), page * 4096);
      } else {
        const at = page * 4096 + Math.floor(random() ** 3 * 4096);
        file.bytes[at] = kind < 0.6 ? Math.floor(random() * 256) : (file.bytes[at] as number) ^ (1 << (count % 8));
      }
    }
    try {
      await read(file);
    } catch (error) {
      assert.ok(error instanceof KeelsonError && error.code === 'BOLT_DAMAGED', `seed ${seed}: ${String(error)}`);
      refused += 1;
    }
    assert.ok(file.reads <= 4 * pages, `seed ${seed}: ${file.reads} reads`);
  }
  assert.ok(refused > 40, `${refused} of 150 were refused`);
});

test('a branch that leads to itself ends in an error', async () => {
  const file = await write({ bucket: numbered(5_000, String) });
  for (const page of branchPages(file)) file.bytes.writeBigUInt64LE(BigInt(page), page * 4096 + 16 + 8);
  await assert.rejects(read(file), {
    code: 'BOLT_DAMAGED',
    message: /deeper than|do not rise|begins before|goes on after/,
  });
});
