/** The command itself: what it refuses, and one short run on real members. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import { checkHistory } from '../../../chaos/check/check-history.ts';
import { readHistory } from '../../../chaos/check/history-file.ts';
import { runLive } from '../../../chaos/live/run.ts';
import { readRunRecord } from '../../../chaos/report/read-run-record.ts';
import type { RunRecord } from '../../../chaos/report/run-record.ts';

const directory = mkdtempSync(join(tmpdir(), 'keelson-run-test-'));
after(() => rmSync(directory, { recursive: true }));

/** What a command printed, and its exit code. */
async function run(
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const out = mock.method(console, 'log', () => undefined);
  const error = mock.method(console, 'error', () => undefined);
  const textOf = ({ mock: { calls } }: typeof out) => calls.map((call) => call.arguments.join(' ')).join('\n');
  try {
    const code = await runLive(args);
    return { code, out: textOf(out), error: textOf(error) };
  } finally {
    out.mock.restore();
    error.mock.restore();
  }
}

function fileOf(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const isRoot = process.getuid?.() === 0;

test('--list names every scenario with what it is about, --help every flag', async () => {
  const { code, out } = await run('--list');
  assert.equal(code, 0);
  assert.match(out, /^partition-leader +Whoever leads is cut off/m);
  const help = await run('--help');
  assert.equal(help.code, 0);
  assert.match(help.out, /--target/);
});

test('what nobody knows is a question back: no scenario, one that is not there, a flag that is none', async () => {
  const questions = [
    { args: [], wanted: /want a scenario: .*storm/ },
    { args: ['partition'], wanted: /no scenario partition: want a file\.yaml, or one of .*partition-leader/ },
    { args: ['calm', '--sedonds', '3'], wanted: /unknown flag: --sedonds/ },
    { args: ['calm', '--user', 'root', '--target', 'http://127.0.0.1:1'], wanted: /--user: want name:password/ },
    { args: ['calm', '--cacert', '/none'], wanted: /--cacert goes with --target/ },
  ];
  for (const { args, wanted } of questions) {
    const { code, out, error } = await run(...args);
    assert.deepEqual({ code, out }, { code: 2, out: '' });
    assert.match(error, wanted);
  }
});

test('a file that is wrong is refused with its place before anything starts', async () => {
  const path = fileOf('wrong.yaml', 'name: mine\ndescription: x\nfaults:\n  - at: 5\n');
  const { code, out, error } = await run(path);
  assert.deepEqual({ code, out }, { code: 2, out: '' });
  assert.equal(error, `${path}:4:9: at is "5"; want a duration such as 3s, 500ms or 1m30s`);
  const missing = await run(join(directory, 'none.yaml'));
  assert.equal(missing.code, 2);
  assert.match(missing.error, /read the scenario .*none\.yaml: ENOENT/);
});

test('a fault that real processes cannot stand for is refused before anything starts, with what can be', async () => {
  const path = fileOf(
    'figure.yaml',
    'name: figure\ndescription: x\ncluster: {members: 5}\nfaults: [{at: 1s, fault: figureEight}]\n',
  );
  const { code, out, error } = await run(path);
  assert.deepEqual({ code, out }, { code: 2, out: '' });
  assert.match(error, /^figure: cannot be done to real processes: figureEight \(.*\); what can be: crash, /);
});

test('three real members lose their leader, and everything they promised is kept', {
  skip: isRoot ? false : 'network namespaces take root',
}, async () => {
  const path = fileOf(
    'short.yaml',
    `name: short
description: Whoever leads is cut off, then killed.
workload: { clients: 6, keys: 4, seconds: 11 }
faults:
  - { at: 1s, fault: isolate, member: leader, for: 7s, expect: writes }
  - { at: 9s, fault: crash, member: leader, for: 500ms }
`,
  );
  const record = join(directory, 'record.json');
  const page = join(directory, 'run.html');
  const history = join(directory, 'history.jsonl');
  const { code, out, error } = await run(
    path,
    '--seed',
    '1',
    '--record',
    record,
    '--history',
    history,
    '--report',
    page,
  );
  assert.equal(code, 0, `${out}\n${error}`);
  assert.match(out, /\nshort: passed$/);
  const written = JSON.parse(readFileSync(record, 'utf8')) as RunRecord;
  assert.equal(written.format, 'keelson-run');
  assert.equal(written.verdict, 'passed');
  assert.equal(written.violation, undefined);
  assert.equal(written.members.length, 3);
  assert.deepEqual(
    written.faults.map(({ kind }) => kind),
    ['isolateLeader', 'crashLeader'],
  );
  assert.ok(written.links.some(({ isCut }) => isCut) && written.links.some(({ isCut }) => !isCut));
  assert.ok(new Set(written.states.filter(({ state }) => state === 'leader').map(({ term }) => term)).size >= 2);
  assert.ok(written.operations.filter(({ outcome }) => outcome === 'ok').length > 50);
  assert.deepEqual(readRunRecord(readFileSync(record, 'utf8')), written);
  assert.match(readFileSync(page, 'utf8'), /^<!doctype html>/i);
  const results = checkHistory(readHistory(readFileSync(history, 'utf8')));
  const passed = results.filter(({ verdict }) => verdict === 'passed').map(({ name }) => name);
  assert.deepEqual(
    passed.toSorted(),
    ['answers', 'linearizability', 'members', 'revisions', 'watchAgreement', 'watches'],
    JSON.stringify(results),
  );
  assert.ok(written.checks.length >= 9 && written.checks.every(({ verdict }) => verdict === 'passed'));
});
