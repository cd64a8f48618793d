/** A member that is asked to stop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startStoreCluster } from './store-processes.ts';

/** Before it was cancelled, what a start leaves to be done later kept the process for three seconds after the start. */
const lingersMax = 2_000;

test('a member that is stopped right after its start does not wait for what it meant to do later', async (context) => {
  const store = await startStoreCluster({ kind: 'keelson', count: 1 });
  context.after(() => store.stop());
  const [member] = store.members;
  assert.ok(member);
  const askedMs = performance.now();
  assert.equal(await member.end('SIGTERM'), 0);
  const tookMs = performance.now() - askedMs;
  assert.ok(tookMs < lingersMax, `gone after ${tookMs} ms`);
});
