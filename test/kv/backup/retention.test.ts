/** Which backups go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backupName, expired, madeAtMs } from '../../../src/kv/backup/retention.ts';

const hourMs = 3_600_000;
const nowMs = Date.UTC(2026, 2, 1, 12);
/** A backup of each of the last hours, the newest first. */
const hourly = (count: number) => Array.from({ length: count }, (_, hour) => backupName(nowMs - hour * hourMs, 'abc'));

test('a name tells when the backup was made', () => {
  const name = backupName(nowMs + 7, 'abc');
  assert.equal(name, 'keelson-20260301T120000007Z-abc.backup');
  assert.equal(madeAtMs(name), nowMs + 7);
  for (const other of ['keelson-backups.check', 'notes', `${name}.part`, 'keelson-2026-abc.backup']) {
    assert.equal(madeAtMs(other), undefined, other);
  }
});

test('by count alone, all but the newest go, oldest first', () => {
  const names = hourly(30);
  assert.deepEqual(expired(names, nowMs, { keep: 24, keepForMs: 0 }), names.slice(24).reverse());
});

test('by age and count, what either rule keeps stays', () => {
  const names = hourly(100);
  assert.deepEqual(expired(names, nowMs, { keep: 24, keepForMs: 48 * hourMs }), names.slice(49).reverse());
  assert.deepEqual(expired(names, nowMs, { keep: 60, keepForMs: 48 * hourMs }), names.slice(60).reverse());
});

test('the newest backup never goes, however old it is', () => {
  assert.deepEqual(expired(hourly(1), nowMs + 10_000 * hourMs, { keep: 1, keepForMs: 0 }), []);
});

test('what is no backup is left alone', () => {
  assert.deepEqual(expired(['keelson-backups.check', 'notes.txt', ...hourly(2)], nowMs, { keep: 2, keepForMs: 0 }), []);
});
