/**
 * The page of a run, looked at in a real browser: what it draws, what its filters leave, that it asks nobody for anything. What is
 * drawn is judged by pixels, what is written by the text in the page.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { renderReport } from '../../../chaos/report/render-report.ts';
import type { RunRecord } from '../../../chaos/report/run-record.ts';
import { Chromium, findChromium, type Page } from './chromium.ts';
import { nasty } from './nasty-text.ts';
import { sampleRecord } from './sample-record.ts';

const chromium = findChromium();
const missing = 'there is no chromium here: scripts/setup.sh installs it';

/** Three members; n1 leads, is cut off, and n2 leads beside it; n3 crashes. A read misses a write. */
const story: RunRecord = {
  ...sampleRecord({ operations: 1, members: 3, clients: 2, isViolated: true, durationMs: 10_000 }),
  states: [
    { atMs: 0, member: 0, state: 'leader', term: 1 },
    { atMs: 0, member: 1, state: 'follower', term: 1 },
    { atMs: 0, member: 2, state: 'follower', term: 1 },
    { atMs: 4000, member: 1, state: 'leader', term: 2 },
    { atMs: 4000, member: 2, state: 'down', term: 2 },
    { atMs: 8000, member: 0, state: 'paused', term: 2 },
  ],
  links: [
    { atMs: 3000, from: 0, to: 1, isCut: true },
    { atMs: 3000, from: 1, to: 0, isCut: true },
    { atMs: 9000, from: 1, to: 0, isCut: false },
  ],
  faults: [{ atMs: 3000, endMs: 9000, kind: 'partition', text: 'partition n1 | n2 n3', members: [0] }],
};

