/** The parts of a live world that decide, and touch nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClockCourse, parseClockSettings, trueClock } from '../../../chaos/live/clock-course.ts';
import { cutLinks } from '../../../chaos/live/fault-links.ts';
import { cutText, weatherText } from '../../../chaos/live/fault-text.ts';
import { clearLink, flipBits, LinkPacing, mergeConditions } from '../../../chaos/live/link-pacing.ts';
import { requireMachine } from '../../../chaos/live/machine.ts';
import { rotPlace } from '../../../chaos/live/member-rot.ts';
import { netRulesText, openNet } from '../../../chaos/live/net-rules.ts';
import { parseIdentity } from '../../../chaos/live/process-records.ts';
import { planWorld } from '../../../chaos/live/world-plan.ts';
import { realEnv } from '../../../src/env/real.ts';

const plan = planWorld({ id: 'abc123', directory: '/somewhere', subnet: '10.89.7', members: 3 });
const written = (links: readonly { readonly from: number; readonly to: number }[]) =>
  links.map(({ from, to }) => `${from}>${to}`).join(' ');

describe('addresses', () => {
  test('carry the id in every name, and interface names stay short enough', () => {
    assert.deepEqual(
      plan.members.map(({ namespace, address, face }) => [namespace, address, face]),
      [
        ['kchaos-abc123-m1', '10.89.7.11', '10.89.7.201'],
        ['kchaos-abc123-m2', '10.89.7.12', '10.89.7.202'],
        ['kchaos-abc123-m3', '10.89.7.13', '10.89.7.203'],
      ],
    );
    assert.ok(plan.hostInterface.length <= 15);
  });
});

describe('cut links', () => {
  test('a partition of three sides', () => {
    const links = cutLinks({ kind: 'partition', sides: [0, 1, 1, 2], healMs: 1 }, 4);
    assert.equal(written(links), '0>1 0>2 0>3 1>0 1>3 2>0 2>3 3>0 3>1 3>2');
  });

  test('a bridge hears both sides', () => {
    const links = cutLinks({ kind: 'bridge', sides: [0, 1, 0], member: 2, healMs: 1 }, 3);
    assert.equal(written(links), '0>1 1>0');
  });

  test('in a circle of five each hears two, which makes a majority with itself', () => {
    const links = cutLinks({ kind: 'ring', order: [0, 2, 4, 1, 3], healMs: 1 }, 5);
    for (let member = 0; member < 5; member++) {
      assert.equal(links.filter(({ to }) => to === member).length, 2, `member ${member}`);
    }
    assert.ok(!written(links).includes('0>2'), 'neighbours hear each other');
  });

  test('one direction alone', () => {
    assert.equal(written(cutLinks({ kind: 'deaf', member: 1, healMs: 1 }, 3)), '0>1 2>1');
    assert.equal(written(cutLinks({ kind: 'mute', member: 1, healMs: 1 }, 3)), '1>0 1>2');
    assert.equal(written(cutLinks({ kind: 'oneWay', from: 2, to: 0, healMs: 1 }, 3)), '2>0');
  });

  test('are told in one line', () => {
    const names = ['m1', 'm2', 'm3'];
    assert.equal(cutText({ kind: 'partition', sides: [1, 0, 1], healMs: 1 }, names), 'apart: m2 | m1 m3');
    assert.equal(cutText({ kind: 'oneWay', from: 0, to: 2, healMs: 1 }, names), 'm3 does not hear m1');
    assert.equal(
      weatherText({ delayMinMs: 1, delayMeanMs: 20, loss: 0.05, duplication: 0.1 }),
      'delays from 1 ms, 20 ms on average, 5.0 % of packets lost, nothing twice, as a stream cannot be made to repeat itself',
    );
  });
});

describe('rules of the packet filter', () => {
  test('an open network has a table, and nothing in its set', () => {
    const text = netRulesText(plan, openNet);
    assert.ok(!text.includes('elements'));
    assert.ok(!text.includes('numgen'));
    assert.ok(text.startsWith('table bridge keelson_chaos\ndelete table bridge keelson_chaos\n'));
  });

  test('a cut link is cut before the proxy, behind it and past it', () => {
    const text = netRulesText(plan, { ...openNet, cut: [{ from: 0, to: 1 }] });
    assert.match(
      text,
      /elements = \{ 10\.89\.7\.11 \. 10\.89\.7\.12, 10\.89\.7\.11 \. 10\.89\.7\.202, 10\.89\.7\.201 \. 10\.89\.7\.12 \}/,
    );
  });

  test('clients are cut off one way at a time', () => {
    const lost = (what: 'requests' | 'answers') =>
      netRulesText(plan, { ...openNet, clientCuts: [{ member: 2, lost: what }] });
    assert.match(lost('requests'), /\{ 10\.89\.7\.1 \. 10\.89\.7\.13 \}/);
    assert.match(lost('answers'), /\{ 10\.89\.7\.13 \. 10\.89\.7\.1 \}/);
  });

  test('losses are drawn once for each way, for what leaves the proxy', () => {
    const text = netRulesText(plan, { ...openNet, loss: 0.0125 });
    assert.match(text, /numgen random mod 100000 < 1250 counter drop/);
    assert.equal(text.split('numgen').length, 2);
  });
});

describe('pacing', () => {
  test('a stream keeps its order, however delays fall', () => {
    const pacing = new LinkPacing();
    const conditions = { ...clearLink, delayMinMs: 5, delayMeanMs: 50 };
    const first = pacing.arrivalMs(0, 10, conditions, 0.99);
    const second = pacing.arrivalMs(1, 10, conditions, 0);
    assert.ok(first > 200);
    assert.equal(second, first);
  });

  test('a narrow line takes one thing after the other, and its delay comes on top', () => {
    const pacing = new LinkPacing();
    const conditions = { ...clearLink, delayMinMs: 10, delayMeanMs: 10, bytesPerSecond: 1_000 };
    assert.equal(pacing.arrivalMs(0, 100, conditions, 0), 110);
    assert.equal(pacing.arrivalMs(0, 100, conditions, 0), 210);
    assert.equal(pacing.arrivalMs(1_000, 100, conditions, 0), 1_110);
  });

  test('a clear line delays nothing', () => {
    assert.equal(new LinkPacing().arrivalMs(7, 1_000_000, clearLink, 0.5), 7);
  });

  test('disturbances of one link add up, and clear links are not named', () => {
    const link = { from: 0, to: 1 };
    const merged = mergeConditions([
      undefined,
      { links: [link], change: { delayMinMs: 5, delayMeanMs: 10, bytesPerSecond: 500 } },
      { links: [link, { from: 1, to: 0 }], change: { delayMeanMs: 20, isClogged: true } },
    ]);
    assert.deepEqual(merged, [
      { ...link, conditions: { ...clearLink, delayMinMs: 5, delayMeanMs: 30, bytesPerSecond: 500, isClogged: true } },
      { from: 1, to: 0, conditions: { ...clearLink, delayMeanMs: 20, isClogged: true } },
    ]);
  });

  test('about as many bytes change as were asked for, each in one bit', () => {
    let state = 1;
    const draw = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const chunk = new Uint8Array(100_000);
    const flips = flipBits(chunk, 0.01, draw);
    assert.ok(flips > 800 && flips < 1_200, `${flips} flips`);
    const changed = chunk.filter((byte) => byte !== 0);
    assert.equal(changed.length, flips);
    assert.ok(changed.every((byte) => (byte & (byte - 1)) === 0));
    assert.equal(flipBits(chunk, 0, draw), 0);
  });
});

describe('a clock that is tampered with', () => {
  test('keeps true time until it is told otherwise', () => {
    const course = new ClockCourse(100, 1_000_000);
    assert.deepEqual([course.monotonicMs(150), course.wallMs(150)], [150, 1_000_050]);
    assert.equal(course.trueDelayMs(30), 30);
  });

  test('runs at its own pace, goes on from where it was, and waits accordingly', () => {
    const course = new ClockCourse(0, 1_000_000);
    course.set({ ...trueClock, rate: 2 }, 100, 1_000_100);
    assert.equal(course.monotonicMs(200), 300);
    assert.equal(course.trueDelayMs(30), 15);
    course.set({ ...trueClock, rate: 0 }, 200, 1_000_200);
    assert.equal(course.monotonicMs(900), 300);
    assert.equal(course.trueDelayMs(30), Number.POSITIVE_INFINITY);
  });

  test('its time of day jumps while the monotonic one does not, and is the true one once it is true again', () => {
    const course = new ClockCourse(0, 1_000_000);
    course.set({ rate: 3, wallOffsetMs: -500_000 }, 10, 1_000_010);
    assert.equal(course.monotonicMs(10), 10);
    assert.equal(course.wallMs(20), 500_040);
    course.set(trueClock, 20, 1_000_020);
    assert.equal(course.monotonicMs(20), 40, 'what has passed has passed');
    assert.equal(course.wallMs(25), 1_000_025);
  });

  test('settings that are none are none', () => {
    assert.deepEqual(parseClockSettings('{"rate":2,"wallOffsetMs":-5}'), { rate: 2, wallOffsetMs: -5 });
    for (const text of ['', '{"rate":2', '{"rate":-1,"wallOffsetMs":0}', '{"rate":1}', 'null']) {
      assert.equal(parseClockSettings(text), undefined, text);
    }
  });
});

test('a byte of a log changes within what was written, at its end when it is to be a new one', () => {
  assert.equal(rotPlace(10_000, false, 0), 0);
  assert.equal(rotPlace(10_000, true, 0), 8_500);
  assert.equal(rotPlace(10_000, true, 0.999_999), 9_999);
  assert.equal(rotPlace(100, true, 0), 0);
});

describe('before anything is touched', () => {
  test('whoever is not root is told so, and told of programs that are not there', async () => {
    const needed = [{ name: 'no-such-program', package: 'nothing' }];
    await assert.rejects(requireMachine(realEnv('error'), 1_000, needed), (error: Error & { code: string }) => {
      assert.equal(error.code, 'CHAOS_MACHINE_UNFIT');
      assert.match(error.message, /root \(this is user 1000; run it with sudo\); the program no-such-program/);
      return true;
    });
  });

  test('a record that is no process of ours is none', () => {
    assert.deepEqual(parseIdentity('{"pid":77,"startTime":"123"}'), { pid: 77, startTime: '123' });
    const bad = [
      '{"pid":-77,"startTime":"1"}',
      '{"pid":1,"startTime":"1"}',
      '{"pid":77}',
      '{"pid":"77","startTime":"1"}',
    ];
    for (const text of ['', '{', 'null', ...bad]) assert.equal(parseIdentity(text), undefined, text);
  });
});
