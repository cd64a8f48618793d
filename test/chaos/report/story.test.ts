import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { faultText } from '../../../chaos/report/fault-text.ts';
import { storyOf } from '../../../chaos/report/story.ts';
import type { Fault } from '../../../chaos/scenario/faults.ts';
import { sampleRecord } from './sample-record.ts';

const names = ['m1', 'm2', 'm3'];

describe('a fault in words', () => {
  const cases: readonly [Fault, string][] = [
    [{ kind: 'crash', member: 1, downMs: 314 }, 'crash m2 for 314 ms'],
    [{ kind: 'crashAll', downMs: 1500 }, 'crash all for 1.5 s'],
    [{ kind: 'partition', sides: [0, 1, 0], healMs: 300_000 }, 'partition m1 m3 | m2 for 5 min'],
    [{ kind: 'bridge', sides: [0, 1, 0], member: 2, healMs: 10 }, 'bridge m1 m3 | m2 over m3 for 10 ms'],
    [{ kind: 'ring', order: [2, 0, 1], healMs: 1000 }, 'ring m3 – m1 – m2 for 1 s'],
    [{ kind: 'oneWay', from: 0, to: 2, healMs: 90 }, 'one way m1 → m3 for 90 ms'],
    [{ kind: 'remove', member: 7 }, 'remove member 7'],
    [{ kind: 'diskError', member: 0, code: 'ENOSPC', downMs: 5 }, 'disk error m1 code ENOSPC for 5 ms'],
    [{ kind: 'promote' }, 'promote'],
  ];
  for (const [fault, text] of cases) test(text, () => assert.equal(faultText(fault, names), text));
});

describe('the story of a run', () => {
  test('ends with what broke, and tells of what came before', () => {
    const record = sampleRecord();
    const { moments, leftOut } = storyOf(record);
    assert.equal(moments.at(-1)?.kind, 'broken');
    assert.equal(moments.length, 13);
    assert.ok(leftOut > 0);
    const times = moments.map(({ atMs }) => atMs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.ok(times.every((atMs) => atMs <= (record.violation?.atMs ?? 0)));
  });

  test('tells that a member is paused before it says that its leader is gone', () => {
    const states = [
      { atMs: 0, member: 0, state: 'leader', term: 3 },
      { atMs: 5, member: 0, state: 'paused', term: 3 },
      { atMs: 9, member: 1, state: 'leader', term: 4 },
    ] as const;
    const faults = [{ atMs: 5, endMs: 20, kind: 'pause', text: 'pause n1', members: [0] }];
    const { moments } = storyOf({ ...sampleRecord({ isViolated: false }), states, faults });
    assert.deepEqual(
      moments.map(({ text }) => text),
      ['n1 leads in term 3', 'pause n1', 'the leader n1 is paused', 'n2 leads in term 4', 'over: pause n1'],
    );
  });

  test('of a run in which nothing happened is empty', () => {
    const record = sampleRecord({ isViolated: false });
    assert.deepEqual(storyOf({ ...record, states: [], faults: [] }), { moments: [], leftOut: 0 });
  });
});
