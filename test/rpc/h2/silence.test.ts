/** When the other end of a connection is asked whether it is there, and when it is given up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Silence } from '../../../src/rpc/h2/silence.ts';

const limits = { keepaliveIntervalMs: 100, keepaliveTimeoutMs: 30 };

test('who is silent is asked, and given up when nothing comes', () => {
  const silence = new Silence(limits, 1_000);
  assert.deepEqual(silence.step(1_099), { kind: 'wait', dueMs: 1_100 });
  assert.deepEqual(silence.step(1_100), { kind: 'ping', dueMs: 1_130 });
  assert.deepEqual(silence.step(1_130), { kind: 'giveUp' });
});

test('anything that comes is a sign of life', () => {
  const silence = new Silence(limits, 1_000);
  assert.equal(silence.step(1_100).kind, 'ping');
  silence.heard(1_120);
  assert.deepEqual(silence.step(1_130), { kind: 'wait', dueMs: 1_220 });
  assert.deepEqual(silence.step(1_220), { kind: 'ping', dueMs: 1_250 });
});
