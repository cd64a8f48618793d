/** The small files that a start reads, as random and mutated bytes: each is read as it was written, or refused in one line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { storeFlags } from '../../../src/cli/store-flags.ts';
import { parseConfigFile } from '../../../src/cli/store-config-file.ts';
import { errorText, KeelsonError } from '../../../src/env/errors.ts';
import { SnapshotCheck } from '../../../src/kv/apply/index.ts';
import { decodeSnapshot, encodeSnapshot, type Row } from '../../../src/kv/apply/snapshot-stream.ts';
import { readAbandoned, readMemberFile, writeMemberFile } from '../../../src/kv/server/data-directory.ts';
import { openMemberKey } from '../../../src/kv/server/member-key.ts';
import { readSucceeded, writeSucceeded } from '../../../src/kv/server/succession.ts';
import { mutated } from '../../support/random-messages.ts';

const directory = '/data';
const seeds = 400;

async function put(disk: SimDisk, path: string, content: Uint8Array): Promise<void> {
  await disk.makeDirectory(directory);
  const file = await disk.open(path, 'create');
  await file.write(0, [content]);
  await file.close();
}

/** What JSON can hold where something else is expected. */
const otherJson = [
  'null',
  '1',
  '"x"',
  '[]',
  '[null]',
  '{}',
  'true',
  '{"formatVersion":1}',
  '[1e999]',
  '{"memberId":-1}',
  '',
];

const member = { clusterId: 7, memberId: 9, token: 'one', initialCluster: ['m1=http://127.0.0.1:1'] };

for (const [name, write, read] of [
  ['member.json', (disk: SimDisk) => writeMemberFile(disk, directory, member), readMemberFile],
  [
    'abandoned.json',
    (disk: SimDisk) => put(disk, `${directory}/abandoned.json`, Buffer.from('{"memberId":9}')),
    readAbandoned,
  ],
  ['succeeds.json', (disk: SimDisk) => writeSucceeded(disk, directory, [5, 6]), readSucceeded],
  [
    'member.key',
    (disk: SimDisk) => openMemberKey(disk, seededRandom(1), directory),
    (disk: SimDisk) => openMemberKey(disk, seededRandom(1), directory),
  ],
] as const) {
  test(`${name} of other bytes is read or refused in one line that names it`, async () => {
    const whole = new SimDisk({ random: seededRandom(0) });
    await whole.makeDirectory(directory);
    await write(whole);
    const path = `${directory}/${name}`;
    const source = await whole.readFile(path);
    const random = seededRandom(name);
    const contents = otherJson.map((text) => Buffer.from(text) as Uint8Array);
    for (let count = 0; count < seeds; count++) {
      contents.push(count % 8 === 0 ? random.bytes(random.integer(0, 200)) : mutated(random, source));
    }
    let refused = 0;
    for (const content of contents) {
      const disk = new SimDisk({ random: seededRandom(0) });
      await put(disk, path, content);
      try {
        await read(disk, directory);
      } catch (error) {
        assert.ok(error instanceof KeelsonError, `${Buffer.from(content).toString('latin1')}: ${String(error)}`);
        assert.match(error.code, /^DATA_(DAMAGED|NEWER_VERSION)$/);
        assert.ok(error.message.includes(directory) && !error.message.includes('\n'), error.message);
        refused += 1;
      }
    }
    assert.ok(refused > seeds / 4, `${refused} refused`);
  });
}

test('a member file of the wrong shape is refused, also where it is JSON', async () => {
  for (const odd of [
    { clusterId: '7' },
    { memberId: 0 },
    { token: 1 },
    { initialCluster: 'm1' },
    { formatVersion: 0 },
  ]) {
    const disk = new SimDisk({ random: seededRandom(0) });
    const file = JSON.stringify({ formatVersion: 1, ...member, ...odd });
    await put(disk, `${directory}/member.json`, Buffer.from(file));
    await assert.rejects(readMemberFile(disk, directory), { code: 'DATA_DAMAGED' });
  }
});

test('configuration of other bytes is read or refused with its line', () => {
  const source = Buffer.from(
    'name: m1\ndata-dir: /var/lib/keelson\nlisten-client-urls: http://127.0.0.1:2379\nauto-compaction-retention: "1h"\n' +
      'client-transport-security:\n  cert-file: a\n  client-cert-auth: true\nheartbeat-interval: 100\n',
  );
  const random = seededRandom('configuration');
  let refused = 0;
  for (let count = 0; count < seeds * 2; count++) {
    const content = count % 8 === 0 ? random.bytes(random.integer(0, 300)) : mutated(random, source);
    try {
      parseConfigFile('config.yaml', Buffer.from(content).toString('utf8'), storeFlags);
    } catch (error) {
      assert.ok(error instanceof KeelsonError && error.code === 'BAD_CONFIG', errorText(error));
      assert.ok(!error.message.includes('\n'), error.message);
      refused += 1;
    }
  }
  assert.ok(refused > seeds, `${refused} refused`);
});

test('a snapshot of other bytes is refused by who checks it as by who reads it, however it is cut', async () => {
  const rows: Row[] = Array.from({ length: 20 }, (_, at) => [Buffer.from(`key ${at}`), Buffer.alloc(at * 7, at)]);
  async function* all(): AsyncGenerator<Row> {
    yield* rows;
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeSnapshot(all())) chunks.push(chunk);
  const source = Buffer.concat(chunks);
  const random = seededRandom('snapshot');
  let taken = 0;
  for (let count = 0; count < seeds; count++) {
    const content = count % 4 === 0 ? source : mutated(random, source);
    const cut: Uint8Array[] = [];
    for (let at = 0; at < content.length; ) {
      const end = Math.min(content.length, at + random.integer(1, 400));
      cut.push(content.subarray(at, end));
      at = end;
    }
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield* cut;
    }
    const outcomeOf = async (read: () => unknown) => {
      try {
        await read();
        return 'whole';
      } catch (error) {
        assert.ok(error instanceof KeelsonError && error.code === 'SNAPSHOT_CORRUPT', errorText(error));
        return 'refused';
      }
    };
    const read = await outcomeOf(() => decodeSnapshot(stream()));
    const checked = await outcomeOf(() => {
      const check = new SnapshotCheck();
      for (const chunk of cut) check.push(chunk);
      check.finish();
    });
    assert.equal(checked, read, `content ${count}`);
    if (read === 'whole') taken += 1;
  }
  assert.ok(taken >= seeds / 4 && taken < seeds / 2, `${taken} taken`);
});
