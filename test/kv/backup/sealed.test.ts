/** What is sealed opens with its passphrase and with nothing else, whole or not at all. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KeelsonError } from '../../../src/env/errors.ts';
import { realClock, realDisk, realRandom } from '../../../src/env/real.ts';
import { type ArchiveFile, readArchive, writeArchive } from '../../../src/kv/backup/archive.ts';
import { directoryDestination } from '../../../src/kv/backup/directory-destination.ts';
import { makeBackup, removeExpired } from '../../../src/kv/backup/make-backup.ts';
import { checkPassphrase, setUpPassphrase } from '../../../src/kv/backup/passphrase-check.ts';
import { readBackup } from '../../../src/kv/backup/read-backup.ts';
import { openStream, sealStream } from '../../../src/kv/backup/sealed-stream.ts';
import { randomOf } from '../snapshot/states.ts';

const passphrase = 'correct horse battery staple';
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-sealed-'));
});

after(() => rm(directory, { recursive: true, force: true }));

async function* pieces(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function all(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

/** Not the usual cost, which is meant to take time. */
const cheap = { n: 1024, r: 8, p: 1 };
const seal = (...parts: readonly Uint8Array[]) => all(sealStream(pieces(...parts), passphrase, realRandom, cheap));
const open = (sealed: Uint8Array, given = passphrase) => all(openStream(pieces(sealed), given, 'a file'));

const sealedLong = seal(Buffer.alloc(200_000, 'long '));

test('every length comes back, however it was cut', async () => {
  for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
    const bytes = Buffer.alloc(length, 'content ');
    const sealed = await seal(bytes.subarray(0, length / 3), bytes.subarray(length / 3));
    assert.ok(!sealed.includes('content content'), 'nothing of it shows');
    assert.ok((await open(sealed)).equals(bytes), `${length} bytes`);
  }
  const sealed = await sealedLong;
  const cut = pieces(
    ...Array.from({ length: Math.ceil(sealed.length / 777) }, (_, at) => sealed.subarray(at * 777, at * 777 + 777)),
  );
  assert.ok((await all(openStream(cut, passphrase, 'a file'))).equals(Buffer.alloc(200_000, 'long ')));
});

test('the same content is sealed differently each time', async () => {
  assert.ok(!(await seal(Buffer.from('x'))).equals(await seal(Buffer.from('x'))));
});

test('another passphrase is told apart from damage', async () => {
  await assert.rejects(open(await sealedLong, 'correct horse battery stapler'), { code: 'SEALED_PASSPHRASE' });
});

test('the same letters typed on another machine open it', async () => {
  const sealed = await all(sealStream(pieces(Buffer.from('x')), 'caf\u00e9 au lait noir', realRandom, cheap));
  assert.equal((await all(openStream(pieces(sealed), 'cafe\u0301 au lait noir', 'a file'))).toString(), 'x');
});

test('what was changed, cut off, moved or added to is refused', async () => {
  const sealed = await sealedLong;
  const pieceBytes = 65_536 + 16;
  const start = sealed.length - (200_000 + 4 * 16);
  const changed = (change: (bytes: Buffer) => Buffer | undefined) => {
    const copy = Buffer.from(sealed);
    return change(copy) ?? copy;
  };
  const damages: Readonly<Record<string, Buffer>> = {
    'a byte of a piece': changed((bytes) => void (bytes[start + 70_000] = (bytes[start + 70_000] as number) ^ 1)),
    'the last byte': changed((bytes) => void (bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1)),
    'cut inside a piece': sealed.subarray(0, sealed.length - 100),
    'cut between two pieces': sealed.subarray(0, start + 2 * pieceBytes),
    'cut before the first piece': sealed.subarray(0, start),
    'a byte more': Buffer.concat([sealed, Buffer.alloc(1)]),
    'two pieces swapped': Buffer.concat([
      sealed.subarray(0, start),
      sealed.subarray(start + pieceBytes, start + 2 * pieceBytes),
      sealed.subarray(start, start + pieceBytes),
      sealed.subarray(start + 2 * pieceBytes),
    ]),
  };
  for (const [name, bytes] of Object.entries(damages)) {
    await assert.rejects(open(bytes), { code: 'SEALED_DAMAGED' }, name);
  }
});

test('random and mutated beginnings end in a clear error, without costing more than they may', async () => {
  const sealed = await sealedLong;
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const bytes = seed % 2 === 0 ? Buffer.from(sealed.subarray(0, 1_000)) : Buffer.alloc(1_000);
    for (let count = 1 + Math.floor(random() * 5); count > 0; count--) {
      bytes[Math.floor(random() * 140)] = Math.floor(random() * 256);
    }
    await assert.rejects(open(bytes), (error) => {
      assert.ok(error instanceof KeelsonError, `seed ${seed}: ${String(error)}`);
      return error.code.startsWith('SEALED_');
    });
  }
  const greedy = JSON.stringify({ kdf: 'scrypt', n: 2 ** 30, r: 8, p: 1, salt: '', pieceBytes: 65_536 });
  const length = Buffer.alloc(4);
  length.writeUInt32BE(greedy.length);
  const asked = Buffer.concat([Buffer.from('keelson-sealed-1\n'), length, Buffer.from(greedy), Buffer.alloc(32)]);
  await assert.rejects(open(asked), { code: 'SEALED_DAMAGED', message: /asks for what this program does not know/ });
});

