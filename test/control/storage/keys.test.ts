import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeContinue,
  encodeContinue,
  RevisionReader,
  shortKey,
  storeKey,
  textOf,
} from '../../../src/control/storage/index.ts';
import { prefixEnd, splitKey } from '../../../src/control/storage/keys.ts';
import type { KvClient } from '../../../src/kv/index.ts';

test('a key is split into the prefix and the object, with one segment or two', () => {
  const known = new Set(['pods', 'services/specs', 'nodes']);
  assert.equal(textOf(storeKey('services/specs', shortKey('a', 'b'))), '/registry/services/specs/a/b');
  assert.deepEqual(splitKey('/registry/pods/a/b', known), { storagePrefix: 'pods', short: 'a/b' });
  assert.deepEqual(splitKey('/registry/services/specs/a/b', known), { storagePrefix: 'services/specs', short: 'a/b' });
  assert.deepEqual(splitKey('/registry/nodes/n1', known), { storagePrefix: 'nodes', short: 'n1' });
  assert.equal(splitKey('/registry/other/a/b', known), undefined);
  assert.equal(splitKey('/elsewhere/pods/a', known), undefined);
  assert.equal(splitKey('/registry/pods/', known), undefined);
  assert.equal(textOf(prefixEnd('/registry/pods/')), '/registry/pods0');
});

test('a continue token survives the trip, and anything else is refused', () => {
  const token = { revision: 7, after: 'a/b' };
  assert.deepEqual(decodeContinue(encodeContinue(token)), token);
  for (const text of ['', 'x', Buffer.from('{}').toString('base64url'), Buffer.from('{"v":2}').toString('base64url')]) {
    assert.equal(decodeContinue(text), undefined);
  }
});

test('askers share a read, but never one that was sent before they asked', async () => {
  const answers: ((revision: number) => void)[] = [];
  const kv = {
    range: () =>
      new Promise((resolve) => answers.push((revision) => resolve({ kvs: [], more: false, count: 0, revision }))),
  } as unknown as KvClient;
  const reader = new RevisionReader(kv, 1000);
  const first = reader.current();
  const later = [reader.current(), reader.current()];
  assert.equal(answers.length, 1);
  answers[0]?.(5);
  assert.equal(await first, 5);
  while (answers.length < 2) await new Promise((resolve) => setImmediate(resolve));
  answers[1]?.(9);
  assert.deepEqual(await Promise.all(later), [9, 9]);
  assert.equal(answers.length, 2);
});
