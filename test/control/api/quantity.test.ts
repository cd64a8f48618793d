/** Quantities as plain numbers, for those who count with them; their exact form is tried with the kinds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantityMillis, quantityUnits, quantityValue } from '../../../src/control/api/index.ts';

test('a field with a quantity is read as the number it stands for', () => {
  assert.equal(quantityValue('64Mi'), 64 * 2 ** 20);
  assert.equal(quantityValue('1e3'), 1000);
  assert.equal(quantityValue('1.5G'), 1.5e9);
  assert.equal(quantityValue('1m'), 0.001);
  assert.equal(quantityValue('-250m'), -0.25);
  assert.equal(quantityValue(2), 2);
  // Whole, to the last digit, although its billionths are beyond what a number holds.
  assert.equal(quantityValue('12345678901'), 12345678901);
});

test('units and thousandths are rounded up without errors of binary fractions', () => {
  assert.equal(quantityMillis('0.1'), 100);
  assert.equal(quantityMillis('250m'), 250);
  assert.equal(quantityMillis('1.1'), 1100);
  assert.equal(quantityMillis('1n'), 1);
  assert.equal(quantityUnits('1500m'), 2);
  assert.equal(quantityUnits('1Ei'), 2 ** 60);
});

test('what is no quantity is none', () => {
  for (const value of ['x', '', '1 Gi', '1Zi', undefined, null, true, Number.NaN, {}]) {
    assert.equal(quantityValue(value), undefined, String(value));
    assert.equal(quantityMillis(value), undefined, String(value));
    assert.equal(quantityUnits(value), undefined, String(value));
  }
});
