import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shrink } from '../../../chaos/sim/shrink.ts';

const always = () => true;

/** Fails as long as all of `needed` are there. */
const failsWith =
  (needed: readonly number[]) =>
  async (kept: readonly number[]): Promise<boolean> =>
    needed.every((one) => kept.includes(one));

test('only what is needed for the failure is left, in its order', async () => {
  const needed = fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(needed, fc.integer({ min: 60, max: 90 }), async (few, count) => {
      const all = Array.from({ length: count }, (_, at) => at);
      const left = await shrink(all, { fails: failsWith(few), mayGoOn: always });
      assert.deepEqual(
        left,
        few.toSorted((a, b) => a - b),
      );
    }),
  );
});

test('a failure that needs any two of three is cut down to two', async () => {
  const fails = async (kept: readonly number[]) => [3, 7, 11].filter((one) => kept.includes(one)).length >= 2;
  const left = await shrink(
    Array.from({ length: 20 }, (_, at) => at),
    { fails, mayGoOn: always },
  );
  assert.equal(left.length, 2);
});

test('a search that is told to stop keeps what it has found', async () => {
  const all = Array.from({ length: 64 }, (_, at) => at);
  let attempts = 0;
  const left = await shrink(all, { fails: failsWith([40]), mayGoOn: () => attempts++ < 3 });
  assert.ok(left.includes(40));
  assert.ok(left.length < all.length && left.length > 1);
  assert.deepEqual(await shrink(all, { fails: failsWith([]), mayGoOn: () => false }), all);
  assert.deepEqual(await shrink([], { fails: failsWith([]), mayGoOn: always }), []);
});
