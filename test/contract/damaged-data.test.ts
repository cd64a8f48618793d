/**
 * Damage on the real disk under real members: what was written is there again, from the state, the log, the snapshot or
 * the peers; and where nobody has it, the start says so instead of going on.
 */
import assert from 'node:assert/strict';
import { open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { realClock, realDisk } from '../../src/env/real.ts';
import { createKvClient, type KvClient } from '../../src/kv/index.ts';
import { readWal } from '../../src/raft/wal/read-wal.ts';
import { recordHeadBytes } from '../../src/raft/wal/record.ts';
import { type StoreCluster, type StoreMember, startStoreCluster } from './store-processes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const untilMs = 20_000;

/** Small intervals, so that snapshots, trimming and segments of the log take part. */
const flags = ['--snapshot-count', '200', '--snapshot-catchup-entries', '50'];

/** Each key has one value for ever, so a write whose outcome is not known can be repeated. */
async function put(client: KvClient, key: number): Promise<void> {
  const lateAtMs = performance.now() + untilMs;
  for (;;) {
    try {
      await client.put({ key: bytes(`k${key}`), value: bytes(`value ${key} ${'x'.repeat(200)}`) });
      return;
    } catch (error) {
      if (performance.now() > lateAtMs) throw error;
    }
  }
}

async function write(client: KvClient, from: number, to: number): Promise<void> {
  for (let start = from; start < to; start += 50) {
    const keys = Array.from({ length: Math.min(50, to - start) }, (_, at) => start + at);
    await Promise.all(keys.map((key) => put(client, key)));
  }
}

async function check(client: KvClient, count: number, isSerializable = false): Promise<void> {
  const { kvs } = await client.range({ key: bytes('k'), rangeEnd: bytes('l'), serializable: isSerializable });
  assert.equal(kvs.length, count);
  for (const { key, value } of kvs) assert.ok(text(value).startsWith(`value ${text(key).slice(1)} `), text(key));
}

/** The member's own state, which no other member answers for, as soon as it is complete. */
async function checkOwn(member: StoreMember, count: number): Promise<void> {
  const client = createKvClient({ clock: realClock, endpoints: [member.endpoint] });
  const lateAtMs = performance.now() + untilMs;
  try {
    for (;;) {
      const { kvs } = await client.range({ key: bytes('k'), rangeEnd: bytes('l'), serializable: true });
      if (kvs.length >= count || performance.now() > lateAtMs) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await check(client, count, true);
  } finally {
    client.close();
  }
}

async function flip(path: string, offset: number): Promise<void> {
  const handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, offset);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, offset);
  await handle.close();
}

/** Damages the payload of the batch that is `share` of the way through the log. */
async function damageLog(member: StoreMember, share: number): Promise<void> {
  const batches = [];
  for await (const item of readWal(realDisk, join(member.directory, 'raft'))) {
    if (item.kind === 'record' && item.type === 'batch' && !item.text.includes('no entries')) batches.push(item);
  }
  const victim = batches[Math.floor((batches.length - 1) * share)];
  assert.ok(victim, 'there is a batch to damage');
  await flip(victim.segment, victim.offset + recordHeadBytes + 20);
}

async function damageSnapshots(member: StoreMember): Promise<void> {
  const directory = join(member.directory, 'raft/snap');
  for (const name of await readdir(directory)) await flip(join(directory, name), 500);
}

async function damageState(member: StoreMember): Promise<void> {
  const directory = join(member.directory, 'kv');
  for (const name of await readdir(directory)) {
    if (!/\.(ldb|log)$/.test(name)) continue;
    const { length } = await readFile(join(directory, name));
    for (let offset = 1000; offset < length; offset += 5000) await flip(join(directory, name), offset);
  }
  await rm(join(directory, 'CURRENT'));
}

describe('a single member', () => {
  let cluster: StoreCluster;
  let client: KvClient;
  let member: StoreMember;
  before(async () => {
    cluster = await startStoreCluster({ kind: 'keelson', count: 1, flags });
    member = cluster.members[0] as StoreMember;
    client = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
    await write(client, 0, 700);
  });
  after(async () => {
    client?.close();
    await cluster?.stop();
  });

  test('builds a damaged state anew from snapshot and log', async () => {
    await member.end('SIGKILL');
    await damageState(member);
    await member.start();
    assert.match(member.output(), /the backend was damaged and is rebuilt/);
    await check(client, 700);
    assert.ok((await readdir(member.directory)).includes('kv.broken-1'));
  });

  test('loses nothing when its log is damaged where the state reaches over it', async () => {
    await member.end('SIGTERM');
    await damageLog(member, 0.9);
    await member.start();
    assert.match(member.output(), /nothing was lost by the damage to the log/);
    await check(client, 700);
  });

  test('loses nothing when all its snapshots are damaged', async () => {
    await write(client, 700, 1200);
    await member.end('SIGTERM');
    await damageSnapshots(member);
    await member.start();
    assert.match(member.output(), /set a damaged snapshot aside/);
    await check(client, 1200);
  });

  test('refuses to start when state and log are both damaged, names the entries, and goes on when told to', async () => {
    await write(client, 1200, 1250);
    await member.end('SIGKILL');
    await damageState(member);
    await damageLog(member, 0.5);
    const code = await member.start().then(
      () => assert.fail('it has to refuse'),
      (error: Error) => error.message,
    );
    assert.match(code, /entries \d+ to \d+ are lost: segment .* --accept-loss/s);
    await member.start(['--accept-loss']);
    assert.match(member.output(), /entries of the log are lost/);
    const { kvs } = await client.range({ key: bytes('k'), rangeEnd: bytes('l') });
    assert.ok(kvs.length > 0 && kvs.length < 1250, `${kvs.length} keys are left`);
    await write(client, 0, 10);
  });
});

describe('one member of three', () => {
  let cluster: StoreCluster;
  let client: KvClient;
  let count = 0;
  before(async () => {
    cluster = await startStoreCluster({ kind: 'keelson', count: 3, flags });
    client = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
  });
  after(async () => {
    client?.close();
    await cluster?.stop();
  });

  const damages: Record<string, readonly ((member: StoreMember) => Promise<void>)[]> = {
    'its log': [(member) => damageLog(member, 0.95)],
    'its state': [damageState],
    'its snapshots and its state': [damageSnapshots, damageState],
    'its log and its state': [(member) => damageLog(member, 0.3), damageState],
    everything: [(member) => damageLog(member, 0.6), damageSnapshots, damageState],
  };
  for (const [position, [name, all]] of Object.entries(damages).entries()) {
    test(`has ${name} damaged, and is repaired by the others`, async () => {
      await write(client, count, count + 450);
      count += 450;
      const member = cluster.members[position % 3] as StoreMember;
      await member.end('SIGKILL');
      for (const damage of all) await damage(member);
      await write(client, count, count + 20);
      count += 20;
      await member.start();
      await checkOwn(member, count);
      await check(client, count);
      if (/entries of the log are lost/.test(member.output())) {
        assert.match(member.output(), /the entries that damage had taken are there again/);
      }
    });
  }
});