describe('the page of a run in Chromium', { skip: chromium === undefined ? missing : false }, () => {
  let browser: Chromium;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keelson-report-'));
    browser = await Chromium.start(chromium ?? '');
  });
  after(async () => {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  });

  let pages = 0;
  async function open(record: RunRecord): Promise<Page> {
    const path = join(folder, `${pages++}.html`);
    await writeFile(path, renderReport(record));
    return browser.open(pathToFileURL(path).href, { width: 1400, height: 1000 });
  }

  /** Nothing thrown, nothing logged, nothing refused by the policy, and nothing asked for but the page itself. */
  function assertQuiet(page: Page): void {
    assert.deepEqual(page.complaints, []);
    assert.deepEqual(
      page.requests.filter((url) => !url.startsWith('data:')).map((url) => url.replace(/\d+\.html$/, '')),
      [pathToFileURL(`${folder}/`).href],
    );
  }

  /** The colours of `--name`s, as a canvas says them. */
  const colours = (page: Page, ...names: string[]) =>
    page.evaluate<string[]>(`${JSON.stringify(names)}.map((name) => {
      const pen = document.createElement('canvas').getContext('2d');
      pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
      pen.fillRect(0, 0, 1, 1);
      return pen.getImageData(0, 0, 1, 1).data.slice(0, 3).join();
    })`);

  /** A copy of a part of the chart: a canvas that is read itself is slow from then on, and the browser complains of it. */
  const partOfChart = `((left, top, width, height) => {
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(document.getElementById('chart'), -left, -top);
    return copy.getImageData(0, 0, width, height).data;
  })`;

  /** The colours in a part of the chart: of the lane labelled so, from one share of its width to another. */
  const coloursIn = (page: Page, lane: string, [from, to]: readonly [number, number]) =>
    page.evaluate<string[]>(`(() => {
      const label = [...document.querySelectorAll('#labels .lane')].find((one) => one.textContent === ${JSON.stringify(lane)});
      const canvas = document.getElementById('chart');
      const width = Math.max(1, Math.round(canvas.width * ${to - from}));
      const pixels = ${partOfChart}(Math.round(canvas.width * ${from}), label.offsetTop, width, label.offsetHeight);
      const seen = new Set();
      for (let at = 0; at < pixels.length; at += 4) seen.add(pixels.slice(at, at + 3).join());
      return [...seen];
    })()`);

  const textOf = (page: Page, selector: string) =>
    page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);

  const set = (page: Page, id: string, value: string) =>
    page.evaluate(`(() => {
      const field = document.getElementById(${JSON.stringify(id)});
      field.value = ${JSON.stringify(value)};
      field.dispatchEvent(new Event('input', { bubbles: true }));
      field.dispatchEvent(new Event('change', { bubbles: true }));
    })()`);

  test('says at the top what broke, how to see it again, and what led to it', async () => {
    const page = await open(story);
    assert.match(await textOf(page, '.verdict'), /Failed/);
    assert.equal(await textOf(page, '.violation .property'), story.violation?.property);
    assert.equal(await textOf(page, '#command'), 'npm run sim -- --seed 1');
    assert.match(await textOf(page, 'header'), /commit 929fdb9/);
    assert.match(await textOf(page, '.story'), /n2 leads in term 2, while n1 still holds itself for leader/);
    assert.match(await textOf(page, '.checks'), /linearizability per key failed/);
    assertQuiet(page);
  });

  test('draws a lane for each member, in which whoever leads can be told', async () => {
    const page = await open(story);
    for (const scheme of ['light', 'dark']) {
      await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
      await page.settle();
      const [leader = '', follower = '', down = '', paused = ''] = await colours(
        page,
        'leader',
        'follower',
        'down',
        'paused',
      );
      assert.ok((await coloursIn(page, 'n1', [0.1, 0.2])).includes(leader), scheme);
      assert.ok(!(await coloursIn(page, 'n2', [0.1, 0.2])).includes(leader), scheme);
      assert.ok((await coloursIn(page, 'n2', [0.1, 0.2])).includes(follower), scheme);
      assert.ok((await coloursIn(page, 'n2', [0.5, 0.6])).includes(leader), scheme);
      assert.ok((await coloursIn(page, 'n1', [0.5, 0.6])).includes(leader), `${scheme}: two lead at once`);
      assert.ok((await coloursIn(page, 'n3', [0.5, 0.9])).includes(down), scheme);
      assert.ok((await coloursIn(page, 'n1', [0.85, 0.95])).includes(paused), scheme);
    }
    assertQuiet(page);
  });

  test('draws which links were cut, both ways and one way', async () => {
    const page = await open(story);
    const [cut = ''] = await colours(page, 'cut');
    assert.ok(!(await coloursIn(page, 'n1 – n2', [0.1, 0.25])).includes(cut));
    assert.ok((await coloursIn(page, 'n1 – n2', [0.4, 0.8])).includes(cut));
    assert.ok((await coloursIn(page, 'n1 – n2', [0.95, 0.99])).includes(cut), 'n1 to n2 was never healed');
    const rows = (part: string) =>
      page.evaluate<number>(`(() => {
        const label = [...document.querySelectorAll('#labels .link')][0];
        const canvas = document.getElementById('chart');
        const column = ${partOfChart}(Math.round(canvas.width * ${part}), label.offsetTop, 1, label.offsetHeight);
        let rows = 0;
        for (let at = 0; at < column.length; at += 4) if (column.slice(at, at + 3).join() === ${JSON.stringify(cut)}) rows++;
        return rows;
      })()`);
    assert.ok((await rows('0.6')) > (await rows('0.95')), 'cut both ways is more than cut one way');
  });

  test('marks the violation through all lanes, and goes to the operations that show it', async () => {
    const page = await open(story);
    const [violation = ''] = await colours(page, 'violation');
    const share = (story.violation?.atMs ?? 0) / story.durationMs;
    for (const lane of ['n1', 'n2', 'n3', 'client 1', 'client 2']) {
      assert.ok((await coloursIn(page, lane, [share - 0.01, share + 0.01])).includes(violation), lane);
    }
    await page.evaluate(`document.getElementById('show-violation').click()`);
    await page.settle();
    assert.match(await textOf(page, '#details'), /#3 get balance[\s\S]*70 at revision 903[\s\S]*shows it/);
    assert.ok((await coloursIn(page, 'client 1', [0, 1])).includes(violation), 'ringed');
    await page.evaluate(`document.querySelector('[data-operation="1"]').click()`);
    await page.settle();
    assert.match(await textOf(page, '#details'), /#1 put balance = 70/);
    assertQuiet(page);
  });

  test('goes to what came before a violation that no operation shows, and offers nothing when it has no place', async () => {
    const broken = { property: 'Nobody leads twice.', detail: 'n1 and n2 lead', operations: [] };
    const placed = await open({ ...story, violation: { ...broken, atMs: 4100 } });
    const [violation = ''] = await colours(placed, 'violation');
    assert.ok(!(await coloursIn(placed, 'n1', [0.5, 0.99])).includes(violation));
    await placed.evaluate(`document.getElementById('show-violation').click()`);
    await placed.settle();
    assert.ok(
      (await coloursIn(placed, 'n1', [0.5, 0.99])).includes(violation),
      'seen from close by, with what led to it',
    );
    const nowhere = await open({ ...story, violation: broken });
    assert.match(await textOf(nowhere, '.story .broken'), /in the end/);
    assert.equal(await nowhere.evaluate(`document.getElementById('show-violation')`), null);
    await nowhere.key('v');
    assertQuiet(placed);
    assertQuiet(nowhere);
  });

  test('shows what is asked for by key, client, kind, outcome and member', async () => {
    const record = sampleRecord();
    const page = await open(record);
    const count = (wanted: (one: RunRecord['operations'][number]) => boolean) =>
      record.operations.filter(wanted).length.toLocaleString('en-US');
    const all = record.operations.length.toLocaleString('en-US');
    assert.equal(await textOf(page, '#filter-count'), `${all} operations`);
    const cases: [string, string, string][] = [
      ['filter-text', 'BALANCE', '3'],
      ['filter-text', '#17', '1'],
      ['filter-client', '2', count((one) => one.client === 2)],
      ['filter-kind', 'cas', count((one) => one.kind === 'cas')],
      ['filter-outcome', 'unknown', count((one) => one.outcome === 'unknown')],
      ['filter-member', '3', count((one) => one.member === 3)],
    ];
    for (const [id, value, some] of cases) {
      await set(page, id, value);
      await page.settle();
      assert.equal(await textOf(page, '#filter-count'), `${some} of ${all} operations`, `${id} ${value}`);
      await page.evaluate(`document.getElementById('filter-reset').click()`);
      await page.settle();
      assert.equal(await textOf(page, '#filter-count'), `${all} operations`);
    }
    await set(page, 'filter-text', 'balance');
    await page.settle();
    const rows = await page.evaluate<string[]>(
      `[...document.querySelectorAll('#list .row .text')].map((one) => one.textContent)`,
    );
    assert.deepEqual(rows, ['put balance = 70', 'put balance = 55', 'get balance']);
    const [ok = ''] = await colours(page, 'ok');
    assert.ok(!(await coloursIn(page, 'client 0', [0, 1])).includes(ok), 'client 0 never asked for it');
    assertQuiet(page);
  });

  test('can be used by keys alone', async () => {
    const page = await open(sampleRecord());
    const [violation = ''] = await colours(page, 'violation');
    const isSeen = async () => (await coloursIn(page, 'n1', [0, 1])).includes(violation);
    assert.ok(await isSeen());
    for (let step = 0; step < 5; step++) await page.key('+');
    for (let step = 0; step < 40; step++) await page.key('ArrowLeft');
    assert.ok(!(await isSeen()), 'the beginning of the run');
    await page.key('n');
    const first = await textOf(page, '#details h3');
    await page.key('n');
    const second = await textOf(page, '#details h3');
    assert.match(first, /^#\d+/);
    assert.notEqual(second, first);
    await page.key('p');
    assert.equal(await textOf(page, '#details h3'), first);
    await page.key('v');
    assert.ok(await isSeen());
    await page.key('/');
    await page.send('Input.insertText', { text: 'v0' });
    await page.settle();
    assert.match(await textOf(page, '#filter-count'), / of /, 'a v that is typed is no key');
    await page.key('Escape');
    assert.equal(await page.evaluate('document.activeElement === document.body'), true);
    assertQuiet(page);
  });

  test('tells what is under the mouse', async () => {
    const page = await open(story);
    await page.evaluate(`document.getElementById('chart-frame').scrollIntoView()`);
    const lane = await page.evaluate<{ x: number; y: number; width: number }>(`(() => {
      const label = [...document.querySelectorAll('#labels .member')][1].getBoundingClientRect();
      const canvas = document.getElementById('chart').getBoundingClientRect();
      return { x: canvas.left, y: label.top + label.height / 2, width: canvas.width };
    })()`);
    const at = { x: lane.x + lane.width * 0.55, y: lane.y };
    await page.mouse('mouseMoved', at);
    assert.match(await textOf(page, '#tip'), /n2: ★ leader\s+Term\s+2\s+From\s+4\.000 s/);
    await page.mouse('mousePressed', at);
    await page.mouse('mouseReleased', at);
    assert.match(await textOf(page, '#details'), /n2: ★ leader/);
    assertQuiet(page);
  });

  test('shows any text and obeys none of it', async () => {
    const [first] = story.operations;
    assert.ok(first !== undefined && story.violation !== undefined);
    const page = await open({
      ...story,
      title: nasty,
      description: nasty,
      command: nasty,
      commit: nasty,
      members: [nasty, 'n2', 'n3'],
      faults: [{ atMs: 1, kind: nasty, text: nasty, members: [0] }],
      operations: [{ ...first, text: nasty, answer: nasty, kind: nasty }],
      violation: { property: nasty, detail: nasty, check: nasty, atMs: 5, operations: [first.id] },
      checks: [{ name: nasty, verdict: 'failed', detail: nasty }],
      figures: { [nasty]: nasty },
    });
    await page.key('v');
    assert.equal(await page.evaluate<number>(`document.querySelectorAll('img, b').length`), 0);
    assert.equal(await page.evaluate<number>('document.scripts.length'), 2);
    // A file of UTF-8 cannot hold half a character, and HTML no zero: both are shown as unknown ones.
    const shown = nasty.replace('\u0000', '\uFFFD').replace('\uD800', '\uFFFD');
    assert.equal(await page.evaluate<string>(`document.querySelector('.violation .property').textContent`), shown);
    assert.ok(
      (await page.evaluate<string>(`document.querySelector('#details h3').textContent`)).endsWith(nasty.slice(-20)),
    );
    assertQuiet(page);
  });

  test('is drawn for a run without anything in it', async () => {
    const { violation: _, ...passed } = sampleRecord({ isViolated: false });
    const empty = {
      ...passed,
      members: [],
      states: [],
      links: [],
      faults: [],
      operations: [],
      checks: [],
      durationMs: 0,
    };
    const page = await open(empty);
    assert.match(await textOf(page, '.verdict'), /Passed/);
    for (const key of ['+', '-', 'n', 'p', 'v', 'ArrowRight', '0']) await page.key(key);
    assertQuiet(page);
  });

  test('stays quick with a hundred thousand operations', async () => {
    const page = await open(sampleRecord({ operations: 100_000, clients: 40, durationMs: 600_000 }));
    assert.equal(await textOf(page, '#filter-count'), '100,003 operations');
    const rows = await page.evaluate<number>(`document.querySelectorAll('#list .row').length`);
    assert.ok(rows > 10 && rows < 100, `only rows in sight are elements, not ${rows}`);
    const beganMs = performance.now();
    for (const key of ['+', '+', 'ArrowRight', '-', '0']) await page.key(key);
    await set(page, 'filter-text', 'balance');
    await page.settle();
    assert.equal(await textOf(page, '#filter-count'), '3 of 100,003 operations');
    // Half a second alone; the bound is for machines that do much else.
    assert.ok(performance.now() - beganMs < 20_000);
    assertQuiet(page);
  });
});
