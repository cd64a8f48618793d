import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runReport } from '../../../chaos/report/main.ts';
import { sampleRecord } from './sample-record.ts';

/** A folder with two records and a broken one, and what the command prints. */
async function desk(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-report-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  await writeFile(at('one.json'), JSON.stringify(sampleRecord({ operations: 50 })));
  await writeFile(at('two.json'), JSON.stringify(sampleRecord({ operations: 50, isViolated: false })));
  await writeFile(at('cut.json'), JSON.stringify(sampleRecord({ operations: 50 })).slice(0, 999));
  const said = { out: '', error: '' };
  t.mock.method(console, 'log', (text: string) => void (said.out += `${text}\n`));
  t.mock.method(console, 'error', (text: string) => void (said.error += `${text}\n`));
  return { folder, at, said };
}

test('a record becomes a page beside it', async (t) => {
  const { at, said } = await desk(t);
  assert.equal(await runReport([at('one.json')]), 0);
  assert.match(await readFile(at('one.html'), 'utf8'), /^<!doctype html>/);
  assert.equal(said.out, `${at('one.html')}\n`);
});

test('a record becomes whatever is asked for, and nothing else', async (t) => {
  const { folder, at } = await desk(t);
  assert.equal(await runReport([at('one.json'), '--json-lines', at('one.jsonl'), '--junit', at('one.xml')]), 0);
  assert.match(await readFile(at('one.xml'), 'utf8'), /failures="1"/);
  assert.match(await readFile(at('one.jsonl'), 'utf8'), /^\{"event":"run"/);
  assert.ok(!(await readdir(folder)).includes('one.html'));
  assert.equal(await runReport([at('one.json'), '-o', at('page.html')]), 0);
  assert.ok((await readdir(folder)).includes('page.html'));
});

test('many records become one JUnit file', async (t) => {
  const { at } = await desk(t);
  assert.equal(await runReport([at('one.json'), at('two.json'), '--junit', at('all.xml')]), 0);
  assert.equal((await readFile(at('all.xml'), 'utf8')).match(/<testsuite /g)?.length, 2);
});

test('a record that is wrong is refused by name and place, and nothing is written', async (t) => {
  const { folder, at, said } = await desk(t);
  assert.equal(await runReport([at('one.json'), at('cut.json')]), 1);
  assert.ok(said.error.startsWith(`${at('cut.json')}: cannot read the run record: it ends in the middle`), said.error);
  assert.equal(await runReport([at('none.json')]), 1);
  assert.match(said.error, /ENOENT/);
  assert.equal((await readdir(folder)).length, 3);
  assert.equal(await runReport([at('one.json'), '-o', at('no/such/folder.html')]), 1);
  assert.match(said.error, /cannot write the report: ENOENT.*choose another file/);
});

test('a command line that is wrong ends with code 2 and says why', async (t) => {
  const { at, said } = await desk(t);
  assert.equal(await runReport([]), 2);
  assert.match(said.error, /no record: name the file/);
  assert.equal(await runReport([at('one.json'), at('two.json'), '-o', at('x.html')]), 2);
  assert.match(said.error, /--o takes one record, not 2/);
  assert.equal(await runReport([at('one.json'), '--colour']), 2);
  assert.match(said.error, /unknown flag: --colour/);
  assert.equal(await runReport(['--help']), 0);
  assert.match(said.out, /--junit FILE/);
});
