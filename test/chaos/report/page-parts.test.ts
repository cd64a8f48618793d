/**
 * The modules of the page's script without a browser: how they are joined, and those that only calculate. They are JavaScript of
 * the browser's and have types of their own, so they are loaded by address.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pageData } from '../../../chaos/report/page-data.ts';
import { joinModules, pageScript } from '../../../chaos/report/page-parts.ts';
import { sampleRecord } from './sample-record.ts';

const load = (name: string): Promise<any> =>
  import(new URL(`../../../chaos/report/page/${name}`, import.meta.url).href);
const root = fileURLToPath(new URL('../../..', import.meta.url));

describe('the script of the page', () => {
  test("fits the browser's own types", () => {
    const { status, stdout } = spawnSync(`${root}node_modules/.bin/tsc`, ['-p', `${root}chaos/report/page`], {
      encoding: 'utf8',
    });
    assert.equal(stdout, '');
    assert.equal(status, 0);
  });

  test('is one module without imports and exports', () => {
    const script = pageScript();
    assert.doesNotMatch(script, /^(import|export)\b/m);
    assert.match(script, /^function decodeRun/m);
  });

  test('is refused when a module stands before what it imports, or hides an import', () => {
    const sources: Record<string, string> = {
      'a.js': "import { b } from './b.js';\nexport const a = b;\n",
      'b.js': 'export const b = 1;\n',
      'c.js': "import './b.js';\n",
      'd.js': "const text = '</script>';\n",
    };
    const join = (...names: string[]) => joinModules(names, (name) => sources[name] ?? '');
    assert.equal(join('b.js', 'a.js'), '// b.js\nconst b = 1;\n\n// a.js\nconst a = b;\n');
    assert.throws(() => join('a.js', 'b.js'), /a\.js imports b\.js, which must stand before it/);
    assert.throws(() => join('a.js'), /a\.js imports b\.js/);
    assert.throws(() => join('b.js', 'c.js'), /c\.js must import and export by name/);
    assert.throws(() => join('d.js'), /d\.js must not hold what ends/);
  });
});

describe('the window of time', async () => {
  const { axisMarks, clampWindow, panWindow, timeText, windowAround, zoomWindow } = await load('time-window.js');

  test('stays within the run, however it is moved', () => {
    assert.deepEqual(clampWindow({ startMs: -50, endMs: 50 }, 1000), { startMs: 0, endMs: 100 });
    assert.deepEqual(panWindow({ startMs: 900, endMs: 1000 }, 500, 1000), { startMs: 900, endMs: 1000 });
    assert.deepEqual(clampWindow({ startMs: -5, endMs: 5000 }, 1000), { startMs: 0, endMs: 1000 });
  });

  test('zooms around what is pointed at', () => {
    const zoomed = zoomWindow({ startMs: 0, endMs: 1000 }, { factor: 0.5, aroundMs: 200, runEndMs: 1000 });
    assert.deepEqual(zoomed, { startMs: 100, endMs: 600 });
    const closest = zoomWindow({ startMs: 10, endMs: 10.06 }, { factor: 0.01, aroundMs: 10.03, runEndMs: 1000 });
    assert.ok(Math.abs(closest.endMs - closest.startMs - 0.05) < 1e-9);
  });

  test('leaves room around what it shows', () => {
    const { startMs, endMs } = windowAround(400, 500, 1000);
    assert.ok(startMs < 400 && endMs > 500);
  });

  test('has marks at round times, in digits that tell them apart', () => {
    const { times, stepMs } = axisMarks({ startMs: 100, endMs: 1130 }, 10);
    assert.equal(stepMs, 200);
    assert.deepEqual(times, [200, 400, 600, 800, 1000]);
    assert.equal(timeText(1200, 200), '1.2 s');
    assert.equal(timeText(60_000, 10_000), '60 s');
    assert.equal(timeText(1.25, 0.05), '0.00125 s');
  });
});

describe('the record in the page', async () => {
  const { decodeRun } = await load('record.js');
  const { filterOperations, choicesOf, everything } = await load('filter.js');
  const { layOut, operationsByLane } = await load('layout.js');
  const decode = (record: ReturnType<typeof sampleRecord>) => decodeRun(JSON.parse(JSON.stringify(pageData(record))));
  const record = sampleRecord();
  const run = decode(record);

  test('has every operation, by start, and marks those that show the violation', () => {
    assert.equal(run.operations.length, record.operations.length);
    const starts = run.operations.map((one: any) => one.startMs);
    assert.deepEqual(
      starts,
      starts.toSorted((a: number, b: number) => a - b),
    );
    assert.deepEqual(
      run.operations.filter((one: any) => one.isShowing).map((one: any) => one.id),
      record.violation?.operations,
    );
    const open = run.operations.find((one: any) => !one.isAnswered);
    assert.equal(open.endMs, run.endMs);
  });

  test('knows what a member was between two changes', () => {
    for (const stretches of run.stretches) {
      stretches.forEach((one: any, index: number) => {
        assert.equal(one.endMs, stretches[index + 1]?.startMs ?? run.endMs);
      });
    }
  });

  test('joins the two directions of a link', () => {
    const links = [
      { atMs: 10, from: 0, to: 1, isCut: true },
      { atMs: 20, from: 1, to: 0, isCut: true },
      { atMs: 30, from: 0, to: 1, isCut: false },
      { atMs: 40, from: 1, to: 0, isCut: false },
      { atMs: 50, from: 1, to: 2, isCut: false },
    ];
    const { pairs } = decode({ ...record, links });
    assert.deepEqual(pairs, [
      {
        a: 0,
        b: 1,
        cuts: [
          { startMs: 10, endMs: 20, forward: true, backward: false },
          { startMs: 20, endMs: 30, forward: true, backward: true },
          { startMs: 30, endMs: 40, forward: false, backward: true },
        ],
      },
    ]);
  });

  test('is filtered by all that is set at once', () => {
    const some = filterOperations(run.operations, { ...everything, kind: 'put', client: '1', text: ' BALANCE ' });
    assert.deepEqual(
      some.map((one: any) => one.text),
      ['put balance = 70', 'put balance = 55'],
    );
    assert.equal(filterOperations(run.operations, everything).length, run.operations.length);
    assert.deepEqual(choicesOf(run.operations, 'client'), ['0', '1', '2', '3', '4', '5']);
  });

  test('has a place for every client, also for more clients than lanes', () => {
    const many = decode(sampleRecord({ clients: 1000, operations: 3000 }));
    const layout = layOut(many);
    const lanes = operationsByLane(layout, many.operations);
    assert.equal(lanes.length, 334);
    assert.equal(lanes.flat().length, many.operations.length);
    assert.equal(layout.lanes.filter((lane: any) => lane.kind === 'client').at(-1).label, 'client 999');
    let bottom = 0;
    for (const lane of layout.lanes) {
      assert.equal(lane.top, bottom);
      bottom += lane.height;
    }
  });

  test('puts every fault in a row, those of one time in rows of their own while there are any', () => {
    const faults = Array.from({ length: 20 }, (_, index) => ({
      atMs: index,
      endMs: 5000,
      kind: 'x',
      text: '',
      members: [],
    }));
    const { faultRows } = layOut(decode({ ...record, faults }));
    assert.equal(faultRows.length, 8);
    assert.equal(faultRows.flat().length, 20);
    assert.deepEqual(faultRows[0], [0]);
  });
});
