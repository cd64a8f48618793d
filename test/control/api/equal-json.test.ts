import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEqualJson } from '../../../src/control/api/index.ts';

test('objects are equal whatever the order of their fields, lists only in order', () => {
  assert.equal(isEqualJson({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 }), true);
  assert.equal(isEqualJson([1, 2], [2, 1]), false);
  assert.equal(isEqualJson([1], [1, 2]), false);
  assert.equal(isEqualJson({ a: '1' }, { a: 1 }), false);
  assert.equal(isEqualJson([], {}), false);
});

test('a field that is absent, undefined or null is not there; an empty one is', () => {
  assert.equal(isEqualJson({ a: undefined, b: null }, {}), true);
  assert.equal(isEqualJson(undefined, null), true);
  assert.equal(isEqualJson({ a: {} }, {}), false);
  assert.equal(isEqualJson(0, null), false);
});
