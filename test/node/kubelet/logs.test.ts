import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { type LogOptions, readLog } from '../../../src/node/kubelet/log-reader.ts';
import { lastLogLines, logText, parseLogRecord } from '../../../src/node/kubelet/log-tail.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-logs-'));
});
after(() => rm(directory, { recursive: true }));

const line = (second: number, text: string, tag = 'F', stream = 'stdout') =>
  `2026-01-02T03:04:${String(second).padStart(2, '0')}.5Z ${stream} ${tag} ${text}\n`;
const all: LogOptions = {
  follow: false,
  tailLines: undefined,
  timestamps: false,
  sinceMs: undefined,
  limitBytes: undefined,
};

async function read(path: string, options: Partial<LogOptions>, isRunning = async () => false) {
  let out = '';
  let wake = () => {};
  const world = {
    disk: realDisk,
    clock: realClock,
    isRunning,
    signal: new AbortController().signal,
    write: async (text: string) => {
      out += text;
      wake();
    },
  };
  const done = readLog(path, { ...all, ...options }, world);
  const until = async (wanted: string) => {
    while (!out.endsWith(wanted)) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { done: done.then(() => out), until };
}

test('a record is stamp, stream, tag and text; anything else is no record', () => {
  assert.deepEqual(parseLogRecord('2026-01-02T03:04:05.6Z stderr P half a line'), {
    time: '2026-01-02T03:04:05.6Z',
    stream: 'stderr',
    isPartial: true,
    text: 'half a line',
  });
  assert.equal(parseLogRecord('2026-01-02T03:04:05.6Z stdout F ')?.text, '');
  assert.equal(parseLogRecord('2026-01-02T03:04:05.6Z stdout F')?.text, '');
  for (const text of ['', 'word', 'a b', 'a stdin F x', 'a stdout X y']) assert.equal(parseLogRecord(text), undefined);
});

test('partial records become one line with one stamp', () => {
  const records = [line(1, 'one '), line(2, 'two ', 'P'), line(3, 'three')].map((text) =>
    parseLogRecord(text.trimEnd()),
  );
  const known = records.filter((record) => record !== undefined);
  assert.equal(logText(known, false), 'one\ntwothree\n');
  assert.equal(lastLogLines(line(1, 'a') + line(2, 'b'), 1), 'b\n');
});

test('tail, since, limit and stream choose what is shown', async () => {
  const path = join(directory, 'chosen.log');
  await writeFile(path, line(1, 'a') + line(2, 'b', 'F', 'stderr') + line(3, 'c') + line(4, 'd'));
  const shown = async (options: Partial<LogOptions>) => (await read(path, options)).done;
  assert.equal(await shown({}), 'a\nb\nc\nd\n');
  assert.equal(await shown({ tailLines: 2 }), 'c\nd\n');
  assert.equal(await shown({ tailLines: 0 }), '');
  assert.equal(await shown({ tailLines: 99 }), 'a\nb\nc\nd\n');
  assert.equal(await shown({ sinceMs: Date.parse('2026-01-02T03:04:03Z') }), 'c\nd\n');
  assert.equal(await shown({ limitBytes: 3 }), 'a\nb');
  assert.equal(await shown({ stream: 'stderr' }), 'b\n');
  assert.equal(await shown({ tailLines: 1, timestamps: true }), '2026-01-02T03:04:04.5Z d\n');
});

test('following shows what is appended, goes on after a rotation and ends with the container', async () => {
  const path = join(directory, 'followed.log');
  await writeFile(path, line(1, 'first line before the rotation'));
  let running = true;
  const reader = await read(path, { follow: true }, async () => running);
  await reader.until('first line before the rotation\n');
  await appendFile(path, line(2, 'second'));
  await reader.until('second\n');
  await rename(path, `${path}.old`);
  await writeFile(path, line(3, 'third'));
  await reader.until('third\n');
  running = false;
  assert.equal(await reader.done, 'first line before the rotation\nsecond\nthird\n');
});

test('a large log is read in blocks and comes out whole', async () => {
  const path = join(directory, 'large.log');
  const lines = Array.from({ length: 5000 }, (_, index) => `${index} ${'x'.repeat(50)}`);
  await writeFile(path, lines.map((text) => line(1, text)).join(''));
  assert.equal(await (await read(path, {})).done, `${lines.join('\n')}\n`);
  assert.equal(await (await read(path, { tailLines: 3000 })).done, `${lines.slice(2000).join('\n')}\n`);
});
