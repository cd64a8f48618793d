/** Backups of a running store and the recovery of one that lost its quorum, as an operator does them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import S3rver from '@20minutes/s3rver';
import { realClock } from '../../src/env/real.ts';
import { createKvClient } from '../../src/kv/index.ts';
import { keelson as program } from './command-line.ts';
import { planMembers } from './restored-members.ts';
import { type StoreCluster, type StoreMember, startStoreCluster } from './store-processes.ts';

let directory: string;
let passphraseFile: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-backup-'));
  passphraseFile = join(directory, 'passphrase');
  await writeFile(passphraseFile, 'correct horse battery staple\n');
});

after(() => rm(directory, { recursive: true, force: true }));

/** Of the one account that the S3 service knows. */
const keys = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = keys,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { env: { ...process.env, ...environment }, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
  });
}

async function keelson(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args);
  assert.equal(code, 0, `keelson ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

async function refused(pattern: RegExp, ...args: string[]): Promise<void> {
  const { code, stderr } = await run(args);
  assert.equal(code, 1, `keelson ${args.join(' ')}: ${stderr}`);
  assert.match(stderr, pattern);
  assert.equal(stderr.trimEnd().split('\n').length, 1, `it says one line: ${stderr}`);
}

/** `key 1` to `key <count>`, each with its number as value. */
async function fill(endpoint: string, count: number): Promise<void> {
  const kv = createKvClient({ clock: realClock, endpoints: [endpoint] });
  for (let number = 1; number <= count; number++) {
    await kv.put({ key: Buffer.from(`key ${number}`), value: Buffer.from(String(number)) });
  }
  kv.close();
}

async function countKeys(endpoint: string): Promise<number> {
  const kv = createKvClient({ clock: realClock, endpoints: [endpoint] });
  try {
    const all = Uint8Array.of(0);
    return (await kv.range({ key: all, rangeEnd: all, countOnly: true })).count;
  } finally {
    kv.close();
  }
}

/** Set up, back up, list, verify, restore: the same in every place. */
async function aWholeRound(cluster: StoreCluster, place: string, name: string): Promise<void> {
  const endpoint = cluster.endpoints[0] as string;
  const secret = ['--passphrase-file', passphraseFile];
  const at = ['--to', place, ...secret];
  const source = ['--endpoints', endpoint];
  await refused(/never set up: run keelson backup setup first/, 'backup', ...at, ...source);
  await keelson('backup', 'setup', ...at);
  await refused(/has been set up before/, 'backup', 'setup', ...at);
  const files = join(directory, `${name}-files`);
  await mkdir(join(files, 'pki'), { recursive: true });
  await writeFile(join(files, 'pki/ca.crt'), 'a certificate');
  assert.match(await keelson('backup', ...at, ...source), /backed up revision 51 and 0 files/);
  const made = await keelson('backup', ...at, ...source, '--include', files, '--keep', '1');
  assert.match(made, /backed up revision 51 and 1 files to keelson-.*, removed 1 older/);
  const names = (await keelson('backup', 'list', '--to', place)).trimEnd().split('\n');
  assert.equal(names.length, 1, 'one is kept');
  const backup = names[0] as string;
  assert.match(
    await keelson('backup', 'verify', backup, ...at),
    /is whole: .* gave back revision 51, 50 keys with 91 bytes; 1 files beside it/,
  );
  const [member] = await planMembers(directory, name, 1);
  assert.ok(member);
  const back = join(directory, `${name}-back`);
  await keelson('backup', 'restore', backup, ...at, '--files-to', back, ...member.restoreFlags);
  assert.equal(await readFile(join(back, files, 'pki/ca.crt'), 'utf8'), 'a certificate');
  assert.equal(await member.run('keelson', countKeys), 50);
}

/** An S3 service that verifies signatures. */
async function startS3(root: string): Promise<{ readonly port: number; close(): Promise<void> }> {
  const service = new S3rver({
    address: '127.0.0.1',
    port: 0,
    directory: root,
    silent: true,
    allowMismatchedSignatures: false,
    configureBuckets: [{ name: 'bucket', configs: [] }],
  });
  const { port } = await service.run();
  return { port, close: () => service.close() };
}

describe('backups', { timeout: 400_000 }, () => {
  let cluster: StoreCluster;

  before(async () => {
    cluster = await startStoreCluster({ kind: 'keelson', count: 1 });
    await fill(cluster.endpoints[0] as string, 50);
  });

  after(() => cluster?.stop());

  test('are made, kept, verified and restored in a directory', async () => {
    const place = join(directory, 'place');
    await aWholeRound(cluster, place, 'plain');
    const stored = await readFile(
      join(place, (await readdir(place)).find((name) => name.endsWith('.backup')) as string),
    );
    assert.ok(!stored.includes('key 1') && !stored.includes('a certificate'), 'nothing can be read of it');
  });

  test('are made, kept, verified and restored in an S3 service', async () => {
    const service = await startS3(join(directory, 's3'));
    try {
      const place = `s3://bucket/some/where?endpoint=http://127.0.0.1:${service.port}`;
      await aWholeRound(cluster, place, 's3');
      const stranger = await run(['backup', 'list', '--to', place], { ...keys, AWS_SECRET_ACCESS_KEY: 'wrong' });
      assert.equal(stranger.code, 1);
      assert.match(stranger.stderr, /SignatureDoesNotMatch|403/);
    } finally {
      await service.close();
    }
  });

  test('are refused with another passphrase than the place was set up with', async () => {
    const place = join(directory, 'other-place');
    await keelson('backup', 'setup', '--to', place, '--passphrase-file', passphraseFile);
    const wrong = join(directory, 'wrong');
    await writeFile(wrong, 'correct horse battery stable');
    const source = ['--endpoints', cluster.endpoints[0] as string];
    await refused(/the passphrase does not fit/, 'backup', '--to', place, '--passphrase-file', wrong, ...source);
    assert.deepEqual(await readdir(place), ['keelson-backups.check']);
  });

  test('are not verified when they are damaged, by a byte or by their end', async () => {
    const place = join(directory, 'damaged-place');
    const at = ['--to', place, '--passphrase-file', passphraseFile];
    await keelson('backup', 'setup', ...at);
    await keelson('backup', ...at, '--endpoints', cluster.endpoints[0] as string);
    const [name] = (await readdir(place)).filter((each) => each.endsWith('.backup')) as [string];
    const whole = await readFile(join(place, name));
    const changed = Buffer.from(whole);
    changed[whole.length - 5_000] = (changed[whole.length - 5_000] as number) ^ 1;
    await writeFile(join(directory, 'changed.backup'), changed);
    await writeFile(join(directory, 'short.backup'), whole.subarray(0, whole.length - 1));
    const secret = ['--passphrase-file', passphraseFile];
    await refused(/was changed/, 'backup', 'verify', join(directory, 'changed.backup'), ...secret);
    await refused(/was changed/, 'backup', 'verify', join(directory, 'short.backup'), ...secret);
  });
});

