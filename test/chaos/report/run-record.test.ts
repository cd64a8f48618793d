import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readRunRecord } from '../../../chaos/report/read-run-record.ts';
import type { RunRecord } from '../../../chaos/report/run-record.ts';
import { sampleRecord } from './sample-record.ts';

const small = sampleRecord({ operations: 20, members: 3, durationMs: 5000 });

/** The sample, as JSON, with something changed. */
function changed(change: (record: Record<string, any>) => void): string {
  const copy = JSON.parse(JSON.stringify(small)) as Record<string, any>;
  change(copy);
  return JSON.stringify(copy);
}

const refuses = (content: string, message: RegExp, code = 'RUN_RECORD_INVALID') =>
  assert.throws(() => readRunRecord(content), { code, message });

describe('a record that is read', () => {
  test('is what was written, optional fields and all', () => {
    for (const record of [small, sampleRecord({ isViolated: false }), sampleRecord({ seed: 'other', members: 1 })]) {
      assert.deepEqual(readRunRecord(JSON.stringify(record, undefined, 2)), record);
    }
  });

  test('of the same seed is the same', () => {
    assert.deepEqual(sampleRecord({ seed: '9' }), sampleRecord({ seed: '9' }));
    assert.notDeepEqual(sampleRecord({ seed: '9' }).states, sampleRecord({ seed: '10' }).states);
  });

  test('is refused wherever it was cut short', () => {
    const whole = JSON.stringify(small);
    for (let length = 1; length < whole.length; length += 97) {
      refuses(whole.slice(0, length), /^cannot read the run record: it ends in the middle, at line 1, column \d+/);
    }
    refuses('', /it is empty/);
  });

  test('of a newer version is told apart from a wrong one', () => {
    const newer = changed((record) => {
      record['version'] = 2;
      record['something'] = 'that version 1 never heard of';
    });
    refuses(newer, /version is 2, this Keelson reads up to 1: use the Keelson that wrote it/, 'RUN_RECORD_NEWER');
  });

  test('that is something else is said to be', () => {
    refuses('{"a": 1}', /format is undefined: want an object with format "keelson-run"/);
    refuses('[]', /it is \[\]: want an object/);
    refuses('{"format": "keelson-run",\n "version": 1,\n oops', /line 3, column 2: .*no JSON/);
  });

  const wrong: readonly [string, (record: Record<string, any>) => void, RegExp][] = [
    ['a field that is missing', (one) => delete one['title'], /: title is missing$/],
    [
      'a field nobody knows',
      (one) => void (one['operations'][3]['colour'] = 'red'),
      /: operations\[3\]\.colour is no field/,
    ],
    [
      'a time that is text',
      (one) => void (one['states'][2]['atMs'] = '5'),
      /: states\[2\]\.atMs is "5": want milliseconds/,
    ],
    [
      'a time before the run',
      (one) => void (one['faults'][0]['atMs'] = -1),
      /: faults\[0\]\.atMs is -1: want milliseconds/,
    ],
    [
      'an end before its begin',
      (one) => void (one['faults'][0]['endMs'] = 0),
      /: faults\[0\]\.endMs is 0, before atMs/,
    ],
    [
      'a state nobody is in',
      (one) => void (one['states'][0]['state'] = 'king'),
      /: states\[0\]\.state is "king": want one of down,/,
    ],
    [
      'a member that is not there',
      (one) => void (one['states'][1]['member'] = 3),
      /: states\[1\]\.member is 3: want the position of one of the 3/,
    ],
    [
      'a member struck that is not there',
      (one) => void (one['faults'][0]['members'] = [7]),
      /: faults\[0\]\.members\[0\] is 7/,
    ],
    [
      'a link to oneself',
      (one) => void one['links'].push({ atMs: 1, from: 1, to: 1, isCut: true }),
      /: links\[\d+\]\.to is the same member/,
    ],
    [
      'an id given twice',
      (one) => void (one['operations'][5]['id'] = 0),
      /: operations\[5\]\.id is 0, as that of operations\[0\]/,
    ],
    [
      'a violation shown by nothing',
      (one) => void (one['violation']['operations'] = [999]),
      /: violation\.operations\[0\] is 999/,
    ],
    [
      'a violation of a run that passed',
      (one) => void (one['verdict'] = 'passed'),
      /: verdict is "passed" with a violation/,
    ],
    [
      'a figure that is a list',
      (one) => void (one['figures']['a "b"'] = []),
      /: figures\["a \\"b\\""\] is \[\]: want a number or text/,
    ],
    ['a list that is none', (one) => void (one['members'] = 'n1'), /: members is "n1": want a list/],
  ];
  for (const [name, change, message] of wrong) {
    test(`is refused with its place: ${name}`, () => refuses(changed(change), message));
  }

  test('shows only the beginning of what is long', () => {
    const long = changed((record) => void (record['verdict'] = 'x'.repeat(100_000)));
    assert.throws(
      () => readRunRecord(long),
      (error: Error) => error.message.length < 300,
    );
  });

  test('keeps the format of version 1', () => {
    const least: RunRecord = {
      format: 'keelson-run',
      version: 1,
      title: '',
      description: '',
      world: 'processes',
      command: '',
      durationMs: 0,
      verdict: 'unknown',
      members: [],
      states: [],
      links: [],
      faults: [],
      operations: [],
      checks: [],
      figures: {},
    };
    assert.deepEqual(readRunRecord(JSON.stringify(least)), least);
  });
});
