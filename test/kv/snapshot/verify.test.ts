/** A data directory as a restore makes it: whole, then damaged in one place after another, and told so each time. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk } from '../../../src/env/real.ts';
import type { BackendWrite } from '../../../src/kv/backend/contract.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { encodeRevision } from '../../../src/kv/mvcc/revision.ts';
import { dumpDirectory } from '../../../src/kv/snapshot/dump.ts';
import { openOffline } from '../../../src/kv/snapshot/offline.ts';
import { restoreMember } from '../../../src/kv/snapshot/restore.ts';
import { openSnapshotFile } from '../../../src/kv/snapshot/snapshot-file.ts';
import { verifyDirectory } from '../../../src/kv/snapshot/verify.ts';
import { randomState, toEtcd } from './states.ts';

let directory: string;
let whole: string;

const openBackend = (path: string) => openLevelBackend(path, { log: silentLog, onFatal: () => undefined });

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-verify-'));
  whole = join(directory, 'whole');
  const { bytes } = await toEtcd(randomState(5, 200));
  const snapshot = join(directory, 'snapshot');
  await writeFile(snapshot, Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]));
  const source = await openSnapshotFile(realDisk, snapshot, false);
  await restoreMember({
    disk: realDisk,
    source,
    directory: whole,
    name: 'm1',
    initialCluster: [{ name: 'm1', peerUrls: ['http://127.0.0.1:1'] }],
    peerUrls: ['http://127.0.0.1:1'],
    token: 'test',
    bumpRevision: 0,
    openBackend,
  });
  await source.close();
});

after(() => rm(directory, { recursive: true, force: true }));

const offline = (path: string) => ({
  env: { clock: realClock, disk: realDisk },
  directory: path,
  scratch: join(directory, 'scratch'),
  openBackend,
});

async function problemsOf(path: string): Promise<string> {
  const problems: string[] = [];
  for await (const { kind, text } of verifyDirectory(offline(path))) if (kind === 'problem') problems.push(text);
  return problems.join('\n');
}

async function copyOf(name: string): Promise<string> {
  const copy = join(directory, name);
  await cp(whole, copy, { recursive: true });
  return copy;
}

/** Changes some bytes of the only file whose name ends so. */
async function damage(path: string, ending: string, offset: number): Promise<void> {
  const [name] = (await readdir(path)).filter((each) => each.endsWith(ending));
  assert.ok(name, `there is a ${ending} in ${path}`);
  const bytes = await readFile(join(path, name));
  assert.ok(bytes.length > offset + 8, `${name} reaches beyond ${offset}`);
  bytes.fill(0xa5, offset, offset + 8);
  await writeFile(join(path, name), bytes);
}

async function writeRows(path: string, rows: readonly BackendWrite[]): Promise<void> {
  const backend = await openBackend(join(path, 'kv'));
  backend.write(rows);
  await backend.close();
}

test('a whole directory has no problems, and is not touched by looking at it', async () => {
  const hashes = async () => {
    const lines: string[] = [];
    for (const name of (await readdir(whole, { recursive: true })).sort()) {
      const content = await readFile(join(whole, name)).catch(() => Buffer.from('directory'));
      lines.push(`${name} ${createHash('sha256').update(content).digest('hex')}`);
    }
    return lines;
  };
  const before = await hashes();
  assert.equal(await problemsOf(whole), '');
  let revisions = 0;
  for await (const item of dumpDirectory(offline(whole))) if (item.kind === 'revision') revisions += 1;
  assert.ok(revisions > 20, `${revisions} revisions are printed`);
  assert.deepEqual(await hashes(), before);
  assert.deepEqual((await readdir(directory)).sort(), ['snapshot', 'whole'], 'the copies are gone');
});

test('the state of a stopped member is read without touching it', async () => {
  const member = await openOffline(offline(whole));
  assert.equal(member.kv.revision(), randomState(5, 200).revision());
  assert.equal(member.uncommitted, 0);
  assert.deepEqual([member.lastIndex, member.lastTerm], [1, 1]);
  await member.close();
});

test('a damaged snapshot of the log is told', async () => {
  const copy = await copyOf('bad-snapshot');
  await damage(join(copy, 'raft/snap'), '.snap', 1_000);
  assert.match(await problemsOf(copy), /raft snapshot .*damaged/);
});

test('a damaged log is told', async () => {
  const copy = await copyOf('bad-log');
  await damage(join(copy, 'raft/wal'), '.wal', 40);
  assert.match(await problemsOf(copy), /log .*\.wal at offset \d+/);
});

test('a log of another member is told', async () => {
  const copy = await copyOf('other-member');
  const path = join(copy, 'member.json');
  const file = JSON.parse(await readFile(path, 'utf8')) as { memberId: number };
  await writeFile(path, JSON.stringify({ ...file, memberId: file.memberId + 1 }));
  assert.match(await problemsOf(copy), /belongs to member [0-9a-f]+ of cluster [0-9a-f]+, member.json says otherwise/);
});

test('rows that miss a revision, or hold none of the store’s rows, are told', async () => {
  const copy = await copyOf('bad-rows');
  const { revision } = JSON.parse(await rowValue(copy, 'a')) as { revision: number };
  const rows = Array.from({ length: 3 }, (_, sub) => ({ type: 'delete' as const, key: encodeRevision(revision, sub) }));
  await writeRows(copy, [...rows, { type: 'put', key: Buffer.from('q'), value: Buffer.from('?') }]);
  const problems = await problemsOf(copy);
  assert.match(problems, /row "q": no backend row begins with "q"/);
  assert.match(problems, new RegExp(`the rows end at revision ${revision - 1}, they say that they end at ${revision}`));
  assert.match(problems, /state and log do not start together/);
});

test('rows ahead of the log are told', async () => {
  const copy = await copyOf('ahead');
  const { revision } = JSON.parse(await rowValue(copy, 'a')) as { revision: number };
  await writeRows(copy, [
    { type: 'put', key: Buffer.from('a'), value: Buffer.from(JSON.stringify({ index: 9, revision })) },
  ]);
  assert.match(await problemsOf(copy), /its state holds entries up to 9, its log ends at 1/);
});

async function rowValue(path: string, key: string): Promise<string> {
  const backend = await openBackend(join(path, 'kv'));
  const value = backend.get(Buffer.from(key));
  await backend.close();
  return Buffer.from(value ?? []).toString();
}
