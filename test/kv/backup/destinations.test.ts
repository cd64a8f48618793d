/** Places for backups: the same promises in a directory and in a bucket. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { realDisk } from '../../../src/env/real.ts';
import type { Destination } from '../../../src/kv/backup/destination.ts';
import { directoryDestination } from '../../../src/kv/backup/directory-destination.ts';
import { openDestination } from '../../../src/kv/backup/open-destination.ts';
import { s3Destination } from '../../../src/kv/backup/s3-destination.ts';
import { type S3Service, startS3Service } from './s3-service.ts';

let directory: string;
let service: S3Service;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-places-'));
  service = await startS3Service();
});

after(async () => {
  await service.close();
  await rm(directory, { recursive: true, force: true });
});

const bucket = (prefix: string): Destination =>
  s3Destination({
    endpoint: service.endpoint,
    bucket: 'bucket',
    prefix,
    region: 'us-east-1',
    accessKeyId: 'key',
    secretAccessKey: 'secret',
    partBytes: 100_000,
  });

async function* pieces(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const [position, size] of sizes.entries()) yield new Uint8Array(size).fill(position + 1);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(250_000);
  throw new Error('the store went away');
}

async function read(destination: Destination, name: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of destination.get(name)) parts.push(part);
  return Buffer.concat(parts);
}

async function all(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}

for (const [kind, make] of [
  ['a directory', () => directoryDestination(realDisk, join(directory, 'new/place'))],
  ['a bucket', () => bucket('some/where & else/')],
] as const) {
  describe(kind, () => {
    test('gives back what was put, small or large, and lists and removes it', async () => {
      const place = make();
      assert.deepEqual(await place.list(), []);
      const contents: Readonly<Record<string, readonly number[]>> = {
        empty: [],
        small: [10, 20],
        'one part': [100_000],
        'one part and a byte': [100_001],
        'several & more': [50_000, 300_000, 1],
      };
      for (const [name, sizes] of Object.entries(contents)) await place.put(name, pieces(...sizes));
      assert.deepEqual([...(await place.list())].sort(), Object.keys(contents).sort());
      for (const [name, sizes] of Object.entries(contents)) {
        assert.deepEqual(await read(place, name), await all(pieces(...sizes)), name);
      }
      await place.put('small', pieces(5));
      assert.equal((await read(place, 'small')).length, 5, 'an existing one is replaced');
      for (const name of Object.keys(contents)) await place.remove(name);
      assert.deepEqual(await place.list(), []);
    });

    test('says when there is nothing of a name', async () => {
      await assert.rejects(read(make(), 'nothing'), { code: 'BACKUP_MISSING' });
    });

    test('stores nothing of what was cut off', async () => {
      const place = make();
      await assert.rejects(place.put('cut off', failing()), /went away/);
      assert.deepEqual(await place.list(), []);
      assert.equal(service.uploads.size, 0, 'no part is left');
    });
  });
}

test('a directory shows nothing of what is being written', async () => {
  const place = directoryDestination(realDisk, join(directory, 'writing'));
  const written = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const putting = place.put(
    'name',
    (async function* () {
      yield new Uint8Array(10);
      written.resolve();
      await go.promise;
    })(),
  );
  await written.promise;
  assert.deepEqual(await place.list(), []);
  assert.deepEqual(await readdir(join(directory, 'writing')), ['name.part']);
  go.resolve();
  await putting;
  assert.deepEqual(await place.list(), ['name']);
});

test('a service that refuses is quoted in one line; one that is busy is asked again', async () => {
  service.refusals.push(403);
  await assert.rejects(bucket('').list(), {
    code: 'S3_FAILED',
    message: /answered 403 Forbidden NotNow: try later: check/,
  });
  service.refusals.push(503, 500);
  assert.deepEqual(await bucket('empty/').list(), []);
});

test('a place is named by a directory or an s3 address', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
  const open = (place: string, environment: Readonly<Record<string, string>> = keys) =>
    openDestination(realDisk, place, environment).description;
  assert.equal(open('/some/where/'), '/some/where');
  assert.equal(open('s3://b/p/q?endpoint=http://127.0.0.1:1'), 's3://b/p/q/ at http://127.0.0.1:1');
  assert.equal(open('s3://b?region=eu-north-1'), 's3://b/ at https://s3.eu-north-1.amazonaws.com');
  for (const bad of ['', 'ftp://host/x', 's3://b?endpiont=http://x', 's3://b?endpoint=host', 's3:///x']) {
    assert.throws(() => open(bad), { code: 'BAD_DESTINATION' }, bad);
  }
  assert.throws(() => open('s3://b/p', {}), /AWS_ACCESS_KEY_ID/);
});
