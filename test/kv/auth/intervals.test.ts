import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Interval, IntervalSet, intervalOf } from '../../../src/kv/auth/intervals.ts';

const set = (...pairs: readonly (readonly [string, string])[]) =>
  new IntervalSet(pairs.map(([key, rangeEnd]) => intervalOf(key, rangeEnd)));
const all = '\0';

test('keys, ranges that touch and ranges that overlap become as few intervals as can be', () => {
  assert.deepEqual(set(['a', ''], ['b', 'd'], ['d', 'f'], ['c', 'e']).intervals(), [
    { from: 'a', to: 'a\0' },
    { from: 'b', to: 'f' },
  ]);
  assert.deepEqual(set(['m', all], ['c', 'x'], ['z', 'zz']).intervals(), [{ from: 'c', to: undefined }]);
  assert.deepEqual(set(['b', 'b'], ['d', 'c']).intervals(), [], 'what holds no key permits none');
});

test('a range is covered when all of it is, by however many permissions', () => {
  const permitted = set(['bar/', 'bar0'], ['foo', ''], ['x', all]);
  const table: readonly (readonly [key: string, rangeEnd: string, covered: boolean])[] = [
    ['bar/', 'bar0', true],
    ['bar/1', '', true],
    ['bar', 'bar0', false],
    ['bar/', 'bar1', false],
    ['bar/', all, false],
    ['foo', '', true],
    ['foo\0', '', false],
    ['foo', 'foo\0', true],
    ['foo', 'foo\0\0', false],
    ['x', all, true],
    ['y', 'z', true],
    ['w', all, false],
    ['\0', all, false],
    // Nothing is between them: the first key decides.
    ['bar/5', 'bar/1', true],
    ['zoo', 'foo', true],
    ['w', 'a', false],
  ];
  for (const [key, rangeEnd, covered] of table) {
    assert.equal(permitted.covers(intervalOf(key, rangeEnd)), covered, JSON.stringify([key, rangeEnd]));
  }
  assert.ok(set(['\0', all]).covers(intervalOf('anything', '')));
});

/** Few letters and short keys, so that intervals meet; the byte 0 among them, because it ends keys. */
const key = fc.array(fc.constantFrom('\0', 'a', 'b'), { maxLength: 2 }).map((letters) => letters.join(''));
const pair = fc.tuple(key, fc.oneof(key, fc.constant(all)));

/** Every string of the letters up to three long: all places where an interval of such keys can begin or end. */
function places(): readonly string[] {
  const found = [''];
  for (let from = 0, length = 1; length <= 3; length++) {
    const to = found.length;
    for (; from < to; from++) for (const letter of ['\0', 'a', 'b']) found.push(`${found[from]}${letter}`);
  }
  return found;
}
const everywhere = places();
const holds = ({ from, to }: Interval, place: string) => place >= from && (to === undefined || place < to);

test('covering is what looking at every single key says', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 6 }), pair, (pairs, [wantedKey, wantedEnd]) => {
      const permitted = pairs.map(([from, rangeEnd]) => intervalOf(from, rangeEnd));
      const asked = intervalOf(wantedKey, wantedEnd);
      const keys = everywhere.filter((place) => holds(asked, place));
      const naive = (keys.length === 0 ? [wantedKey] : keys).every((place) =>
        permitted.some((interval) => holds(interval, place)),
      );
      assert.equal(new IntervalSet(permitted).covers(asked), naive);
    }),
    { numRuns: 20_000 },
  );
});
