import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Compactor } from '../../../src/kv/server/compactor.ts';

test('revision mode keeps the newest revisions and names each target once', () => {
  const compactor = new Compactor({ mode: 'revision', retentionRevisions: 100 });
  assert.equal(compactor.everyMs(), 300_000);
  assert.equal(compactor.step(0, 50), undefined);
  assert.equal(compactor.step(300_000, 150), 50);
  assert.equal(compactor.step(600_000, 150), undefined);
  assert.equal(compactor.step(900_000, 151), 51);
});

test('periodic mode compacts to what was the head one retention ago', () => {
  const compactor = new Compactor({ mode: 'periodic', retentionMs: 600_000 });
  assert.equal(compactor.everyMs(), 60_000);
  for (let minute = 0; minute < 10; minute++) assert.equal(compactor.step(minute * 60_000, 10 + minute), undefined);
  assert.equal(compactor.step(600_000, 20), 10);
  assert.equal(compactor.step(660_000, 21), 11);
  assert.equal(compactor.step(720_000, 22), 12);
});

test('a retention of zero switches it off', () => {
  assert.equal(new Compactor({ mode: 'periodic', retentionMs: 0 }).everyMs(), 0);
  assert.equal(new Compactor({ mode: 'revision', retentionRevisions: 0 }).everyMs(), 0);
});
