/** What machines read of a run: JUnit XML, JSON lines, metrics. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { escapeXml } from '../../../chaos/report/escape.ts';
import { renderJsonLines } from '../../../chaos/report/json-lines.ts';
import { renderJUnit } from '../../../chaos/report/junit.ts';
import { createRunMetrics } from '../../../chaos/report/run-metrics.ts';
import { serveRunMetrics } from '../../../chaos/report/serve-run-metrics.ts';
import { sampleRecord } from './sample-record.ts';
import { nasty } from './nasty-text.ts';
import { parseXml, type XmlElement } from './parse-xml.ts';

const failed = sampleRecord({ operations: 300 });
const passed = sampleRecord({ operations: 300, isViolated: false });

const all = (element: XmlElement, name: string): readonly XmlElement[] => [
  ...(element.name === name ? [element] : []),
  ...element.children.flatMap((child) => all(child, name)),
];

describe('JUnit XML', () => {
  test('has a suite per run and a case per check, and counts them', () => {
    const root = parseXml(renderJUnit([failed, passed]));
    assert.equal(root.name, 'testsuites');
    assert.deepEqual(
      all(root, 'testsuite').map(({ attributes }) => [
        attributes['tests'],
        attributes['failures'],
        attributes['errors'],
      ]),
      [
        ['5', '1', '0'],
        ['5', '0', '0'],
      ],
    );
    assert.equal(all(root, 'testcase').length, 10);
    assert.equal(root.attributes['time'], '120.000');
    const [failure] = all(root, 'failure');
    assert.equal(failure?.attributes['message'], failed.violation?.property);
    assert.match(failure?.text ?? '', /Run it again with: npm run sim -- --seed 1/);
  });

  test('calls a check without a verdict an error', () => {
    const unknown = {
      ...passed,
      checks: [{ name: 'watches', verdict: 'unknown' as const, detail: 'too many to search' }],
    };
    const root = parseXml(renderJUnit([{ ...unknown, verdict: 'unknown' }]));
    assert.equal(all(root, 'error')[0]?.attributes['message'], 'too many to search');
    assert.equal(root.attributes['errors'], '1');
  });

  test('has a red case for a run that failed although every check passed, and for one without checks', () => {
    for (const checks of [passed.checks, []]) {
      const root = parseXml(renderJUnit([{ ...failed, checks }]));
      assert.equal(all(root, 'failure').length, 1);
    }
    assert.equal(all(parseXml(renderJUnit([{ ...passed, checks: [] }])), 'testcase').length, 1);
  });

  test('holds any text', () => {
    const record = {
      ...failed,
      title: nasty,
      command: nasty,
      checks: [{ name: nasty, verdict: 'failed' as const, detail: nasty }],
      figures: { [nasty]: nasty },
    };
    const root = parseXml(renderJUnit([record]));
    const shown = nasty.replaceAll('\u0000', '\uFFFD').replaceAll('\u001B', '\uFFFD').replaceAll('\uD800', '\uFFFD');
    assert.equal(all(root, 'testcase')[0]?.attributes['name'], shown);
    assert.equal(all(root, 'property').at(-1)?.attributes['value'], shown);
    assert.ok(all(root, 'failure')[0]?.text.startsWith(shown));
    assert.equal(escapeXml('a\u{1F600}b\uDC00\uFFFE'), 'a\u{1F600}b\uFFFD\uFFFD');
  });
});

describe('JSON lines', () => {
  const lines = renderJsonLines(failed)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, any>);

  test('begin with the head, which tells how many events there are', () => {
    const [head] = lines;
    assert.equal(head?.['event'], 'run');
    assert.equal(head?.['title'], failed.title);
    assert.deepEqual(head?.['counts'], {
      states: failed.states.length,
      links: failed.links.length,
      faults: failed.faults.length,
      operations: failed.operations.length,
    });
    const answered = failed.operations.filter((one) => one.endMs !== undefined).length;
    const ended = failed.faults.filter((one) => one.endMs !== undefined).length;
    const { states, links, faults, operations } = failed;
    const events = states.length + links.length + faults.length + ended + operations.length + answered + 1;
    assert.equal(lines.length, 1 + events);
  });

  test('go on in time order, and an operation begins before it ends', () => {
    const times = lines.slice(1).map((line) => line['atMs'] as number);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    const begun = new Set<number>();
    for (const line of lines) {
      if (line['event'] === 'invoke') begun.add(line['id']);
      if (line['event'] === 'return') assert.ok(begun.has(line['id']));
    }
    assert.equal(begun.size, failed.operations.length);
  });

  test('are lines, whatever is in them', () => {
    const [first] = failed.operations;
    assert.ok(first);
    const text = renderJsonLines({
      ...passed,
      states: [],
      links: [],
      faults: [],
      operations: [{ ...first, text: nasty }],
    });
    const [, invoke] = text.trimEnd().split('\n');
    assert.equal((JSON.parse(invoke ?? '') as { text: string }).text, nasty);
  });
});

describe('metrics of a run', () => {
  test('are served to Prometheus on the loopback address', async () => {
    const metrics = createRunMetrics();
    const server = await serveRunMetrics(metrics, 0);
    try {
      metrics.operations('ok', 41);
      metrics.operations('ok');
      metrics.faults('crash');
      metrics.faults('partition', 3);
      metrics.world('failed');
      metrics.simulated(90_500);
      metrics.violation('A "read" returns\nthe latest value.');
      metrics.members({ leader: 1, down: 2 });
      metrics.members({ leader: 1, follower: 2 });
      const url = `http://127.0.0.1:${server.port}`;
      const response = await fetch(`${url}/metrics`);
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      const text = await response.text();
      for (const line of [
        'keelson_chaos_operations_total{outcome="ok"} 42',
        'keelson_chaos_operations_total{outcome="unknown"} 0',
        'keelson_chaos_faults_total{kind="partition"} 3',
        'keelson_chaos_worlds_total{verdict="failed"} 1',
        'keelson_chaos_simulated_seconds_total 90.5',
        'keelson_chaos_violations_total{property="A \\"read\\" returns\\nthe latest value."} 1',
        'keelson_chaos_members{state="follower"} 2',
      ]) {
        assert.ok(text.split('\n').includes(line), `${line} in:\n${text}`);
      }
      assert.ok(!text.includes('state="down"'));
      assert.equal((await fetch(`${url}/`)).status, 404);
      assert.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405);
    } finally {
      await server.close();
    }
  });

  test('of two runs do not mix', async () => {
    const [one, other] = [createRunMetrics(), createRunMetrics()];
    one.simulated(1000);
    assert.match(await other.registry.metrics(), /keelson_chaos_simulated_seconds_total 0\n/);
  });

  test('say what to do about a port that is taken', async () => {
    const first = await serveRunMetrics(createRunMetrics(), 0);
    try {
      await assert.rejects(serveRunMetrics(createRunMetrics(), first.port), {
        code: 'LISTEN_FAILED',
        message: /choose another port for the metrics/,
      });
    } finally {
      await first.close();
    }
  });
});
