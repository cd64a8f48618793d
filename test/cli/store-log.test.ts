/** The store's log: where it goes, in which form, from which level on, and when a file begins anew. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseStoreFlags } from '../../src/cli/store-arguments.ts';
import { consoleLine, openStoreLog } from '../../src/cli/store-log.ts';
import { fileOutput } from '../../src/env/real-log.ts';
import { realDisk } from '../../src/env/real.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-log-'));
});
after(() => rm(directory, { recursive: true }));

const open = async (...args: string[]) => openStoreLog((await parseStoreFlags(realDisk, args, {})).flags);
const lines = async (name: string) => (await readFile(join(directory, name), 'utf8')).trimEnd().split('\n');

test('lines are etcd’s: level, ts, caller and msg, and whatever belongs to them', async () => {
  const path = join(directory, 'plain.log');
  const { log } = await open(`--log-outputs=${path}`);
  log.with({ peer: 7 }).info('hello', { a: 1 });
  log.debug('too much');
  const [line] = (await lines('plain.log')) as [string];
  const { ts, ...rest } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(rest, { level: 'info', caller: 'keelson/store', peer: 7, a: 1, msg: 'hello' });
  assert.match(String(ts), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal((await lines('plain.log')).length, 1);
});

test('the level is set by flag, and again while it runs, for those who hold the log as well', async () => {
  const { log, setLevel } = await open(`--log-outputs=${join(directory, 'level.log')}`, '--log-level=panic');
  const part = log.with({ part: 1 });
  part.error('not told');
  setLevel('debug');
  part.debug('told');
  setLevel('warn');
  part.info('not told either');
  assert.deepEqual(
    (await lines('level.log')).map((line) => (JSON.parse(line) as { msg: string }).msg),
    ['told'],
  );
});

test('for people there are tabs instead of names', () => {
  const line = '{"level":"warn","ts":"T","caller":"c","peer":1,"msg":"m"}';
  assert.equal(consoleLine(line), 'T\twarn\tc\tm\t{"peer":1}\n');
  assert.equal(consoleLine('{"level":"info","ts":"T","msg":"m"}'), 'T\tinfo\tm\n');
});

test('a full file is set aside under its time, and only as many as wanted stay', async () => {
  const path = join(directory, 'turn.log');
  let nowMs = Date.UTC(2026, 0, 31, 10, 20, 30, 400);
  const rotation = { bytesMax: 10, ageMsMax: 0, filesMax: 2, isLocalTime: false };
  const output = fileOutput(path, () => nowMs, rotation);
  for (const line of ['first\n', 'second\n', 'third\n', 'fourth\n', 'fifth\n']) {
    output.write(line);
    nowMs += 1_000;
  }
  const names = (await readdir(directory)).filter((name) => name.startsWith('turn')).sort();
  assert.deepEqual(names, ['turn-2026-01-31T10-20-33.400.log', 'turn-2026-01-31T10-20-34.400.log', 'turn.log']);
  assert.deepEqual(await lines('turn.log'), ['fifth']);
  assert.deepEqual(await lines('turn-2026-01-31T10-20-34.400.log'), ['fourth']);
  // Begun again, it goes on where it was.
  fileOutput(path, () => nowMs, { ...rotation, bytesMax: 100 }).write('sixth\n');
  assert.deepEqual(await lines('turn.log'), ['fifth', 'sixth']);
});

test('outputs that cannot be are refused', async () => {
  await assert.rejects(open('--log-outputs=/no/such/directory/x.log'), {
    code: 'BAD_FLAGS',
    message: /--log-outputs \/no\/such/,
  });
  await assert.rejects(open('--log-outputs=default,stderr'), /multi logoutput for "default" is not supported/);
  await assert.rejects(open('--enable-log-rotation'), /requires one file target/);
  const file = `--log-outputs=${join(directory, 'r.log')}`;
  await assert.rejects(
    open(file, '--enable-log-rotation', '--log-rotation-config-json={'),
    /--log-rotation-config-json \{/,
  );
  await assert.rejects(
    open(file, '--enable-log-rotation', '--log-rotation-config-json={"maxsize":-1}'),
    /maxsize: want a whole number/,
  );
  await assert.rejects(
    open(file, '--enable-log-rotation', '--log-rotation-config-json={"compress":true}'),
    /compress is not supported/,
  );
});