async function leaderFirst(cluster: StoreCluster): Promise<readonly [StoreMember, StoreMember, StoreMember]> {
  const kv = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
  const followers: StoreMember[] = [];
  let leading: StoreMember | undefined;
  for (const member of cluster.members) {
    const { leader, memberId } = await kv.status(member.endpoint);
    if (leader === memberId) leading = member;
    else followers.push(member);
  }
  kv.close();
  const [one, other] = followers;
  assert.ok(leading && one && other, 'one of three leads');
  return [leading, one, other];
}

describe('recovery', { timeout: 120_000 }, () => {
  test('goes on from the survivor that is furthest, as a new cluster that the old members cannot disturb', async () => {
    const cluster = await startStoreCluster({ kind: 'keelson', count: 3 });
    try {
      // The one that leads stays to the last, so that no write waits for an election.
      const [first, second, third] = await leaderFirst(cluster);
      await fill(first.endpoint, 10);
      await third.end('SIGKILL');
      await fill(first.endpoint, 20);
      const running = await run(['recover', '--data-dir', third.directory, '--endpoints', first.endpoint, '--yes']);
      assert.equal(running.code, 1, `two of three have a quorum: ${running.stdout}`);
      assert.match(running.stdout, /is further than/);
      await second.end('SIGKILL');
      await first.end('SIGKILL');

      const survivors = ['--data-dir', `${third.directory},${first.directory}`];
      const plan = await keelson('recover', ...survivors);
      assert.match(plan, new RegExp(`would make a new cluster of one out of ${first.directory}: nothing was done`));
      assert.match(plan, new RegExp(`${second.name} .* was not looked at: what only it has is lost`));
      const done = await keelson('recover', ...survivors, '--yes');
      assert.match(done, new RegExp(`made cluster [0-9a-f]+ of one member, ${first.name} .*: revision 31, 20 keys`));
      await keelson('store', 'verify', first.directory);

      await first.start();
      assert.equal(await countKeys(first.endpoint), 20);
      // Members of the old cluster come back from the dead: they have a quorum of it, and none of this one.
      const old = Promise.allSettled([second.start(), third.start()]);
      const kv = createKvClient({ clock: realClock, endpoints: [first.endpoint] });
      for (let number = 1; number <= 30; number++) await kv.put({ key: Buffer.from('new'), value: Buffer.from('x') });
      kv.close();
      await old;
      assert.equal(await countKeys(first.endpoint), 21);
      assert.equal(await countKeys(second.endpoint), 20, 'what the new cluster wrote is not in the old one');
    } finally {
      await cluster.stop();
    }
  });
});
