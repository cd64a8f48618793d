import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KeyRange } from '../../../src/kv/mvcc/key-range.ts';
import { keyRange, prefixEnd, rangeContains, rangePrefix } from '../../../src/kv/mvcc/key-range.ts';
import { WatcherIndex } from '../../../src/kv/mvcc/watcher-index.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const range = (key: string, end: string): KeyRange => keyRange(bytes(key), bytes(end));

test('a range means what etcd means by key and rangeEnd', () => {
  for (const [key, end, inside, outside] of [
    ['a', '', ['a'], ['', 'a\0', 'b']],
    ['a', 'c', ['a', 'a\xff', 'b'], ['c', 'A']],
    ['a', '\0', ['a', 'zzz', '\xff'], ['A']],
    ['\0', '\0', ['\0', 'a', '\xff\xff'], []],
    ['c', 'a', [], ['a', 'b', 'c']],
    ['a', 'a', [], ['a']],
  ] as const) {
    for (const name of inside) assert.ok(rangeContains(range(key, end), name), `${name} in ${key}..${end}`);
    for (const name of outside) assert.ok(!rangeContains(range(key, end), name), `${name} not in ${key}..${end}`);
  }
});

test('a range is known as a prefix when it is one', () => {
  assert.equal(rangePrefix(range('/pods/', '/pods0')), '/pods/');
  assert.equal(rangePrefix(range('\0', '\0')), '');
  assert.equal(rangePrefix(range('a\xff', 'b')), 'a\xff');
  assert.equal(rangePrefix(range('a', 'c')), undefined);
  assert.equal(rangePrefix(range('a', '\0')), undefined);
  assert.equal(rangePrefix(range('a', '')), undefined);
  assert.equal(prefixEnd('\xff\xff'), undefined);
});

test('the index finds exactly the watchers whose range holds the key, through additions and removals', () => {
  const name = fc.stringMatching(/^[abc\xff]{1,3}$/);
  const end = fc.oneof(name, fc.constant(''), fc.constant('\0'));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, end, fc.nat(9)), { maxLength: 60 }),
      fc.array(name, { minLength: 1, maxLength: 8 }),
      (ranges, keys) => {
        const index = new WatcherIndex<{ readonly range: KeyRange }>();
        let watchers: { readonly range: KeyRange }[] = [];
        for (const [key, rangeEnd, removal] of ranges) {
          const isPrefix = removal % 3 === 0;
          const watcher = { range: isPrefix ? range(key, prefixEnd(key) ?? '\0') : range(key, rangeEnd) };
          index.add(watcher);
          watchers.push(watcher);
          const victim = watchers[removal];
          if (victim !== undefined && removal % 2 === 0) {
            index.remove(victim);
            watchers = watchers.filter((other) => other !== victim);
          }
          for (const wanted of keys) {
            const found = new Set<unknown>();
            index.forEach(wanted, (other) => {
              assert.ok(!found.has(other), 'a watcher is found once');
              found.add(other);
            });
            assert.deepEqual(found, new Set(watchers.filter((other) => rangeContains(other.range, wanted))));
          }
        }
        assert.equal(index.size(), watchers.length);
      },
    ),
    { numRuns: 60 },
  );
});
