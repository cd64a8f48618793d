/** `keelson chaos check`, and the document that tells others how to use it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkerNames, checkHistory } from '../../../chaos/check/check-history.ts';
import { readHistory, writeHistory } from '../../../chaos/check/history-file.ts';
import { runCheck } from '../../../chaos/check/main.ts';
import { HistoryRecorder } from '../../../chaos/check/recorder.ts';

const manual = readFileSync(new URL('../../../docs/history-format.md', import.meta.url), 'utf8');
const example = manual.match(/<!-- example -->\n```json\n([^`]+)```/)?.[1] ?? '';

async function check(content: string, ...args: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-history-'));
  const file = join(folder, 'history.jsonl');
  writeFileSync(file, content);
  const printed: string[] = [];
  const complaints: string[] = [];
  const output = { print: (text: string) => printed.push(text), complain: (text: string) => complaints.push(text) };
  try {
    const code = await runCheck([file, ...args], output);
    return { code, printed: printed.join('\n'), complaints: complaints.join('\n') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the example of the manual is a good history, and most of it can go wrong', async () => {
  assert.equal((await check(example)).code, 0);
  const stale = example.replace(
    '"revision":3,"value":"blue","modRevision":3',
    '"revision":3,"value":"red","modRevision":2',
  );
  assert.match((await check(stale)).printed, /FAILED {2}answers .*operations 3/);
  const results = checkHistory(readHistory(example));
  assert.deepEqual(
    results.filter(({ verdict }) => verdict !== 'notApplicable').map(({ name, verdict }) => [name, verdict]),
    [
      ['linearizability', 'passed'],
      ['revisions', 'passed'],
      ['answers', 'passed'],
      ['watches', 'passed'],
    ],
  );
});

test('the manual names every checker', () => {
  for (const name of checkerNames) assert.ok(manual.includes(`\`${name}\``), name);
});

test('a good history exits with 0, a bad one with 1 and says what was broken by whom', async () => {
  const line = '{"type":"invoke","id":7,"client":1,"operation":{"kind":"idTake","pool":"p"}}';
  const good = [
    '{"format":"keelson-history","version":1}',
    line,
    '{"type":"ok","id":7,"outcome":{"kind":"idTake","id":"x"}}',
  ];
  const passed = await check([...good, '{"type":"end","events":2}\n'].join('\n'));
  assert.equal(passed.code, 0);
  assert.match(passed.printed, /^passed  ids +1 ids, all different\nnothing to check for: linearizability, /);
  const bad = [...good, line.replace('7', '8'), good[2]?.replace('7', '8'), '{"type":"end","events":4}'].join('\n');
  const failed = await check(bad);
  assert.equal(failed.code, 1);
  assert.match(failed.printed, /^FAILED {2}ids +every id is handed out once: clients 1 and 1 .* \(operations 7, 8\)/);
  const json = JSON.parse((await check(bad, '-o', 'json')).printed);
  assert.equal(json.verdict, 'failed');
  assert.deepEqual(
    json.checks.find((one: { verdict: string }) => one.verdict === 'failed'),
    {
      name: 'ids',
      verdict: 'failed',
      property: 'every id is handed out once',
      detail: 'clients 1 and 1 were both given x of p',
      operations: [7, 8],
    },
  );
});

test('what cannot be judged exits with 2 and one line: no verdict, a wrong file, a wrong flag, no file', async () => {
  const unwatched = example.split('\n').filter((line) => !line.includes('"watch'));
  assert.equal((await check(unwatched.join('\n').replace('"events":12', '"events":8'))).code, 2);
  const nothing = await check('{"format":"keelson-history","version":1}\n{"type":"end","events":0}\n');
  assert.equal(nothing.code, 2);
  const cut = await check(example.slice(0, 300));
  assert.deepEqual([cut.code, cut.printed], [2, '']);
  assert.match(cut.complaints, /^history, line 4: is no JSON, or cut short: .*$/);
  const newer = await check(example.replace('"version":1', '"version":9'));
  assert.match(newer.complaints, /^history, line 1, field version: 9 is newer than 1, .*: take a newer keelson$/);
  assert.match(
    (await check(example, '--output=xml')).complaints,
    /^keelson chaos check: no output "xml": want text or json$/,
  );
  assert.match((await check(example, '--nosuch')).complaints, /unknown flag: --nosuch/);
  const complaints: string[] = [];
  const output = { print: () => undefined, complain: (text: string) => complaints.push(text) };
  assert.equal(await runCheck([], output), 2);
  assert.equal(await runCheck(['/nonexistent/history'], output), 2);
  assert.match(complaints.join('\n'), /^keelson chaos check: which history\? .*\n.*cannot read the history: ENOENT/);
  const printed: string[] = [];
  assert.equal(await runCheck(['--help'], { ...output, print: (text) => printed.push(text) }), 0);
  assert.match(printed.join(''), /keelson chaos check FILE \[flags\]/);
});

test('lines end at line feeds only, whatever a value holds', async () => {
  let nowMs = 0;
  const recorder = new HistoryRecorder(() => nowMs++);
  const value = 'one\u2028two\u2029three\rfour\nfive';
  recorder.ok(recorder.invoke(1, { kind: 'idTake', pool: value }), { kind: 'idTake', id: value });
  recorder.fail(recorder.invoke(1, { kind: 'idTake', pool: value }), 'refused');
  recorder.info(recorder.invoke(1, { kind: 'idTake', pool: value }), 'time-out');
  assert.equal((await check(writeHistory(recorder.history))).code, 0);
});