async function* files(...contents: readonly (readonly [name: string, content: string])[]): AsyncGenerator<ArchiveFile> {
  for (const [name, content] of contents) yield { head: { name }, content: pieces(Buffer.from(content)) };
}

test('files come back from an archive, and a damaged one is refused', async () => {
  const archive = await all(writeArchive(files(['a', 'first'], ['b', ''], ['c', 'x'.repeat(100_000)])));
  const found: Record<string, number> = {};
  for await (const { head, content } of readArchive(pieces(archive))) found[head.name] = (await all(content)).length;
  assert.deepEqual(found, { a: 5, b: 0, c: 100_000 });
  const passedOver: string[] = [];
  for await (const { head } of readArchive(pieces(archive))) passedOver.push(head.name);
  assert.deepEqual(passedOver, ['a', 'b', 'c'], 'files that nobody reads are passed over');
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomOf(seed);
    const bytes = Buffer.from(archive.subarray(0, Math.floor(random() * archive.length)));
    const reading = async () => {
      for await (const { content } of readArchive(pieces(bytes))) await all(content);
    };
    await assert.rejects(reading(), { code: 'ARCHIVE_DAMAGED' }, `cut after ${bytes.length}`);
  }
});

test('a place takes the passphrase it was set up with and no other', async () => {
  const place = directoryDestination(realDisk, join(directory, 'place'));
  await assert.rejects(checkPassphrase(place, passphrase), { code: 'BACKUP_NOT_SET_UP' });
  await assert.rejects(setUpPassphrase(place, 'short', realRandom), { code: 'WEAK_PASSPHRASE' });
  await setUpPassphrase(place, passphrase, realRandom);
  await checkPassphrase(place, passphrase);
  await assert.rejects(setUpPassphrase(place, passphrase, realRandom), { code: 'BACKUP_SET_UP' });
  await assert.rejects(checkPassphrase(place, 'correct horse battery stable'), { code: 'SEALED_PASSPHRASE' });
});

test('a backup brings the snapshot and the files beside it back, and leaves nothing of a damaged one', async () => {
  const place = directoryDestination(realDisk, join(directory, 'backups'));
  await setUpPassphrase(place, passphrase, realRandom);
  const beside = join(directory, 'beside');
  await realDisk.makeDirectory(join(beside, 'deeper'));
  await writeFile(join(beside, 'ca.crt'), 'certificate');
  await writeFile(join(beside, 'deeper/token'), 'token');
  await writeFile(join(beside, 'deeper/empty'), '');
  const options = { env: { clock: realClock, random: realRandom, disk: realDisk }, destination: place, passphrase };
  const source = { clusterId: 'abc', revision: 7, chunks: () => pieces(Buffer.from('snap'), Buffer.from('shot')) };
  const { name, files: count } = await makeBackup({ ...options, includes: [beside] }, source);
  assert.equal(count, 3);
  const snapshotPath = join(directory, 'snapshot');
  const filesDirectory = join(directory, 'back');
  const read = await readBackup(place.get(name), { disk: realDisk, passphrase, name, snapshotPath, filesDirectory });
  assert.deepEqual([read.clusterId, read.revision, read.files.length], ['abc', 7, 3]);
  assert.equal(await readFile(snapshotPath, 'utf8'), 'snapshot');
  assert.equal(await readFile(join(filesDirectory, beside, 'deeper/token'), 'utf8'), 'token');
  assert.equal(await readFile(join(filesDirectory, beside, 'deeper/empty'), 'utf8'), '');

  const cutOff = Buffer.from(await all(place.get(name)));
  const nowhere = join(directory, 'nowhere');
  const reading = readBackup(pieces(cutOff.subarray(0, cutOff.length - 1)), {
    disk: realDisk,
    passphrase,
    name,
    snapshotPath: join(directory, 'half'),
    filesDirectory: nowhere,
  });
  await assert.rejects(reading, { code: 'SEALED_DAMAGED' });
  assert.ok(!(await readdir(directory)).includes('half'), 'no half snapshot is left');
});

test('a backup does not write outside the directory it is given', async () => {
  for (const path of ['../outside', '/a/../../outside', '..', '']) {
    const archive = writeArchive(
      (async function* (): AsyncGenerator<ArchiveFile> {
        yield { head: { name: 'file 1', path }, content: pieces(Buffer.from('x')) };
      })(),
    );
    const target = { snapshotPath: join(directory, 'none'), filesDirectory: join(directory, 'inside') };
    const reading = readBackup(sealStream(archive, passphrase, realRandom, cheap), {
      disk: realDisk,
      passphrase,
      name: 'evil',
      ...target,
    });
    await assert.rejects(reading, { code: 'ARCHIVE_DAMAGED', message: /would be written to/ }, path);
  }
});

test('old backups of this cluster go, those of others and other files stay', async () => {
  const place = directoryDestination(realDisk, join(directory, 'old'));
  const names = ['20260101', '20260102', '20260103', '20260104'].map((day) => `keelson-${day}T000000000Z-abc.backup`);
  const others = ['keelson-20200101T000000000Z-def.backup', 'notes.txt'];
  for (const name of [...names, ...others]) await place.put(name, pieces(Buffer.from('x')));
  const nowMs = Date.UTC(2026, 0, 4, 12);
  const gone = await removeExpired(place, 'abc', nowMs, { keep: 1, keepForMs: 2 * 86_400_000 });
  assert.deepEqual(gone, names.slice(0, 2));
  assert.deepEqual([...(await place.list())].sort(), [...names.slice(2), ...others].sort());
});
